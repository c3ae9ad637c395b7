"""Leases and leads as the database sees them; several nodes exist on PostgreSQL only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import Connection, select, update

from store import nodes
from store.opening import open_store
from store.store import Store
from store.tables import LEADS, NODES, WORK
from store.values import Stage
from tests.store.conftest import envelope, lapse, run, sqlite_url

pytestmark = pytest.mark.usefixtures("by_hand")
#: Quick enough for any statement that does not wait for a lock.
QUICKLY = 3.0


async def write(store: Store, transaction: Callable[..., Any], *arguments: object) -> Any:
    return await store._database.write(lambda connection: transaction(connection, *arguments))


@asynccontextmanager
async def stopped(store: Store, transaction: Callable[[Connection], object]) -> AsyncIterator[None]:
    """A node stopped in the middle of a transaction: it has done its statements, and does not commit."""
    async with store._database._engine.connect() as connection:
        await connection.run_sync(transaction)
        yield
        await connection.rollback()


async def test_a_lease_that_has_lapsed_is_never_renewed(store: Store) -> None:
    node_id = store._membership.id
    assert await write(store, nodes.renew, node_id)
    await lapse(store)
    assert not await write(store, nodes.renew, node_id)
    assert not await write(store, nodes.join, node_id), "nor begun again under the same id"
    assert not await write(store, nodes.lead, node_id, "sink:core")


async def test_a_lease_whose_beginning_was_not_heard_of_goes_on(store: Store) -> None:
    assert await write(store, nodes.join, store._membership.id)
    assert len(await run(store, select(NODES))) == 1


async def test_who_opens_a_file_knows_that_its_other_nodes_are_dead(on_file: Store) -> None:
    other = uuid_utils.compat.uuid7()
    await on_file.keep(envelope())
    await on_file.claim(Stage.UNPACK, envelope().received_at, 1)
    await write(on_file, nodes.join, other)
    assert [row.id for row in await run(on_file, select(NODES.c.id))] == [other]
    await write(on_file, nodes.reap)
    assert await run(on_file, select(WORK.c.holder)) == [(None,)]


@pytest.fixture
async def on_file(tmp_path: Path, key_file: Path) -> AsyncIterator[Store]:
    store = await open_store(sqlite_url(tmp_path), key_file)
    yield store
    await store.close()


async def test_nodes_that_join_and_race_for_the_lead_of_a_dead_one_find_one_leader(trio: list[Store]) -> None:
    """As after an outage, when every lease has lapsed."""

    def back(connection: Connection, node_id: UUID) -> bool:
        nodes.join(connection, node_id)
        nodes.reap(connection)
        return nodes.lead(connection, node_id, "sink:core")

    for _ in range(40):
        fresh = [uuid_utils.compat.uuid7() for _ in trio]
        won = await asyncio.gather(*(write(node, back, one) for node, one in zip(trio, fresh, strict=True)))
        assert sorted(won) == [False, False, True]
        ((leader,),) = await run(trio[0], select(LEADS.c.node_id))
        assert leader == fresh[won.index(True)]
        await run(
            trio[0], update(NODES).where(NODES.c.id.in_(fresh)).values(expires_at=NODES.c.expires_at - 2 * nodes.LEASE)
        )


async def test_a_lead_is_not_taken_from_who_is_alive_and_free_when_he_leaves(trio: list[Store]) -> None:
    first, second, _ = (node._membership.id for node in trio)
    assert await write(trio[0], nodes.lead, first, "x")
    assert not await write(trio[1], nodes.lead, second, "x")
    assert await write(trio[0], nodes.lead, first, "x")
    await write(trio[0], nodes.leave, first)
    assert await write(trio[1], nodes.lead, second, "x")
    assert not await write(trio[0], nodes.lead, first, "x")


async def test_a_node_stopped_in_the_middle_of_its_beat_holds_up_no_other(trio: list[Store]) -> None:
    first, second, _ = trio
    assert await write(first, nodes.lead, first._membership.id, "x")
    first._membership.lead("x")
    second._membership.lead("x")
    async with stopped(first, first._membership._renew), asyncio.timeout(QUICKLY):
        assert await second._database.write(second._membership._renew) == set()


async def test_a_lapsed_node_that_still_has_its_row_locked_holds_up_no_reaper(trio: list[Store]) -> None:
    first, second, _ = trio
    await lapse(first)
    lock = select(NODES).where(NODES.c.id == first._membership.id).with_for_update()
    async with stopped(first, lambda connection: connection.execute(lock)), asyncio.timeout(QUICKLY):
        await write(second, nodes.reap)
    await write(second, nodes.reap)
    assert first._membership.id not in {row.id for row in await run(second, select(NODES.c.id))}


async def test_what_a_dead_node_still_has_locked_is_given_back_later(trio: list[Store]) -> None:
    first, second, _ = trio
    for _ in range(2):
        await first.keep(envelope())
    await first.claim(Stage.UNPACK, envelope().received_at, 2)
    await lapse(first)
    lock = select(WORK).where(WORK.c.sequence == 1).with_for_update()
    async with stopped(first, lambda connection: connection.execute(lock)), asyncio.timeout(QUICKLY):
        await write(second, nodes.reap)
    holders = select(WORK.c.holder.is_(None)).order_by(WORK.c.sequence)
    assert await run(second, holders) == [(False,), (True,)]
    await write(second, nodes.reap)
    assert await run(second, holders) == [(True,), (True,)]
