"""Who is given which work, on one node and on several."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import delete, insert, select

from normalizer.model import Envelope, Notice, Outcome
from store.errors import StoreUnavailable, Superseded
from store.messages import Unpacking
from store.queue import work_row
from store.store import Store
from store.tables import WORK
from store.values import Stage, Work
from tests.store.conftest import (
    NOW,
    beat,
    envelope,
    lapse,
    lose_replies,
    message,
    new_matter,
    run,
    sender,
    unpacked,
    unpacking,
    work_of,
)

pytestmark = pytest.mark.usefixtures("by_hand")
SECOND = timedelta(seconds=1)


async def kept(store: Store, number: int) -> list[Envelope]:
    envelopes = [envelope() for _ in range(number)]
    for one in envelopes:
        await store.keep(one)
    return envelopes


async def texts(store: Store, works: Sequence[Work]) -> list[str]:
    return [(await store.message(work.subject)).message.text for work in works]


async def holder(store: Store, work: Work) -> UUID | None:
    ((found,),) = await run(store, select(WORK.c.holder).where(WORK.c.sequence == work.sequence))
    return found


# -- to whom -----------------------------------------------------------------------------------------------------------


async def test_nodes_that_race_for_work_are_each_given_their_own_and_none_is_forgotten(
    nodes: tuple[Store, Store],
) -> None:
    expected = [one.id for one in await kept(nodes[0], 300)]
    given: list[list[Work]] = [[], []]

    async def take(index: int) -> None:
        mine = given[index if nodes[0] is not nodes[1] else 0]
        while found := await nodes[index].claim(Stage.UNPACK, NOW, 7, [work.sequence for work in mine]):
            mine += found

    if nodes[0] is nodes[1]:
        await take(0)
    else:
        await asyncio.gather(take(0), take(1))
        assert all(given), "both were meant to race"
    assert sorted(work.subject for mine in given for work in mine) == expected


async def test_what_a_claim_gave_without_being_heard_of_is_given_again_to_the_same_node_only(
    nodes: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(nodes[0], 4)
    with monkeypatch.context() as losing:
        lose_replies(nodes[0], losing)
        with pytest.raises(StoreUnavailable):
            await nodes[0].claim(Stage.UNPACK, NOW, 3)
    if nodes[0] is not nodes[1]:
        assert [work.sequence for work in await nodes[1].claim(Stage.UNPACK, NOW, 9)] == [4]
    again = await nodes[0].claim(Stage.UNPACK, NOW, 3)
    assert [work.sequence for work in again] == [1, 2, 3]
    assert await nodes[0].claim(Stage.UNPACK, NOW, 3, [1, 2, 3, 4]) == []


async def test_what_failed_does_not_take_the_place_of_the_rest(store: Store) -> None:
    await kept(store, 6)
    for work in await store.claim(Stage.UNPACK, NOW, 4):
        await store.postpone(work, "poison", NOW, NOW)
    found = await store.claim(Stage.UNPACK, NOW, 2, suspects=1)
    assert [work.attempts for work in found] == [1, 0, 0]
    under_way = [work.sequence for work in found]
    assert await store.claim(Stage.UNPACK, NOW, 2, under_way, suspects=0) == []
    assert len(await store.claim(Stage.UNPACK, NOW, 0, under_way, suspects=9)) == 3


# -- leases ------------------------------------------------------------------------------------------------------------


async def test_a_lapsed_node_changes_nothing(store: Store) -> None:
    await unpacked(store, message())
    (digest,) = await store.claim(Stage.DIGEST, NOW, 10)
    said = await store.message(digest.subject)
    opened = [await unpacking(store, message(provider_id=str(number))) for number in range(2)]
    before = await run(store, select(WORK).order_by(WORK.c.sequence))
    await lapse(store)
    for write in (
        store.file_matter(digest, said, new_matter(said), NOW),
        store.postpone(digest, "late", NOW, NOW + SECOND),
        store.give_up(digest, Outcome.FAILED, "late", NOW),
        store.unpack(opened[0]),
        store.postpone(opened[1].work, "late", NOW, NOW + SECOND),
        store.give_up(opened[1].work, Outcome.FAILED, "late", NOW),
    ):
        with pytest.raises(Superseded):
            await write
    assert await run(store, select(WORK).order_by(WORK.c.sequence)) == before
    assert await store.matters() == [] and (await store.reconcile()).balanced


async def test_a_lapsed_node_is_given_nothing_not_even_what_it_holds(store: Store) -> None:
    await kept(store, 3)
    await store.claim(Stage.UNPACK, NOW, 2)
    await lapse(store)
    assert await store.claim(Stage.UNPACK, NOW, 10) == []


@pytest.mark.parametrize("gone", ["lapsed", "left"])
async def test_what_a_node_held_is_given_to_another_when_it_is_gone(trio: list[Store], gone: str) -> None:
    first, second, _ = trio
    one = await unpacking(first, message())
    (work,) = await first.claim(Stage.UNPACK, NOW, 1)
    assert await second.claim(Stage.UNPACK, NOW, 1) == []
    if gone == "lapsed":
        await lapse(first)
        await beat(second)
    else:
        await first.close()
    assert await second.claim(Stage.UNPACK, NOW, 1) == [work]
    assert await second.unpack(replace(one, work=work)) == ()
    if gone == "lapsed":
        with pytest.raises(Superseded):
            await first.unpack(one)
    assert (await second.reconcile()).messages == 1


async def test_a_node_that_comes_back_is_not_given_what_it_is_still_doing(store: Store) -> None:
    await kept(store, 2)
    doing, _ = await store.claim(Stage.UNPACK, NOW, 2)
    await lapse(store)
    await beat(store)
    await beat(store)
    found = await store.claim(Stage.UNPACK, NOW, 10, [doing.sequence])
    assert [work.sequence for work in found] == [doing.sequence + 1]
    assert await holder(store, doing) is None
    assert await store.claim(Stage.UNPACK, NOW, 10, [found[0].sequence]) == [doing]


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["held", "put off", "given back"])
async def test_what_arrived_later_does_not_overtake_what_another_node_has_not_unpacked_yet(
    trio: list[Store], fate: str
) -> None:
    first, second, _ = trio
    earlier = await unpacking(first, message("earlier", "1"), apparent_sender="he")
    await unpacked(second, message("later", "2"), apparent_sender="he")
    await unpacked(second, message("another's", "3", sender=sender("resident-2")), apparent_sender="she")
    if fate == "put off":
        await first.postpone(earlier.work, "slow", NOW, NOW + SECOND)
    if fate == "given back":
        await lapse(first)
        await beat(second)
    (others,) = await second.claim(Stage.DIGEST, NOW, 10)
    assert await texts(second, [others]) == ["another's"], "nobody else waits"
    work = await work_of(second if fate == "given back" else first, earlier.work.subject)
    await (second if fate == "given back" else first).unpack(replace(earlier, work=work))
    for said in ("earlier", "later"):
        (work,) = await second.claim(Stage.DIGEST, NOW, 10, [others.sequence])
        assert await texts(second, [work]) == [said]
        await second.give_up(work, Outcome.FAILED, "bug", NOW)


async def test_what_waited_for_an_envelope_goes_on_when_that_is_given_up(store: Store) -> None:
    earlier = await unpacking(store, message("earlier", "1"), apparent_sender="he")
    await unpacked(store, message("later", "2"), apparent_sender="he")
    assert await store.claim(Stage.DIGEST, NOW, 10) == []
    await store.give_up(earlier.work, Outcome.MALFORMED, "xml", NOW)
    assert await texts(store, await store.claim(Stage.DIGEST, NOW, 10)) == ["later"]


async def test_what_is_being_digested_is_not_put_behind_what_arrived_before_it(trio: list[Store]) -> None:
    first, second, _ = trio
    earlier = await unpacking(first, message("earlier", "1"), apparent_sender="he")
    await unpacked(second, message("later", "2"), apparent_sender="he, by another way")
    (later,) = await second.claim(Stage.DIGEST, NOW, 10)
    await first.unpack(earlier)
    assert await first.claim(Stage.DIGEST, NOW, 10) == [], "one of a sender at a time"
    await second.give_up(later, Outcome.FAILED, "bug", NOW)
    assert await texts(first, await first.claim(Stage.DIGEST, NOW, 10)) == ["earlier"]


async def test_the_order_of_arrival_outlives_a_queue_that_has_run_dry(store: Store) -> None:
    """Numbers of rows that have gone are not given out again: SQLite would, unless told not to."""
    *others, last = await kept(store, 5)
    *done, slow = await store.claim(Stage.UNPACK, NOW, 10)
    for work in done:
        await store.give_up(work, Outcome.MALFORMED, "xml", NOW)
    await store.unpack(Unpacking(slow, last, (message("first", "1"),), NOW))
    await unpacked(store, message("second", "2"))
    assert len(others) == 4 and await texts(store, await store.claim(Stage.DIGEST, NOW, 10)) == ["first"]


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)], ids=str)
async def test_a_clock_put_back_neither_freezes_what_was_put_off_nor_lets_it_loose(
    store: Store, back: timedelta
) -> None:
    await kept(store, 5)
    for work in await store.claim(Stage.UNPACK, NOW, 10):
        await store.postpone(work, "slow", NOW, NOW + SECOND)
    then = NOW - back
    seen: list[Work] = []
    while found := await store.claim(Stage.UNPACK, then, 10, suspects=2):
        assert len(found) <= 2
        seen += found
        for work in found:
            await store.postpone(work, "slow", then, then + 5 * SECOND)
    assert [work.attempts for work in seen] == [1] * 5, "each is tried once at once, then waits as ever"
    assert len(await store.claim(Stage.UNPACK, then + 5 * SECOND, 10)) == 5


@pytest.mark.parametrize("forward", [timedelta(hours=1), timedelta(days=1)], ids=str)
async def test_a_clock_put_forward_lets_loose_no_more_than_may_be_tried_at_once(
    store: Store, forward: timedelta
) -> None:
    await kept(store, 5)
    for work in await store.claim(Stage.UNPACK, NOW, 10):
        await store.postpone(work, "slow", NOW, NOW + SECOND)
    assert len(await store.claim(Stage.UNPACK, NOW + forward, 10, suspects=2)) == 2


async def test_what_has_not_failed_is_due_whatever_the_clock_says(store: Store) -> None:
    await kept(store, 1)
    assert len(await store.claim(Stage.UNPACK, NOW - timedelta(days=9), 10)) == 1


async def test_a_node_whose_clock_is_some_seconds_behind_keeps_the_back_off(trio: list[Store]) -> None:
    first, second, _ = trio
    await kept(first, 1)
    (work,) = await first.claim(Stage.UNPACK, NOW, 10)
    await first.postpone(work, "slow", NOW, NOW + SECOND)
    assert await second.claim(Stage.UNPACK, NOW - 5 * SECOND, 10) == []


# -- crowds ------------------------------------------------------------------------------------------------------------

CROWD = 20_000


def crowd(kind: str) -> list[dict[str, Any]]:
    """Rows that a claim must not look at: one lane's, or such as have failed and wait."""
    rows = [work_row(Stage.DIGEST, UUID(int=number), "letters", NOW) for number in range(CROWD)]
    if kind == "behind a blocked lane":
        head = {"lane": b"lane", "arrival": 0, "attempts": 1, "not_before": NOW + timedelta(days=1)}
        return [rows[0] | head, *(row | {"lane": b"lane", "arrival": 1, "waits": True} for row in rows[1:])]
    if kind == "behind an unread envelope":
        he = work_row(Stage.UNPACK, UUID(int=CROWD), "letters", NOW, b"he")
        unread = he | {"attempts": 1, "not_before": NOW + SECOND}
        lanes = ({"lane": row["subject"].bytes, "arrival": CROWD, "apparent": b"he"} for row in rows)
        return [unread, *(row | lane for row, lane in zip(rows, lanes, strict=True))]
    return [row | {"attempts": 1, "not_before": NOW + timedelta(days=1)} for row in rows]


