"""The outbox among several sinks and nodes, when it is urgent, and when clocks are wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import insert, select, update

from normalizer.model import HotlineMatter, Urgency
from store.errors import Superseded
from store.outbox import Outbox
from store.store import Store
from store.tables import EVENTS, MATTERS
from store.values import DueEvent
from tests.store.conftest import NOW, Open, amended, beat, due, filed, lapse, message, run, sender

LATER = NOW + timedelta(minutes=5)


async def of_another(store: Store, number: int = 1, **more: object) -> HotlineMatter:
    return await filed(store, message(sender=sender(f"another-{number}")), **more)


async def sequences(store: Store, at: datetime = NOW) -> list[tuple[UUID, int]]:
    return [(event.matter_id, event.sequence) for event in await due(store, at)]


# -- what is urgent ----------------------------------------------------------------------------------------------------


async def test_what_is_urgent_overtakes(store: Store) -> None:
    routine = await of_another(store, 1)
    urgent = await amended(store, await of_another(store, 2), urgency=Urgency.URGENT)
    immediate = await amended(store, await of_another(store, 3), urgency=Urgency.IMMEDIATE)
    found = await due(store)
    assert [event.matter_id for event in found] == [one.matter_id for one in (immediate, urgent, routine)]
    assert [event.immediate for event in found] == [True, False, False]
    assert [event.matter_id for event in await store.outbox().due(NOW, 10, urgent=True)] == [immediate.matter_id]


async def away(outbox: Outbox, event: DueEvent) -> None:
    await outbox.postponed(event, "core_down", NOW, NOW + timedelta(hours=1))


async def refused(outbox: Outbox, event: DueEvent) -> None:
    await outbox.parked(event, "refused", NOW)


async def test_what_stands_before_an_immediate_event_is_not_put_off_any_longer(store: Store) -> None:
    matter = await filed(store)
    await away(store.outbox(), (await due(store))[0])
    assert await due(store, LATER) == []
    await amended(store, matter, urgency=Urgency.IMMEDIATE)
    assert await sequences(store) == [(matter.matter_id, 1)]
    assert [event.immediate for event in await store.outbox().due(NOW, 10, urgent=True)] == [True]


async def test_what_was_parked_before_an_immediate_event_is_urgent_once_it_may_go(store: Store) -> None:
    matter = await filed(store)
    (event,) = await due(store)
    await refused(store.outbox(), event)
    await amended(store, matter, urgency=Urgency.IMMEDIATE)
    assert await due(store) == [], "not even an immediate one overtakes in its matter"
    assert await store.retry_event(event.id, LATER) == 1
    assert [one.id for one in await store.outbox().due(LATER, 10, urgent=True)] == [event.id]


async def test_what_is_less_urgent_does_not_slow_down_what_stands_before_it(store: Store) -> None:
    matter = await of_another(store)
    urgent = await amended(store, matter, urgency=Urgency.URGENT)
    await amended(store, urgent, urgency=Urgency.ROUTINE)
    ranks = await run(store, select(EVENTS.c.rank).order_by(EVENTS.c.sequence))
    assert [row.rank for row in ranks] == [1, 1, 2]


# -- sinks -------------------------------------------------------------------------------------------------------------


async def test_sinks_do_not_wait_for_each_other(opened: Open) -> None:
    store = await opened(sinks=("core", "archive"))
    matter = await amended(store, await filed(store))
    core, archive = store.outbox(), store.outbox("archive")
    await asyncio.wait_for(archive.lead.gained(), 30)
    (event,) = await due(store)
    (copy,) = await archive.due(NOW, 10)
    assert (copy.id, copy.sink, event.sink) == (event.id, "archive", "core")
    await refused(archive, copy)
    await core.delivered(event, NOW, "2026-117")
    assert await sequences(store) == [(matter.matter_id, 2)] and await archive.due(LATER, 10) == []
    assert (await store.waiting_events(), await store.waiting_events("archive")) == (1, 1)
    books = await store.reconcile()
    assert books.balanced and books.events == {"owed": 2, "delivered": 1, "waiting": 1, "parked": 0}


async def test_only_the_core_gives_case_numbers(opened: Open) -> None:
    store = await opened(sinks=("core", "archive"))
    await filed(store)
    archive = store.outbox("archive")
    await asyncio.wait_for(archive.lead.gained(), 30)
    await archive.delivered((await archive.due(NOW, 10))[0], NOW, "not ours")
    assert await run(store, select(MATTERS.c.case_number)) == [(None,)]


async def test_a_new_sink_is_owed_what_comes_from_then_on(opened: Open) -> None:
    before = await opened()
    matter = await filed(before)
    await before.close()
    store = await opened(sinks=("core", "archive"))
    await amended(store, matter)
    assert [event.sequence for event in await store.outbox("archive").due(NOW, 10)] == [2]
    assert (await store.reconcile()).balanced


# -- what is parked ----------------------------------------------------------------------------------------------------


async def test_parked_events_are_listed_with_what_waits_behind_them(opened: Open) -> None:
    store = await opened(sinks=("core", "archive"))
    matter = await amended(store, await amended(store, await filed(store)))
    other = await of_another(store)
    await asyncio.wait_for(store.outbox("archive").lead.gained(), 30)
    first, second = await due(store)
    (copy, _) = await store.outbox("archive").due(NOW, 10)
    await refused(store.outbox(), first)
    await refused(store.outbox(), second)
    await refused(store.outbox("archive"), copy)
    found = await store.parked_events()
    assert [(one.id, one.sink, one.behind) for one in found] == [
        (first.id, "archive", 2),
        (first.id, "core", 2),
        (second.id, "core", 0),
    ]
    assert {one.tracking_code for one in found} == {matter.tracking_code, other.tracking_code}
    assert {(one.reason, one.at) for one in found} == {("refused", NOW)}
    pages = [await store.parked_events(after, 1) for after in (None, *found)]
    assert pages == [[found[0]], [found[1]], [found[2]], []]


async def test_a_parked_event_goes_again_under_its_id_wherever_it_is_parked_and_then_the_next(opened: Open) -> None:
    store = await opened(sinks=("core", "archive"))
    await amended(store, await filed(store))
    (event,) = await due(store)
    await refused(store.outbox(), event)
    assert await store.retry_event(event.id, LATER) == 1, "its copy for the archive is not parked"
    assert await store.retry_event(event.id, LATER) == 0
    (again,) = await due(store, LATER)
    assert (again.id, again.attempts, again.sequence) == (event.id, 0, 1)
    await store.outbox().delivered(again, LATER)
    assert [one.sequence for one in await due(store, LATER)] == [2]
    assert await store.parked_events() == [] and (await store.reconcile()).balanced


# -- nodes -------------------------------------------------------------------------------------------------------------

SETTLE: dict[str, Callable[[Outbox, DueEvent], Awaitable[None]]] = {
    "delivered": lambda outbox, event: outbox.delivered(event, NOW, "2026-117"),
    "postponed": away,
    "parked": refused,
}


@pytest.mark.parametrize("settle", SETTLE.values(), ids=SETTLE)
async def test_a_node_whose_lease_has_lapsed_settles_nothing(
    by_hand: None, store: Store, settle: Callable[[Outbox, DueEvent], Awaitable[None]]
) -> None:
    await filed(store)
    outbox = store.outbox()
    outbox.lead  # noqa: B018 - from here on it stands for it
    await beat(store)
    (event,) = await due(store)
    before = await run(store, select(EVENTS))
    await lapse(store)
    with pytest.raises(Superseded):
        await settle(outbox, event)
    assert await run(store, select(EVENTS)) == before
    for _ in range(2):
        await beat(store)
    await settle(outbox, event)
    assert await run(store, select(EVENTS)) != before


@pytest.mark.parametrize("settle", SETTLE.values(), ids=SETTLE)
async def test_a_node_that_does_not_lead_settles_nothing(
    trio: list[Store], settle: Callable[[Outbox, DueEvent], Awaitable[None]]
) -> None:
    leader, other, _ = trio
    await filed(leader)
    (event,) = await due(leader)
    with pytest.raises(Superseded):
        await settle(other.outbox(), event)
    await settle(leader.outbox(), event)


async def test_nodes_that_file_while_events_are_delivered_leave_none_waiting_for_nobody(trio: list[Store]) -> None:
    leader, filer, _ = trio
    matter = await filed(leader)
    await due(leader)

    async def amend() -> None:
        latest = matter
        for _ in range(40):
            latest = await amended(filer, latest)

    async def deliver() -> int:
        delivered = 0
        while delivered < 41:
            for event in await leader.outbox().due(NOW, 10):
                await leader.outbox().delivered(event, NOW)
                delivered += 1
        return delivered

    await asyncio.wait_for(asyncio.gather(amend(), deliver()), 60)
    books = await leader.reconcile()
    assert books.balanced and books.events == {"owed": 41, "delivered": 41, "waiting": 0, "parked": 0}


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=1)], ids=str)
async def test_a_clock_put_back_neither_freezes_what_was_put_off_nor_lets_it_loose(
    store: Store, back: timedelta
) -> None:
    for number in range(5):
        await of_another(store, number)
    await run(store, update(EVENTS).values(not_before=NOW - 2 * back))
    for event in await due(store):
        await store.outbox().postponed(event, "core_down", NOW, NOW + timedelta(minutes=10))
    then = NOW - back
    seen = []
    while found := await store.outbox().due(then, 2):
        seen += found
        for event in found:
            await store.outbox().postponed(event, "core_down", then, then + timedelta(minutes=10))
    assert [event.attempts for event in seen] == [1] * 5, "each is tried once at once, then waits as ever"
    assert len(await due(store, then + timedelta(minutes=10))) == 5


@pytest.mark.parametrize("forward", [timedelta(hours=1), timedelta(days=1)], ids=str)
async def test_a_clock_put_forward_lets_loose_no_more_than_was_asked_for(store: Store, forward: timedelta) -> None:
    for number in range(5):
        await of_another(store, number)
    for event in await due(store):
        await away(store.outbox(), event)
    assert len(await store.outbox().due(NOW + forward, 2)) == 2


async def test_an_event_that_was_never_tried_is_due_whatever_the_clock_says(store: Store) -> None:
    await filed(store)
    assert len(await due(store, NOW - timedelta(days=1))) == 1


# -- crowds ------------------------------------------------------------------------------------------------------------

CROWD = 20_000


async def fill(store: Store, kind: str) -> None:
    """Events that must not be looked at: behind a parked one, or put off."""
    matter = await filed(store)
    await run(store, update(EVENTS).values(state="parked"))
    ((payload,),) = await run(store, select(EVENTS.c.payload))
    waiting = {
        "sink": "core",
        "matter_id": matter.matter_id,
        "type": "matter.amended",
        "created_at": NOW,
        "payload": payload,
        "state": "waiting",
        "rank": 2,
        "waits": kind == "parked",
        "attempts": int(kind == "put off"),
        "not_before": LATER if kind == "put off" else NOW,
        "put_off_at": NOW,
    }
    rows = [waiting | {"id": uuid_utils.compat.uuid7(), "sequence": number + 2} for number in range(CROWD)]
    await store._database.write(lambda connection: connection.execute(insert(EVENTS), rows))


async def looks_take(store: Store) -> float:
    """The best of some looks that find nothing, seconds."""
    best = 9.0
    for _ in range(10):
        began = time.perf_counter()
        assert await store.outbox().due(NOW, 64) == []
        best = min(best, time.perf_counter() - began)
    return best


@pytest.mark.parametrize("kind", ["parked", "put off"])
async def test_a_crowd_that_waits_costs_a_look_nothing(store: Store, kind: str) -> None:
    alone = await looks_take(store)
    await fill(store, kind)
    among = await looks_take(store)
    assert among < 4 * alone + 0.002, f"{among * 1000:.1f} ms among {CROWD}, {alone * 1000:.1f} ms alone"
