"""What goes back to a citizen: the values that travel from a matter to a channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from normalizer.model import Contact, Frozen


class ReplyKind(StrEnum):
    """Why the city writes to a citizen. All but the first five are the core's updates (CONTRACT.md)."""

    ACKNOWLEDGEMENT = "acknowledgement"
    """We have it, and this is its number (受理编号)."""
    WARNING = "warning"
    """Danger: the number to call at once. It goes to whoever asked for no messages too."""
    STATUS = "status"
    """He asked how it stands."""
    CODE = "code"
    """A code, to the telephone number that somebody says is his."""
    BINDING = "binding"
    """To whoever asked for the code, or gave one back."""
    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not_accepted"
    PROGRESS = "progress"
    QUESTION = "question"
    RESULT = "result"
    CLOSED = "closed"
    RETURN_VISIT = "return_visit"
    """回访: was it done, and how content is he?"""


class ReplyState(StrEnum):
    """How far a reply has come; ``failed`` and ``unknown`` are final, ``sent`` where the provider reports nothing."""

    QUEUED = "queued"
    SENDING = "sending"
    """Handed to the channel; a node that dies now leaves it ``unknown``."""
    SENT = "sent"
    """The provider has taken it."""
    DELIVERED = "delivered"
    """The provider says that it arrived."""
    FAILED = "failed"
    """It was not sent, or did not arrive, on any way there is."""
    UNKNOWN = "unknown"
    """Perhaps sent: never sent again by itself, for no citizen shall be told twice."""


class Outgoing(Frozen):
    """One reply, ready to be sent by a channel."""

    id: UUID
    """Ours, UUIDv7, the same over retries."""
    kind: ReplyKind
    """Why."""
    account: str
    """Our address on the channel, as the citizen's message named it."""
    to: Contact
    """The citizen."""
    text: Annotated[str, Field(min_length=1)]
    """The whole text, in his language; the channel cuts or parts it as its provider demands."""
    language: Literal["zh", "en"] = "zh"
    """Of the text."""
    tracking_code: str | None = None
    """受理编号, for templates."""
    label: str = ""
    """Its kind in a few Chinese characters (已受理), for templates."""
    matter_id: UUID | None = None
    """The matter it is about."""
    answers: str | None = None
    """What the provider wants named in an answer: a comment, a message; see ``Message.answer_to``."""
    window: str | None = None
    """The reply window it is sent in, a name in ``Channel.reply_limits``; None: none is open, or there are none."""
    token: str = ""
    """Unguessable, the same over retries, 48 characters of base32: who brings it back has this reply before him."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider's word that it has a reply."""

    #: The provider's id of it, by which its reports name it; None where it gives none.
    provider_id: str | None = None
    #: True when its answer says that the citizen has it.
    delivered: bool = False


def stepped_at(sent_at: datetime | None, received_at: datetime) -> datetime:
    """When a citizen did something, for windows and doors: by his provider's clock, which counts them, if it tells.

    Late deliveries open nothing that the provider has closed; a clock that runs ahead of ours is not believed.
    """
    return received_at if sent_at is None else min(sent_at, received_at)


@dataclass(frozen=True, slots=True)
class Limit:
    """How long after a citizen's step, and how often, a provider lets us write to him."""

    #: Seconds.
    seconds: float
    #: Messages; None: any number.
    count: int | None = None
