"""What the tests of hand-off share: a clock that is told, a core that answers as it is told, matters to hand over."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, insert, select

from channels.simulated.app import AppPeer
from gateway.clock import now
from gateway.handoff import Handoff
from gateway.metrics import Metrics
from gateway.sinks import Result
from gateway.testing import RunningGateway
from normalizer.model import HotlineMatter, Outcome, Urgency, Verdict
from store import events
from store.store import Store
from store.tables import MATTERS
from store.values import DueEvent, Filing
from tests.store.conftest import TRACKING_CODES
from tests.store.conftest import filed as filed_matter

QUIET = "内容不外传-Kx7"
Answer = Callable[[DueEvent, int], Result]


class Clock:
    """Stands still until told; what has elapsed by it goes along."""

    def __init__(self) -> None:
        self.now = now() + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now

    def elapsed(self) -> float:
        return self.now.timestamp()


class Core:
    """A sink that answers as it is told: by the event, and how often it came before."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[tuple[UUID, int]] = []
        self.ids: defaultdict[tuple[UUID, int], list[UUID]] = defaultdict(list)
        #: When each came, monotonic seconds.
        self.times: list[float] = []

    async def deliver(self, event: DueEvent) -> Result:
        place = (event.matter_id, event.sequence)
        self.times.append(time.monotonic())
        self.seen.append(place)
        self.ids[place].append(event.id)
        await asyncio.sleep(0)  # a real one gives others their turn
        return self.answer(event, len(self.ids[place]))

    async def close(self) -> None:
        pass


class Cuts:
    """A line to the core that carries requests and loses answers: so many, and each with that chance."""

    def __init__(self, answers_to_lose: int, share: float = 1) -> None:
        self.left, self.target = answers_to_lose, ("", 0)
        self._share, self._chance = share, random.Random(4711)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        core_reader, core_writer = await asyncio.open_connection(*self.target)
        asking = asyncio.create_task(self._carry(reader, core_writer))
        await self._carry(core_reader, writer, loses=True)
        asking.cancel()
        core_writer.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, loses: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65_536):
                if loses and self.left and self._chance.random() < self._share:
                    self.left -= 1
                    break
                sink.write(piece)
        sink.transport.abort()


async def until(reached: Callable[[], Awaitable[Any]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await reached():
            await asyncio.sleep(0.01)


class Watched(Handoff):
    """Tells when there is nothing more to do at this hour."""

    rests, resting = 0, False

    async def _rest(self) -> None:
        self.rests, self.resting = self.rests + 1, True
        await super()._rest()
        self.resting = False

    @property
    def is_idle(self) -> bool:
        return self.resting and not self._bell.is_set() and not self._under_way


async def rested(handoff: Watched) -> None:
    """Ring, and return when all that this began is over."""
    before = handoff.rests
    handoff.ring()
    await until(lambda: asyncio.sleep(0, handoff.rests > before and handoff.is_idle))


@contextlib.asynccontextmanager
async def handing_over(
    store: Store, core: Any, clock: Callable[[], datetime] = now, jitter: float = 1.0, sink: str = "core", **more: Any
) -> AsyncIterator[tuple[Watched, Metrics]]:
    metrics, outbox = Metrics(), store.outbox(sink)
    if isinstance(clock, Clock):
        more["elapsed"] = clock.elapsed
    handoff = Watched(sink, outbox, core, clock=clock, metrics=metrics, jitter=lambda: jitter, **more)
    await asyncio.wait_for(outbox.lead.gained(), 10)
    running = asyncio.create_task(handoff.run())
    try:
        yield handoff, metrics
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


# -- what is handed over -----------------------------------------------------------------------------------------------


async def file_matter(gateway: RunningGateway, citizen: str, events: int = 1) -> UUID:
    """A matter of its own with so many events: filed, then amended."""
    app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
    known = {matter.matter_id for matter in await gateway.matters()}
    extra: dict[str, Any] = {}
    for number in range(events):
        body = {"user": {"id": citizen, "phone": "+8613800138000"}, "text": f"{QUIET}{number}"} | extra
        assert (await app.post(body, key=f"{citizen}-{number}").send(gateway)).ok
        await until(lambda: idle(gateway.node.store))
        (mine,) = {matter.matter_id for matter in await gateway.matters()} - known
        extra = {"in_reply_to": str(mine)}
    return mine


async def backlog(store: Store, number: int, *, urgency: Urgency = Urgency.ROUTINE) -> list[UUID]:
    """So many matters of one event each, owed to every sink of the store; written at once, beside the pipeline."""
    first = await filed_matter(store)
    matters = [_copy(first, urgency) for _ in range(number)]

    def transaction(connection: Connection) -> None:
        row = dict(connection.execute(select(MATTERS).where(MATTERS.c.id == first.matter_id)).mappings().one())
        connection.execute(
            insert(MATTERS), [row | {"id": m.matter_id, "tracking_code": m.tracking_code} for m in matters]
        )
        verdict = Verdict(outcome=Outcome.FILED, reason="test")
        for one in matters:
            filing = Filing(verdict, one, "hotline.matter.filed.v1")
            events.owe_event(connection, uuid_utils.compat.uuid7(), filing, store._sinks, now())

    await store._database.write(transaction)
    return [first.matter_id, *(one.matter_id for one in matters)]


def _copy(matter: HotlineMatter, urgency: Urgency) -> HotlineMatter:
    new = {"matter_id": uuid_utils.compat.uuid7(), "tracking_code": next(TRACKING_CODES)}
    return matter.model_copy(update=new | {"revision": 1, "urgency": urgency})


# -- how it stands -----------------------------------------------------------------------------------------------------


async def idle(store: Store) -> bool:
    return not await store.pending()


async def waits(store: Store, clock: Clock) -> bool:
    """Nothing is due at this hour."""
    return not await store.outbox().due(clock(), 100)


async def tally(store: Store) -> dict[str, int]:
    books = await store.reconcile()
    assert books.balanced, books.offending
    return {name: number for name, number in books.events.items() if number}


async def balance(store: Store, expected: dict[str, int]) -> bool:
    return await tally(store) == expected


async def nothing_waits(store: Store, *sinks: str) -> bool:
    return not any([await store.waiting_events(sink) for sink in sinks or ("core",)])


def paused(metrics: Metrics, sink: str = "core") -> float | None:
    return metrics.registry.get_sample_value("hotline_sink_paused", {"sink": sink})
