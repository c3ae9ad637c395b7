"""Hand-off to a sink that is away, slow, or comes back to a backlog: it is spared, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import now
from gateway.demo.core import StandInCore
from gateway.handoff import AT_ONCE
from gateway.sinks import Delivered, Result, Retry, WebhookSink
from normalizer.model import Urgency
from store.opening import open_store
from store.store import Store
from store.values import DueEvent
from tests.handing import Clock, Core, Cuts, Watched, backlog, handing_over, nothing_waits, paused, rested, until
from tests.store.conftest import sqlite_url

SECRET = "whsec_" + "A" * 43 + "="


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    found = await open_store(sqlite_url(tmp_path), tmp_path / "keys.json", sinks=("core", "archive"))
    yield found
    await found.close()


def delivered(_event: DueEvent, _times: int) -> Result:
    return Delivered()


async def passes(clock: Clock, handoff: Watched, seconds: float) -> None:
    """Time goes by, a second at a time."""
    for _ in range(int(seconds)):
        clock.now += timedelta(seconds=1)
        await rested(handoff)


async def test_a_sink_that_is_away_is_tried_rarely_and_gets_everything_when_it_is_back(store: Store) -> None:
    matters = await backlog(store, 80)
    clock, core = Clock(), Core(lambda *_: Retry("ConnectError"))
    async with handing_over(store, core, clock) as (handoff, metrics):
        await rested(handoff)
        first = len(core.seen)
        assert first <= AT_ONCE and paused(metrics) == 1
        await passes(clock, handoff, 300)
        assert 8 <= len(core.seen) - first <= 12, "after 1, 2, 4, 8, 16, 32, 60, 60 … seconds"
        core.answer = delivered
        await passes(clock, handoff, 60)
        await until(lambda: nothing_waits(store))
        await rested(handoff)
        assert paused(metrics) == 0
    assert {matter for matter, _ in core.seen} == set(matters)


async def test_what_is_immediate_is_tried_every_five_seconds_meanwhile(store: Store) -> None:
    await backlog(store, 20)
    clock, core = Clock(), Core(lambda *_: Retry("ConnectError"))
    async with handing_over(store, core, clock) as (handoff, _):
        await passes(clock, handoff, 200)
        (_, urgent) = await backlog(store, 1, urgency=Urgency.IMMEDIATE)
        tried, written = [], clock.now
        core.answer = lambda event, _: (tried.append(clock.now) if event.immediate else None) or Retry("http_503")
        await passes(clock, handoff, 120)
        gaps = [(b - a).total_seconds() for a, b in zip([written, *tried], tried, strict=False)]
        assert len(tried) >= 20 and max(gaps) <= 6, gaps
        core.answer = delivered
        await passes(clock, handoff, 6)
        assert core.seen.index((urgent, 1)) < len(core.seen)
        await until(lambda: nothing_waits(store))


async def test_an_event_that_always_fails_does_not_keep_the_sink_away_from_the_others(store: Store) -> None:
    """The core has a fault of its own with one event, and that one is urgent: after an outage it is the first to be tried."""
    others, poison = await backlog(store, 20), (await backlog(store, 2, urgency=Urgency.IMMEDIATE))[1:]
    clock, core = Clock(), Core(lambda *_: Retry("ConnectError"))
    async with handing_over(store, core, clock) as (handoff, _):
        await passes(clock, handoff, 100)
        core.answer = lambda event, _: Retry("http_500") if event.matter_id in poison else Delivered()
        await passes(clock, handoff, 180)
        assert await store.waiting_events() == len(poison)
    assert set(others) <= {matter for matter, _ in core.seen}


@pytest.mark.parametrize("urgency", [Urgency.ROUTINE, Urgency.IMMEDIATE])
async def test_a_sink_that_says_when_to_come_again_is_left_alone_until_then(store: Store, urgency: Urgency) -> None:
    await backlog(store, 40, urgency=urgency)
    clock, core = Clock(), Core(lambda *_: Retry("http_429", 120))
    async with handing_over(store, core, clock) as (handoff, _):
        await rested(handoff)
        first = len(core.seen)
        assert first <= AT_ONCE
        core.answer = delivered
        await passes(clock, handoff, 119)
        assert len(core.seen) == first
        await passes(clock, handoff, 2)
        await until(lambda: nothing_waits(store))


# -- pace --------------------------------------------------------------------------------------------------------------


async def test_a_backlog_is_sent_at_the_rate_that_the_sink_can_take(store: Store) -> None:
    await backlog(store, 2000)
    core = Core(delivered)
    async with handing_over(store, core, events_per_second=600):
        await until(lambda: nothing_waits(store), 60)
    most = max(bisect.bisect_left(core.times, at + 1) - number for number, at in enumerate(core.times))
    assert most <= 660, f"{most} in one second"
    assert len(core.seen) == 2001


async def test_what_was_taken_first_is_sent_first_at_any_rate(store: Store) -> None:
    """A limiter that lets whoever comes pass before those that wait would put off the unlucky, urgent ones too."""
    await backlog(store, 400)
    due = [event.matter_id for event in await store.outbox().due(now(), 401)]
    core = Core(delivered)
    async with handing_over(store, core, events_per_second=400):
        await until(lambda: nothing_waits(store))
    assert [matter for matter, _ in core.seen] == due


async def test_what_is_immediate_overtakes_a_backlog(store: Store) -> None:
    await backlog(store, 600)
    core = Core(delivered)
    async with handing_over(store, core, events_per_second=100) as (handoff, _):
        await until(lambda: asyncio.sleep(0, len(core.seen) >= 20))
        (_, urgent) = await backlog(store, 1, urgency=Urgency.IMMEDIATE)
        written = len(core.seen)
        handoff.ring()
        await until(lambda: asyncio.sleep(0, (urgent, 1) in core.seen))
        assert core.seen.index((urgent, 1)) - written <= 50, "what half a second may send was taken already"


# -- others ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("away", "well"), [("core", "archive"), ("archive", "core")])
async def test_another_sink_goes_on_while_one_is_away(store: Store, away: str, well: str) -> None:
    matters = await backlog(store, 40)
    lost, taker = Core(lambda *_: Retry("ConnectError")), Core(delivered)
    async with handing_over(store, lost, sink=away) as (_, metrics), handing_over(store, taker, sink=well):
        await until(lambda: nothing_waits(store, well))
        assert await store.waiting_events(away) == len(matters)
        await until(lambda: asyncio.sleep(0, paused(metrics, away) == 1))
        lost.answer = delivered
        await until(lambda: nothing_waits(store, away), 20)
    assert sorted(lost.ids) == sorted((matter, 1) for matter in matters)
    assert sorted(taker.seen) == sorted(lost.ids)
    assert (await store.reconcile()).events["delivered"] == len(matters)


async def test_a_hand_off_that_is_stopped_gives_back_what_it_has_not_sent(store: Store) -> None:
    matters = await backlog(store, 100)
    first, second = Core(delivered), Core(delivered)
    async with handing_over(store, first, events_per_second=100):
        await until(lambda: asyncio.sleep(0, len(first.seen) >= 10))
    await store.outbox().close()  # what was delivered is written
    left = await store.waiting_events()
    assert 0 < left <= len(matters) - 5
    async with handing_over(store, second):
        await until(lambda: nothing_waits(store))
    assert len(second.seen) == left
    assert {*first.seen, *second.seen} == {(matter, 1) for matter in matters}
    assert not {*second.ids} & {place for place in first.ids if place not in second.ids}


async def test_a_node_that_does_not_lead_any_more_sends_nothing_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backlog(store, 100)

    async def no_beat() -> None:
        await asyncio.Event().wait()

    core = Core(delivered)
    async with handing_over(store, core, events_per_second=50) as (handoff, _):
        await until(lambda: asyncio.sleep(0, len(core.seen) >= 5))
        monkeypatch.setattr(store._membership, "_beat", no_beat)
        store.outbox().lead.tell(held=False)
        sent = len(core.seen)
        await rested(handoff)  # what was taken has been given back
        assert len(core.seen) == sent
    monkeypatch.undo()


async def test_a_thousand_lost_acknowledgements_have_no_second_effect(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core has taken the event, and the line breaks before it can say so."""
    for place in ("handoff", "breaker"):
        monkeypatch.setattr(f"gateway.{place}.FIRST_SECONDS", 0.02)
    matters = await backlog(store, 1000)
    core = StandInCore("http://127.0.0.1:0/events", SECRET)
    serving, line = asyncio.create_task(core.run()), Cuts(answers_to_lose=1000, share=0.5)
    line.target = ("127.0.0.1", core._server.port)
    async with await asyncio.start_server(line.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        sink: Any = WebhookSink(url, SECRET, "https://hotline.example", timeout_seconds=15, clock=now)
        async with handing_over(store, sink, events_per_second=5000):
            await until(lambda: nothing_waits(store), 60)
        await sink.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert (len(core.events), core.repeated, line.left) == (len(matters), 1000, 0)
    assert (await store.reconcile()).events == {"owed": 1001, "delivered": 1001, "waiting": 0, "parked": 0}
