"""A message against what came before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, SkipValidation

from normalizer.model.base import Frozen
from normalizer.model.matter import Act, Level, Share
from normalizer.model.message import Outcome

if TYPE_CHECKING:
    from normalizer.fingerprint import Fingerprint


class PastMatter(Frozen):
    """An earlier matter of the same caller, as much of it as a verdict needs."""

    matter_id: UUID
    """Its id."""
    filed_at: AwareDatetime
    """When we filed it."""
    tracking_code: str = ""
    """受理编号."""
    answered_at: AwareDatetime | None = None
    """When the core gave its last result."""
    closed_at: AwareDatetime | None = None
    """When the core closed it."""
    withdrawn_at: AwareDatetime | None = None
    """When he took it back."""
    evaluated_at: AwareDatetime | None = None
    """When he last said how content he is."""
    asked: UUID | None = None
    """The core's update that waits for his answer."""
    asked_at: AwareDatetime | None = None
    """Since when."""
    asks: Literal["question", "return_visit"] | None = None
    """What kind of update."""

    @property
    def open(self) -> bool:
        """Whether the city still owes a result."""
        return self.answered_at is None and self.closed_at is None and self.withdrawn_at is None


class PastMessage(Frozen):
    """The sender's message before this one on the same channel and account."""

    matter_id: UUID
    """The matter it belongs to."""
    received_at: AwareDatetime
    """When it came."""
    began_at: AwareDatetime
    """When the first message of that matter came."""
    group: str | None = None
    """Its group; see ``Message.group``."""
    amends: str | None = None
    """What it changed; see ``Message.amends``."""


@dataclass(frozen=True, slots=True)
class PastIncident:
    """An incident to which an earlier matter belongs."""

    id: UUID
    #: The matter that speaks for it.
    first_id: UUID
    #: That matter's first message, as it is compared; None: not known any more.
    first: Fingerprint | None


@dataclass(frozen=True, slots=True)
class PastText:
    """An earlier message that may be about the same."""

    message_id: UUID
    #: The matter it belongs to now.
    matter: PastMatter
    #: Whether the person who wrote now wrote it.
    own: bool
    received_at: datetime
    fingerprint: Fingerprint
    incident: PastIncident | None = None
    #: An operator has said that they do not belong together.
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """An operator's word on where this message belongs, of before it was read again."""

    matter_id: UUID
    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """What the store recalls about a message's sender."""

    #: The person this contact belongs to; None when it is new.
    caller_id: UUID | None = None
    #: Messages of this caller in the last 30 days.
    contacts_30d: int = 0
    #: The newest of them.
    last_contact_at: datetime | None = None
    #: Matters of this caller in the last 30 days.
    matters_30d: int = 0
    #: The newest of them, newest first; 50 at most, for some write thousands.
    matters: tuple[PastMatter, ...] = ()
    #: Those of his matters, however old, whose tracking codes are in the words.
    coded: tuple[PastMatter, ...] = ()
    #: The matter the message says it adds to, or about which it answers a mail, when that is this caller's own.
    named: PastMatter | None = None
    #: The matter of a reply of ours to somebody else that this mail answers: he has it before him.
    handed_on: UUID | None = None
    #: The matter of the earlier message that this one is the new wording of.
    amended: UUID | None = None
    #: His message before this one.
    latest: PastMessage | None = None
    #: Whether he gives back the code that we sent to his telephone, or another; None: he was sent none.
    confirmed: bool | None = None
    #: The last call from this telephone number that an operator wrote down, if it was just now.
    registered: PastMessage | None = None
    #: Matters of this caller without a result, however old.
    open_matters: int = 0
    #: Where an operator has put this message.
    placed: Placed | None = None
    #: Earlier messages, his own and others', that may be about the same.
    alike: tuple[PastText, ...] = ()


class TieKind(StrEnum):
    """In what way two things belong together."""

    BELONGS = "belongs"
    """A message to a matter, of which it tells again."""
    SAME_MATTER = "same_matter"
    """A matter to an earlier one of the same caller."""
    FOLLOWS = "follows"
    """A matter to one that is over, and that it takes up again."""
    INCIDENT = "incident"
    """A matter to an incident."""
    ALIKE = "alike"
    """A matter to one of another caller; only for a person to look at."""


@dataclass(frozen=True, slots=True)
class Tie:
    """A link that the rules propose, from the message or the matter it opens."""

    kind: TieKind
    #: The matter, or the incident.
    object: UUID
    level: Level
    #: 0 to 1.
    score: float
    #: For a person to read.
    reason: str
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class Joining:
    """A new matter and matters of other callers are one incident."""

    #: The incident; None: it is the second matter of one.
    incident_id: UUID | None
    #: The matter that speaks for the incident, or is to.
    first: UUID
    tie: Tie
    #: Matters of the same incident that were in none, each with its tie.
    also: tuple[tuple[UUID, Tie], ...] = ()


class Verdict(Frozen):
    """What a message is to what came before, and why."""

    outcome: Outcome
    """``filed``, ``attached``, ``chased`` or ``answered``."""
    act: Act = Act.REPORTS
    """What the citizen does by it."""
    matter_id: UUID | None = None
    """The earlier matter it belongs to; None for a new one, or none at all."""
    answers: UUID | None = None
    """The core's update that it answers."""
    score: Annotated[int, Field(ge=1, le=5)] | None = None
    """Of an evaluation."""
    settling: bool = False
    """A further piece of what he is just telling."""
    reason: str
    """For a person to read."""
    ties: SkipValidation[tuple[Tie, ...]] = ()
    """The links that explain it, or that a person should look at."""