async def claims_take(store: Store) -> float:
    """The best of some claims of new messages, each of a sender of his own, seconds."""
    each, times = 50, 5
    said = [uuid_utils.compat.uuid7() for _ in range(each * times)]
    rows = [
        work_row(Stage.DIGEST, one, "letters", NOW, one.bytes) | {"lane": one.bytes, "arrival": 10 * CROWD}
        for one in said
    ]
    await store._database.write(lambda connection: connection.execute(insert(WORK), rows))
    best, under_way = 9.0, []
    for _ in range(times):
        began = time.perf_counter()
        found = await store.claim(Stage.DIGEST, NOW, each, under_way)
        best = min(best, time.perf_counter() - began)
        assert len(found) == each
        under_way += [work.sequence for work in found]
    await run(store, delete(WORK).where(WORK.c.subject.in_(said)))
    return best


@pytest.mark.parametrize("kind", ["behind a blocked lane", "put off"])
async def test_a_crowd_that_waits_costs_a_claim_nothing(store: Store, kind: str) -> None:
    async def looks_take() -> float:
        best = 9.0
        for _ in range(30):
            began = time.perf_counter()
            assert await store.claim(Stage.DIGEST, NOW, 64) == []
            best = min(best, time.perf_counter() - began)
        return best

    alone = await looks_take()
    await store._database.write(lambda connection: connection.execute(insert(WORK), crowd(kind)))
    among = await looks_take()
    assert among < 4 * alone + 0.002, f"{among * 1000:.1f} ms among {CROWD}, {alone * 1000:.1f} ms alone"


@pytest.mark.parametrize("kind", ["behind a blocked lane", "behind an unread envelope"])
async def test_what_may_go_is_found_among_a_crowd_that_waits(store: Store, kind: str) -> None:
    alone = await claims_take(store)
    await store._database.write(lambda connection: connection.execute(insert(WORK), crowd(kind)))
    among = await claims_take(store)
    assert among < 4 * alone + 0.5, f"{among * 1000:.1f} ms among {CROWD}, {alone * 1000:.1f} ms alone"


# -- one batch ---------------------------------------------------------------------------------------------------------


async def test_a_batch_of_which_nothing_is_ours_any_more_is_superseded(trio: list[Store]) -> None:
    first, second, _ = trio
    theirs = await unpacking(first, parsed=Notice(reason="subscribe"))
    mine = await unpacking(second, parsed=Notice(reason="subscribe"))
    forged = Unpacking(theirs.work, theirs.envelope, theirs.parsed, NOW)
    results = await asyncio.gather(second.unpack(forged), second.unpack(mine), return_exceptions=True)
    assert isinstance(results[0], Superseded) and results[1] == (Outcome.NOTICE,)
    assert await holder(first, theirs.work) == first._membership.id
