"""Keeping beside a database that does not answer: nothing lost, nothing doubled, nobody overtaken, nobody kept waiting."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from normalizer.model import Envelope, Kept
from store.envelopes import StateWrite
from store.errors import BindingReused, StoreUnavailable
from store.store import Store
from tests.line import Line
from tests.store.beside import (
    LOOK,
    PATIENCE,
    away,
    balanced,
    bound,
    emptied,
    line,
    locked,
    node,
    opens,
    queue,
    until,
    url,
)
from tests.store.conftest import envelope

__all__ = ["line", "node", "opens", "url"]


@pytest.mark.parametrize("how", ["cut", "locked"])
async def test_what_comes_while_the_database_does_not_answer_is_taken_and_moved_in_order(
    node: Store, line: tuple[Line, str], postgresql_url: str, how: str
) -> None:
    before, during, after = [[envelope(f"{part}{n}".encode()) for n in range(20)] for part in "bda"]
    for one in before:
        await node.keep(one)
    assert await node.journaled() == 0
    async with away(line[0]) if how == "cut" else locked(postgresql_url):
        waited = []
        for one in during:
            started = time.monotonic()
            assert await node.keep(one) == Kept(one.id)
            waited.append(time.monotonic() - started)
        assert waited[0] < PATIENCE + 1 and max(waited[1:]) < PATIENCE, "only the first waits"
        assert await node.journaled() == 20
    for one in after:
        await node.keep(one)
    await emptied(node)
    assert await queue(node) == [one.id for one in before + during + after]
    assert [found.body for found in await node.envelopes()] == [one.body for one in before + during + after]
    await balanced(node, 60)
    assert await node.journaled() == 0


async def test_commits_whose_answer_is_lost_are_neither_lost_nor_doubled(node: Store, line: tuple[Line, str]) -> None:
    """A hundred times the server has committed and the line breaks before we hear of it."""
    line[0].to_lose, line[0].share = 100, 0.5
    sent: list[Envelope] = []
    async with asyncio.timeout(60):
        while line[0].to_lose:
            burst = [envelope(f"{len(sent) + n}".encode()) for n in range(5)]
            await asyncio.gather(*(node.keep(one) for one in burst))
            sent += burst
            await asyncio.sleep(LOOK)
    await emptied(node)
    await until(lambda: asyncio.sleep(0, node.trouble is None))
    assert await queue(node) == [one.id for one in sent]
    await balanced(node, len(sent))


async def test_the_journal_empties_under_load_and_the_order_holds(node: Store, line: tuple[Line, str]) -> None:
    """Senders that never pause, each waiting for its acknowledgement before the next."""
    sent: list[list[Envelope]] = [[] for _ in range(50)]
    stop = asyncio.Event()

    async def sends(mine: list[Envelope]) -> None:
        while not stop.is_set():
            mine.append(envelope(bytes(1000)))
            await node.keep(mine[-1])

    senders = [asyncio.create_task(sends(mine)) for mine in sent]
    try:
        async with away(line[0]):
            await until(lambda: many(node, 2000), 60)
        await emptied(node)
    finally:
        stop.set()
        await asyncio.gather(*senders)
    await emptied(node)
    places = {subject: place for place, subject in enumerate(await queue(node))}
    for mine in sent:
        order = [places[one.id] for one in mine]
        assert order == sorted(order)
    await balanced(node, sum(map(len, sent)))


async def many(store: Store, number: int) -> bool:
    return await store.journaled() >= number


async def test_nobody_waits_long_when_the_database_stops_again_at_the_last_step(
    node: Store, line: tuple[Line, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the last batch is moved, nothing new is kept: then of all times the table is locked."""
    kept, move = node._keeping, node._keeping._move
    lock, reached = locked(postgresql_url), asyncio.Event()

    async def stops(journal: Any, seconds: float) -> int:
        if kept._switch.locked() and not reached.is_set():
            await lock.__aenter__()
            reached.set()
        return await move(journal, seconds)

    monkeypatch.setattr(kept, "_move", stops)
    sent = [envelope() for _ in range(3)]
    async with away(line[0]):
        await node.keep(sent[0])
    await reached.wait()
    started = time.monotonic()
    await node.keep(sent[1])
    assert time.monotonic() - started < PATIENCE + 1
    await node.keep(sent[2])
    await lock.__aexit__(None, None, None)
    await emptied(node)
    assert await queue(node) == [one.id for one in sent]
    await balanced(node, 3)


async def test_a_commit_that_comes_late_doubles_nothing(
    node: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database works on, after we have given up waiting and while the same envelopes are being moved."""
    write, late = node._database.write, []

    async def slow(transaction: Any, **options: Any) -> Any:
        if options.get("urgent") and not late:
            late.append(asyncio.create_task(write(transaction)))  # goes on once the table is free
            await asyncio.sleep(0.05)
            raise StoreUnavailable("no answer")
        return await write(transaction, **options)

    monkeypatch.setattr(node._database, "write", slow)
    async with locked(postgresql_url):
        sent = [envelope() for _ in range(10)]
        await asyncio.gather(*(node.keep(one) for one in sent))
        last = envelope()
        await node.keep(last)
    await asyncio.gather(*late)
    await emptied(node)
    assert await queue(node) == [one.id for one in [*sent, last]]
    await balanced(node, 11)


# -- keys and cursors --------------------------------------------------------------------------------------------------


async def test_a_key_repeated_during_the_outage_gets_the_first_receipt(node: Store, line: tuple[Line, str]) -> None:
    first, again = bound("k"), bound("k")
    async with away(line[0]):
        assert await node.keep(first) == Kept(first.id)
        assert await node.keep(again) == Kept(first.id, again=True)
        with pytest.raises(BindingReused):
            await node.keep(bound("k", b"another body"))
    await emptied(node)
    assert await node.keep(bound("k")) == Kept(first.id, again=True)
    with pytest.raises(BindingReused):
        await node.keep(bound("k", b"another body"))
    await balanced(node, 3)


async def test_a_key_that_stood_for_another_body_before_the_outage_ends_malformed(
    node: Store, line: tuple[Line, str]
) -> None:
    first, same, other = bound("k"), bound("k"), bound("j", b"another body")
    await node.keep(first)
    await node.keep(bound("j"))
    async with away(line[0]):
        assert await node.keep(same) == Kept(same.id)  # it is not known here that there was a first
        assert await node.keep(other) == Kept(other.id)
    await emptied(node)
    ended = await node.receipt(other.id)
    assert ended is not None and ended.state == "malformed"
    assert other.id not in await queue(node) and same.id in await queue(node)
    assert [item.envelope_id for item in await node.replayable(("malformed",))] == [other.id]
    await balanced(node, 4)


async def test_what_moves_a_cursor_is_refused_meanwhile_and_taken_afterwards(
    node: Store, line: tuple[Line, str]
) -> None:
    move = StateWrite("letters", "offset", None, "8")
    async with away(line[0]):
        await node.keep(envelope())
        with pytest.raises(StoreUnavailable):
            await node.keep(envelope(), move)
    await emptied(node)
    await node.keep(envelope(), move)
    assert await node.state("letters", "offset") == "8"
    await balanced(node, 2)
