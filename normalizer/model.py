"""The vocabulary of the gateway: frozen values that travel from the wire to the case core.

An :class:`Envelope` is one delivery by a provider, raw. Unpacked it yields :class:`Message` values - what a person
said - or is a :class:`Notice`. Messages become a :class:`HotlineMatter`, the one document that the hand-off, the API and
the console share; its JSON Schema (docs/schema/hotline-matter.json) is generated from this file.

Every date is aware. Every limit and unit stands beside its field, with the source it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
DIGEST_VERSION = 1


# -- One delivery ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Binding:
    """A claim that ``key`` stands for ``body`` and for no other, for ever: an Idempotency-Key, or a signature that does
    not itself cover the body (Weibo, WeChat plaintext).
    """

    #: What is claimed, unique within the channel; never an empty string.
    key: str
    #: SHA-256 of what the key stands for.
    digest: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivery by a provider, kept raw before it is acknowledged."""

    #: UUIDv7 (RFC 9562 section 5.7); the receipt given to API clients.
    id: UUID
    #: The channel's name: its key in config.yaml.
    channel: str
    #: The channel's kind: which adapter reads it.
    kind: str
    #: Our clock when the last byte had arrived, UTC.
    received_at: datetime
    #: The body as it came, byte for byte.
    body: bytes
    #: The query string as it came, without the question mark.
    query: str = ""
    #: What else the adapter needs to read it again: a few headers, SMTP's MAIL FROM, the API client.
    context: Mapping[str, str] = field(default_factory=dict)
    #: Facts noticed at the door, for example ``stale_clock``.
    flags: tuple[str, ...] = ()
    #: The claim to be made in the same transaction, if any.
    binding: Binding | None = None
    #: Whose delivery it seems to be, before it is read: only to keep his messages in order. Empty: could be anybody's.
    apparent_sender: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """The store's word that an envelope is committed: ours from here."""

    #: The receipt to answer with: the first envelope's, when the binding was known already.
    receipt: UUID
    #: True when the same binding with the same body had been kept before.
    again: bool = False


# -- What a person said ------------------------------------------------------------------------------------------------


class Frozen(BaseModel):
    """Base of all values below: immutable, unknown fields refused, docstrings become schema descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ContactType(StrEnum):
    """Ways to reach someone."""

    WECHAT = "wechat"
    """openid of one official account."""
    WEIBO = "weibo"
    """uid, decimal int64."""
    PHONE = "phone"
    """E.164, for example +8613800138000 (ITU-T E.164)."""
    MAIL = "mail"
    """addr-spec (RFC 5322 section 3.4.1), domain in lower case."""
    TELEGRAM = "telegram"
    """User id, decimal int64."""
    APP = "app"
    """The app's own user id, within one client."""


class Assurance(StrEnum):
    """How sure we are that a contact is whom it names."""

    VERIFIED = "verified"
    """Vouched for by the provider's authentication or by a confirmed code."""
    ASSERTED = "asserted"
    """Stated by the citizen or a client, not checked."""
    SPOOFABLE = "spoofable"
    """Anyone can write it: an unauthenticated mail sender, a caller id."""


class Contact(Frozen):
    """A way to reach someone."""

    type: ContactType
    """What kind of address ``value`` is."""
    value: Annotated[str, Field(min_length=1, max_length=320)]
    """The address itself; 320 characters hold the longest mail address (RFC 3696 erratum 1690)."""
    assurance: Assurance
    """How sure we are of it."""


class AttachmentKind(StrEnum):
    """What a citizen sent beside words."""

    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"
    LINK = "link"


