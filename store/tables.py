"""The tables. Personal columns are ``Sealed``; what must be found again by a person's data is a keyed mark.

Envelopes are append-only. ``work`` is the queue of what is still to be done, in order of arrival; a row leaves it in
the transaction that does the work, which makes "done" and "no longer queued" one fact. A node may work on what it holds
while its row in ``nodes`` has not expired; that row's id is the fencing token of everything it writes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, text
from sqlmodel import Field, SQLModel

from store.sealed import Sealed, SealedJson

#: SQLite counts row ids only in a column declared INTEGER.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over some rows; the condition is text because a planner uses it only where it can prove it."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class EnvelopeRow(SQLModel, table=True):
    """One delivery, raw. Written once, never changed; only the primary key is indexed: this is the hot insert."""

    __tablename__ = "envelopes"

    id: UUID = Field(primary_key=True)
    channel: str
    kind: str
    received_at: datetime
    flags: str
    body: bytes = Field(sa_column=Column(Sealed("envelopes.body"), nullable=False))
    context: Any = Field(sa_column=Column(SealedJson("envelopes.context"), nullable=False))


class BindingRow(SQLModel, table=True):
    """A key that stands for one body, for ever."""

    __tablename__ = "bindings"
    #: One tree instead of two where keys are random.
    __table_args__ = {"sqlite_with_rowid": False}

    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    digest: bytes
    envelope_id: UUID


class WorkRow(SQLModel, table=True):
    """Something still to be done: unpack an envelope, or digest a message. A row is held by one node at a time."""

    __tablename__ = "work"
    __table_args__ = (
        # Each is as small as what it finds: a million rows that wait cost a claim nothing.
        _partial("work_fresh", "stage", "sequence", where="attempts = 0 AND NOT waits AND holder IS NULL"),
        _partial("work_again", "stage", "not_before", where="attempts > 0 AND NOT waits AND holder IS NULL"),
        _partial("work_put_off", "stage", "put_off_at", where="attempts > 0 AND NOT waits AND holder IS NULL"),
        _partial("work_reading", "apparent", where="holder IS NOT NULL AND apparent IS NOT NULL"),
        _partial("work_suspect", "apparent", where="attempts > 0 AND apparent IS NOT NULL"),
        _partial("work_held", "holder", where="holder IS NOT NULL"),
        _partial("work_lane", "lane", "arrival", "sequence", where="lane IS NOT NULL"),
        # Without it, SQLite gives the number of a row that has gone to the next: arrival would not tell the order.
        {"sqlite_autoincrement": True},
    )

    sequence: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    stage: str
    #: Envelope or message.
    subject: UUID
    #: Mark of the sender whose messages wait for each other; None: waits for nobody.
    lane: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    #: Mark of whose delivery the envelope seems to be; later messages of his wait until it is unpacked.
    apparent: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    #: Place of the envelope in the order of arrival: the sequence of its own work; None for that work itself.
    arrival: int | None = Field(default=None, sa_column=Column(BigInteger))
    #: An earlier message of the lane is still in the queue.
    waits: bool
    attempts: int
    not_before: datetime
    #: When that was said: a clock that shows less has been put back, and nothing waits for it.
    put_off_at: datetime
    #: The node that does it.
    holder: UUID | None = None


class UnpackedRow(SQLModel, table=True):
    """An envelope has been unpacked: into how many messages, or with which outcome when it yielded none."""

    __tablename__ = "unpacked"

    envelope_id: UUID = Field(primary_key=True, foreign_key="envelopes.id")
    at: datetime
    messages: int
    outcome: str | None
    reason: str | None


class MessageRow(SQLModel, table=True):
    """One message. ``identity`` is unique; a redelivered copy has none and names the first."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_address", "envelope_id", "position", unique=True),
        Index("messages_caller", "caller_id", "received_at"),
        Index("messages_matter", "matter_id"),
    )

    id: UUID = Field(primary_key=True)
    envelope_id: UUID = Field(foreign_key="envelopes.id")
    position: int
    identity: bytes | None = Field(default=None, sa_column=Column(LargeBinary, unique=True))
    #: Mark of (key space, account, sender, provider's id), to notice an id that comes with another body.
    provider_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary, index=True))
    #: Place in the order of its sender: taken while the sender's row is locked.
    sender_position: int | None = Field(default=None, sa_column=Column(BigInteger))
    channel: str
    account: str
    received_at: datetime
    flags: str
    content: Any = Field(sa_column=Column(SealedJson("messages.content"), nullable=False))
    first_id: UUID | None = None
    caller_id: UUID | None = None
    matter_id: UUID | None = None
    outcome: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None


