from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from normalizer.model import HotlineMatter
from store.errors import Superseded
from store.store import Store
from store.tables import EVENTS, MATTERS
from store.values import DueEvent
from tests.store.conftest import NOW, amended, due, filed, message, run, sender

LATER = NOW + timedelta(minutes=5)


async def told_twice(store: Store) -> tuple[HotlineMatter, list[DueEvent]]:
    """A matter that owes the core two events, and what is due of them now."""
    first = await filed(store)
    second = await amended(store, first)
    return second, await due(store)


async def states(store: Store) -> list[str]:
    return [row.state for row in await run(store, select(EVENTS.c.state).order_by(EVENTS.c.id))]


async def test_the_events_of_a_matter_are_due_one_after_the_other(store: Store) -> None:
    matter, (event,) = await told_twice(store)
    assert (event.matter_id, event.sequence, event.attempts) == (matter.matter_id, 1, 0)
    await store.outbox().delivered(event, NOW)
    (event,) = await due(store)
    assert (event.sequence, event.payload["revision"]) == (2, 2)
    await store.outbox().delivered(event, NOW)
    assert await due(store) == [] and await states(store) == ["delivered"] * 2


async def test_an_event_under_way_is_not_due_and_holds_back_the_next_of_its_matter(store: Store) -> None:
    _, (event,) = await told_twice(store)
    assert await store.outbox().due(NOW, 10, [event.id]) == []


async def test_matters_do_not_wait_for_each_other(store: Store) -> None:
    _, (blocked,) = await told_twice(store)
    other = await filed(store, message(sender=sender("resident-2")))
    await store.outbox().parked(blocked, "refused", NOW)
    for sequence in (1, 2):
        (event,) = await due(store)
        assert (event.matter_id, event.sequence) == (other.matter_id, sequence)
        await store.outbox().delivered(event, NOW)
        other = await amended(store, other)


async def test_a_postponed_event_keeps_its_id_and_waits_and_the_next_waits_behind_it(store: Store) -> None:
    _, (event,) = await told_twice(store)
    await store.outbox().postponed(event, "core_down", NOW, LATER)
    assert await due(store) == []
    (again,) = await due(store, LATER)
    assert (again.id, again.sequence, again.attempts, again.payload) == (event.id, 1, 1, event.payload)
    assert await store.waiting_events() == 2


async def test_a_parked_event_is_never_due_again_and_the_later_ones_wait_behind_it(store: Store) -> None:
    _, (event,) = await told_twice(store)
    await store.outbox().parked(event, "refused", NOW)
    assert await due(store, LATER + timedelta(days=365)) == []
    assert await states(store) == ["parked", "waiting"]
    books = await store.reconcile()
    assert books.balanced and books.events == {"owed": 2, "delivered": 0, "waiting": 1, "parked": 1}
    assert await store.waiting_events() == 1


async def test_the_longest_waiting_are_due_first_up_to_the_limit(store: Store) -> None:
    made = [await filed(store, message(sender=sender(str(number)))) for number in range(4)]
    (first, *_) = await due(store)
    await store.outbox().postponed(first, "core_down", NOW, NOW + timedelta(seconds=1))
    order = [event.matter_id for event in await store.outbox().due(LATER, 3)]
    assert order == [matter.matter_id for matter in made[1:]]


async def test_the_cores_case_number_is_kept_and_not_forgotten(store: Store) -> None:
    matter, (event,) = await told_twice(store)
    await store.outbox().delivered(event, NOW, "2026-117")
    await store.outbox().delivered((await due(store))[0], NOW)
    assert await run(store, select(MATTERS.c.id, MATTERS.c.case_number)) == [(matter.matter_id, "2026-117")]


async def test_what_was_settled_meanwhile_is_superseded_but_what_was_delivered_was_delivered(store: Store) -> None:
    _, (event,) = await told_twice(store)
    outbox = store.outbox()
    await outbox.postponed(event, "core_down", NOW, NOW)
    for stale in (outbox.postponed(event, "core_down", NOW, LATER), outbox.parked(event, "refused", NOW)):
        with pytest.raises(Superseded):
            await stale
    (again,) = await due(store)
    assert again.attempts == 1
    await outbox.delivered(event, NOW, "2026-117")
    for late in (
        outbox.delivered(again, NOW, "2026-118"),
        outbox.postponed(again, "core_down", NOW, LATER),
        outbox.parked(again, "refused", NOW),
    ):
        with pytest.raises(Superseded):
            await late
    assert await states(store) == ["delivered", "waiting"]
