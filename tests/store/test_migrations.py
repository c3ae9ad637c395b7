"""A migration that is killed at any step starts again, on both databases, from nothing and from every earlier revision."""

from __future__ import annotations

import asyncio
import itertools
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Uuid,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from store import schema
from store.database import open_database
from store.keys import load_or_create
from store.opening import open_store
from store.transactions import Transaction
from tests.killed import Step, killed_at
from tests.store.conftest import envelope
from tests.store.test_schema import drift

#: Rows in each table of a filled store.
ROWS = 3
#: Every step is tried with FAULTS=full; else some, spread from the first to the last: fewer from the revisions between,
#: whose steps are among those from nothing.
FULL = os.environ.get("FAULTS") == "full"
STRIDE, BETWEEN = (1, 1) if FULL else (13, 79)
#: Who works on the store: nodes that are not there any more are forgotten when it is opened.
PASSING = {"nodes", "leads"}
#: A migration has more steps than this.
MANY = 20


def revisions() -> list[str]:
    """All, the oldest first."""
    scripts = ScriptDirectory.from_config(schema.config()).walk_revisions()
    return [script.revision for script in reversed(list(scripts))]


#: What a store may be found at: nothing at all, or any revision but the last.
EARLIER = [None, *revisions()[:-1]]


async def write(url: str, *transactions: Transaction[Any]) -> Any:
    """Run transactions on a database, one after the other; what the last gives."""
    database, result = open_database(url, lambda _: None), None
    try:
        for transaction in transactions:
            result = await database.write(transaction)
    finally:
        await database.close()
    return result


def fill(connection: Connection) -> None:
    """Rows in every table, whatever its columns are: row n has n in each, so that all references hold."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        if table.name != "alembic_version":
            connection.execute(insert(table), [row(table, number) for number in range(1, ROWS + 1)])


def row(table: Table, number: int) -> dict[str, Any]:
    counted = table.autoincrement_column
    return {column.name: value(column.type, number) for column in table.columns if column is not counted}


def value(kind: TypeEngine[Any], number: int) -> Any:
    match kind:
        case LargeBinary():
            return bytes([number])
        case DateTime():
            return datetime(2026, 1, number, tzinfo=UTC)
        case Boolean():
            return False
        case Integer() | Float():
            return number
        case Uuid():
            return UUID(int=number)
        case _:
            return UUID(int=number).hex


def counts(connection: Connection) -> dict[str, int]:
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }


async def start_over(url: str, revision: str | None) -> dict[str, int]:
    """Bring the database to a revision, filled; how many rows each table has then."""
    if url.startswith("sqlite"):
        for left in Path(url.removeprefix("sqlite:///")).parent.glob("gateway.db*"):
            left.unlink()
    else:
        await write(url, lambda connection: connection.execute(text("DROP SCHEMA public CASCADE")))
        await write(url, lambda connection: connection.execute(text("CREATE SCHEMA public")))
    if revision is not None:
        await write(url, lambda connection: command.upgrade(schema.config(connection), revision), fill)
    return await write(url, counts)


@pytest.mark.parametrize("revision", EARLIER, ids=lambda revision: revision or "nothing")
async def test_a_migration_killed_at_any_step_starts_again(url: str, revision: str | None, key_file: Path) -> None:
    load_or_create(key_file, fresh=True)
    for step in itertools.count(1, STRIDE if revision in {None, EARLIER[-1]} else BETWEEN):
        before = await start_over(url, revision)
        killed = killed_at(step, upgrade, url, key_file)
        await the_next_start_finishes_it(url, key_file, before)
        if not killed:
            break
    assert step > MANY, "little was interrupted"


def upgrade(count: Step, url: str, key_file: Path) -> None:
    """Steps are statements and commits."""
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)

    async def opened() -> None:
        await (await open_store(url, key_file, migrate=True)).close()

    asyncio.run(opened())


async def the_next_start_finishes_it(url: str, key_file: Path, before: dict[str, int]) -> None:
    store = await open_store(url, key_file, migrate=True)
    assert await store._database.read(drift) == []
    after = await store._database.read(counts)
    lost = {name: number for name, number in before.items() if after.get(name, number) < number}
    assert lost.keys() <= PASSING
    kept = envelope()
    await store.keep(kept)
    assert await store.envelope(kept.id) == kept
    await store.close()
