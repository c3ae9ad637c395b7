"""A node's beats: what it leads, what it loses, and how it comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import structlog
import time_machine
from sqlalchemy import func, select

from store import membership, nodes
from store.errors import StoreUnavailable
from store.membership import Membership
from store.postgresql import PostgreSQL
from store.store import Store
from store.tables import NODES, WORK
from store.values import Stage
from tests.conftest import TRUE_IDLE
from tests.store.conftest import NOW, beat, envelope, lapse, lose_replies, run


async def leaders(stores: list[Store], name: str) -> list[int]:
    """After a beat of each: who believes that he leads."""
    for store in stores:
        store.lead(name)
    await asyncio.gather(*map(beat, stores))
    return [number for number, store in enumerate(stores) if store.lead(name).held]


# -- one node ----------------------------------------------------------------------------------------------------------


async def test_who_stands_for_a_lead_has_it_soon_and_keeps_it(by_hand: None, store: Store) -> None:
    lead = store.lead("x")
    await asyncio.wait_for(lead.gained(), 5)
    assert lead.held and store.lead("x") is lead and store.trouble is None
    await beat(store)
    assert lead.held


async def test_a_node_whose_lease_has_lapsed_comes_back_under_a_new_id(by_hand: None, store: Store) -> None:
    before, lead = store._membership.id, store.lead("x")
    await asyncio.wait_for(lead.gained(), 5)
    await store.keep(envelope())
    (work,) = await store.claim(Stage.UNPACK, NOW, 1)
    await lapse(store)
    with structlog.testing.capture_logs() as logs:
        await beat(store)
    assert [entry["event"] for entry in logs] == ["lease_lapsed"]
    assert store._membership.id != before and not lead.held
    await asyncio.wait_for(lead.gained(), 5)
    assert [row.id for row in await run(store, select(NODES.c.id))] == [store._membership.id]
    assert await store.claim(Stage.UNPACK, NOW, 1) == [work], "its own work came back to the queue"


async def test_a_node_comes_back_by_itself(store: Store) -> None:
    before = store._membership.id
    await lapse(store)
    await asyncio.wait_for(store.lead("x").gained(), 20)
    assert store._membership.id != before


@pytest.mark.parametrize("joined", [False, True], ids=["joining", "renewing"])
async def test_a_beat_whose_reply_was_lost_is_made_good_by_the_next(
    by_hand: None, store: Store, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    if not joined:
        await lapse(store)
        store._membership._wake.clear()
        store._membership._task.cancel()
        await beat(store)
    before = store._membership.id
    with monkeypatch.context() as losing:
        lose_replies(store, losing)
        with pytest.raises(StoreUnavailable):
            await beat(store)
    await beat(store)
    assert store._membership.id == before and store._membership.trouble is None
    assert await run(store, select(func.count()).select_from(NODES)) == [(1,)]


async def test_leads_are_given_up_before_another_node_may_take_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every beat fails, each after its whole patience."""
    node = Membership(store._database, None)
    lead, now = node.lead("x"), time.monotonic()
    lead.tell(held=True)
    node._valid_until = now + nodes.LEASE.total_seconds()
    passed = 0.0
    while lead.held:
        passed += membership.BEAT_SECONDS + membership.PATIENCE_SECONDS + 0.001
        monkeypatch.setattr(membership, "time", SimpleNamespace(monotonic=lambda: now + passed))  # noqa: B023 - now
        node._miss(StoreUnavailable("away"))
    assert passed + membership.PATIENCE_SECONDS < nodes.LEASE.total_seconds(), "nor before it knows of its own"
    assert node.trouble == "away"


