"""The nodes that work on the store, and what they remember for channels."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from store.sealed import SealedJson


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
