"""Matters, the events owed to the core, what the core tells, and what belongs together."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, Index, Integer, false
from sqlmodel import Field, SQLModel

from store.sealed import Sealed, SealedJson
from store.tables.base import SEQUENCE, partial


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
    #: Since when the citizen's identity is sealed; None: it is not.
    sealed_at: datetime | None = None
    #: Whether an event may have left before that, with his identity in it.
    disclosed: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    document: Any = Field(sa_column=Column(SealedJson("matters.document"), nullable=False))


class EventRow(SQLModel, table=True):
    """An event owed to the case core, written with the matter it tells of; one row for each sink that takes it."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_order", "matter_id", "sink", "sequence", unique=True),
        # Only what may go: what waits behind is found by its matter, and not by walking all that waits.
        partial("events_due", "sink", "rank", "not_before", "id", where="state = 'waiting' AND NOT waits"),
        partial("events_put_off", "sink", "put_off_at", where="state = 'waiting' AND NOT waits"),
        partial("events_parked", "sink", "matter_id", where="state = 'parked'"),
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


class LinkRow(SQLModel, table=True):
    """Two things belong together, or do not: who decided it, when and why. Append-only; of equals, the last row counts."""

    __tablename__ = "links"
    __table_args__ = (Index("links_subject", "subject", "sequence"), Index("links_object", "object", "sequence"))

    sequence: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    #: ``belongs`` (message to matter), ``same_matter``, ``follows`` (matter to an earlier one), ``incident`` (matter to incident).
    kind: str
    subject: UUID
    object: UUID
    #: ``link``, ``suggestion``, or ``apart``: not, or not any more.
    level: str
    #: 0 to 1.
    score: float
    #: ``rule``, or an operator's name.
    decided_by: str
    #: The reason in words, and the share of every feature in the score.
    why: Any = Field(sa_column=Column(SealedJson("links.why"), nullable=False))
    at: datetime


class IncidentRow(SQLModel, table=True):
    """One cause, many citizens. Its members are links; locking the first matter's row serialises who joins."""

    __tablename__ = "incidents"
    __table_args__ = (Index("incidents_seen", "last_seen_at"),)

    id: UUID = Field(primary_key=True)
    created_at: datetime
    #: The matter that speaks for it: whoever joins must be like it.
    first_id: UUID = Field(foreign_key="matters.id")
    first_seen_at: datetime
    last_seen_at: datetime
    #: Persons who told of it; counted anew whenever the core is told.
    citizens: int
    #: Of how many the core was told.
    told: int


class FingerprintRow(SQLModel, table=True):
    """What a message is compared by; the log from which every node makes its index."""

    __tablename__ = "fingerprints"
    __table_args__ = (Index("fingerprints_caller", "caller_id", "received_at"), {"sqlite_autoincrement": True})

    number: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    message_id: UUID = Field(unique=True)
    caller_id: UUID
    received_at: datetime
    #: Of the way it is made (``normalizer.fingerprint.VERSION``).
    version: int
    prints: bytes = Field(sa_column=Column(Sealed("fingerprints.prints"), nullable=False))