class Attachment(Frozen):
    """A picture, recording, video, file or link: a reference, fetched later, so that a broken one never loses the text."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    """Stable within the message: its position, ``0``, ``1``, …; for uploads the attachment_id."""
    kind: AttachmentKind
    """What it is to a reader."""
    media_type: str | None = None
    """IANA media type as declared by the sender; not believed before the content is looked at."""
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes, where known."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Of the content, hex, once we hold it."""
    file_name: Annotated[str, Field(max_length=255)] | None = None
    """As the sender named it; shown, never used as a path."""
    reference: Annotated[str, Field(max_length=4096)] | None = None
    """Where to fetch it: a provider's media id or URL, or ``part:N`` of the kept mail. Never handed to the core."""
    scan: Literal["pending", "clean", "infected", "unscanned"] = "pending"
    """Verdict of the virus scanner; ``infected`` is held, and not given out."""
    scan_reason: Annotated[str, Field(max_length=100)] | None = None
    """Why it is ``unscanned``, in one word (``not_configured``, ``scanner_away``, ``archive_depth``, …), or what was found."""
    availability: Literal["referenced", "held", "missing"] = "referenced"
    """Whether we hold the content, still have to fetch it, or could not."""
    message_id: UUID | None = None
    """In a matter: the message it came with."""


class CoordinateSystem(StrEnum):
    """Reference system of a longitude and latitude."""

    GCJ_02 = "GCJ-02"
    """Chinese maps, WeChat and Weibo; some hundred metres off WGS-84."""
    WGS_84 = "WGS-84"
    """GPS, Telegram."""


class Place(Frozen):
    """Where a matter is."""

    text: Annotated[str, Field(max_length=1000)] | None = None
    """Address or name in words."""
    division_code: Annotated[str, Field(pattern=r"^\d{6}$")] | None = None
    """GB/T 2260."""
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Degrees east."""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Degrees north."""
    crs: CoordinateSystem | None = None
    """Of longitude and latitude."""


class PartyType(StrEnum):
    """Who may turn to the hotline (Jinan article 3, Weifang article 2)."""

    PERSON = "person"
    LEGAL_PERSON = "legal_person"
    ORGANISATION = "organisation"
    UNKNOWN = "unknown"


class MatterKind(StrEnum):
    """What is asked of the city (Jinan article 3; praise: DB12/T 1438-2025)."""

    CONSULTATION = "consultation"
    """咨询"""
    HELP = "help"
    """求助"""
    SUGGESTION = "suggestion"
    """建议、意见"""
    COMPLAINT = "complaint"
    """投诉、批评"""
    REPORT = "report"
    """举报"""
    PRAISE = "praise"
    """表扬"""
    OTHER = "other"


class RegistrationSource(StrEnum):
    """How a citizen came whose matter an operator wrote down (Jinan article 17)."""

    TELEPHONE = "telephone"
    LETTER = "letter"
    FAX = "fax"
    VISIT = "visit"


Disposition = Literal["to_handle", "answered_on_the_spot"]
EmergencyLine = Literal["110", "119", "120", "122"]


class Part(Frozen):
    """Which piece of a long message (3GPP TS 23.040 section 9.2.3.24.1)."""

    reference: Annotated[str, Field(min_length=1, max_length=100)]
    """The same for all pieces, different for the sender's next long message."""
    number: Annotated[int, Field(ge=1, le=255)]
    """From 1."""
    total: Annotated[int, Field(ge=1, le=255)] | None = None
    """How many there are; None: not told."""


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


# -- The hotline matter ------------------------------------------------------------------------------------------------


class Status(StrEnum):
    """Of a matter in the gateway; the case core keeps its own."""

    FILED = "filed"
    HELD = "held"
    CLOSED = "closed"


class Urgency(StrEnum):
    """How soon a person must look at it."""

    ROUTINE = "routine"
    URGENT = "urgent"
    IMMEDIATE = "immediate"


class ChannelRef(Frozen):
    """The channel by which the matter first came."""

    name: str
    """Its key in config.yaml."""
    kind: str
    """Its adapter."""
    account: str
    """Our address on it."""


class Act(StrEnum):
    """What a citizen does by a message."""

    REPORTS = "reports"
    """Tells something: a new matter, or more about one."""
    ANSWERS = "answers"
    """Answers a question of the core."""
    EVALUATES = "evaluates"
    """Says how content he is, or answers a return visit (回访)."""
    ASKS = "asks"
    """Asks how it stands."""
    CHASES = "chases"
    """Asks for it to be done (催办)."""
    OBJECTS = "objects"
    """Does not accept the result."""
    WITHDRAWS = "withdraws"
    """Takes it back."""
    OPTS_OUT = "opts_out"
    """Wants no more messages from us there."""


