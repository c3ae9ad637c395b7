"""From kept envelopes to filed matters: unpack, then digest, each a short list of calls.

A try that fails is put off; the third failure ends as ``failed`` (ours), what cannot be read as ``malformed`` (theirs).
Everybody else flows on: a hang costs its own process, not its neighbours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from channels.base import AnyChannel
from channels.errors import Malformed
from dedupe.sameness import Looks
from gateway.clock import Clock
from gateway.filing import Fresh, Habits, decide
from gateway.judging import Judging
from gateway.looking import Looking
from gateway.metrics import Metrics
from gateway.offload import Offload, OwnFault
from gateway.rules import CityRules
from normalizer.cues import codes_in
from normalizer.ids import derived, derived_number
from normalizer.model import ContactType, KeptMessage, Notice, Outcome
from normalizer.tracking import NUMBERS, tracking_code
from store.conduct import SetAside
from store.errors import StoreUnavailable, Superseded
from store.messages import Unpacking
from store.store import Store
from store.values import Stage, Work

log = structlog.get_logger(__name__)

#: Waits before the second and third try, seconds.
RETRY_SECONDS = (1.0, 5.0)
#: Work under way at once, work that has failed before, and envelopes held in memory (25 MiB each at most).
CLAIM, SUSPECTS, OPEN = 16, 2, 8
#: How often the queue is looked at when nobody rings, seconds; and how long after a ring, so that what rings together is
#: claimed together: a claim costs as much for one as for thirty.
IDLE_SECONDS, LINGER_SECONDS = 0.5, 0.01


class Pipeline:
    """Takes work off the queue until cancelled; ring ``bell`` when there is some."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, AnyChannel],
        *,
        clock: Clock,
        metrics: Metrics,
        rules: CityRules,
        offload: Offload,
        filed: Callable[[UUID], None],
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        settle_seconds: float = 0,
        acknowledge: bool = False,
        looking: Looking | None = None,
        judging: Judging | None = None,
    ) -> None:
        self._store, self._channels = store, channels
        self._clock, self._metrics = clock, metrics
        self._rules, self._zone = rules, ZoneInfo(rules.timezone)
        self._offload, self._filed, self._retry_seconds = offload, filed, retry_seconds
        self._settle_seconds, self._acknowledge, self._looking = settle_seconds, acknowledge, looking
        self._judging = judging
        texting = (name for name, channel in channels.items() if ContactType.PHONE in channel.reaches)
        self._codes_by = next(texting, None)
        self._under_way: dict[Stage, dict[int, Work]] = {stage: {} for stage in Stage}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Semaphore(OPEN)
        self._bells = {stage: asyncio.Event() for stage in Stage}

    def ring(self) -> None:
        """There is an envelope to unpack."""
        self._bells[Stage.UNPACK].set()

    async def run(self) -> None:
        """Work until cancelled; what is under way then stays in the queue and is done again."""
        async with self._offload:
            try:
                await self._warm()
                async with asyncio.TaskGroup() as group:
                    for stage in Stage:
                        group.create_task(self._serve(stage))
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _warm(self) -> None:
        try:
            await self._offload.warm()
        except* OwnFault as faults:  # each message will say so too
            log.error("workers_do_not_start", reason=str(faults.exceptions[0]))

    async def _serve(self, stage: Stage) -> None:
        while True:
            self._bells[stage].clear()
            if not await self._start(stage):
                await self._rest(stage)

    async def _start(self, stage: Stage) -> int:
        mine = self._under_way[stage]
        failed = sum(work.attempts > 0 for work in mine.values())
        places, suspects = CLAIM - len(mine) + failed, SUSPECTS - failed
        if places < CLAIM // 2:
            return 0
        try:
            found = await self._store.claim(stage, self._clock(), places, tuple(mine), suspects=suspects)
        except Exception as error:  # noqa: BLE001 - the queue must be looked at again, whatever it was
            if self._store.trouble is None:  # otherwise said already
                log.error("claim_failed", stage=stage, error=type(error).__name__)
            return 0
        for work in found:
            mine[work.sequence] = work
            self._tasks.add(task := asyncio.create_task(self._attempt(work, self._step(work))))
            task.add_done_callback(self._tasks.discard)
        return len(found)

    async def _rest(self, stage: Stage) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._bells[stage].wait()
                await asyncio.sleep(LINGER_SECONDS)
        except TimeoutError:
            pass

    def _step(self, work: Work) -> Coroutine[None, None, None]:
        if work.stage is Stage.DIGEST:
            return self._digest(work)
        return self._unpack(work)

    # -- the two steps ---------------------------------------------------------------------------------------------

    async def _unpack(self, work: Work) -> None:
        async with self._open:
            envelope = await self._store.envelope(work.subject)
            channel = self._channel(envelope.channel)
            parsed = await self._offload.parse(channel, envelope, suspect=work.attempts > 0)
            found = parsed or Notice(reason="empty")
            writing = self._store.unpack(Unpacking(work, envelope, found, self._clock(), channel.reply_limits))
        for outcome in await writing:
            self._metrics.outcomes.labels(channel.name, outcome).inc()
            self._filed(envelope.id)
        self._bells[Stage.DIGEST].set()

    async def _digest(self, work: Work) -> None:
        kept = await self._store.message(work.subject)
        if kept.message.part is not None:
            gathered = await self._store.gather(work, kept, self._clock())
            if gathered is None:
                return
            kept = gathered.whole
            self._metrics.outcomes.labels(kept.channel, Outcome.PART).inc(gathered.parts)
        fields = await self._offload.read(kept, self._rules, suspect=work.attempts > 0)
        channel = self._channel(kept.channel)
        sight, looks = await self._looking.look(fields, kept) if self._looking else (None, None)
        decision = partial(decide, kept, fields, self._fresh(kept, work.attempts), self._habits(channel, looks))
        try:
            filing = await self._store.file_matter(
                work,
                kept,
                decision,
                self._clock(),
                sight=sight,
                codes=(*fields.cues.codes, *codes_in(kept.message.title or "")),
                ride_seconds=getattr(channel, "ride_seconds", 0),
                identifies=channel.identifies,
                judge=self._judging.of(kept, fields, fields.triage.flags) if self._judging else None,
            )
        except SetAside as aside:
            await self._store.set_aside(work, kept, aside, self._clock())
            self._bells[Stage.DIGEST].set()  # what was held may go on
            return
        self._metrics.outcomes.labels(kept.channel, filing.verdict.outcome).inc()
        self._metrics.pipeline_seconds.observe((self._clock() - kept.received_at).total_seconds())
        self._bells[Stage.DIGEST].set()  # the next message of this sender may go
        self._filed(kept.envelope_id)

    def _habits(self, channel: AnyChannel, looks: Looks | None) -> Habits:
        return Habits(
            looks=looks,
            settle_seconds=self._settle_seconds if channel.conversational else 0.0,
            answers=bool(channel.reaches),
            acknowledges=bool(channel.reaches) and self._acknowledge,
            limits=channel.reply_limits,
            codes_by=self._codes_by,
            fetches=channel.fetches,
        )

    def _channel(self, name: str) -> AnyChannel:
        try:
            return self._channels[name]
        except KeyError:
            raise OwnFault("channel_not_configured") from None

    def _fresh(self, kept: KeptMessage, attempts: int) -> Fresh:
        """The same for the same message, after a restore too; another code when the first was taken."""
        day = kept.received_at.astimezone(self._zone).date()
        return Fresh(derived(kept.id, "matter"), tracking_code(day, derived_number(kept.id, attempts, NUMBERS)))

    # -- what can go wrong -----------------------------------------------------------------------------------------

    async def _attempt(self, work: Work, step: Coroutine[None, None, None]) -> None:
        try:
            await self._settle(work, step)
        except Superseded:
            log.info("superseded", stage=work.stage, subject=str(work.subject))
        except Exception as error:  # noqa: BLE001 - nothing was written: it is still in the queue, and tried again
            log.warning("not_written", stage=work.stage, subject=str(work.subject), error=type(error).__name__)
            await asyncio.sleep(IDLE_SECONDS)
        finally:
            del self._under_way[work.stage][work.sequence]
            self._bells[work.stage].set()

    async def _settle(self, work: Work, step: Coroutine[None, None, None]) -> None:
        try:
            await step
        except (StoreUnavailable, Superseded):
            raise
        except Malformed as error:
            await self._end(work, Outcome.MALFORMED, error.reason)
        except Exception as error:  # noqa: BLE001 - any fault of ours is tried again, then shown
            await self._again(work, str(error) if isinstance(error, OwnFault) else type(error).__name__)

    async def _again(self, work: Work, reason: str) -> None:
        if work.attempts >= len(self._retry_seconds):
            log.error("failed", stage=work.stage, subject=str(work.subject), reason=reason)
            await self._end(work, Outcome.FAILED, reason)
            return
        at = self._clock()
        log.warning("retry", stage=work.stage, subject=str(work.subject), reason=reason, tries=work.attempts + 1)
        await self._store.postpone(work, reason, at, at + timedelta(seconds=self._retry_seconds[work.attempts]))

    async def _end(self, work: Work, outcome: Outcome, reason: str) -> None:
        channel = await self._store.give_up(work, outcome, reason, self._clock())
        self._metrics.outcomes.labels(channel, outcome).inc()
        if work.stage is Stage.UNPACK:
            self._filed(work.subject)  # nothing will ride on its acknowledgement
