"""Hand-off: every event reaches the core, once in effect, in order per matter, whatever the core does meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from gateway.clock import now
from gateway.demo.core import StandInCore
from gateway.metrics import Metrics
from gateway.node import Role
from gateway.sinks import Delivered, Park, Pause, Result, Retry
from gateway.testing import RunningGateway, Start
from store.errors import StoreUnavailable
from store.store import Store
from store.tables import MATTERS
from store.values import DueEvent
from tests.handing import (
    QUIET,
    Clock,
    Core,
    Cuts,
    balance,
    file_matter,
    handing_over,
    paused,
    rested,
    tally,
    until,
    waits,
)
from tests.test_door import only


@pytest.fixture
async def filed(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    """A gateway that files and does not hand over: the tests below do."""
    async with start_gateway(only("app"), roles=(Role.EDGE, Role.PIPELINE)) as gateway:
        yield gateway


async def test_each_event_is_delivered_once_and_in_order_per_matter(filed: RunningGateway) -> None:
    matters = [await file_matter(filed, citizen, events) for citizen, events in (("a", 3), ("b", 2), ("c", 1))]
    core = Core(lambda _event, _times: Delivered())
    async with handing_over(filed.node.store, core, now):
        await filed.settle()
    assert {m: [s for seen, s in core.seen if seen == m] for m in matters} == dict(
        zip(matters, ([1, 2, 3], [1, 2], [1]), strict=True)
    )
    assert await tally(filed.node.store) == {"owed": 6, "delivered": 6}


async def test_order_holds_when_the_first_fails_twice_and_others_do_not_wait(filed: RunningGateway) -> None:
    troubled, other = await file_matter(filed, "a", 3), await file_matter(filed, "b", 2)
    clock = Clock()
    core = Core(
        lambda e, times: Retry("x") if (e.matter_id, e.sequence) == (troubled, 1) and times < 3 else Delivered()
    )
    async with handing_over(filed.node.store, core, clock) as (handoff, _):
        for tries in (1, 2):
            expected = [(other, 1), (other, 2), *[(troubled, 1)] * tries]
            await until(partial(reached, core, expected))
            await until(lambda: waits(filed.node.store, clock))
            clock.now += timedelta(seconds=5)
            handoff.ring()
        await filed.settle()
    assert [place for place in core.seen if place[0] == troubled] == [(troubled, n) for n in (1, 1, 1, 2, 3)]
    assert all(len(set(ids)) == 1 for ids in core.ids.values())  # the same id over retries
    assert len({ids[0] for ids in core.ids.values()}) == 5


async def reached(core: Core, places: list[tuple[UUID, int]]) -> bool:
    return sorted(core.seen) == sorted(places)


async def test_a_parked_event_holds_back_its_own_matter_only(filed: RunningGateway) -> None:
    troubled, other = await file_matter(filed, "a", 3), await file_matter(filed, "b", 2)
    core = Core(lambda e, _: Park("http_422") if (e.matter_id, e.sequence) == (troubled, 2) else Delivered())
    clock = Clock()
    async with handing_over(filed.node.store, core, clock) as (handoff, _):
        await until(lambda: reached(core, [(other, 1), (other, 2), (troubled, 1), (troubled, 2)]))
        clock.now += timedelta(days=30)
        handoff.ring()
        await until(lambda: balance(filed.node.store, {"owed": 5, "delivered": 3, "parked": 1, "waiting": 1}))
        assert await waits(filed.node.store, clock)
    assert (troubled, 3) not in core.seen and core.seen.count((troubled, 2)) == 1


async def test_a_pause_stops_all_deliveries_shows_in_the_gauge_and_ends(
    filed: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.handoff.AT_ONCE", 1)
    first, second = await file_matter(filed, "a"), await file_matter(filed, "b")
    clock = Clock()
    core = Core(lambda _event, _times: Pause("http_401", 60) if len(core.seen) == 1 else Delivered())
    async with handing_over(filed.node.store, core, clock) as (handoff, metrics):
        await until(lambda: gauge(metrics, 1))
        clock.now += timedelta(seconds=59)
        await rested(handoff)
        assert core.seen == [(first, 1)] and paused(metrics) == 1
        clock.now += timedelta(seconds=1)
        handoff.ring()
        await filed.settle()
        await until(lambda: gauge(metrics, 0))
    assert sorted(core.seen) == sorted([(first, 1), (first, 1), (second, 1)])


async def gauge(metrics: Metrics, value: int) -> bool:
    return paused(metrics) == value


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
async def test_waits_double_to_ten_minutes_between_half_and_whole(
    filed: RunningGateway, monkeypatch: pytest.MonkeyPatch, jitter: float, factor: float
) -> None:
    await file_matter(filed, "a")
    clock, waited = Clock(), []
    outbox = filed.node.store.outbox()
    postponed = outbox.postponed

    async def spy(event: DueEvent, reason: str, at: datetime, until: datetime) -> None:
        await postponed(event, reason, at, until)
        waited.append((until - clock.now).total_seconds())
        clock.now = until

    monkeypatch.setattr(outbox, "postponed", spy)
    core = Core(lambda _event, times: Retry("timeout") if times <= 12 else Delivered())
    async with handing_over(filed.node.store, core, clock, jitter):
        await filed.settle()
    steps = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert waited == pytest.approx([step * factor for step in steps])


async def test_what_the_core_asks_for_counts_where_it_is_longer(
    filed: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await file_matter(filed, "a")
    clock, waited = Clock(), []

    async def spy(_event: DueEvent, _reason: str, _at: datetime, until: datetime) -> None:
        waited.append((until - clock.now).total_seconds())
        await asyncio.Event().wait()

    monkeypatch.setattr(filed.node.store.outbox(), "postponed", spy)
    async with handing_over(filed.node.store, Core(lambda _event, _times: Retry("http_429", 120)), clock):
        await until(lambda: asyncio.sleep(0, bool(waited)))
    assert waited == [120]


async def test_a_sink_that_raises_is_a_failed_try_like_any_other(filed: RunningGateway) -> None:
    await file_matter(filed, "a")
    clock = Clock()

    def breaks(_event: DueEvent, times: int) -> Result:
        if times == 1:
            raise RuntimeError(QUIET)
        return Delivered()

    core = Core(breaks)
    with capture_logs() as logs:
        async with handing_over(filed.node.store, core, clock) as (handoff, _):
            await until(lambda: waits(filed.node.store, clock))
            assert len(core.seen) == 1
            clock.now += timedelta(seconds=5)
            handoff.ring()
            await filed.settle()
    assert [entry["reason"] for entry in logs if entry["event"] == "handoff_retry"] == ["RuntimeError"]
    assert QUIET not in str(logs)


async def test_what_was_delivered_while_the_store_was_down_is_sent_again_under_its_id(
    filed: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = (await file_matter(filed, "a"), 1)
    outbox, fails = filed.node.store.outbox(), iter([True])
    delivered = outbox.delivered

    async def down_once(*values: Any) -> None:
        if next(fails, False):
            raise StoreUnavailable("down")
        await delivered(*values)

    monkeypatch.setattr(outbox, "delivered", down_once)
    core = Core(lambda _event, _times: Delivered())
    async with handing_over(filed.node.store, core, now):
        await filed.settle()
    assert len(core.ids[place]) == 2 and len(set(core.ids[place])) == 1


async def test_what_is_under_way_when_the_node_stops_is_sent_by_the_next(filed: RunningGateway) -> None:
    place = (await file_matter(filed, "a"), 1)

    class Hangs(Core):
        async def deliver(self, event: DueEvent) -> Result:
            self.seen.append((event.matter_id, event.sequence))
            return await asyncio.Event().wait()  # type: ignore[return-value]

    hangs, core = Hangs(lambda *_: Delivered()), Core(lambda *_: Delivered())
    async with handing_over(filed.node.store, hangs, now):
        await until(lambda: asyncio.sleep(0, hangs.seen == [place]))
    assert await tally(filed.node.store) == {"owed": 1, "waiting": 1}
    async with handing_over(filed.node.store, core, now):
        await filed.settle()
    assert core.seen == [place]


async def test_no_log_line_quotes_a_citizen_or_a_secret(filed: RunningGateway) -> None:
    for citizen in "abc":
        await file_matter(filed, citizen)
    answers = iter([Retry("timeout"), Park("http_400"), Pause("http_401", 0)])
    with capture_logs() as logs:
        async with handing_over(filed.node.store, Core(lambda *_: next(answers, Delivered())), now):
            await until(lambda: balance(filed.node.store, {"owed": 3, "delivered": 2, "parked": 1}))
    assert {entry["event"] for entry in logs} == {"handoff_retry", "handoff_parked", "handoff_paused"}
    secrets = [path.read_text() for path in filed.secrets.iterdir()]
    assert not any(word in str(logs) for word in (QUIET, "13800138000", *secrets))


# -- With a real core over real sockets --------------------------------------------------------------------------------


async def case_numbers(store: Store) -> list[str | None]:
    return await store._database.read(lambda c: list(c.execute(select(MATTERS.c.case_number)).scalars()))


async def test_a_core_that_comes_up_late_gets_everything_and_its_case_number_is_kept(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.handoff.FIRST_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/events"
    async with start_gateway(only("app", core={"url": url})) as gateway:
        matter = await file_matter(gateway, "a", 3)
        await until(lambda: tried(gateway.node.store))
        assert await tally(gateway.node.store) == {"owed": 3, "waiting": 3}
        core = StandInCore(url, (gateway.secrets / "core-secret").read_text())
        serving = asyncio.create_task(core.run())
        await gateway.settle()
        (filed,) = await gateway.matters()
        assert [event["sequence"] for event in core.events.values()] == ["1", "2", "3"]
        assert {event["subject"] for event in core.events.values()} == {str(matter)}
        assert await case_numbers(gateway.node.store) == [f"C{filed.tracking_code}"]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def tried(store: Store) -> bool:
    return bool([event for event in await store.outbox().due(now() + timedelta(days=1), 9) if event.attempts >= 2])


async def test_an_acknowledgement_that_is_lost_means_a_repeat_for_the_core_and_one_delivery_for_us(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.handoff.FIRST_SECONDS", 0.02)
    line = Cuts(answers_to_lose=3)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)

    def through_the_line(document: dict[str, Any]) -> None:
        only("app")(document)
        host, port = document["core"]["url"].removeprefix("http://").removesuffix("/events").split(":")
        line.target = (host, int(port))
        document["core"]["url"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"

    async with server, start_gateway(through_the_line) as gateway:
        await file_matter(gateway, "a", 2)
        await gateway.settle()
        assert (len(gateway.core.events), gateway.core.repeated, line.left) == (2, 3, 0)
        assert await tally(gateway.node.store) == {"owed": 2, "delivered": 2}
