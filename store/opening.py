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
from store.journal import open_journal
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
        membership = Membership(database, prepare if fresh is None else None)
        keeping = await _keeping(database, keyring, membership, standby)
        if owner:
            await membership.start(patient=fresh is None)
            await keeping.start(away=fresh is None)
    except BaseException:
        await database.close()
        raise
    return Store(database, keyring, keeping, membership, sinks)


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


async def _keeping(database: Database, keyring: Keyring, membership: Membership, standby: Standby | None) -> Keeping:
    """A file of our own is its own journal."""
    if standby is None:
        return Keeping(database, keyring, membership, None, None)
    if isinstance(database, SQLite):
        return Keeping(database, keyring, membership, Reserve(database.path.parent, standby.reserve), None)
    journal = await open_journal(standby.journal, keyring, datetime.now(UTC))
    return Keeping(database, keyring, membership, Reserve(standby.journal, standby.reserve), journal)


def _keyring(url: str, key_file: Path, *, fresh: bool, owner: bool) -> Keyring:
    if owner:
        return load_or_create(key_file, fresh=fresh)
    if fresh:
        shown = make_url(url).render_as_string(hide_password=True)
        raise NoStore(f"there is no store at {shown} yet: `gateway serve` or `gateway demo` makes it")
    return load(key_file)
