"""Events to the case core: at least once, in order per matter, retried with back-off, parked but never dropped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.sinks import Delivered, Park, Pause, Result, Retry, Sink
from store.errors import Superseded
from store.store import Store
from store.values import DueEvent

log = structlog.get_logger(__name__)

#: Deliveries under way at once, and how often the outbox is looked at when nobody rings, seconds.
AT_ONCE, IDLE_SECONDS = 16, 0.5
#: First and longest wait of the exponential back-off, seconds.
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 600.0


class Handoff:
    """Delivers until cancelled; ring ``bell`` when an event was written."""

    def __init__(
        self, store: Store, sink: Sink, *, clock: Clock, metrics: Metrics, jitter: Callable[[], float] = random.random
    ) -> None:
        self._store, self._sink, self._clock, self._metrics, self._jitter = store, sink, clock, metrics, jitter
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._paused_until = clock()

    def ring(self) -> None:
        """There is an event to deliver."""
        self._bell.set()

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then stays waiting and is sent again under the same id."""
        try:
            while True:
                self._bell.clear()
                if not await self._start():
                    await self._rest()
        finally:
            left = list(self._under_way.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _start(self) -> int:
        places = AT_ONCE - len(self._under_way)
        paused = self._clock() < self._paused_until
        self._metrics.sink_paused.set(paused)
        if paused or not places:
            return 0
        try:
            due = await self._store.due_events(self._clock(), places, tuple(self._under_way))
        except Exception as error:  # noqa: BLE001 - the outbox must be looked at again, whatever it was
            log.error("claim_failed", stage="handoff", error=type(error).__name__)
            return 0
        for event in due:
            self._under_way[event.id] = asyncio.create_task(self._attempt(event))
        return len(due)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._bell.wait()
        except TimeoutError:
            pass

    async def _attempt(self, event: DueEvent) -> None:
        try:
            await self._write(event, await self._deliver(event))
        except Superseded:
            log.info("superseded", stage="handoff", event_id=str(event.id))
        except Exception as error:  # noqa: BLE001 - delivered or not, it is sent again: the core knows it by its id
            log.warning("not_written", stage="handoff", event_id=str(event.id), error=type(error).__name__)
            await asyncio.sleep(FIRST_SECONDS)
        finally:
            del self._under_way[event.id]
            self._bell.set()

    async def _deliver(self, event: DueEvent) -> Result:
        if event.payload is None:
            return Park("sealed")
        try:
            return await self._sink.deliver(event)
        except Exception as error:  # noqa: BLE001 - a fault of the sink must not turn into a storm of deliveries
            return Retry(type(error).__name__)

    async def _write(self, event: DueEvent, result: Result) -> None:
        at = self._clock()
        match result:
            case Delivered(case_number):
                await self._store.event_delivered(event, at, case_number)
                self._metrics.handoff_seconds.observe((at - event.created_at).total_seconds())
            case Retry(reason, after_seconds):
                wait = timedelta(seconds=max(self._back_off(event.attempts), after_seconds))
                log.warning("handoff_retry", event_id=str(event.id), reason=reason, tries=event.attempts + 1)
                await self._store.event_postponed(event, reason, at + wait)
            case Park(reason):
                log.error("handoff_parked", event_id=str(event.id), matter_id=str(event.matter_id), reason=reason)
                await self._store.event_parked(event, reason, at)
            case Pause(reason, seconds):
                log.error("handoff_paused", reason=reason, seconds=seconds)
                self._paused_until = at + timedelta(seconds=seconds)
                await self._store.event_postponed(event, reason, self._paused_until)

    def _back_off(self, attempts: int) -> float:
        """Exponential, between half and the whole of the step, so that a crowd does not return all at once."""
        step: float = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(attempts, 20))
        return step * (0.5 + self._jitter() / 2)
