"""Callers, their contacts, and on what evidence several callers are one person."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, LargeBinary
from sqlmodel import Field, SQLModel

from store.sealed import Sealed, SealedJson
from store.tables.base import partial


class CallerRow(SQLModel, table=True):
    """A person behind one or several contacts; locking this row serialises the work on him."""

    __tablename__ = "callers"

    id: UUID = Field(primary_key=True)
    created_at: datetime
    #: The caller who stands for the person, where several are one (``joins``); None: he himself.
    person_id: UUID | None = Field(default=None, index=True)


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


class ThingRow(SQLModel, table=True):
    """A unionid or telephone number that somebody has shown to be his; locking the row serialises who does so."""

    __tablename__ = "things"

    #: Mark of kind and value.
    mark: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    #: ``unionid`` or ``phone``.
    kind: str
    value: Any = Field(sa_column=Column(SealedJson("things.value"), nullable=False))
    #: Since when several persons are known to have it: it joins nobody any more.
    shared_at: datetime | None = None


class ProofRow(SQLModel, table=True):
    """Something that a contact has been shown to own: a unionid, a telephone number. The same thing is the same person.

    Never changed but by its end: who said so, when and why stays.
    """

    __tablename__ = "proofs"
    __table_args__ = (
        Index("proofs_contact", "contact_mark"),
        Index("proofs_thing", "thing_mark"),
    )

    id: UUID = Field(primary_key=True)
    contact_mark: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: Whose the contact is.
    caller_id: UUID = Field(foreign_key="callers.id", index=True)
    #: Where a person has one account and no more, as a rule: ``app city-app``, ``wechat gh_…``, ``mail``.
    scope: str
    thing_mark: bytes = Field(sa_column=Column(LargeBinary, ForeignKey("things.mark"), nullable=False))
    #: What vouches for it: ``app_login``, ``code``, ``provider``.
    evidence: str
    decided_by: str
    #: When it was shown.
    shown_at: datetime
    #: When we wrote it down.
    at: datetime
    ended_at: datetime | None = None
    #: Why it does not count any more: ``renewed``, ``replaced``, ``old``, ``proven_later``, ``shared``.
    ended: str | None = None


class JoinRow(SQLModel, table=True):
    """Two callers are one person: on what evidence, who said so, when and why; undone, it stays as it was."""

    __tablename__ = "joins"
    __table_args__ = (
        Index("joins_one", "one_id"),
        Index("joins_other", "other_id"),
        Index("joins_thing", "thing_mark"),
    )

    id: UUID = Field(primary_key=True)
    one_id: UUID = Field(foreign_key="callers.id")
    other_id: UUID = Field(foreign_key="callers.id")
    #: ``unionid``, ``phone``, ``code`` or ``operator``.
    evidence: str
    #: Mark of what both have shown; None: an operator said so.
    thing_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    decided_by: str
    reason: Any = Field(sa_column=Column(SealedJson("joins.reason"), nullable=False))
    at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None
    undone_reason: Any = Field(default=None, sa_column=Column(SealedJson("joins.undone_reason"), nullable=True))


class CodeRow(SQLModel, table=True):
    """A code that we sent to a telephone number, for whoever asked for it on another channel to give it back there."""

    __tablename__ = "codes"

    #: Mark of the contact that asked.
    contact_mark: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    phone: Any = Field(sa_column=Column(SealedJson("codes.phone"), nullable=False))
    #: Mark of contact, number and code.
    code_mark: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sent_at: datetime
    #: How often it was given back wrongly.
    tries: int
    #: How many codes the contact has had since then, this one included.
    had: int
    had_since: datetime


class IdentityRow(SQLModel, table=True):
    """A contact about whom its provider is to be asked once which of the person's other accounts it belongs to."""

    __tablename__ = "identities"
    __table_args__ = (partial("identities_due", "channel", "not_before", where="state = 'queued'"),)

    contact_mark: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    #: For the log.
    id: UUID = Field(unique=True)
    caller_id: UUID = Field(foreign_key="callers.id")
    channel: str
    #: The contact, and our account on the channel.
    content: Any = Field(sa_column=Column(SealedJson("identities.content"), nullable=False))
    #: ``queued``, ``known``, or ``unknown`` for good.
    state: str
    attempts: int
    not_before: datetime
    #: When that was said; see ``work``.
    put_off_at: datetime
    reason: str | None = None


class OpeningRow(SQLModel, table=True):
    """A sealed identity that somebody wants to see: who, why, and who else agreed. Nothing is deleted."""

    __tablename__ = "openings"
    __table_args__ = (Index("openings_matter", "matter_id", "requested_at"),)

    id: UUID = Field(primary_key=True)
    matter_id: UUID = Field(foreign_key="matters.id")
    requested_by: str
    #: In his words; UTF-8.
    reason: bytes = Field(sa_column=Column(Sealed("openings.reason"), nullable=False))
    requested_at: datetime
    #: Another person, and when the identity was shown to him; None: nobody has.
    approved_by: str | None = None
    approved_at: datetime | None = None
