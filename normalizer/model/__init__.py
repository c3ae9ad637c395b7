"""The vocabulary of the gateway: frozen values that travel from the wire to the case core.

An :class:`Envelope` is one delivery by a provider, raw. Unpacked it yields :class:`Message` values - what a person
said - or is a :class:`Notice`. Messages become a :class:`HotlineMatter`, the one document that the hand-off, the API and
the console share; its JSON Schema (docs/schema/hotline-matter.json) is generated from this file.

Every date is aware. Every limit and unit stands beside its field, with the source it comes from.
"""

from __future__ import annotations

from normalizer.model.base import Frozen
from normalizer.model.envelope import Binding, Envelope, Kept
from normalizer.model.matter import (
    Acceptance,
    Act,
    ChannelRef,
    Conduct,
    Due,
    Evaluation,
    Evidence,
    Flag,
    HotlineMatter,
    Incident,
    Level,
    Link,
    MatterMessage,
    Party,
    ReplyRoute,
    Share,
    Status,
    Urgency,
)
from normalizer.model.message import KeptMessage, Message, Notice, Outcome, Parsed, Part, Proof, Report
from normalizer.model.past import (
    Joining,
    Past,
    PastIncident,
    PastMatter,
    PastMessage,
    PastText,
    Placed,
    Tie,
    TieKind,
    Verdict,
)
from normalizer.model.values import (
    Assurance,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    CoordinateSystem,
    Disposition,
    EmergencyLine,
    MatterKind,
    PartyType,
    Place,
    RegistrationSource,
)

SCHEMA_VERSION = 1
DIGEST_VERSION = 1

__all__ = [
    "DIGEST_VERSION",
    "SCHEMA_VERSION",
    "Acceptance",
    "Act",
    "Assurance",
    "Attachment",
    "AttachmentKind",
    "Binding",
    "ChannelRef",
    "Conduct",
    "Contact",
    "ContactType",
    "CoordinateSystem",
    "Disposition",
    "Due",
    "EmergencyLine",
    "Envelope",
    "Evaluation",
    "Evidence",
    "Flag",
    "Frozen",
    "HotlineMatter",
    "Incident",
    "Joining",
    "Kept",
    "KeptMessage",
    "Level",
    "Link",
    "MatterKind",
    "MatterMessage",
    "Message",
    "Notice",
    "Outcome",
    "Parsed",
    "Part",
    "Party",
    "PartyType",
    "Past",
    "PastIncident",
    "PastMatter",
    "PastMessage",
    "PastText",
    "Place",
    "Placed",
    "Proof",
    "RegistrationSource",
    "ReplyRoute",
    "Report",
    "Share",
    "Status",
    "Tie",
    "TieKind",
    "Urgency",
    "Verdict",
]
