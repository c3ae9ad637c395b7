"""The hotline matter: the one document that the hand-off, the API and the console share."""

from __future__ import annotations

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
    PROVES = "proves"
    """Shows that a telephone number is his: asks for a code, or gives it back."""


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
    reason: str = ""
    """Why it belongs to this matter, for a person to read; nothing for the first."""


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


class Share(Frozen):
    """What one feature gave to a score."""

    feature: str
    """What was compared, in words."""
    value: float
    """How alike in it, mostly 0 to 1."""
    weight: float
    """What one is worth; value times weight is its share."""


class Level(StrEnum):
    """How sure a link is."""

    LINK = "link"
    """Sure enough to act on."""
    SUGGESTION = "suggestion"
    """A person should look."""


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
    level: Level = Level.LINK
    """Whether it holds, or is only proposed."""
    shares: tuple[Share, ...] = ()
    """What made up the score; nothing when a person decided."""


class Incident(Frozen):
    """One cause of which many citizens tell, as it stood when this document was written."""

    id: UUID
    """The same in the ``incident_id`` of all its matters."""
    citizens: Annotated[int, Field(ge=1)]
    """Persons who told of it; one on three channels is one where that is proven."""
    matters: Annotated[int, Field(ge=1)]
    """Their matters."""
    contacts: Annotated[int, Field(ge=1)]
    """Their messages on it."""
    citizens_24h: Annotated[int, Field(ge=0)]
    """Of the citizens, those who came in the last 24 hours: how it grows."""
    first_seen: AwareDatetime
    """The first message of it."""
    last_seen: AwareDatetime
    """The latest."""
    places: tuple[str, ...] = ()
    """The places that are named most, the most frequent first."""
    title: str
    """Of the matter that speaks for it."""


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
    sealed_at: AwareDatetime | None = None
    """Since when: in whatever leaves the gateway his names, numbers and addresses are masked, and ``caller_id`` is an alias."""
    previously_disclosed: bool = False
    """An earlier event of this matter may hold who he is: whoever keeps it must seal that too."""

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
    incident: Incident | None = None
    """What is known of the incident, where this document tells of it."""

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

    several: bool = False
    """It speaks of more than one matter; an operator may divide it. ``evidence`` has the parts."""
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
