"""The log of fingerprints: what every message is compared by, one row each, sealed. Nodes make their index from it.

A row's number is given when it is written, and seen by others when its transaction ends: on PostgreSQL a lower number may
come after a higher one. Whoever follows the log looks again at the numbers that he missed (``Fingerprints.after``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, or_, select

from normalizer.fingerprint import VERSION, Fingerprint
from normalizer.model import KeptMessage, Outcome
from store.bulk import insert_or_ignore
from store.messages import get_message
from store.tables import FINGERPRINTS, MESSAGES
from store.transactions import Database

#: How long a message is compared with later ones of the same person; older rows go.
KEPT = timedelta(days=365)
#: Outcomes of messages that are compared.
COMPARED = (Outcome.FILED, Outcome.ATTACHED, Outcome.CHASED)
#: Rows looked at and forgotten at a time.
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Logged:
    """One row of the log."""

    number: int
    message_id: UUID
    received_at: datetime
    version: int
    #: The packed fingerprint.
    prints: bytes


@dataclass(frozen=True, slots=True)
class LogState:
    """What the log holds of a time."""

    #: Rows by the version that made them.
    versions: Mapping[int, int]
    oldest: datetime | None
    newest: datetime | None
    #: Of the sealed fingerprints.
    size: int
    #: Messages that are compared, and of them those without a fingerprint of the present version.
    messages: int
    lacking: int


def write_fingerprint(
    connection: Connection, message_id: UUID, caller_id: UUID, received_at: datetime, made: Fingerprint
) -> None:
    """In the transaction that files the message. One that has a row keeps it."""
    connection.execute(insert_or_ignore(connection, FINGERPRINTS), _row(message_id, caller_id, received_at, made))


class Fingerprints:
    """The log. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """The highest number seen; 0: there is none."""
        return await self._database.read(_newest)

    async def missing(self, below: int, how_many: int) -> list[int]:
        """The numbers that are not there, of the last ``how_many`` up to ``below``."""
        return await self._database.read(lambda connection: _missing(connection, below, how_many))

    async def between(self, after: int, until: int, since: datetime, limit: int) -> list[Logged]:
        """A page of rows of the present version, from after a number on, of messages received from ``since`` on."""
        wanted = _rows().where(FINGERPRINTS.c.number > after, FINGERPRINTS.c.number <= until)
        wanted = wanted.where(FINGERPRINTS.c.received_at >= since, FINGERPRINTS.c.version == VERSION)
        return await self._read(wanted.limit(limit))

    async def after(self, number: int, missed: Collection[int], limit: int) -> list[Logged]:
        """A page of the rows after a number, whatever their version, and of the missed those that are there by now."""
        newer: ColumnElement[bool] = FINGERPRINTS.c.number > number
        if missed:
            newer = or_(newer, FINGERPRINTS.c.number.in_(sorted(missed)))
        return await self._read(_rows().where(newer).limit(limit))

    async def state(self, since: datetime) -> LogState:
        """What it holds of messages received from ``since`` on; looks at every row."""
        return await self._database.read(lambda connection: _state(connection, since), seconds=None)

    async def lacking(self, since: datetime, after: UUID | None, limit: int) -> list[KeptMessage]:
        """A page of messages received from ``since`` on, in order of their ids, without one of the present version."""
        return await self._database.read(lambda connection: _lacking(connection, since, after, limit), seconds=None)

    async def replace(self, made: Iterable[tuple[KeptMessage, Fingerprint]]) -> int:
        """Write these anew, under new numbers, so that nodes see them; how many."""
        prints = {kept.id: (kept, one) for kept, one in made}
        return await self._database.write(lambda connection: _replace(connection, prints))

    async def forget(self, before: datetime) -> int:
        """Some rows of messages received before; how many. 0: no more are at the log's beginning."""
        return await self._database.write(lambda connection: _forget(connection, before))

    async def _read(self, wanted: Select[Any]) -> list[Logged]:
        def transaction(connection: Connection) -> list[Logged]:
            return [Logged(**row._mapping) for row in connection.execute(wanted).all()]  # noqa: SLF001 - its public name

        return await self._database.read(transaction)


