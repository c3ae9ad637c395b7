"""The tables. Personal columns are ``Sealed``; what must be found again by a person's data is a keyed mark.

Envelopes are append-only. ``work`` is the queue of what is still to be done, in order of arrival; a row leaves it in
the transaction that does the work, which makes "done" and "no longer queued" one fact. A node may work on what it holds
while its row in ``nodes`` has not expired; that row's id is the fencing token of everything it writes.
"""

from __future__ import annotations

from sqlmodel import SQLModel

from store.tables.base import table
from store.tables.conduct import FlagRow, HoldRow
from store.tables.intake import BindingRow, EnvelopeRow, MessageRow, SenderRow, TransitionRow, UnpackedRow, WorkRow
from store.tables.matters import EventRow, FingerprintRow, IncidentRow, LinkRow, MatterRow, UpdateRow
from store.tables.nodes import ChannelStateRow, LeadRow, NodeRow
from store.tables.outward import FileRow, MediaRow, ReplyRow, UnreachableRow, UploadRow, WindowRow
from store.tables.people import CallerRow, CodeRow, ContactRow, IdentityRow, JoinRow, OpeningRow, ProofRow, ThingRow

METADATA = SQLModel.metadata
ENVELOPES, BINDINGS, WORK, UNPACKED = table(EnvelopeRow), table(BindingRow), table(WorkRow), table(UnpackedRow)
MESSAGES, SENDERS, TRANSITIONS = table(MessageRow), table(SenderRow), table(TransitionRow)
CALLERS, CONTACTS, PROOFS, JOINS = table(CallerRow), table(ContactRow), table(ProofRow), table(JoinRow)
CODES, IDENTITIES, THINGS = table(CodeRow), table(IdentityRow), table(ThingRow)
OPENINGS = table(OpeningRow)
MATTERS, EVENTS, UPDATES, LINKS = table(MatterRow), table(EventRow), table(UpdateRow), table(LinkRow)
INCIDENTS, FINGERPRINTS = table(IncidentRow), table(FingerprintRow)
REPLIES, WINDOWS, UNREACHABLE, MEDIA = table(ReplyRow), table(WindowRow), table(UnreachableRow), table(MediaRow)
FILES, UPLOADS = table(FileRow), table(UploadRow)
HOLDS, FLAGS = table(HoldRow), table(FlagRow)
NODES, LEADS, CHANNEL_STATE = table(NodeRow), table(LeadRow), table(ChannelStateRow)

__all__ = [
    "BINDINGS",
    "CALLERS",
    "CHANNEL_STATE",
    "CODES",
    "CONTACTS",
    "ENVELOPES",
    "EVENTS",
    "FILES",
    "FINGERPRINTS",
    "FLAGS",
    "HOLDS",
    "IDENTITIES",
    "INCIDENTS",
    "JOINS",
    "LEADS",
    "LINKS",
    "MATTERS",
    "MEDIA",
    "MESSAGES",
    "METADATA",
    "NODES",
    "OPENINGS",
    "PROOFS",
    "REPLIES",
    "SENDERS",
    "THINGS",
    "TRANSITIONS",
    "UNPACKED",
    "UNREACHABLE",
    "UPDATES",
    "UPLOADS",
    "WINDOWS",
    "WORK",
]
