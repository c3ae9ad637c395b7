from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.util import await_only

from store import postgresql, sqlite
from store.errors import KeyFileError, StoreError, StoreLocked, StoreUnavailable
from store.nodes import LEASE
from store.opening import open_store
from store.store import Store
from tests.conftest import IDLE, TRUE_IDLE
from tests.store.conftest import envelope, run, sqlite_url

KEEPER = """
import asyncio, sys
from pathlib import Path
from store.nodes import LEASE
from store.opening import open_store
from tests.store.conftest import envelope

async def main():
    store = await open_store(sys.argv[1], Path(sys.argv[2]))
    while True:
        print((await store.keep(envelope())).receipt, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def on_sqlite(tmp_path: Path, key_file: Path) -> AsyncIterator[Store]:
    store = await open_store(sqlite_url(tmp_path), key_file)
    yield store
    await store.close()


@pytest.fixture
async def on_postgresql(postgresql_url: str, key_file: Path) -> AsyncIterator[Store]:
    store = await open_store(postgresql_url, key_file)
    yield store
    await store.close()


@contextmanager
def keeper(url: str, key_file: Path) -> Iterator[Iterator[UUID]]:
    """Another process that keeps envelopes as fast as it can: the receipts it acknowledges. Killed at the end."""
    command = [sys.executable, "-c", KEEPER, url, key_file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        yield (UUID(line.decode().strip()) for line in process.stdout if line.endswith(b"\n"))
        process.kill()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def pragma(store: Store, name: str) -> object:
    return (await run(store, text(f"PRAGMA {name}")))[0][0]


# -- both --------------------------------------------------------------------------------------------------------------


async def test_what_was_acknowledged_survives_a_kill(url: str, key_file: Path) -> None:
    with keeper(url, key_file) as receipts:
        acknowledged = [next(receipts) for _ in range(50)]
    store = await open_store(url, key_file)
    assert set(acknowledged) <= {one.id for one in await store.envelopes()}
    await store.close()


async def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def transaction(connection: Connection) -> None:
        connection.execute(text("INSERT INTO senders (mark, messages) VALUES (:mark, 1)"), {"mark": b"x"})
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        await store._database.write(transaction)
    assert await run(store, text("SELECT * FROM senders")) == []


async def test_a_caller_who_goes_away_leaves_the_store_working(store: Store) -> None:
    keeping = [asyncio.create_task(store.keep(envelope())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in keeping[::2]:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
    await store.keep(envelope())
    assert await store.pending() == len(await store.envelopes()) >= 11


@pytest.mark.parametrize("url", ["mysql://localhost/x", "oracle://localhost/x"], ids=["mysql", "oracle"])
async def test_another_kind_of_database_is_refused_in_a_sentence(url: str, key_file: Path) -> None:
    with pytest.raises(StoreError, match="is not supported; use sqlite:///… or postgresql://…"):
        await open_store(url, key_file)
    assert files(key_file.parent) == []


async def test_without_a_store_a_reader_is_told_so_and_leaves_nothing_behind(url: str, key_file: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store at .* yet: `gateway serve`"):
        await open_store(url, key_file, owner=False)
    assert files(key_file.parent) == []


async def test_a_refused_row_is_not_quoted_in_the_error(store: Store) -> None:
    one = envelope(b"what a citizen wrote", query="\ud800 who he is")
    with pytest.raises(Exception, match="SQL") as error:
        await store.keep(one)
    assert "citizen" not in str(error.value) and "who he is" not in str(error.value)
    good = envelope()
    await store.keep(good)
    with pytest.raises(IntegrityError) as again:
        await store.keep(good)
    assert "letters" not in str(again.value)


# -- SQLite ------------------------------------------------------------------------------------------------------------


async def test_every_sqlite_commit_is_synced_to_disk(on_sqlite: Store) -> None:
    assert await pragma(on_sqlite, "journal_mode") == "wal"
    assert await pragma(on_sqlite, "synchronous") == 2  # FULL
    assert await pragma(on_sqlite, "foreign_keys") == 1
    assert await pragma(on_sqlite, "wal_autocheckpoint") == sqlite.CHECKPOINT_PAGES


async def test_a_sqlite_file_has_one_owner_until_he_closes(tmp_path: Path, key_file: Path) -> None:
    url = sqlite_url(tmp_path)
    owner = await open_store(url, key_file)
    with pytest.raises(StoreLocked, match="in use by a running gateway"):
        await open_store(url, key_file)
    await owner.keep(envelope())
    await owner.close()
    await (await open_store(url, key_file)).close()


async def test_a_killed_owner_gives_the_file_free(tmp_path: Path, key_file: Path) -> None:
    url = sqlite_url(tmp_path)
    with keeper(url, key_file) as receipts:
        next(receipts)
        with pytest.raises(StoreLocked):
            await open_store(url, key_file)
    await (await open_store(url, key_file)).close()


async def test_a_failed_start_gives_the_file_free(tmp_path: Path, key_file: Path) -> None:
    url = sqlite_url(tmp_path)
    await (await open_store(url, key_file)).close()
    for _ in range(2):
        with pytest.raises(KeyFileError):
            await open_store(url, tmp_path / "elsewhere.json")
    await (await open_store(url, key_file)).close()


async def test_a_reader_sees_the_last_commit_while_the_owner_writes(on_sqlite: Store, opened_beside: Store) -> None:
    going, stop = asyncio.Event(), asyncio.Event()

    async def writing() -> int:
        kept = 0
        while not stop.is_set():
            await on_sqlite.keep(envelope())
            kept += 1
            going.set()
        return kept

    owner = asyncio.create_task(writing())
    await going.wait()
    for _ in range(20):
        books = await opened_beside.reconcile()
        assert books.balanced and books.envelopes == books.pending
    stop.set()
    kept = await owner
    assert (await opened_beside.reconcile()).envelopes == kept


@pytest.fixture
async def opened_beside(on_sqlite: Store, tmp_path: Path, key_file: Path) -> AsyncIterator[Store]:
    beside = await open_store(sqlite_url(tmp_path), key_file, owner=False)
    yield beside
    await beside.close()


async def test_a_full_disk_is_told_as_unavailable_and_ends_when_there_is_room(on_sqlite: Store) -> None:
    pages = await pragma(on_sqlite, "page_count")
    await run(on_sqlite, text(f"PRAGMA max_page_count={pages + 10}"))
    with pytest.raises(StoreUnavailable) as error:
        await on_sqlite.keep(envelope(bytes(1_000_000)))
    assert error.value.retryable
    await run(on_sqlite, text("PRAGMA max_page_count=1000000"))
    await on_sqlite.keep(envelope(bytes(1_000_000)))
    assert len(await on_sqlite.envelopes()) == await on_sqlite.pending() == 1


async def test_keeping_goes_before_other_writes_that_wait(on_sqlite: Store) -> None:
    order: list[str] = []
    free = threading.Event()
    blocking = asyncio.create_task(on_sqlite._database.write(lambda _: free.wait(60)))
    await asyncio.sleep(0)
    waiting = [
        asyncio.create_task(on_sqlite._database.write(lambda _: order.append("other"))),
        asyncio.create_task(on_sqlite._database.write(lambda _: order.append("urgent"), urgent=True)),
    ]
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(blocking, *waiting)
    assert order == ["urgent", "other"]


async def test_closing_finishes_what_is_queued(tmp_path: Path, key_file: Path) -> None:
    store, done = await open_store(sqlite_url(tmp_path), key_file), []
    writes = [asyncio.create_task(store._database.write(lambda _, n=n: done.append(n))) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert done == list(range(50))
    await asyncio.gather(*writes)


async def test_after_closing_everything_is_in_the_one_file(tmp_path: Path, key_file: Path) -> None:
    store = await open_store(sqlite_url(tmp_path), key_file)
    await store.keep(envelope())
    await store.close()
    assert files(tmp_path) == ["gateway.db", "gateway.db.lock", "keys.json"]
    engine = create_engine(sqlite_url(tmp_path))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM envelopes")).scalar() == 1
    engine.dispose()


def test_an_old_sqlite_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SQLITE_SOUND", (99,))
    with structlog.testing.capture_logs() as logs:
        sqlite.sqlite_driver()
    assert [entry["event"] for entry in logs] == ["sqlite_old"]


def test_the_sqlite_in_use_has_no_wal_reset_fault() -> None:
    assert sqlite.sqlite_driver().sqlite_version_info >= sqlite.SQLITE_SOUND


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


async def test_every_postgresql_commit_is_synced_to_disk(on_postgresql: Store) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await run(on_postgresql, text(f"SHOW {setting}")) == [("on",)]


@pytest.mark.parametrize("change", [("gateway_", "nobody_made_"), ("host=", "host=/nowhere")])
async def test_a_database_that_cannot_be_reached_is_unavailable(
    postgresql_url: str, key_file: Path, change: tuple[str, str]
) -> None:
    with pytest.raises(StoreUnavailable) as error:
        await open_store(postgresql_url.replace(*change), key_file)
    assert error.value.retryable and files(key_file.parent) == []


async def test_the_store_goes_on_after_its_connections_were_cut(on_postgresql: Store) -> None:
    first = envelope()
    await on_postgresql.keep(first)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with pytest.raises(StoreUnavailable):
        await run(on_postgresql, text(others))
    second = envelope()
    await on_postgresql.keep(second)
    assert await on_postgresql.envelopes() == [first, second]


async def test_a_pool_without_a_free_connection_is_unavailable_but_deliveries_are_kept(on_postgresql: Store) -> None:
    engine = on_postgresql._database._engine
    pool = engine.sync_engine.pool
    pool._timeout = 0.05
    connections = [await engine.connect() for _ in range(pool.size() + pool._max_overflow)]
    with pytest.raises(StoreUnavailable):
        await on_postgresql.pending()
    await on_postgresql.keep(envelope())
    for connection in connections:
        await connection.close()
    assert await on_postgresql.pending() == 1


async def test_a_value_postgresql_cannot_hold_is_a_fault_of_the_data(on_postgresql: Store) -> None:
    good, bad = envelope(), envelope(channel="a\0b")
    results = await asyncio.gather(*map(on_postgresql.keep, (good, bad)), return_exceptions=True)
    assert isinstance(results[1], DBAPIError), "StoreUnavailable would have it tried again for ever"
    assert await on_postgresql.envelopes() == [good]


async def test_what_one_reading_counts_adds_up_while_another_node_writes(on_postgresql: Store) -> None:
    counting = asyncio.Event()

    def transaction(connection: Connection) -> tuple[int, int]:
        before = connection.execute(text("SELECT count(*) FROM envelopes")).scalar_one()
        counting.set()
        connection.execute(text("SELECT pg_sleep(0.2)"))
        return before, connection.execute(text("SELECT count(*) FROM work")).scalar_one()

    reading = asyncio.create_task(on_postgresql._database.read(transaction))
    await counting.wait()
    await on_postgresql.keep(envelope())
    assert await reading == (0, 0)


async def test_a_transaction_that_sleeps_is_ended_by_the_server_so_that_others_go_on(
    monkeypatch: pytest.MonkeyPatch, postgresql_url: str, key_file: Path
) -> None:
    await (await open_store(postgresql_url, key_file)).close()  # makes the tables, and may take its time
    monkeypatch.setitem(postgresql.SESSION, "idle_in_transaction_session_timeout", "1000")
    asleep, awake = asyncio.Event(), asyncio.Event()

    def transaction(connection: Connection) -> None:
        connection.execute(text("UPDATE channel_state SET mark = mark"))
        asleep.set()
        await_only(awake.wait())
        connection.execute(text("UPDATE channel_state SET mark = mark"))

    store = await open_store(postgresql_url, key_file)
    sleeping = asyncio.create_task(store._database.write(transaction))
    await asleep.wait()
    await asyncio.wait_for(run(store, text("UPDATE channel_state SET mark = mark")), 20)
    awake.set()
    with pytest.raises(StoreUnavailable):
        await sleeping
    await store.close()


async def test_a_session_may_hold_locks_for_less_than_a_lease(
    postgresql_url: str, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql.SESSION, IDLE, TRUE_IDLE)
    store = await open_store(postgresql_url, key_file)
    ((shown,),) = await run(store, text(f"SHOW {IDLE}"))
    await store.close()
    asked = timedelta(milliseconds=int(TRUE_IDLE))
    assert shown == f"{asked.total_seconds():g}s" and asked < LEASE
