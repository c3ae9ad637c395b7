"""Where a node keeps deliveries while PostgreSQL does not answer: an embedded store of its own, on its own disk.

The same tables, sealed with the same keys, synced as always; one file per process, held by a lock. What was moved to the
database is forgotten here only after its commit there, so a crash in between moves it again, which changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from uuid import UUID

import structlog
import uuid_utils.compat
from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.engine import URL

from normalizer.model import Kept
from store import envelopes, schema
from store.envelopes import Delivery, Moved, StateWrite
from store.errors import KeyFileError, StoreError, StoreLocked, StoreUnavailable
from store.keys import Keyring
from store.sealed import unlock
from store.sqlite import SQLite, own
from store.tables import BINDINGS, ENVELOPES, WORK

log = structlog.get_logger(__name__)

#: Envelopes moved in one transaction, and their bytes; a single one may be larger.
BATCH, BATCH_BYTES = 500, 8 * 1024 * 1024
#: A file larger than this gives its space back once it is empty, bytes.
LARGE = 16 * 1024 * 1024
#: Where a row that cannot be read any more stands, out of the way of the others.
UNREADABLE = "unreadable"


class _Damaged(StoreError):
    """The file is no SQLite database any more, or not all of it."""


class Journal:
    """One file. Raise StoreUnavailable when the disk does not take it."""

    def __init__(self, database: SQLite, keyring: Keyring, place: UUID) -> None:
        self._database, self._keyring = database, keyring
        #: What this file is called among nodes, for as long as it exists.
        self.place = place

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    async def keep(self, deliveries: Sequence[Delivery]) -> Sequence[Kept | StoreError]:
        """Commit to this disk. A delivery that moves a cursor is not ours to take: its source still has it."""
        ours = [delivery for delivery in deliveries if delivery.write is None]
        kept = iter(
            await self._database.write(lambda connection: envelopes.keep_many(connection, self._keyring, ours))
            if ours
            else []
        )
        away = StoreUnavailable("the database is away; the source keeps what moves a cursor")
        return [next(kept) if delivery.write is None else away for delivery in deliveries]

    async def batch(self) -> list[Moved]:
        """The next envelopes in order of arrival. What cannot be read any more is put aside, for a person."""
        try:
            return await self._database.read(_batch)
        except KeyFileError:
            await self._database.write(_put_aside)
            return await self._database.read(_batch)

    async def is_empty(self) -> bool:
        """Whether there is no next batch."""
        return not await self._database.read(_next)

    async def forget(self, moved: Sequence[Moved]) -> None:
        """These are in the database."""
        ids = [item.envelope.id for item in moved]
        await self._database.write(lambda connection: _forget(connection, ids))

    async def forget_bindings(self) -> None:
        """The database answers for them again."""
        await self._database.write(lambda connection: connection.execute(delete(BINDINGS)))

    async def shrink(self) -> None:
        """Give the space back that a long outage took."""
        if self._database.size() > LARGE:
            await self._database.shrink()

    async def probe(self) -> None:
        """Raise StoreUnavailable when the disk takes nothing."""
        await self._database.write(envelopes.probe)

    async def count(self) -> int:
        """Envelopes that are not in the database yet, the unreadable ones included."""
        return await self._database.read(
            lambda connection: connection.execute(select(func.count()).select_from(WORK)).scalar_one()
        )

    async def close(self) -> None:
        """Release the file."""
        await self._database.close()


def _next(connection: Connection) -> list[UUID]:
    """The envelopes of the next batch."""
    page = (
        select(WORK.c.subject, func.length(ENVELOPES.c.body))
        .join(ENVELOPES, ENVELOPES.c.id == WORK.c.subject)
        .where(WORK.c.stage != UNREADABLE)
        .order_by(WORK.c.sequence)
        .limit(BATCH)
    )
    found = connection.execute(page).all()
    fit = sum(size <= BATCH_BYTES for size in accumulate(size for _, size in found))
    return [subject for subject, _ in found[: max(fit, 1)]]


def _batch(connection: Connection) -> list[Moved]:
    page = (
        select(ENVELOPES, BINDINGS.c.key, BINDINGS.c.digest, WORK.c.apparent)
        .join(WORK, WORK.c.subject == ENVELOPES.c.id)
        .outerjoin(BINDINGS, BINDINGS.c.envelope_id == ENVELOPES.c.id)
        .where(ENVELOPES.c.id.in_(_next(connection)))
        .order_by(WORK.c.sequence)
    )
    return [Moved(envelopes.read_envelope(row), row.key, row.digest, row.apparent) for row in connection.execute(page)]


def _put_aside(connection: Connection) -> None:
    for sequence, envelope_id in connection.execute(select(WORK.c.sequence, WORK.c.subject)).all():
        try:
            envelopes.get_envelope(connection, envelope_id)
        except KeyFileError:
            log.error("journal_unreadable", envelope_id=str(envelope_id))
            connection.execute(update(WORK).where(WORK.c.sequence == sequence).values(stage=UNREADABLE))


def _forget(connection: Connection, ids: list[UUID]) -> None:
    connection.execute(delete(WORK).where(WORK.c.subject.in_(ids)))
    connection.execute(delete(ENVELOPES).where(ENVELOPES.c.id.in_(ids)))


async def open_journal(folder: Path, keyring: Keyring, at: datetime) -> Journal:
    """The first journal of the folder that no other process holds; what stands in other free ones is taken along.

    A file that is no database any more is put aside under another name, so that it does not stop the start.
    Raise KeyFileError when it was written under another key file, StoreUnavailable when the disk does not take it.
    """
    mine = await _first_free(folder, keyring, at)
    for path in _files(folder):
        if path != mine.path:
            await _take_along(path, mine, keyring, at)
    return mine


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal-*.db"))


async def _first_free(folder: Path, keyring: Keyring, at: datetime) -> Journal:
    number = 1
    while True:
        path = folder / f"journal-{number}.db"
        try:
            return await _open(path, keyring)
        except StoreLocked:
            number += 1
        except _Damaged:
            _put_file_aside(path, at)


def _put_file_aside(path: Path, at: datetime) -> None:
    """With its WAL, in which the last of what was acknowledged may stand: for a person, and for SQLite's ``.recover``."""
    aside = f"{path.name}.damaged-{at:%Y%m%dT%H%M%S%f}"
    log.error("journal_damaged", put_aside=aside)
    with contextlib.suppress(StoreLocked), contextlib.closing(own(path)):
        for rest in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + rest).rename(path.with_name(aside + rest))
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)


