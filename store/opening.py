"""Opening the store: schema, keys, this node's lease, and what stands by when the database does not answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from store import schema
from store.database import open_database
from store.errors import NoStore, StoreUnavailable
from store.journal import Journal, open_journal
from store.keeping import Keeping
from store.keys import Keyring, load, load_or_create
from store.membership import Membership
from store.reserve import Reserve
from store.sealed import unlock
from store.sqlite import SQLite
from store.store import Store
from store.transactions import Database


@dataclass(frozen=True, slots=True)
class Standby:
    """What a node keeps on its own disk against bad days."""

    #: Folder of the journal that takes deliveries while PostgreSQL is away.
    journal: Path
    #: Space kept back on the disk that deliveries are written to, bytes; 0: none.
    reserve: int = 0


async def open_store(
    url: str,
    key_file: Path,
    *,
    owner: bool = True,
    migrate: bool = False,
    standby: Standby | None = None,
    sinks: Collection[str] = ("core",),
) -> Store:
    """Open the store, making schema and key file when both are new.

    ``owner=False`` reads beside the node that owns a SQLite file. ``migrate=True`` brings an older schema up to date;
    otherwise it raises SchemaMismatch. With ``standby`` a node may start while PostgreSQL is away.
    Raise StoreLocked, StoreUnavailable, KeyFileError.
    """
    engines: list[Engine] = []
    database = open_database(url, engines.append, owner=owner)
    try:
        fresh = await _is_fresh(database, key_file, standby)
        keyring = _keyring(url, key_file, fresh=bool(fresh), owner=owner)
        for engine in engines:
            unlock(engine, keyring)

        def prepare(connection: Connection) -> None:
            if fresh or migrate:
                schema.upgrade(connection)
            schema.check(connection)
            schema.tie_keys(connection, keyring, owner=owner)

        if fresh is not None:
            await (database.write if owner else database.read)(prepare)
        journal = await _journal(database, keyring, standby)
        place = journal.place if journal is not None else None
        membership = Membership(database, prepare if fresh is None else None, place)
        keeping = Keeping(database, keyring, membership, _reserve(database, standby), journal)
    except BaseException:
        await database.close()
        raise
    store = Store(database, keyring, keeping, membership, sinks)
    if owner:
        await store.start(away=fresh is None)
    return store


async def _is_fresh(database: Database, key_file: Path, standby: Standby | None) -> bool | None:
    """Whether nothing is in the database yet; None when it does not answer and need not."""
    try:
        return await database.read(schema.is_empty)
    except StoreUnavailable:
        if standby is None or not database.shared or not _is_file(key_file):
            raise
        return None


def _is_file(path: Path) -> bool:
    return path.is_file()


async def _journal(database: Database, keyring: Keyring, standby: Standby | None) -> Journal | None:
    """A file of our own needs none beside it."""
    if standby is None or not database.shared:
        return None
    return await open_journal(standby.journal, keyring, datetime.now(UTC))


def _reserve(database: Database, standby: Standby | None) -> Reserve | None:
    """On the disk that deliveries are written to."""
    if standby is None:
        return None
    return Reserve(database.path.parent if isinstance(database, SQLite) else standby.journal, standby.reserve)


def _keyring(url: str, key_file: Path, *, fresh: bool, owner: bool) -> Keyring:
    if owner:
        return load_or_create(key_file, fresh=fresh)
    if fresh:
        shown = make_url(url).render_as_string(hide_password=True)
        raise NoStore(f"there is no store at {shown} yet: `gateway serve` or `gateway demo` makes it")
    return load(key_file)
