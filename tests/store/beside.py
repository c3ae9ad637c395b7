"""Nodes with a journal, over a line to PostgreSQL that can be cut; shared by the tests of keeping."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select

from normalizer.model import Binding, Envelope
from store.opening import Standby, open_store
from store.store import Store
from store.tables import ENVELOPES, WORK
from store.values import Stage
from tests.line import Line, line_to
from tests.store.conftest import envelope, run

#: Instead of the two seconds and the one of production.
PATIENCE, LOOK = 0.5, 0.05
Opens = Callable[..., Awaitable[Store]]


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.fixture
async def line(postgresql_url: str) -> AsyncIterator[tuple[Line, str]]:
    async with line_to(postgresql_url) as found:
        yield found


@pytest.fixture
async def opens(
    line: tuple[Line, str], key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Opens]:
    """Opens nodes with a journal each, over a line that can be cut."""
    monkeypatch.setattr("store.keeping.PATIENCE_SECONDS", PATIENCE)
    monkeypatch.setattr("store.keeping.LOOK_SECONDS", LOOK)
    async with AsyncExitStack() as stack:

        async def open_() -> Store:
            store = await open_store(line[1], key_file, standby=Standby(tmp_path / "journal"))
            stack.push_async_callback(store.close)
            return store

        yield open_


@pytest.fixture
async def node(opens: Opens) -> Store:
    return await opens()


@contextlib.asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Nobody else can write envelopes meanwhile."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE envelopes")
            yield
    finally:
        await connection.close()


async def until(true: Callable[[], Awaitable[Any]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.01)


async def emptied(store: Store) -> None:
    """The journal is empty, and the database takes everything again."""
    await until(lambda: asyncio.sleep(0, not store._keeping._beside))


async def queue(store: Store) -> list[Any]:
    """The envelopes to be unpacked, in the order in which that will be done."""
    rows = await run(store, select(WORK.c.subject).where(WORK.c.stage == Stage.UNPACK).order_by(WORK.c.sequence))
    return [row.subject for row in rows]


async def balanced(store: Store, envelopes: int) -> None:
    books = await store.reconcile()
    assert (books.envelopes, books.offending) == (envelopes, [])
    rows = await run(store, select(ENVELOPES.c.id))
    assert len({row.id for row in rows}) == envelopes


def bound(key: str, body: bytes = b"raw") -> Envelope:
    return envelope(body, binding=Binding(key, hashlib.sha256(body).digest()))


@contextlib.asynccontextmanager
async def away(line: Line) -> AsyncIterator[None]:
    """No connection stays or is made."""
    line.cut()
    try:
        yield
    finally:
        line.mend()
