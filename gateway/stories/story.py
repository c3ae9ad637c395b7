"""What a story is made of: steps of citizens, acts of the core and of operators, and the truth about each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from normalizer.model import Contact, Message, PartyType, Proof, RegistrationSource

#: In a text: the tracking code of the matter that ``Step.cites`` names.
CODE = "〔受理编号〕"


class Relation(StrEnum):
    """What a step is to the steps before it, as far as the gateway can know."""

    NEW = "new"
    """A matter of its own."""
    REDELIVERY = "redelivery"
    """The same delivery again."""
    CHASE = "chase"
    """The same caller on the same matter, with nothing new."""
    ADDS = "adds"
    """The same caller on the same matter, with new facts."""
    FOLLOWS = "follows"
    """The same caller takes up a matter again that is over."""
    INCIDENT = "incident"
    """Another caller has told of the same cause: a matter of its own, and one incident."""
    STRANGER = "stranger"
    """Asks about a matter of somebody else: he learns nothing, and it becomes nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a citizen."""

    #: When it arrives, since the beginning of the time line.
    at: timedelta
    #: When he sent it: of one that is delivered again, as the first time.
    sent_at: timedelta
    #: Kind of the channel; its name is the same.
    channel: str
    #: Our address on it.
    account: str
    sender: Contact
    provider_id: str
    text: str
    title: str | None = None
    #: As he, or the channel, states it.
    name: str | None = None
    unit: str | None = None
    #: Stated beside the sender: a number in a form, merely written.
    contacts: tuple[Contact, ...] = ()
    proofs: tuple[Proof, ...] = ()
    #: The step whose matter's tracking code stands in the text for ``CODE``.
    cites: int | None = None

    def message(self, begins: datetime, code: str = "") -> Message:
        """As the channel's adapter would read it; ``begins``: of the time line. ``code``: for ``CODE``."""
        spoken = self.channel == "telephone"
        return Message(
            key_space=self.channel,
            account=self.account,
            sender=self.sender,
            provider_id=self.provider_id,
            sent_at=begins + self.sent_at,
            text=self.text.replace(CODE, code),
            title=self.title,
            name=self.name,
            unit=self.unit,
            contacts=self.contacts,
            proofs=self.proofs,
            party_type=PartyType.LEGAL_PERSON if self.unit else PartyType.UNKNOWN,
            source=RegistrationSource.TELEPHONE if spoken else None,
            operator="1024" if spoken else None,
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a step."""

    #: Who it really is.
    person: str
    #: Who the gateway can know it to be: contacts with one label are one caller, with different labels never.
    caller: str
    #: The matter; one label, one matter, where everything is recognised.
    matter: str
    #: What is told of; messages on different causes are never in one incident.
    cause: str
    relation: Relation


@dataclass(frozen=True, slots=True)
class Told:
    """The case core tells about the matter of a step."""

    at: timedelta
    step: int
    kind: Literal["result", "closed"]
    text: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """An operator says that the callers of two steps are one person, and perhaps takes it back later."""

    at: timedelta
    one: int
    other: int
    reason: str
    undone_at: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """What some citizens did, in order of time."""

    kind: str
    steps: tuple[Step, ...]
    #: One for each step.
    truth: tuple[Truth, ...]
    told: tuple[Told, ...] = ()
    ruled: tuple[Ruled, ...] = ()
    #: From this step on who is whom must be as the truth says: until then the evidence may mislead.
    certain_from: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A letter."""

    title: str
    text: str
    #: Which details of its cause it tells, by their place among the problem's.
    details: tuple[int, ...] = field(default=())
