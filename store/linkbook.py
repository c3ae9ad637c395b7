"""What belongs together, for operators: reading the links, deciding otherwise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, or_, select

from normalizer.model import HotlineMatter, Incident, KeptMessage, Level, TieKind
from store.decision import Decision
from store.documents import open_document
from store.incidents import incident, incident_of, row_of
from store.links import RULE
from store.messages import get_message
from store.queue import record
from store.regroup import Divide, join, join_incident, split, unlink
from store.sealing import outward_matter, outward_message, without_sealed
from store.tables import INCIDENTS, LINKS, MATTERS, MESSAGES
from store.transactions import Database


@dataclass(frozen=True, slots=True)
class Said:
    """One row about two things that belong together, or do not."""

    kind: TieKind
    subject: UUID
    object: UUID
    #: ``link``, ``suggestion`` or ``apart``.
    level: str
    score: float
    decided_by: str
    reason: str
    #: Name, value and weight of every feature.
    shares: tuple[dict[str, Any], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """A matter with all that was ever said about what it belongs to."""

    matter: HotlineMatter
    #: About the matter and its messages, in order.
    said: tuple[Said, ...]
    incident: Incident | None
    #: Tracking codes of the other matters that are named.
    codes: dict[UUID, str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """An operator's word on two messages: one matter or cause, or not."""

    one: UUID
    other: UUID
    together: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A message, and the caller it was given: for measuring it is enough to know which messages are of one.

    Of a matter whose citizen stays unnamed the words are masked, and the caller is the matter's alias.
    """

    kept: KeptMessage
    caller_id: UUID


class LinkBook:
    """The links, each method one transaction."""

    def __init__(self, database: Database, sinks: Collection[str]) -> None:
        self._database, self._sinks = database, tuple(sinks)

    async def find(self, name: str) -> UUID:
        """The matter or incident of a tracking code or id. Raise LookupError when there is none."""
        return await self._database.read(lambda connection: _find(connection, name))

    async def folder(self, matter_id: UUID, at: datetime) -> Folder:
        """All about one matter. Raise LookupError when there is none."""
        return await self._database.read(lambda connection: _folder(connection, matter_id, at))

    async def split(
        self, matter_id: UUID, leaving: Collection[UUID], divide: Divide, by: str, reason: str, at: datetime
    ) -> UUID:
        """Give messages a matter of their own; its id. Raise store.regroup.Refused."""
        decision = self._decision(by, reason, at)
        return await self._database.write(lambda connection: split(connection, matter_id, leaving, divide, decision))

    async def join(self, later: UUID, earlier: UUID, by: str, reason: str, at: datetime) -> None:
        """Say that two matters are about the same. Raise Refused."""
        decision = self._decision(by, reason, at)
        await self._database.write(lambda connection: join(connection, later, earlier, decision))

    async def join_incident(self, matter_id: UUID, other: UUID, by: str, reason: str, at: datetime) -> UUID:
        """Say that a matter has the cause of another, or of an incident; which. Raise Refused, LookupError."""
        decision = self._decision(by, reason, at)
        return await self._database.write(lambda connection: join_incident(connection, matter_id, other, decision))

    async def unlink(self, matter_id: UUID, other: UUID, by: str, reason: str, at: datetime) -> None:
        """Take a link back. Raise Refused."""
        decision = self._decision(by, reason, at)
        await self._database.write(lambda connection: unlink(connection, matter_id, other, decision))

    async def labelled(self) -> list[Labelled]:
        """Every pair that operators have decided on, by the first message of each matter."""
        return await self._database.read(_labelled)

    async def texts(self, messages: Collection[UUID], by: str, reason: str, at: datetime) -> list[Written]:
        """These messages for somebody to read, and a note that he has them."""

        def transaction(connection: Connection) -> list[Written]:
            for message_id in messages:
                record(connection, message_id, "exported", by, at, reason)
            return [_written(connection, message_id) for message_id in messages]

        return await self._database.write(transaction)

    def _decision(self, by: str, reason: str, at: datetime) -> Decision:
        return Decision(by, reason, at, self._sinks)


def _find(connection: Connection, name: str) -> UUID:
    try:
        wanted = UUID(name)
    except ValueError:
        found = connection.execute(select(MATTERS.c.id).where(MATTERS.c.tracking_code == name)).scalar()
    else:
        known = [select(table.c.id).where(table.c.id == wanted) for table in (MATTERS, INCIDENTS)]
        found = next(filter(None, (connection.execute(query).scalar() for query in known)), None)
    if found is None:
        raise LookupError(f"there is no matter or incident {name}: give a tracking code or an id")
    return UUID(str(found))


def _folder(connection: Connection, matter_id: UUID, at: datetime) -> Folder:
    if connection.execute(select(MATTERS.c.id).where(MATTERS.c.id == matter_id)).scalar() is None:
        raise LookupError(f"there is no matter {matter_id}: give a tracking code or the id of a matter")
    matter = open_document(connection, matter_id)
    subjects = [matter_id, *(message.message_id for message in matter.messages)]
    about = or_(LINKS.c.subject.in_(subjects), LINKS.c.object == matter_id)
    rows = connection.execute(select(LINKS).where(about).order_by(LINKS.c.sequence)).all()
    said = tuple(_said(row) for row in without_sealed(connection, rows))
    belongs = incident_of(connection, matter_id)
    named = {one.subject for one in said} | {one.object for one in said} | {matter_id}
    codes = select(MATTERS.c.id, MATTERS.c.tracking_code).where(MATTERS.c.id.in_(named))
    return Folder(
        matter=outward_matter(connection, matter),
        said=said,
        incident=_incident(connection, belongs, at) if belongs else None,
        codes={row.id: row.tracking_code for row in connection.execute(codes)},
    )


def _incident(connection: Connection, incident_id: UUID, at: datetime) -> Incident:
    """What is known of it; the words of whoever speaks for it are masked where he stays unnamed."""
    first = outward_matter(connection, open_document(connection, row_of(connection, incident_id).first_id))
    return incident(connection, incident_id, at).model_copy(update={"title": first.title})


def _said(row: Row[Any]) -> Said:
    return Said(
        kind=TieKind(row.kind),
        subject=row.subject,
        object=row.object,
        level=row.level,
        score=row.score,
        decided_by=row.decided_by,
        reason=row.why["reason"],
        shares=tuple(row.why["shares"]),
        at=row.at,
    )


def _labelled(connection: Connection) -> list[Labelled]:
    """The last word on every two things, where it is an operator's; none that puts a sealed matter beside another."""
    rows = without_sealed(connection, connection.execute(select(LINKS).order_by(LINKS.c.sequence)).all())
    last = {(row.subject, row.object): row for row in rows}
    by_hand = [row for row in last.values() if row.decided_by != RULE]
    firsts = _firsts(connection, {row.object for row in by_hand} | {row.subject for row in by_hand})
    pairs = {
        frozenset((one, other)): Labelled(one, other, row.level == Level.LINK)
        for row in by_hand
        if (other := firsts.get(row.object)) is not None and (one := firsts.get(row.subject, row.subject)) != other
    }
    return list(pairs.values())


def _written(connection: Connection, message_id: UUID) -> Written:
    row = connection.execute(
        select(MESSAGES.c.caller_id, MESSAGES.c.matter_id).where(MESSAGES.c.id == message_id)
    ).one()
    return Written(*outward_message(connection, get_message(connection, message_id), row.matter_id, row.caller_id))


def _firsts(connection: Connection, things: Collection[UUID]) -> dict[UUID, UUID]:
    """The message that opened each matter; that of an incident is the one of its first matter."""
    speaks = select(INCIDENTS.c.id, INCIDENTS.c.first_id).where(INCIDENTS.c.id.in_(things))
    of_incident: Sequence[Any] = connection.execute(speaks).all()
    matters = {*things, *(row.first_id for row in of_incident)}
    opened = select(MESSAGES.c.matter_id, MESSAGES.c.id).where(MESSAGES.c.matter_id.in_(matters))
    found: dict[UUID, UUID] = {}
    for row in connection.execute(opened.order_by(MESSAGES.c.received_at, MESSAGES.c.id)):
        found.setdefault(row.matter_id, row.id)
    return found | {row.id: found[row.first_id] for row in of_incident if row.first_id in found}
