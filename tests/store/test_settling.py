"""Conversations settle in the outbox: the pieces of one story go out in one event, and none is lost on the way."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
import uuid_utils.compat
from sqlalchemy import select

from normalizer.model import HotlineMatter, Outcome, Past, Urgency, Verdict
from store.events import AMENDED
from store.store import Store
from store.tables import EVENTS
from store.values import Filing, OpenFile
from tests.store.conftest import NOW, Open, amended, due, message, new_matter, run, to_digest

WINDOW = timedelta(seconds=60)


async def began(store: Store, at: datetime = NOW, **more: Any) -> HotlineMatter:
    """The first piece: the matter is filed, its event waits."""
    work, kept = await to_digest(store, message("路灯坏了", provider_id=str(uuid_utils.compat.uuid7())), received_at=at)
    compose = new_matter(kept, **more)

    def decide(*past: Any) -> Filing:
        filing = compose(*past)
        return Filing(filing.verdict, filing.matter, filing.event_type, settles_at=at + WINDOW)

    matter = (await store.file_matter(work, kept, decide, at)).matter
    assert matter is not None
    return matter


async def went_on(
    store: Store, matter: HotlineMatter, words: str, at: datetime, *, settles: bool = True, **change: Any
) -> None:
    """A further piece."""
    said = message(words, provider_id=str(uuid_utils.compat.uuid7()))
    work, kept = await to_digest(store, said, received_at=at)

    def decide(_caller_id: Any, _past: Past, open_file: OpenFile) -> Filing:
        now = open_file(matter.matter_id)
        assert now is not None
        more = now.model_copy(update={"revision": now.revision + 1, "content": f"{now.content} {words}"} | change)
        verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=matter.matter_id, reason="goes on", settling=True)
        return Filing(verdict, more, AMENDED, settles_at=at + WINDOW if settles else None)

    await store.file_matter(work, kept, decide, at)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def told(store: Store) -> list[tuple[int, str, str]]:
    """Revision, state and words of each event; the books agree with them."""
    columns = (EVENTS.c.sequence, EVENTS.c.state, EVENTS.c.payload)
    rows = await run(store, select(*columns).where(EVENTS.c.sink == "core").order_by(EVENTS.c.sequence))
    books, (matter,) = await store.reconcile(), await store.matters()
    assert books.balanced, books.offending
    assert matter.revision == len(rows) == books.events["owed"]
    assert all(row.payload["revision"] == row.sequence for row in rows)
    assert rows[-1].payload["content"] == matter.content, "the last event holds everything"
    return [(row.sequence, row.state, row.payload["content"]) for row in rows]


async def test_the_pieces_go_out_in_one_event_after_the_last(store: Store) -> None:
    matter = await began(store)
    await went_on(store, matter, "两盏", after(30))
    await went_on(store, matter, "在北门", after(80))
    assert await due(store, after(139)) == []
    (event,) = await due(store, after(140))
    assert event.payload is not None and event.payload["content"] == "路灯坏了 两盏 在北门"
    await store.outbox().delivered(event, after(140))
    assert await told(store) == [(1, "delivered", "路灯坏了 两盏 在北门")]


async def test_an_earlier_end_does_not_shorten_it(store: Store) -> None:
    matter = await began(store)
    await went_on(store, matter, "两盏", after(-30))
    assert await due(store, after(59)) == [] and len(await due(store, after(60))) == 1


@pytest.mark.parametrize("gone", ["its time has come", "delivered", "put off", "parked"])
async def test_a_piece_that_comes_too_late_is_an_amendment(store: Store, gone: str) -> None:
    matter = await began(store)
    at = after(60)
    outbox = store.outbox()
    if gone != "its time has come":
        (event,) = await due(store, at)
        steps = {
            "delivered": lambda: outbox.delivered(event, at),
            "put off": lambda: outbox.postponed(event, "core_down", at, after(600)),
            "parked": lambda: outbox.parked(event, "refused", at),
        }
        await steps[gone]()
    await went_on(store, matter, "两盏", at)
    state = {"delivered": "delivered", "parked": "parked"}.get(gone, "waiting")
    assert await told(store) == [(1, state, "路灯坏了"), (2, "waiting", "路灯坏了 两盏")]


async def test_behind_another_event_it_settles_too(store: Store) -> None:
    """What the citizen tells after an amendment is not put into the event before it."""
    matter = await began(store)
    await amended(store, matter, content="改过")
    (found,) = await store.matters()
    await went_on(store, found, "两盏", after(1))
    assert await told(store) == [
        (1, "waiting", "路灯坏了"),
        (2, "waiting", "改过"),
        (3, "waiting", "改过 两盏"),
    ]


async def test_danger_waits_for_nothing(store: Store) -> None:
    matter = await began(store)
    await went_on(store, matter, "漏电了", after(5), settles=False, urgency=Urgency.IMMEDIATE)
    (event,) = await due(store, after(5))
    assert (event.sequence, event.immediate) == (1, True), "what stands before it goes at once as well"
    await store.outbox().delivered(event, after(5))
    assert [one.sequence for one in await due(store, after(5))] == [2]
    assert len(await told(store)) == 2


async def test_what_was_added_while_the_event_was_on_its_way_goes_in_another(store: Store) -> None:
    matter = await began(store)
    (event,) = await due(store, after(60))
    await went_on(store, matter, "两盏", after(59))
    await went_on(store, matter, "在北门", after(59))
    assert event.payload is not None and event.payload["content"] == "路灯坏了"
    await store.outbox().delivered(event, after(61))
    (rest,) = await due(store, after(61))
    assert (rest.type, rest.sequence) == (AMENDED, 2)
    assert rest.payload is not None and rest.payload["content"] == "路灯坏了 两盏 在北门"
    await store.outbox().delivered(rest, after(62))
    assert [(revision, state) for revision, state, _ in await told(store)] == [(1, "delivered"), (2, "delivered")]


async def test_the_rest_is_told_once_to_every_sink_that_missed_it(opened: Open) -> None:
    store = await opened(sinks=("core", "archive"))
    matter = await began(store)
    core, archive = store.outbox(), store.outbox("archive")
    await asyncio.wait_for(archive.lead.gained(), 30)
    (event,), (copy,) = await due(store, after(60)), await archive.due(after(60), 10)
    await went_on(store, matter, "两盏", after(59))
    await core.delivered(event, after(61))
    await archive.delivered(copy, after(61))
    for outbox in (core, archive):
        (rest,) = await outbox.due(after(61), 10)
        await outbox.delivered(rest, after(62))
    assert (await store.waiting_events(), await store.waiting_events("archive")) == (0, 0)
    assert len(await told(store)) == 2


async def test_one_sink_that_has_it_all_does_not_tell_the_rest(opened: Open) -> None:
    store = await opened(sinks=("core", "archive"))
    matter = await began(store)
    archive = store.outbox("archive")
    await asyncio.wait_for(archive.lead.gained(), 30)
    await went_on(store, matter, "两盏", after(30))
    (event,), (copy,) = await due(store, after(90)), await archive.due(after(90), 10)
    await store.outbox().delivered(event, after(91))
    await archive.delivered(copy, after(91))
    assert await told(store) == [(1, "delivered", "路灯坏了 两盏")]


async def test_pieces_and_delivery_at_once_lose_nothing(nodes: tuple[Store, Store]) -> None:
    """Whatever comes first, what the core has in the end is the whole story, and the books balance."""
    one, other = nodes
    matter = await began(one)
    (event,) = await due(one, after(60))

    async def tell_on() -> None:
        for number in range(5):
            await went_on(other, matter, f"第{number}盏", after(50 + number))

    await asyncio.gather(tell_on(), one.outbox().delivered(event, after(60)))
    while left := await due(one, after(500)):
        for each in left:
            await one.outbox().delivered(each, after(500))
    assert (await told(one))[-1][2] == "路灯坏了 第0盏 第1盏 第2盏 第3盏 第4盏"
