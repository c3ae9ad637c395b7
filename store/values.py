"""What the store hands out: work, messages, events, receipts - frozen values, no rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from normalizer.heard import NOTHING, Judged, Recent
from normalizer.model import Attachment, Contact, Joining, Past, Verdict
from normalizer.model import HotlineMatter as Matter
from normalizer.reply import Outgoing, ReplyKind
from store.windows import Place


class Stage(StrEnum):
    """What is to be done with a subject of the work queue."""

    UNPACK = "unpack"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Work:
    """A claim on one piece of work."""

    sequence: int
    stage: Stage
    #: Envelope or message.
    subject: UUID
    #: Mark of the sender, None while unknown.
    lane: bytes | None
    #: Tries that have failed.
    attempts: int
    #: Mark of whose envelope it seems to be.
    apparent: bytes | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A way on which a reply can reach a citizen."""

    channel: str
    #: Our address on it.
    account: str
    to: Contact
    #: The words on this way.
    text: str
    #: What the provider wants named; see ``Message.answer_to``.
    answers: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply to be queued: the same id is queued once, whoever asks for it again."""

    id: UUID
    kind: ReplyKind
    #: Tried in this order; none: it is ``failed`` from the start, for a person to see.
    ways: tuple[Way, ...]
    language: str
    tracking_code: str | None = None
    matter_id: UUID | None = None
    #: The core's update that it carries.
    update_id: UUID | None = None
    #: As ``Outgoing.label``.
    label: str = ""


#: In the text of a code's reply: where the code is to stand.
CODE_PLACE = "######"


@dataclass(frozen=True, slots=True)
class Asking:
    """A code that is to be sent, if the contact and the number may have one now."""

    #: E.164.
    number: str
    #: By SMS, with CODE_PLACE in its text.
    draft: Draft


@dataclass(frozen=True, slots=True)
class Filing:
    """What is to be written about a message, decided under its caller's lock."""

    verdict: Verdict
    #: The matter's document, new or amended; as it is where nothing is told of it; None where there is none.
    matter: Matter | None
    #: CloudEvents type of the event owed to the core; None: nothing is told.
    event_type: str | None
    #: What he is answered at once.
    replies: tuple[Draft, ...] = ()
    #: What is to be fetched of it.
    media: tuple[Attachment, ...] = ()
    #: Until when an event about it may wait for further pieces of the conversation; None: it goes now.
    settles_at: datetime | None = None
    #: The incident that a new matter joins or makes.
    joining: Joining | None = None
    #: The code that he asks for.
    asking: Asking | None = None
    #: What was noticed of the message's conduct.
    judged: Judged = NOTHING


OpenFile = Callable[[UUID], Matter | None]
"""The document of one of the caller's matters."""

Decide = Callable[[UUID, Past, OpenFile], Filing]
"""From the caller's id and past to what is to be written; pure and quick: it runs under the caller's lock."""


@dataclass(frozen=True, slots=True)
class Judge:
    """How a message's conduct is judged."""

    #: From how he has been writing, his past and what was decided to what follows; pure and quick.
    judge: Callable[[Recent, Past, Filing], Judged]
    #: How long a flag counts.
    flags_last: timedelta


@dataclass(frozen=True, slots=True)
class DueEvent:
    """An event to be delivered now."""

    id: UUID
    matter_id: UUID
    sequence: int
    type: str
    created_at: datetime
    #: The matter's document; None when the key file cannot open it.
    payload: dict[str, Any] | None
    attempts: int
    #: Who is to have it: ``core``, or the name of a copy.
    sink: str = "core"
    #: Danger to life: it overtakes, and is not put off for long.
    immediate: bool = False
    #: Of the payload.
    version: int = 0


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that a sink refused: a person must look."""

    id: UUID
    sink: str
    matter_id: UUID
    type: str
    reason: str | None
    at: datetime | None
    tracking_code: str
    #: Later events of the matter that wait for it.
    behind: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an API client may know about an envelope of its own."""

    receipt: UUID
    channel: str
    client: str | None
    state: str
    matter_id: UUID | None = None
    tracking_code: str | None = None


@dataclass(frozen=True, slots=True)
class Replayable:
    """An envelope that ``gateway replay`` may run again, and what became of it."""

    envelope_id: UUID
    channel: str
    outcomes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DueReply:
    """A reply that this node is to send now."""

    outgoing: Outgoing
    #: Tries on this way that surely failed.
    attempts: int
    #: What it has of a reply window.
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Books:
    """The totals of ``gateway reconcile``; see CONTRACT.md, Outcomes."""

    envelopes: int
    pending: int
    unpacked: int
    messages: int
    held: int
    outcomes: dict[str, int]
    events: dict[str, int]
    #: A sentence per row that does not add up.
    offending: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Whether everything adds up."""
        return not self.offending
