"""What the SMS providers of mainland China have in common, as far as an adapter is concerned.

They sign nothing of what they push: a path that nobody can guess and the provider's own addresses are all that proves who
calls, so both are required. They give no word on how long messages were parted: each piece is a message of its own, and
the settle window puts together what a citizen sends in one go. They send approved templates only, never free words.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import orjson
from pydantic import Field

from channels.base import Admission, Request, Webhook
from channels.errors import ChannelError, Malformed, NotSent, Uncertain, Undeliverable
from channels.reading import one_word, plausible
from channels.settings import PathSecret, WebhookSettings
from normalizer.model import Assurance, Contact, ContactType, Envelope, Report
from normalizer.reply import Outgoing

#: China has one time, and no summer time since 1992.
CHINA = timezone(timedelta(hours=8))
E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DOMESTIC = re.compile(r"1[0-9]{10}")
_SEPARATORS = re.compile(r"[\s()-]+")
#: ``2017-09-01 00:00:00``, and ``20170901000000`` in Aliyun's older pages.
_TIMES = ("%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S")


class SmsSettings(WebhookSettings):
    """What every such channel takes."""

    path_secret: PathSecret
    """The unguessable last part of the path: the provider signs nothing."""
    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], Field(min_length=1)]
    """Addresses the provider calls from."""
    template_parameters: tuple[Literal["code", "text"], ...] = ("code", "text")
    """What stands in the approved template, in its order: the tracking code (受理编号), the words."""


S = TypeVar("S", bound=SmsSettings)


class UnsignedSms(Webhook[S]):
    """A channel whose provider signs nothing."""

    #: Hundreds of messages come in one delivery.
    max_body = 1024 * 1024
    conversational = True
    #: How long the provider may take over one message of ours.
    send_seconds: ClassVar[float] = 15.0

    @property
    def reaches(self) -> frozenset[ContactType]:  # type: ignore[override]  # read only, and it depends on the settings
        """Telephones, once there is a template to write by."""
        return frozenset({ContactType.PHONE}) if self.writes else frozenset()

    @property
    @abstractmethod
    def writes(self) -> bool:
        """Whether the settings say how to write back."""

    def authenticate(self, request: Request) -> Admission:
        """Nothing to be checked is left: only this path leads here, and the caller's address was looked at."""
        return Admission(apparent_sender=self.apparent_sender(request.body))

    @abstractmethod
    def apparent_sender(self, body: bytes) -> str:
        """The one citizen whose words these are; empty for several, or when it cannot be said."""


# -- Reading -----------------------------------------------------------------------------------------------------------


def read_json(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """The value and what is odd about it. Raise Malformed.

    Half a character, where a gateway has cut an emoji in two, spoils this one character, not the batch.
    """
    try:
        return orjson.loads(body), ()
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8", "replace"), strict=False), ("odd_json",)
    except (ValueError, RecursionError):
        raise Malformed("json") from None


def text_of(value: Any) -> str:
    """A value as storable text, numbers as their digits; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shown(value: Any) -> str:
    """Any JSON value, for a person to read."""
    return text_of(json.dumps(value, ensure_ascii=False, sort_keys=True))


def e164(stated: str, country: str = "") -> str:
    """A number as ITU-T E.164 writes it, or as it came when it cannot be one; ``country`` without ``+``.

    ``+8613800138000``, ``008613800138000``, ``8613800138000`` and ``13800138000`` are the same.
    """
    digits, country = _SEPARATORS.sub("", stated), country.lstrip("+0")
    domestic = digits.removeprefix("86")
    if digits.startswith(("+", "00")):
        found = "+" + digits.removeprefix("+").removeprefix("00")
    elif country in {"", "86"} and _DOMESTIC.fullmatch(domestic):
        found = "+86" + domestic
    else:
        found = f"+{country}{digits}" if country and digits else digits
    return found if E164.fullmatch(found) else stated


def sender_of(number: str) -> Contact:
    """A caller id can be forged on its way through the networks."""
    return Contact(type=ContactType.PHONE, value=number, assurance=Assurance.SPOOFABLE)


def china_time(stated: str, envelope: Envelope) -> datetime | None:
    """A time without zone; None when it is none, or cannot be."""
    for form in _TIMES:
        try:
            moment = datetime.strptime(stated.strip(), form).replace(tzinfo=CHINA)
        except ValueError:
            continue
        return moment if plausible(moment, envelope) else None
    return None


def report(provider_id: str, delivered: bool, reason: str) -> Report:
    """What the provider says about a message of ours."""
    if delivered:
        return Report(provider_id=provider_id, state="delivered")
    return Report(provider_id=provider_id, state="failed", reason=one_word(reason, "undelivered"))


# -- Sending -----------------------------------------------------------------------------------------------------------


def number_of(outgoing: Outgoing) -> str:
    """Where it goes; raise Undeliverable when that is no number."""
    if not E164.fullmatch(outgoing.to.value):
        raise Undeliverable("not_a_number")
    return outgoing.to.value


def template_values(outgoing: Outgoing, names: Sequence[str]) -> dict[str, str]:
    """What the template is filled with; a template takes no empty value."""
    values = {"code": outgoing.tracking_code or "-", "text": outgoing.text}
    return {name: values[name] for name in names}


@dataclass(frozen=True, slots=True)
class Codes:
    """What a provider's error codes mean, told by how they begin, in this order; any other: refused for good."""

    #: It did not go out and may later: after so many seconds.
    waits: Mapping[str, float]
    #: It may have gone out.
    uncertain: tuple[str, ...]
    #: The citizen does not want it.
    unreachable: tuple[str, ...] = ()

    def error(self, code: str) -> ChannelError:
        """The error that says so."""
        word = one_word(code, "refused")
        for beginning, seconds in self.waits.items():
            if code.startswith(beginning):
                return NotSent(word, seconds)
        if code.startswith(self.uncertain):
            return Uncertain(word)
        return Undeliverable(word, unreachable=code.startswith(self.unreachable))
