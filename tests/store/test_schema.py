from __future__ import annotations

import asyncio
import multiprocessing
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, inspect, text

from store import schema
from store.errors import KeyFileError, SchemaMismatch
from store.opening import open_store
from store.store import Store
from store.tables import METADATA
from tests.store.conftest import Open, envelope, run

NEXT = '''
"""a later one"""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("callers", sa.Column("note", sa.String(), nullable=True))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {then}


def downgrade() -> None:
    op.drop_table("later")
    op.drop_column("callers", "note")
'''


@pytest.fixture
def later_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this program one that knows a further migration, which may fail at its end."""

    def become(then: str = "") -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        head = ScriptDirectory.from_config(schema.config()).get_current_head()
        (folder / "versions" / "9999_later.py").write_text(NEXT.format(head=head, then=then))
        monkeypatch.setattr(schema, "MIGRATIONS", folder)

    return become


def drift(connection: Connection, metadata: MetaData = METADATA) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata)


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_a_fresh_store_is_made_at_first_start_with_nothing_in_it(store: Store) -> None:
    found = await store._database.read(tables)
    assert found == set(METADATA.tables) | {"alembic_version"}
    for name in METADATA.tables:
        rows = await run(store, text(f"SELECT * FROM {name}"))
        assert len(rows) == (name in {"channel_state", "nodes"}), "only which key file it belongs to, and who opened it"


async def test_a_store_belongs_to_the_key_file_it_was_made_with(store: Store, url: str, tmp_path: Path) -> None:
    await store.close()
    await (await open_store(url, tmp_path / "keys.json")).close()
    (tmp_path / "elsewhere").mkdir()
    other = await open_store(f"sqlite:///{tmp_path}/elsewhere/other.db", tmp_path / "elsewhere" / "keys.json")
    await other.close()
    with pytest.raises(KeyFileError, match="does not belong to this store"):
        await open_store(url, tmp_path / "elsewhere" / "keys.json")


async def test_a_store_is_found_again(opened: Open) -> None:
    first = await opened()
    one = envelope()
    await first.keep(one)
    await first.close()
    assert await (await opened()).envelopes() == [one]


async def test_the_migrations_make_exactly_the_declared_tables(store: Store) -> None:
    assert await store._database.read(drift) == []


async def test_a_column_or_type_forgotten_in_the_migrations_is_noticed(store: Store) -> None:
    for change in (
        lambda table: table.append_column(Column("forgotten", String)),
        lambda table: setattr(table.c.created_at, "type", String()),
    ):
        other = MetaData()
        for table in METADATA.sorted_tables:
            table.to_metadata(other)
        change(other.tables["callers"])
        assert await store._database.read(lambda connection, other=other: drift(connection, other)) != []


async def test_down_to_nothing_and_up_again(store: Store) -> None:
    await store._database.write(lambda connection: command.downgrade(schema.config(connection), "base"))
    assert await store._database.read(tables) == {"alembic_version"}
    await store._database.write(schema.upgrade)
    assert await store._database.read(drift) == []
    await store.keep(envelope())


async def test_upgrading_what_is_up_to_date_changes_nothing(store: Store) -> None:
    one = envelope()
    await store.keep(one)
    await store._database.write(schema.upgrade)
    assert await store.envelopes() == [one]


async def test_an_older_store_is_refused_until_it_is_migrated(opened: Open, later_program: Any) -> None:
    older = await opened()
    one = envelope()
    await older.keep(one)
    await older.close()
    later_program()
    for owner in (True, False):
        with pytest.raises(SchemaMismatch, match=r"older than this program: .*`gateway migrate`"):
            await opened(owner=owner)
    migrated = await opened(migrate=True)
    assert "later" in await migrated._database.read(tables)
    assert await migrated.envelopes() == [one]
    await migrated.close()
    assert await (await opened()).envelopes() == [one]


async def test_a_store_of_before_all_migrations_is_older(store: Store, opened: Open) -> None:
    await run(store, text("DELETE FROM alembic_version"))
    with pytest.raises(SchemaMismatch, match="gateway migrate"):
        await opened(owner=False)


async def test_a_newer_store_is_refused_and_left_alone(
    opened: Open, later_program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    this_program = schema.MIGRATIONS
    later_program()
    await (await opened()).close()
    monkeypatch.setattr(schema, "MIGRATIONS", this_program)
    with pytest.raises(SchemaMismatch, match="newer than this program"):
        await opened()


async def test_a_migration_that_fails_halfway_leaves_the_store_as_it_was(
    opened: Open, later_program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    this_program = schema.MIGRATIONS
    await (await opened()).close()
    later_program("raise LookupError('power cut')")
    with pytest.raises(LookupError):
        await opened(migrate=True)
    monkeypatch.setattr(schema, "MIGRATIONS", this_program)
    store = await opened()
    assert await store._database.read(drift) == []
    await store.keep(envelope())


def _start(barrier: Barrier, url: str, key_file: Path) -> None:
    async def start() -> None:
        await (await open_store(url, key_file)).close()

    barrier.wait(60)
    asyncio.run(start())


def test_nodes_that_start_together_on_an_empty_database_all_start(postgresql_url: str, key_file: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    barrier = processes.Barrier(3)
    nodes = [processes.Process(target=_start, args=(barrier, postgresql_url, key_file)) for _ in range(3)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join()
    assert [node.exitcode for node in nodes] == [0, 0, 0]
