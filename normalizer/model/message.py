"""What a person said, and what becomes of it in the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from normalizer.model.base import Frozen
from normalizer.model.values import (
    Attachment,
    Contact,
    Disposition,
    EmergencyLine,
    MatterKind,
    PartyType,
    Place,
    RegistrationSource,
)


class Part(Frozen):
    """Which piece of a long message (3GPP TS 23.040 section 9.2.3.24.1)."""

    reference: Annotated[str, Field(min_length=1, max_length=100)]
    """The same for all pieces, different for the sender's next long message."""
    number: Annotated[int, Field(ge=1, le=255)]
    """From 1."""
    total: Annotated[int, Field(ge=1, le=255)] | None = None
    """How many there are; None: not told."""


class Proof(Frozen):
    """Something that surely is the sender's, beside the contact he writes from: who else shows it is he."""

    kind: Literal["unionid", "phone"]
    """``unionid``: of a WeChat user, over all accounts of one operator; ``phone``: E.164."""
    value: Annotated[str, Field(min_length=1, max_length=100)]
    """The unionid or number."""
    evidence: Literal["app_login", "code", "provider"]
    """What vouches for it: the app's login, a code that he gave back, the channel's provider."""
    at: AwareDatetime | None = None
    """When he showed it; None: just now, as he writes."""


class Message(Frozen):
    """What one person said in one go, as the channel's adapter read it; cleaned, not interpreted."""

    key_space: Annotated[str, Field(min_length=1)]
    """Whose ids these are; channels that see the same message twice (SMTP and IMAP of one mailbox) share one."""
    account: Annotated[str, Field(min_length=1)]
    """Our address on the channel: ToUserName, the SMS number, the mailbox, the API client."""
    sender: Contact
    """Who wrote, as the channel knows him."""
    provider_id: Annotated[str, Field(min_length=1)] | None
    """The provider's id of this message; None where it gives none. Never 0 or an empty string."""
    sent_at: AwareDatetime | None = None
    """The provider's or the citizen's clock; None where not stated."""
    text: str = ""
    """The words; any length the channel lets through."""
    quoted: str = ""
    """Mail only: what stood below ``text`` and is not his, or not of today: quoted history, forwarded mail, signatures."""
    title: str | None = None
    """A subject the citizen gave."""
    attachments: tuple[Attachment, ...] = ()
    """In the order sent."""
    place: Place | None = None
    """A location the citizen shared or named."""
    name: str | None = None
    """The name the citizen or the channel gives."""
    unit: str | None = None
    """Company or organisation, as stated."""
    contacts: tuple[Contact, ...] = ()
    """Further ways to reach him, beside ``sender``."""
    proofs: tuple[Proof, ...] = ()
    """What he has shown to be his, on somebody's word who can know."""
    party_type: PartyType = PartyType.UNKNOWN
    """As stated."""
    matter_kind: MatterKind | None = None
    """As chosen by the citizen in the app."""
    confidential: bool = False
    """The citizen asked to stay unnamed (Weifang article 11)."""
    in_reply_to: str | None = None
    """A matter_id the citizen adds to."""
    thread: tuple[str, ...] = ()
    """Mail only: In-Reply-To and References, nearest last (RFC 5322 section 3.6.4); behind them, as what it would be
    there, the reply of ours to whose own address it is written."""
    answerable: bool = True
    """False: it gets no answer by itself, neither acknowledgement nor status."""
    reply_to: str | None = None
    """Where an answer goes when not to ``sender``."""
    answer_to: str | None = None
    """What the provider wants named in an answer to this message: a comment, a message id."""
    opens: str | None = None
    """The reply window that this message opens, a name in ``Channel.reply_limits``."""
    group: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Messages of one sender with the same group are one utterance: the pictures of an album."""
    part: Part | None = None
    """Where this is a piece of a long message that the provider did not join."""
    amends: str | None = None
    """The provider's id of an earlier message that the citizen has changed: this is its new wording."""
    source: RegistrationSource | None = None
    """How he came, where an operator wrote it down."""
    operator: str | None = None
    """Id of the operator who wrote it down."""
    disposition: Disposition = "to_handle"
    """Whether the operator has answered already."""
    answer: str | None = None
    """What the operator answered."""
    call_back_owed: bool = False
    """A missed call: he is to be called back (漏接回拨)."""
    about_hotline_staff: bool = False
    """Stated to be a complaint about the hotline's own people."""
    linked_platform: str | None = None
    """The platform that transferred it, for example 12315."""
    partner_number: str | None = None
    """That platform's own number of it."""
    emergency_line: EmergencyLine | None = None
    """The emergency service that transferred it."""
    flags: tuple[str, ...] = ()
    """Oddities noticed while reading, for example ``charset_guessed``."""


class Report(Frozen):
    """A provider's word, later, on what became of a reply of ours."""

    provider_id: Annotated[str, Field(min_length=1)]
    """Its id of the reply, as it answered when the reply was sent."""
    state: Literal["delivered", "failed"]
    """What became of it."""
    reason: Annotated[str, Field(pattern="^[a-z0-9_]{1,60}$")] | None = None
    """Why it failed, one word."""


class Notice(Frozen):
    """A delivery in which no citizen speaks: a subscription event, a bounce, a receipt."""

    reason: Annotated[str, Field(pattern="^[a-z0-9_]{1,60}$")]
    """One word for the books, for example ``subscribe``."""
    account: str | None = None
    """Our address on the channel; goes with ``sender``."""
    sender: Contact | None = None
    """Whose step it tells of: he followed, he blocked us."""
    sent_at: AwareDatetime | None = None
    """The provider's clock: when he did so."""
    opens: str | None = None
    """The reply window that his step opens, a name in ``Channel.reply_limits``."""
    reachable: bool | None = None
    """False: he does not want to hear from us there any more; True: he does again."""
    reports: tuple[Report, ...] = ()
    """What became of replies of ours."""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message in our books: what the person said, and how it came."""

    #: Ours, UUIDv7.
    id: UUID
    #: The delivery it came in.
    envelope_id: UUID
    #: The channel's name.
    channel: str
    #: The channel's kind.
    kind: str
    #: Our clock, UTC.
    received_at: datetime
    message: Message
    #: Of the envelope, the message and the books, for example ``stale_clock``, ``id_reused``.
    flags: tuple[str, ...] = ()


Parsed = tuple[Message, ...] | Notice
"""What ``Channel.parse`` makes of an envelope."""


class Outcome(StrEnum):
    """What became of a message, or of an envelope that yielded none: exactly one, final."""

    FILED = "filed"
    """A new matter."""
    ATTACHED = "attached"
    """Added to a matter."""
    CHASED = "chased"
    """The same caller asks again, nothing new."""
    REDELIVERED = "redelivered"
    """The same message delivered again."""
    PART = "part"
    """A piece of a message that came in several."""
    ANSWERED = "answered"
    """A query, evaluation or opt-out, served without a new matter."""
    NOTICE = "notice"
    """No citizen speaking."""
    REFUSED = "refused"
    """An operator decided so."""
    MALFORMED = "malformed"
    """Theirs: cannot be read."""
    FAILED = "failed"
    """Ours: three tries ended in an error."""