def _rows() -> Select[Any]:
    columns = ("number", "message_id", "received_at", "version", "prints")
    return select(*(FINGERPRINTS.c[name] for name in columns)).order_by(FINGERPRINTS.c.number)


def _row(message_id: UUID, caller_id: UUID, received_at: datetime, made: Fingerprint) -> dict[str, Any]:
    known = {"message_id": message_id, "caller_id": caller_id, "received_at": received_at}
    return known | {"version": VERSION, "prints": made.pack()}


def _newest(connection: Connection) -> int:
    return connection.execute(select(func.max(FINGERPRINTS.c.number))).scalar() or 0


def _missing(connection: Connection, below: int, how_many: int) -> list[int]:
    numbers = select(FINGERPRINTS.c.number).where(FINGERPRINTS.c.number.between(below - how_many + 1, below))
    there = set(connection.execute(numbers).scalars())
    return [number for number in range(max(1, below - how_many + 1), below + 1) if number not in there]


def _compared(since: datetime) -> ColumnElement[bool]:
    return and_(MESSAGES.c.received_at >= since, MESSAGES.c.outcome.in_(COMPARED), MESSAGES.c.caller_id.is_not(None))


def _lacks() -> ColumnElement[bool]:
    same = (FINGERPRINTS.c.message_id == MESSAGES.c.id, FINGERPRINTS.c.version == VERSION)
    return ~select(FINGERPRINTS.c.number).where(*same).exists()


def _state(connection: Connection, since: datetime) -> LogState:
    recent = FINGERPRINTS.c.received_at >= since
    by_version = select(FINGERPRINTS.c.version, func.count()).where(recent).group_by(FINGERPRINTS.c.version)
    span = (func.min(FINGERPRINTS.c.received_at), func.max(FINGERPRINTS.c.received_at))
    size = func.coalesce(func.sum(func.length(FINGERPRINTS.c.prints)), 0)
    oldest, newest, taken = connection.execute(select(*span, size).where(recent)).one()
    counted = select(func.count()).select_from(MESSAGES).where(_compared(since))
    return LogState(
        versions={row[0]: row[1] for row in connection.execute(by_version)},
        oldest=oldest,
        newest=newest,
        size=int(taken),
        messages=connection.execute(counted).scalar_one(),
        lacking=connection.execute(counted.where(_lacks())).scalar_one(),
    )


def _lacking(connection: Connection, since: datetime, after: UUID | None, limit: int) -> list[KeptMessage]:
    wanted = select(MESSAGES.c.id).where(_compared(since), _lacks()).order_by(MESSAGES.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(MESSAGES.c.id > after)
    return [get_message(connection, message_id) for message_id in connection.execute(wanted).scalars().all()]


def _replace(connection: Connection, prints: Mapping[UUID, tuple[KeptMessage, Fingerprint]]) -> int:
    callers = select(MESSAGES.c.id, MESSAGES.c.caller_id).where(MESSAGES.c.id.in_(sorted(prints)))
    whose: dict[UUID, UUID] = dict(connection.execute(callers.order_by(MESSAGES.c.id)).all())
    rows = [_row(one, caller, prints[one][0].received_at, prints[one][1]) for one, caller in whose.items()]
    connection.execute(delete(FINGERPRINTS).where(FINGERPRINTS.c.message_id.in_(sorted(prints))))
    if rows:
        connection.execute(insert(FINGERPRINTS), rows)
    return len(rows)


def _forget(connection: Connection, before: datetime) -> int:
    """By number, as they were written: the few that came late go when they are the oldest."""
    first = select(FINGERPRINTS.c.number, FINGERPRINTS.c.received_at).order_by(FINGERPRINTS.c.number).limit(AT_ONCE)
    old = [row.number for row in connection.execute(first) if row.received_at < before]
    if old:
        connection.execute(delete(FINGERPRINTS).where(FINGERPRINTS.c.number.in_(old)))
    return len(old)
