"""Conduct: what waits for a person, and what was noticed of whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from store.sealed import SealedJson
from store.tables.base import SEQUENCE, partial


class HoldRow(SQLModel, table=True):
    """A message that waits, or waited, for a person to look; it stays in the queue, in a lane beside its sender's."""

    __tablename__ = "holds"
    __table_args__ = (partial("holds_waiting", "lane", where="over_at IS NULL"),)

    message_id: UUID = Field(primary_key=True, foreign_key="messages.id")
    #: Mark of its sender.
    lane: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: datetime
    #: When it goes on by itself; None: when what is held before it has gone.
    until: datetime | None
    #: What it is held for; nothing where it only waits behind another.
    flags: Any = Field(sa_column=Column(SealedJson("holds.flags"), nullable=False))
    over_at: datetime | None = None
    #: ``expired``, ``danger``, or what an operator did: ``released``, ``refused``.
    ended: str | None = None
    #: The operator.
    decided_by: str | None = None


class FlagRow(SQLModel, table=True):
    """A sign of conduct that was noticed in a message; it counts until it expires or is cleared."""

    __tablename__ = "flags"
    __table_args__ = (Index("flags_caller", "caller_id", "sequence"), Index("flags_matter", "matter_id"))

    sequence: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    message_id: UUID = Field(foreign_key="messages.id")
    #: None where an operator refused the message before it was anybody's.
    caller_id: UUID | None
    matter_id: UUID | None
    kind: str
    #: 0 to 1.
    score: float
    evidence: Any = Field(sa_column=Column(SealedJson("flags.evidence"), nullable=False))
    at: datetime
    expires_at: datetime
    #: Since when it is disputed, and since when it does not count any more because an operator said so.
    appealed_at: datetime | None = None
    cleared_at: datetime | None = None