async def _take_along(path: Path, mine: Journal, keyring: Keyring, at: datetime) -> None:
    try:
        other = await _open(path, keyring)
    except _Damaged:
        _put_file_aside(path, at)
        return
    except (StoreLocked, StoreUnavailable):
        return  # another node's, or for whoever opens it as his own
    try:
        while moved := await other.batch():
            await mine._database.write(lambda connection, moved=moved: envelopes.keep_moved(connection, moved))  # type: ignore[misc]  # noqa: SLF001 - both are journals
            await other.forget(moved)
    finally:
        await other.close()


async def _open(path: Path, keyring: Keyring) -> Journal:
    engines: list[Engine] = []
    database = SQLite(URL.create("sqlite", database=str(path)), engines.append, owner=True)
    for engine in engines:
        unlock(engine, keyring)
    try:
        await database.write(_check)
        await database.write(schema.upgrade)
        await database.write(lambda connection: schema.tie_keys(connection, keyring, owner=True))
        place = await database.write(lambda connection: _place(connection, keyring))
    except BaseException as error:
        await database.close()
        if isinstance(error, StoreUnavailable) and _is_damage(error.__cause__):
            raise _Damaged from None
        raise
    return Journal(database, keyring, place)


def _place(connection: Connection, keyring: Keyring) -> UUID:
    """Given at the first opening."""
    fresh = StateWrite("", "place", None, str(uuid_utils.compat.uuid7()))
    envelopes.write_state(connection, keyring, fresh)
    return UUID(envelopes.get_state(connection, "", "place"))


def _check(connection: Connection) -> None:
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise _Damaged


def _is_damage(error: BaseException | None) -> bool:
    """SQLite's "malformed" and "not a database" come as DatabaseError itself, all else as a subclass of it (PEP 249)."""
    return type(getattr(error, "orig", None)).__name__ == "DatabaseError"