class SenderRow(SQLModel, table=True):
    """A sender's count of messages; locking this row puts them in order."""

    __tablename__ = "senders"

    mark: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    messages: int = Field(sa_column=Column(BigInteger, nullable=False))


class TransitionRow(SQLModel, table=True):
    """A step in the life of an envelope or message; append-only."""

    __tablename__ = "transitions"

    sequence: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    subject: UUID = Field(index=True)
    step: str
    reason: str | None
    at: datetime


class CallerRow(SQLModel, table=True):
    """A person behind one or several contacts; locking this row serialises the work on him."""

    __tablename__ = "callers"

    id: UUID = Field(primary_key=True)
    created_at: datetime


class ContactRow(SQLModel, table=True):
    """A way to reach a caller, and on whose word it is his."""

    __tablename__ = "contacts"

    mark: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    caller_id: UUID = Field(foreign_key="callers.id", index=True)
    type: str
    assurance: str
    value: Any = Field(sa_column=Column(SealedJson("contacts.value"), nullable=False))
    decided_by: str
    reason: str
    at: datetime


class MatterRow(SQLModel, table=True):
    """A hotline matter: the whole document, sealed, and what must be found or counted without opening it."""

    __tablename__ = "matters"
    __table_args__ = (Index("matters_caller", "caller_id", "filed_at"),)

    id: UUID = Field(primary_key=True)
    tracking_code: str = Field(unique=True)
    caller_id: UUID = Field(foreign_key="callers.id")
    filed_at: datetime
    #: Revision of the document, and the number of events owed to the core.
    revision: int
    case_number: str | None = None
    document: Any = Field(sa_column=Column(SealedJson("matters.document"), nullable=False))


class EventRow(SQLModel, table=True):
    """An event owed to the case core, written with the matter it tells of; one row for each sink that takes it."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_order", "matter_id", "sink", "sequence", unique=True),
        _partial("events_due", "sink", "waits", "rank", "not_before", where="state = 'waiting'"),
        _partial("events_put_off", "sink", "put_off_at", where="state = 'waiting' AND NOT waits"),
        _partial("events_parked", "sink", "matter_id", where="state = 'parked'"),
    )

    id: UUID = Field(primary_key=True)
    #: ``core``, or the name of a copy.
    sink: str = Field(primary_key=True)
    matter_id: UUID = Field(foreign_key="matters.id")
    sequence: int
    type: str
    created_at: datetime
    payload: Any = Field(sa_column=Column(SealedJson("events.payload"), nullable=False))
    #: ``waiting``, ``delivered`` or ``parked``.
    state: str
    #: 0 immediate, 1 urgent, 2 routine: what is urgent overtakes.
    rank: int
    #: An earlier event of the matter has not been delivered.
    waits: bool
    attempts: int
    not_before: datetime
    #: When that was said; see ``work``.
    put_off_at: datetime
    reason: str | None = None
    settled_at: datetime | None = None


class NodeRow(SQLModel, table=True):
    """A node that works on this store, for as long as its lease lasts; a lapsed one comes back under a new id."""

    __tablename__ = "nodes"

    id: UUID = Field(primary_key=True)
    #: By the database's clock.
    expires_at: datetime
    #: The journal it has locked; who has it next knows that this node is dead. None: it has none.
    place: UUID | None = None


class LeadRow(SQLModel, table=True):
    """What one node does at a time: a mailbox, a long poll, a sink."""

    __tablename__ = "leads"

    name: str = Field(primary_key=True)
    node_id: UUID


class ChannelStateRow(SQLModel, table=True):
    """A channel's own small map; ``mark`` lets a sealed value be compared in SQL."""

    __tablename__ = "channel_state"

    channel: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    mark: bytes
    value: Any = Field(sa_column=Column(SealedJson("channel_state.value"), nullable=False))


def table(row: type[SQLModel]) -> Table:
    """The Core table of a row class, for statements that must be fast."""
    found: Table = row.__table__  # type: ignore[attr-defined]  # SQLModel declares it at run time
    return found


METADATA = SQLModel.metadata
ENVELOPES, BINDINGS, WORK, UNPACKED = table(EnvelopeRow), table(BindingRow), table(WorkRow), table(UnpackedRow)
MESSAGES, SENDERS, TRANSITIONS = table(MessageRow), table(SenderRow), table(TransitionRow)
CALLERS, CONTACTS, MATTERS, EVENTS = table(CallerRow), table(ContactRow), table(MatterRow), table(EventRow)
CHANNEL_STATE, NODES, LEADS = table(ChannelStateRow), table(NodeRow), table(LeadRow)
