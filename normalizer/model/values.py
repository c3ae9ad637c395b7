"""What messages and matters are made of: contacts, attachments, places, kinds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from normalizer.model.base import Frozen


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