class MatterMessage(Frozen):
    """One message of a matter."""

    message_id: UUID
    """Ours, UUIDv7."""
    channel: str
    """The channel's name."""
    sent_at: AwareDatetime | None
    """The provider's or caller's clock."""
    received_at: AwareDatetime
    """Our clock."""
    text: str
    """The words, cleaned."""
    quoted: str = ""
    """What stood below them in a mail: quoted history, forwarded mail, signatures; cleaned, and read for nothing."""
    act: Act = Act.REPORTS
    """What he does by it."""
    answers: UUID | None = None
    """The core's update that it answers: a question, a return visit."""


class Evaluation(Frozen):
    """How content the citizen is (Jinan article 24: 满意度评价)."""

    score: Annotated[int, Field(ge=1, le=5)] | None
    """5 very content, 1 not at all; None: only words."""
    text: str
    """His words."""
    message_id: UUID
    """The message that says so."""
    at: AwareDatetime
    """When it came."""


class Party(Frozen):
    """Who turns to the city."""

    type: PartyType = PartyType.UNKNOWN
    """Person, legal person or organisation."""
    name: str | None = None
    """As stated."""
    unit: str | None = None
    """As stated."""
    contact_phone: str | None = None
    """E.164: stated by the citizen or the first one found in his words."""
    contacts: tuple[Contact, ...] = ()
    """All known ways to reach him, the one he used first."""


class Acceptance(Frozen):
    """A suggestion for a person to decide on, never a decision."""

    suggestion: Literal["accept", "refer", "refuse"] = "accept"
    """What the rules suggest."""
    ground: str | None = None
    """Why not, in the city's words."""
    article: str | None = None
    """Of the regulation."""
    where_to: str | None = None
    """The way the citizen can go instead."""


class Link(Frozen):
    """A connection to another matter or incident that can be undone."""

    id: UUID
    """The other matter or the incident."""
    score: Annotated[float, Field(ge=0, le=1)]
    """How sure, 0 to 1."""
    reason: str
    """Why, for a person to read."""
    decided_by: str
    """``rule`` or an operator's name."""


class Flag(Frozen):
    """A sign of conduct for a person to judge."""

    kind: Literal["insult", "threat", "harassment", "spam", "flood", "repeat_without_reason"]
    """What it looks like."""
    score: Annotated[float, Field(ge=0, le=1)]
    """How sure, 0 to 1."""
    evidence: tuple[str, ...] = ()
    """The words or counts behind it."""


class Conduct(Frozen):
    """Signs of abuse; they never refuse by themselves."""

    flags: tuple[Flag, ...] = ()
    """What was noticed."""
    disposition: Literal["none", "review"] = "none"
    """Whether a person should look first."""


class ReplyRoute(Frozen):
    """How an answer can reach the citizen."""

    channel: str
    """The channel's name."""
    expires_at: AwareDatetime | None = None
    """When the provider's reply window closes; None: never."""
    remaining: Annotated[int, Field(ge=0)] | None = None
    """Replies left in the window; None: no limit."""


class Due(Frozen):
    """By when the city owes a reply."""

    basis: str
    """The rule that says so."""
    reply_by: AwareDatetime
    """The last moment."""


class Evidence(Frozen):
    """Why a derived field has its value."""

    field: str
    """Its name in this document, dotted."""
    message_id: UUID
    """The message that gave it."""
    span: tuple[int, int] | None = None
    """Start and end in that message's text, in characters; None: not from the words."""
    rule: str
    """The rule that read it."""


