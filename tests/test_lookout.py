from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat

from gateway import lookout as module
from gateway.lookout import Lookout
from normalizer.fingerprint import Fingerprint, fingerprint
from store.errors import StoreUnavailable
from store.fingerprints import Logged, write_fingerprint
from store.opening import open_store
from store.store import Store
from tests.postgres import Server, postgresql
from tests.store.conftest import NOW, sqlite_url

__all__ = ["postgresql"]

WINDOW = timedelta(days=14)
DUST = fingerprint("搅拌站扬尘", "锦绣家园东门外的搅拌站日夜施工，扬尘很大，窗户都不敢开")
DUST_AGAIN = fingerprint("灰尘太大", "我住锦绣家园，东门外搅拌站每天扬尘，孩子咳嗽")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database() as address:
        yield address


@pytest.fixture
async def store(url: str, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(url, tmp_path / "keys.json")
    yield opened
    await opened.close()


def other(number: int) -> Fingerprint:
    """A message about something else."""
    return fingerprint(f"第{number}件", "".join(chr(0x4E00 + (number * 977 + at * 131) % 20_000) for at in range(60)))


async def write(store: Store, made: Fingerprint = DUST, at: datetime = NOW) -> UUID:
    chosen = uuid_utils.compat.uuid7()
    await store._database.write(lambda connection: write_fingerprint(connection, chosen, UUID(int=1), at, made))
    return chosen


def lookout(store: Store, **more: Any) -> Lookout:
    return Lookout(store.fingerprints(), lambda: NOW, WINDOW, **more)


async def alike(node: Lookout, made: Fingerprint = DUST_AGAIN) -> list[UUID]:
    return [one.entry.message_id for one in await node.alike(made, NOW)]


@asynccontextmanager
async def slow_writer(store: Store, made: Fingerprint = DUST) -> AsyncIterator[UUID]:
    """A transaction that has taken its number, and is not committed before the block ends."""
    chosen = uuid_utils.compat.uuid7()
    async with store._database._engine.begin() as slow:
        await slow.run_sync(lambda connection: write_fingerprint(connection, chosen, UUID(int=1), NOW, made))
        yield chosen


async def read(monkeypatch: pytest.MonkeyPatch, node: Lookout) -> list[tuple[int, tuple[int, ...]]]:
    """Grows with each reading of the log: after which number, and which missed ones."""
    asked: list[tuple[int, tuple[int, ...]]] = []
    after = node._prints.after

    async def noting(number: int, missed: Any, limit: int) -> list[Logged]:
        asked.append((number, tuple(missed)))
        return await after(number, missed, limit)

    monkeypatch.setattr(node._prints, "after", noting)
    return asked


# -- keeping up --------------------------------------------------------------------------------------------------------


async def test_what_was_logged_before_and_after_the_start_is_found(store: Store) -> None:
    before = await write(store)
    for number in range(10):
        await write(store, other(number))
    node = lookout(store)
    assert await alike(node) == [before]
    after = await write(store)
    assert set(await alike(node)) == {before, after}
    assert await alike(node, other(99)) == []
    assert node.index.total == 12


async def test_what_one_node_files_the_other_finds(tmp_path: Path, postgresql: Server) -> None:
    with postgresql.database() as url:
        stores = [await open_store(url, tmp_path / "keys.json") for _ in range(2)]
        nodes = [lookout(store) for store in stores]
        for number in range(10):
            await write(stores[0], other(number))
        assert [await alike(node) for node in nodes] == [[], []]
        written = [await write(store) for store in stores]
        for node in nodes:
            assert set(await alike(node)) == set(written)
        for store in stores:
            await store.close()


async def test_a_number_seen_late_is_looked_for_until_it_is_there(
    tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql.database() as url:
        stores = [await open_store(url, tmp_path / "keys.json") for _ in range(2)]
        for number in range(10):
            await write(stores[0], other(number))
        node = lookout(stores[0])
        assert await alike(node) == []
        async with slow_writer(stores[1]) as late:
            await write(stores[0], other(50))
            assert await alike(node) == []
            assert len(node._missed) == 1
        asked = await read(monkeypatch, node)
        assert await alike(node) == [late]
        assert await alike(node) == [late]
        assert [len(missed) for _, missed in asked] == [1, 0]
        for store in stores:
            await store.close()


async def test_a_number_under_way_while_the_index_is_loaded_is_looked_for(tmp_path: Path, postgresql: Server) -> None:
    with postgresql.database() as url:
        stores = [await open_store(url, tmp_path / "keys.json") for _ in range(2)]
        for number in range(10):
            await write(stores[0], other(number))
        node = lookout(stores[0])
        async with slow_writer(stores[1]) as late:
            await write(stores[0], other(50))
            assert await alike(node) == []
        assert await alike(node) == [late]
        for store in stores:
            await store.close()


async def test_a_number_that_never_comes_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    node = lookout(store)
    await alike(node)
    monkeypatch.setattr(module, "MISSED_SECONDS", 0.0)
    node._miss([77])
    asked = await read(monkeypatch, node)
    await alike(node)
    assert asked == [(0, ())]
    monkeypatch.setattr(module, "MISSED_SECONDS", 100.0)
    node._miss(range(1, 5000))
    assert sorted(node._missed) == list(range(4000, 5000))


async def test_searches_that_come_together_share_a_reading(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    node = lookout(store)
    await alike(node)
    asked = await read(monkeypatch, node)
    before = await write(store)
    for number in range(5):
        await write(store, other(number))
    found = await asyncio.gather(*(alike(node) for _ in range(50)))
    assert found == [[before]] * 50
    assert len(asked) <= 2


async def test_a_row_nobody_can_read_costs_itself_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fingerprint, "pack", lambda _: b"\xff nonsense")
    await write(store)
    monkeypatch.undo()
    good = await write(store)
    for number in range(5):
        await write(store, other(number))
    assert await alike(lookout(store)) == [good]


# -- loading -----------------------------------------------------------------------------------------------------------


async def test_the_window_is_loaded_page_by_page_and_no_more_than_the_most(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    for number in range(8):
        await write(store, other(number), NOW - timedelta(days=20))
    young = [await write(store, other(100 + number)) for number in range(7)]
    node = lookout(store)
    await node._load_once()
    assert node.index.total == 7
    assert await alike(node, other(103)) == [young[3]]
    few = lookout(store, most=4)
    await few._load_once()
    assert few.index.total == 4


class Held:
    """The log, which gives nothing before it is let go."""

    def __init__(self, prints: Any) -> None:
        self._prints, self.go = prints, asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def held(*arguments: Any) -> Any:
            await self.go.wait()
            return await getattr(self._prints, name)(*arguments)

        return held


async def test_a_search_waits_until_the_index_is_loaded_but_not_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = await write(store)
    for number in range(5):
        await write(store, other(number))
    log = Held(store.fingerprints())
    node = Lookout(log, lambda: NOW, WINDOW)
    waiting = asyncio.create_task(alike(node))
    await asyncio.sleep(0)
    assert node.note is None or "loading" in node.note
    log.go.set()
    assert await waiting == [written] and node.note is None
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    stuck = Lookout(Held(store.fingerprints()), lambda: NOW, WINDOW)
    assert await alike(stuck) == []
    assert "the index is loading" in (stuck.note or "")
    await stuck.close()


async def test_while_the_store_is_away_what_was_known_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    written = await write(store)
    for number in range(5):
        await write(store, other(number))
    node, log = lookout(store), store.fingerprints()
    failures = iter([True, True])

    async def newest() -> int:
        if next(failures, False):
            raise StoreUnavailable("away")
        return await log.newest()

    async def away(*_: Any) -> list[Logged]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(node._prints, "newest", newest)
    monkeypatch.setattr(node._prints, "after", away)
    assert await alike(node) == [written]


async def test_a_node_reads_on_when_nobody_searches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    node = lookout(store)
    running = asyncio.create_task(node.run())
    await write(store)
    async with asyncio.timeout(20):
        while node.index.total < 1:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
