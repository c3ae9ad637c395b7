"""Events to a sink: at least once, in order per matter, urgent ones first, retried with back-off, parked but never dropped.

One node at a time leads a sink, so its rate and its rest are those of the whole gateway.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog

from gateway.breaker import URGENT_SECONDS, Breaker
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.pace import Pace
from gateway.rounds import Rounds
from gateway.sinks import Delivered, Park, Pause, Result, Retry, Sink
from store.outbox import Outbox
from store.values import DueEvent

log = structlog.get_logger(__name__)

#: Events taken from the outbox and not settled, and deliveries under way at once.
TAKEN, AT_ONCE = 256, 32
#: No more is taken than may be sent in this time, seconds: what is urgent overtakes only what was not taken yet.
AHEAD_SECONDS = 0.5
#: How often the outbox is looked at when nobody rings, seconds; and how long after a ring, so that what rings together is
#: taken together.
IDLE_SECONDS, LINGER_SECONDS = 0.5, 0.02
#: First and longest wait of an event's exponential back-off, seconds.
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 600.0
#: The rate is kept in every slice of a second of this length.
SLICE_SECONDS = 0.05


class Handoff(Rounds):
    """Delivers one sink's events until cancelled; ring it when an event was written.

    What is under way then stays waiting and is sent again under the same id.
    """

    stage, names = "handoff", "event_id"

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        sink: Sink,
        *,
        clock: Clock,
        metrics: Metrics,
        events_per_second: float = 600,
        jitter: Callable[[], float] = random.random,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(IDLE_SECONDS, linger_seconds=LINGER_SECONDS, pause_seconds=FIRST_SECONDS)
        self._name, self._outbox, self._sink = name, outbox, sink
        self._clock, self._metrics, self._jitter = clock, metrics, jitter
        self._breaker = Breaker(elapsed, jitter)
        self._pace = Pace(events_per_second, SLICE_SECONDS)
        self._most = int(min(TAKEN, max(2, events_per_second * AHEAD_SECONDS)))
        self._places = asyncio.Semaphore(AT_ONCE)
        self._urgent: set[UUID] = set()
        #: Tried since the sink is away: the next try is another's, for the fault may be that event's own.
        self._in_vain: set[UUID] = set()

    async def close(self) -> None:
        """Release what the sink holds."""
        await self._sink.close()

    async def _start(self) -> int:
        self._metrics.sink_paused.labels(self._name).set(not self._breaker.closed)
        if not self._outbox.lead.held:
            return 0
        places, urgent = self._wanted()
        if not places:
            return 0
        passed_over = (*self._under_way, *(() if urgent or self._breaker.closed else self._in_vain))
        try:
            due = await self._outbox.due(self._clock(), places, passed_over, urgent=urgent)
        except Exception as error:  # noqa: BLE001 - the outbox must be looked at again, whatever it was
            log.error("claim_failed", stage="handoff", sink=self._name, error=type(error).__name__)
            return 0
        trying = not self._breaker.closed
        if not trying or not (due or urgent):
            self._in_vain.clear()
        for event in due:
            self._begin(event.id, partial(self._hand_over, event, trying=trying))
            if event.immediate:
                self._urgent.add(event.id)
        return len(due)

    def _wanted(self) -> tuple[int, bool]:
        """How many events to take, and whether only immediate ones."""
        if self._breaker.closed:
            free = self._most - len(self._under_way)
            return (free if free >= self._most // 2 else 0), False
        if self._breaker.may_try and not self._under_way:
            return 1, False
        return (1 if self._breaker.may_try_urgent and not self._urgent else 0), True

    async def _hand_over(self, event: DueEvent, *, trying: bool) -> None:
        """Should it not be written down, it is sent again: the core knows it by its id."""
        try:
            async with self._places, self._pace:
                if not self._outbox.lead.held or not (trying or self._breaker.closed):
                    return  # lost meanwhile, the lead or the sink: this one was not sent, and goes on waiting
                result = await self._deliver(event)
            await self._write(event, result)
        finally:
            self._urgent.discard(event.id)

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
                self._breaker.succeeded()
                await self._outbox.delivered(event, at, case_number)
                self._metrics.handoff_seconds.observe((at - event.created_at).total_seconds())
            case Park(reason):
                self._breaker.succeeded()
                log.error("handoff_parked", event_id=str(event.id), matter_id=str(event.matter_id), reason=reason)
                await self._outbox.parked(event, reason, at)
            case Retry(reason, after_seconds):
                if after_seconds:
                    self._breaker.told(after_seconds)
                else:
                    self._breaker.failed(urgent=event.immediate)
                if not self._breaker.closed:
                    self._in_vain.add(event.id)
                wait = max(self._back_off(event), after_seconds)
                log.warning("handoff_retry", event_id=str(event.id), reason=reason, tries=event.attempts + 1)
                await self._outbox.postponed(event, reason, at, at + timedelta(seconds=wait))
            case Pause(reason, seconds):
                self._breaker.told(seconds)
                log.error("handoff_paused", sink=self._name, reason=reason, seconds=seconds)
                await self._outbox.postponed(event, reason, at, at + timedelta(seconds=seconds))

    def _back_off(self, event: DueEvent) -> float:
        """Exponential, between half and the whole of the step, so that a crowd does not return all at once."""
        longest = URGENT_SECONDS if event.immediate else LONGEST_SECONDS
        step: float = min(longest, FIRST_SECONDS * 2 ** min(event.attempts, 20))
        return step * (0.5 + self._jitter() / 2)