class HotlineMatter(Frozen):
    """The hotline matter, schema version 1: what a citizen brought to the city, clear, attributed and de-duplicated."""

    matter_id: UUID
    """UUIDv7."""
    tracking_code: Annotated[str, Field(pattern=r"^\d{16}$")]
    """受理编号: date yymmdd, nine random digits, check digit (ISO/IEC 7064 MOD 11,10)."""
    schema_version: Literal[1] = 1
    """Of this document."""
    revision: Annotated[int, Field(ge=1)] = 1
    """Counts up with every event about the matter."""
    status: Status = Status.FILED
    """In the gateway."""

    kind: MatterKind = MatterKind.OTHER
    """What is asked."""
    title: Annotated[str, Field(max_length=200)]
    """The citizen's own, or the first sentence."""
    content: str
    """All his words, messages parted by an empty line."""
    language: str | None = None
    """ISO 639-1 code of the words; None when there are none."""
    attachments: tuple[Attachment, ...] = ()
    """Of all messages; without their fetch references."""
    target_unit: str | None = None
    """The body spoken of."""
    about_hotline_staff: bool = False
    """A complaint about the hotline itself."""
    withheld_from: tuple[str, ...] = ()
    """Ids of operators whom it concerns: it is not shown to them."""
    disposition: Disposition = "to_handle"
    """Whether the core still has to act."""
    answer: str | None = None
    """What an operator answered on the spot."""
    call_back_owed: bool = False
    """A missed call: he is to be called back (漏接回拨)."""
    source: RegistrationSource | None = None
    """How he came, where an operator wrote it down."""
    operator: str | None = None
    """Id of the operator who wrote it down."""

    sent_at: AwareDatetime | None
    """First message: the provider's or caller's clock."""
    received_at: AwareDatetime
    """First message: our clock."""
    occurred_at: AwareDatetime | None = None
    """When that happened of which the text speaks."""

    channel: ChannelRef
    """Whence it came."""
    messages: tuple[MatterMessage, ...]
    """In the order of arrival."""

    party: Party
    """Who."""
    caller_id: UUID
    """The person behind one or several contacts."""
    confidential: bool = False
    """The citizen's identity is sealed."""

    place: Place | None = None
    """Where."""

    emergency_line: EmergencyLine | None = None
    """The emergency service it belongs to (Weifang article 39)."""
    crisis: bool = False
    """Danger to the writer's own life."""
    urgency: Urgency = Urgency.ROUTINE
    """How soon."""
    acceptance: Acceptance = Acceptance()
    """Suggested admissibility."""
    linked_platform: str | None = None
    """12315, 12345's other linked platforms."""
    partner_number: str | None = None
    """That platform's own number of it."""

    same_matter_of: Link | None = None
    """An earlier matter of the same caller."""
    incident_id: Link | None = None
    """One cause, many callers."""
    follows: Link | None = None
    """A closed matter that this one takes up again."""

    contacts_30d: Annotated[int, Field(ge=1)] = 1
    """Messages of this caller in the last 30 days, this one included."""
    matters_30d: Annotated[int, Field(ge=1)] = 1
    """Matters of this caller in the last 30 days, this one included."""
    times_this_matter: Annotated[int, Field(ge=1)] = 1
    """How often the caller has spoken on this matter."""
    unanswered_prior: Annotated[int, Field(ge=0)] = 0
    """Earlier matters of this caller without a result."""
    last_contact_at: AwareDatetime | None = None
    """The caller's last message before this one."""

    conduct: Conduct = Conduct()
    """Signs of abuse."""
    reply_route: ReplyRoute
    """The way back."""
    due: Due | None = None
    """By when."""
    evaluation: Evaluation | None = None
    """His last word on the result."""
    evidence: tuple[Evidence, ...] = ()
    """Why each derived field has its value."""


# -- This message against what came before -----------------------------------------------------------------------------


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


class Past(Frozen):
    """What the store recalls about a message's sender."""

    caller_id: UUID | None = None
    """The person this contact belongs to; None when it is new."""
    contacts_30d: int = 0
    """Messages of this caller in the last 30 days."""
    last_contact_at: AwareDatetime | None = None
    """The newest of them."""
    matters_30d: int = 0
    """Matters of this caller in the last 30 days."""
    matters: tuple[PastMatter, ...] = ()
    """The newest of them, newest first; 50 at most, for some write thousands."""
    coded: tuple[PastMatter, ...] = ()
    """Those of his matters, however old, whose tracking codes are in the words."""
    named: PastMatter | None = None
    """The matter the message says it adds to, or about which it answers a mail, when that is this caller's own."""
    handed_on: UUID | None = None
    """The matter of a reply of ours to somebody else that this mail answers: he has it before him."""
    amended: UUID | None = None
    """The matter of the earlier message that this one is the new wording of."""
    latest: PastMessage | None = None
    """His message before this one."""
    registered: PastMessage | None = None
    """The last call from this telephone number that an operator wrote down, if it was just now."""


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
