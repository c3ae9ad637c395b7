"""What a case of a regulation is: the article, the rule of the profile that comes from it, a message in, what is expected out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from normalizer.model import Disposition, EmergencyLine, MatterKind, PartyType
from normalizer.profile import Way

ZONE = ZoneInfo("Asia/Shanghai")
#: A Wednesday in an ordinary week.
RECEIVED = datetime(2026, 11, 25, 10, 0, tzinfo=ZONE)
#: What reads the words of a message; None where the case needs none but the profile and what is stated.
Reader = Literal["acceptance", "conduct", "confidential", "crisis", "emergency", "kind", "platform"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message in, with what was stated beside its words."""

    text: str
    way: Way = "wechat"
    kind: MatterKind | None = None
    party: PartyType = PartyType.UNKNOWN
    name: str | None = None
    unit: str | None = None
    phone: str | None = None
    place: str | None = None
    #: GB/T 2260, of the place.
    division: str | None = None
    platform: str | None = None
    line: EmergencyLine | None = None
    disposition: Disposition = "to_handle"
    answer: str | None = None
    confidential: bool = False
    received: datetime = RECEIVED


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled case."""

    #: Its own among those of its city.
    name: str
    #: As the rule has it; None for a choice of ours.
    article: str | None
    #: Of the profile: ``grounds.litigation``.
    rule: str
    said: Said
    #: What is expected of the judgement, by its dotted name: ``matter.kind``.
    expect: Mapping[str, Any]
    #: Words that stand in the explanation.
    says: tuple[str, ...] = ()
    #: What must read the words for it.
    reader: Reader | None = None


def case(
    name: str,
    article: str | None,
    rule: str,
    text: str,
    expect: Mapping[str, Any],
    /,
    *says: str,
    reader: Reader | None = None,
    **stated: Any,
) -> Case:
    """A case in one line."""
    return Case(name, article, rule, Said(text, **stated), MappingProxyType(dict(expect)), says, reader)


def until(month: int, day: int, year: int = 2026) -> dict[str, datetime]:
    """The expectation of an answer by the end of that day."""
    return {"due.reply_by": datetime(year, month, day, 23, 59, 59, tzinfo=ZONE)}


def doubt(suggestion: str, ground: str | None = None) -> dict[str, Any]:
    """The expectation that acceptance is doubted on a ground, by its key; the matter is there all the same."""
    return {"matter.acceptance.suggestion": suggestion, "ground": ground}


ACCEPTED = doubt("accept")
"""The expectation that nothing speaks against it."""


def urgent(line: EmergencyLine) -> dict[str, Any]:
    """The expectation of a live emergency."""
    return {"matter.emergency_line": line, "matter.urgency": "immediate"}


CALM: dict[str, Any] = {"matter.emergency_line": None, "matter.urgency": "routine"}
"""The expectation of no emergency."""
