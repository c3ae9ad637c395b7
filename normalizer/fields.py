"""What is read from one message: what it says, cleaned, and what the city's rules make of it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from pydantic import AwareDatetime, ConfigDict, Field

from normalizer.cues import Cues
from normalizer.model import (
    Acceptance,
    Attachment,
    Due,
    EmergencyLine,
    Evidence,
    Flag,
    Frozen,
    MatterKind,
    PartyType,
    Place,
    Urgency,
)
from normalizer.profile import Profile


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a city judges at the door."""

    profile: Profile
    #: Its own division, GB/T 2260, six digits.
    division_code: str
    zone: tzinfo


class Triage(Frozen):
    """What the rules read in one message."""

    kind: MatterKind = MatterKind.OTHER
    emergency_line: EmergencyLine | None = None
    crisis: bool = False
    urgency: Urgency = Urgency.ROUTINE
    warnings: tuple[str, ...] = ()
    """What the citizen must be told at once, in the city's words."""
    acceptance: Acceptance = Acceptance()
    linked_platform: str | None = None
    confidential: bool = False
    place: Place | None = None
    occurred_at: AwareDatetime | None = None
    target_unit: str | None = None
    party_type: PartyType = PartyType.UNKNOWN
    unit: str | None = None
    flags: tuple[Flag, ...] = ()
    several: bool = False
    """It speaks of more than one matter."""
    due: Due | None = None
    evidence: tuple[Evidence, ...] = ()


class Fields(Frozen):
    """What one message says, cleaned."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    text: str
    """The words (``clean``)."""
    matching: str
    """The first 20,000 characters of them in NFKC, folded: only for comparing, never shown (``for_matching``)."""
    title: str = Field(min_length=1, max_length=200)
    """The citizen's own, or the first sentence; one line."""
    language: str | None
    """ISO 639-1; None when there is no letter."""
    contact_phone: str | None
    """E.164: stated, or the number he writes from, or the first in his words."""
    name: str | None
    """As stated; one line, None when nothing is left of it."""
    unit: str | None
    """As stated; one line, None when nothing is left of it."""
    triage: Triage
    """What the city's rules read in them; without rules only what was stated."""
    attachments: tuple[Attachment, ...]
    """With file names fit to be shown."""
    cues: Cues
    """What he may be asking of the hotline itself."""
    prints: bytes
    """What it is compared by, packed (``normalizer.fingerprint``)."""
    about_hotline_staff: bool = False
    """A complaint about the hotline's own people, stated or in the words."""
    withheld_from: tuple[str, ...] = ()
    """Operators whom such a complaint concerns: who wrote it down, and whose number stands in it."""
    evidence: tuple[Evidence, ...]
    """Why title, language, contact phone and what is in ``triage`` are what they are; spans count characters of ``text``."""
