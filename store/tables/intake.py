"""What comes in: envelopes, the queue of work on them, messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from store.sealed import Sealed, SealedJson
from store.tables.base import SEQUENCE, partial


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
        partial("work_fresh", "stage", "sequence", where="attempts = 0 AND NOT waits AND holder IS NULL"),
        partial("work_channel", "stage", "channel", "sequence", where="attempts = 0 AND NOT waits AND holder IS NULL"),
        partial("work_again", "stage", "not_before", where="attempts > 0 AND NOT waits AND holder IS NULL"),
        partial("work_put_off", "stage", "put_off_at", where="attempts > 0 AND NOT waits AND holder IS NULL"),
        partial("work_reading", "apparent", where="holder IS NOT NULL AND apparent IS NOT NULL"),
        partial("work_suspect", "apparent", where="attempts > 0 AND apparent IS NOT NULL"),
        partial("work_held", "holder", where="holder IS NOT NULL"),
        partial("work_lane", "lane", "arrival", "sequence", where="lane IS NOT NULL"),
        # Without it, SQLite gives the number of a row that has gone to the next: arrival would not tell the order.
        {"sqlite_autoincrement": True},
    )

    sequence: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    stage: str
    #: Envelope or message, and the channel that it came by.
    subject: UUID
    channel: str
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
        partial("messages_part", "part_mark", where="part_mark IS NOT NULL"),
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
    #: Mark of the words, whoever says them; None: there are none, or it is not filed yet.
    words_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
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
    #: A code of ours, or the name of the operator who did it.
    reason: str | None
    #: What the operator gave as his reason; UTF-8.
    words: bytes | None = Field(default=None, sa_column=Column(Sealed("transitions.words"), nullable=True))
    at: datetime
