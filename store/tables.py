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
        _partial("messages_part", "part_mark", where="part_mark IS NOT NULL"),
    )

    id: UUID = Field(primary_key=True)
    envelope_id: UUID = Field(foreign_key="envelopes.id")
    position: int
    identity: bytes | None = Field(default=None, sa_column=Column(LargeBinary, unique=True))
    #: Mark of (key space, account, sender, provider's id), to notice an id that comes with another body.
    provider_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary, index=True))
    #: Mark of the long message that this is a piece of; None: it is whole.
    part_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
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
    #: When the core gave a result, when it closed the matter, when the citizen withdrew it, when he last evaluated it.
    answered_at: datetime | None = None
    closed_at: datetime | None = None
    withdrawn_at: datetime | None = None
    evaluated_at: datetime | None = None
    #: The core's update that the citizen is to answer - a question, a return visit - and since when; None: none.
    asked: UUID | None = None
    asked_at: datetime | None = None
    #: ``question`` or ``return_visit``.
    asks: str | None = None
    document: Any = Field(sa_column=Column(SealedJson("matters.document"), nullable=False))


class EventRow(SQLModel, table=True):
    """An event owed to the case core, written with the matter it tells of; one row for each sink that takes it."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_order", "matter_id", "sink", "sequence", unique=True),
        # Only what may go: what waits behind is found by its matter, and not by walking all that waits.
        _partial("events_due", "sink", "rank", "not_before", "id", where="state = 'waiting' AND NOT waits"),
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
    #: Counts up when a later piece of the conversation is put into an event that has not gone out.
    version: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))


class UpdateRow(SQLModel, table=True):
    """What the case core told about a matter; append-only."""

    __tablename__ = "updates"
    __table_args__ = (Index("updates_matter", "matter_id", "received_at"),)

    id: UUID = Field(primary_key=True)
    matter_id: UUID = Field(foreign_key="matters.id")
    type: str
    client: str
    received_at: datetime
    #: Text, reason, where to, unit, case number, when it happened.
    content: Any = Field(sa_column=Column(SealedJson("updates.content"), nullable=False))


class ReplyRow(SQLModel, table=True):
    """What goes back to a citizen: on the first way that works, at most once in effect."""

    __tablename__ = "replies"
    __table_args__ = (
        _partial("replies_due", "channel", "not_before", where="state = 'queued'"),
        _partial("replies_order", "recipient", "id", where="state = 'queued'"),
        _partial("replies_sending", "channel", where="state = 'sending'"),
        _partial("replies_named", "provider_mark", where="provider_mark IS NOT NULL"),
        Index("replies_matter", "matter_id"),
    )

    id: UUID = Field(primary_key=True)
    channel: str
    matter_id: UUID | None = Field(default=None, foreign_key="matters.id")
    update_id: UUID | None = Field(default=None, foreign_key="updates.id")
    kind: str
    #: Mark of channel, account and contact: whose windows these are, and whose replies go one after the other.
    recipient: bytes
    state: str
    created_at: datetime
    #: The Outgoing, and the ways left if this one fails.
    content: Any = Field(sa_column=Column(SealedJson("replies.content"), nullable=False))
    attempts: int
    not_before: datetime
    #: When that was said; see ``work``.
    put_off_at: datetime
    #: The node that sends it.
    holder: UUID | None = None
    #: Mark of the provider's id of it, by which its reports name it.
    provider_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    reason: str | None = None
    settled_at: datetime | None = None


class WindowRow(SQLModel, table=True):
    """For how long and how often a provider lets us write to a citizen, by the step of his that opened it.

    Named ``answered``: until when an address is not answered by ourselves again, by mail.
    """

    __tablename__ = "windows"

    #: Mark of channel, account and contact; of the contact alone for ``answered``.
    recipient: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    #: As ``Channel.reply_limits`` names it, or ``answered``.
    name: str = Field(primary_key=True)
    expires_at: datetime
    #: Replies left; None: any number.
    remaining: int | None


class UnreachableRow(SQLModel, table=True):
    """A citizen who does not want to hear from us on a channel: he blocked us, unsubscribed, or said 退订."""

    __tablename__ = "unreachable"

    #: Mark of channel, account and contact.
    recipient: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    since: datetime
    reason: str


class MediaRow(SQLModel, table=True):
    """A picture, recording or file that is to be fetched, after the words that came with it are safe."""

    __tablename__ = "media"
    __table_args__ = (
        _partial("media_due", "channel", "not_before", where="state = 'queued'"),
        Index("media_message", "message_id"),
    )

    id: UUID = Field(primary_key=True)
    channel: str
    message_id: UUID = Field(foreign_key="messages.id")
    #: Where the provider has it, and what it is called in the message.
    content: Any = Field(sa_column=Column(SealedJson("media.content"), nullable=False))
    #: ``queued``, ``fetched`` or ``missing``.
    state: str
    created_at: datetime
    attempts: int
    not_before: datetime
    #: When that was said; see ``work``.
    put_off_at: datetime
    #: Of the content, hex.
    sha256: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None


class FileRow(SQLModel, table=True):
    """A file that we hold, by its content; the bytes lie sealed in ``store.files``."""

    __tablename__ = "files"

    sha256: str = Field(primary_key=True)
    #: Bytes.
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    #: By the content, not by its name.
    media_type: str
    stored_at: datetime


class UploadRow(SQLModel, table=True):
    """A file that an API client uploaded, to be named in its messages."""

    __tablename__ = "uploads"

    #: As answered to the client.
    id: str = Field(primary_key=True)
    channel: str
    client: str
    sha256: str = Field(foreign_key="files.sha256")
    stored_at: datetime
    #: As the citizen named it.
    file_name: Any = Field(sa_column=Column(SealedJson("uploads.file_name"), nullable=False))


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
UPDATES, REPLIES, WINDOWS, UNREACHABLE = table(UpdateRow), table(ReplyRow), table(WindowRow), table(UnreachableRow)
MEDIA, FILES, UPLOADS = table(MediaRow), table(FileRow), table(UploadRow)