async def test_trouble_is_told_once_and_ends(by_hand: None, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(membership, "BEAT_SECONDS", 0.01)
    with monkeypatch.context() as cut, structlog.testing.capture_logs() as logs:
        cut.setattr(store._database, "write", away)
        store.lead("x")
        while store.trouble is None:
            await asyncio.sleep(0.01)
        missed = asyncio.get_running_loop().time() + 0.1
        while asyncio.get_running_loop().time() < missed:
            await asyncio.sleep(0.01)
        assert store.trouble == "the database does not answer"
    assert [entry["event"] for entry in logs].count("store_away") == 1
    await asyncio.wait_for(store.lead("x").gained(), 10)
    assert store.trouble is None


# -- several nodes -----------------------------------------------------------------------------------------------------


async def test_of_nodes_that_stand_for_a_lead_one_has_it_until_it_closes(by_hand: None, trio: list[Store]) -> None:
    for _ in range(10):
        (first,) = await leaders(trio, "x")
        assert await leaders(trio, "x") == [first]
    others = [store for number, store in enumerate(trio) if number != first]
    await trio[first].close()
    assert not trio[first].lead("x").held
    (second,) = await leaders(others, "x")
    await lapse(others[second])
    await beat(others[1 - second])
    assert others[1 - second].lead("x").held, "who lapsed is followed"
    assert await leaders(others, "x") == [1 - second], "and does not come back before him"


async def test_leads_are_independent(by_hand: None, trio: list[Store]) -> None:
    first, second, _ = trio
    await asyncio.wait_for(first.lead("x").gained(), 10)
    second.lead("x"), second.lead("y")
    await asyncio.wait_for(second.lead("y").gained(), 10)
    assert (first.lead("x").held, second.lead("x").held, second.lead("y").held) == (True, False, True)


async def test_a_node_that_closes_is_followed_without_waiting_for_its_lease(
    monkeypatch: pytest.MonkeyPatch, trio: list[Store]
) -> None:
    monkeypatch.setattr(nodes, "LEASE", timedelta(hours=1))
    first, second, _ = trio
    await asyncio.wait_for(first.lead("x").gained(), 10)
    waiting = asyncio.create_task(second.lead("x").gained())
    await first.close()
    await asyncio.wait_for(waiting, 60)


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1)], ids=["ahead", "behind"])
async def test_the_clocks_of_nodes_do_not_matter(by_hand: None, trio: list[Store], off: timedelta) -> None:
    first, second, _ = trio
    ids = [store._membership.id for store in trio]
    await asyncio.wait_for(first.lead("x").gained(), 10)
    second.lead("x")
    await first.keep(envelope())
    (work,) = await first.claim(Stage.UNPACK, NOW, 1)
    with time_machine.travel(datetime.now(UTC) + off, tick=True):
        await beat(second)
        assert await second.claim(Stage.UNPACK, NOW, 1) == []
        await beat(first)
        assert await first.claim(Stage.UNPACK, NOW, 1) == [work]
    assert (first.lead("x").held, second.lead("x").held) == (True, False)
    assert [store._membership.id for store in trio] == ids


# -- when the node is busy ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def every_connection_taken(store: Store) -> AsyncIterator[None]:
    """As when many transactions of this node wait for a lock that a stopped node holds."""
    assert isinstance(store._database, PostgreSQL)
    engine = store._database._engine
    pool = engine.sync_engine.pool
    connections = [await engine.connect() for _ in range(pool.size() + pool._max_overflow)]
    try:
        yield
    finally:
        for connection in connections:
            await connection.close()


async def test_a_beat_needs_no_connection_of_the_others(by_hand: None, trio: list[Store]) -> None:
    async with every_connection_taken(trio[0]):
        await beat(trio[0])
        kept = await asyncio.wait_for(trio[0].keep(envelope()), 5)
    assert await run(trio[1], select(func.count()).select_from(WORK)) == [(1,)] and not kept.again


def test_a_lease_outlives_what_may_hold_a_beat_up() -> None:
    """One may fail after its whole patience, and the next may take as long."""
    both = 2 * (membership.BEAT_SECONDS + membership.PATIENCE_SECONDS)
    assert both <= nodes.LEASE.total_seconds()
    locked = int(TRUE_IDLE) / 1000
    assert locked <= membership.BEAT_SECONDS + 2 * membership.PATIENCE_SECONDS, "the next finds no lock any more"


async def test_a_node_may_start_while_the_database_is_away(trio: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the database does not answer")

    with monkeypatch.context() as cut:
        cut.setattr(trio[0]._database, "write", away)
        late = Membership(trio[0]._database, None)
        with pytest.raises(StoreUnavailable):
            await late.start(patient=False)
        await late.start(patient=True)
        assert late.trouble == "not reached yet"
    await asyncio.wait_for(late.lead("y").gained(), 10)
    assert late.trouble is None
    await late.close()
