"""One node: the store, the channels and the roles, wired together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import structlog

import normalizer.naming  # noqa: F401 - half a second, which the first sealed matter must not wait for
from channels.base import AnyChannel, StateChange
from channels.errors import Rebound, StateConflict, Unavailable
from gateway import control
from gateway.api import Condition, build_api
from gateway.attachments import attachments
from gateway.clock import Clock, now
from gateway.config import Config
from gateway.door import Door
from gateway.handoff import Handoff
from gateway.judging import judging_of
from gateway.looking import Looking, looking_of
from gateway.metrics import Metrics
from gateway.offload import SECONDS, Offload
from gateway.open311 import open311
from gateway.opening import open_books
from gateway.outward import ChannelState, Outward
from gateway.pipeline import RETRY_SECONDS, Pipeline
from gateway.rides import Rides
from gateway.rules import CityRules
from gateway.server import HttpServer
from gateway.sinks import open_sink, sinks_of
from gateway.supervisor import Health, Supervisor
from gateway.sweep import sweeping
from gateway.updates import updates
from gateway.uploads import hang_in, uploads
from normalizer.model import Envelope, Kept
from store.books import CORE
from store.envelopes import StateWrite
from store.errors import BindingReused, StateChanged, StoreUnavailable
from store.opening import Standby
from store.store import Store

log = structlog.get_logger(__name__)

#: What is tried again within this time counts as under way.
SOON = timedelta(seconds=1)


class Role(StrEnum):
    """What a process does; on PostgreSQL they can be split over processes and machines."""

    EDGE = "edge"
    PIPELINE = "pipeline"
    HANDOFF = "handoff"
    CONSOLE = "console"


class Node:
    """Everything of one process. Use :func:`running`."""

    def __init__(
        self,
        config: Config,
        channels: Mapping[str, AnyChannel],
        store: Store,
        *,
        roles: Collection[Role] = tuple(Role),
        clock: Clock = now,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        parse_seconds: float = SECONDS,
    ) -> None:
        self.config, self.channels, self.store, self.roles = config, channels, store, frozenset(roles)
        self.clock = clock
        self._keeps = True
        self.metrics = Metrics()
        # Looked up once: labels() on every delivery costs as much as sealing it.
        self._envelopes = {name: self.metrics.envelopes.labels(name) for name in channels}
        self._progress = {name: self.metrics.progress.labels(name) for name in channels}
        self.handoffs = {
            name: Handoff(
                name,
                store.outbox(name),
                open_sink(settings, config.server.public_url, clock),
                clock=clock,
                metrics=self.metrics,
                events_per_second=settings.events_per_second,
            )
            for name, settings in sinks_of(config).items()
        }
        self.rides = Rides(store, clock)
        offload = Offload((channel.kind for channel in channels.values()), seconds=parse_seconds)
        self.outward = Outward(config, channels, store, clock=clock, metrics=self.metrics, offload=offload)
        self.looking = looking_of(config, store, clock)
        self.pipeline = build_pipeline(
            config,
            channels,
            store,
            looking=self.looking,
            metrics=self.metrics,
            filed=self._filed,
            clock=clock,
            retry_seconds=retry_seconds,
            offload=offload,
        )
        states = {name: ChannelState(store, name) for name in channels}
        self.supervisor = Supervisor(channels.values(), self.deliver, states, store.lead, clock=clock)
        for name, channel in channels.items():
            channel.refused, channel.genuine = partial(self._count_refusal, name), store.genuine
            channel.progressed = partial(self._progressed, name)
            if config.replies.ride and Role.PIPELINE in self.roles:  # elsewhere nobody tells when to look
                channel.answer = partial(self.rides.wait, channel)
        hang_in(channels, self.outward.files, store.uploads())
        self.http = self._http_server()

    async def deliver(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        """Keep an envelope for a channel. Raise Rebound, StateConflict or Unavailable; then nothing was kept."""
        write = StateWrite(envelope.channel, change.key, change.expected, change.value) if change else None
        try:
            kept = await self.store.keep(envelope, write)
        except BindingReused:
            raise Rebound("rebound") from None
        except StateChanged:
            raise StateConflict("state") from None
        except StoreUnavailable:
            self._keeps = False
            raise Unavailable("unavailable") from None
        self._keeps = True
        self._envelopes[envelope.channel].inc()
        self._progress[envelope.channel].set(envelope.received_at.timestamp())
        for flag in envelope.flags:
            self.metrics.flagged.labels(envelope.channel, flag).inc()
        self.pipeline.ring()
        return kept

    def _progressed(self, channel: str) -> None:
        """A channel that polls has looked; there may have been nothing."""
        self._progress[channel].set(self.clock().timestamp())
        self.supervisor.progressed(channel)

    def _filed(self, envelope_id: UUID) -> None:
        """An envelope's message has its outcome: there may be an event to deliver, and a reply to send."""
        self.rides.settled(envelope_id)
        self.ring_handoffs()
        self.outward.ring()

    def ring_handoffs(self) -> None:
        """There is an event to deliver."""
        for handoff in self.handoffs.values():
            handoff.ring()

    def _http_server(self) -> HttpServer:
        """The entrance; a process without it still tells operations how it fares, on an address of its own."""
        server = self.config.server
        routes = (
            updates(self.store, self.config, self.channels, self.clock, self.outward.ring),
            attachments(self.store, self.config, self.outward.files),
            uploads(self.channels, self.outward.files, self.store.uploads(), self.clock),
            open311(self.channels, self.store, self.clock, server.public_url),
        )
        api = build_api(
            self.store, self.channels, server=server, metrics=self.metrics, ready=self.condition, beside=routes
        )
        if Role.EDGE not in self.roles:
            return HttpServer(api, server.operations_listen, "server.operations_listen")
        door = Door(api, self.channels, self.deliver, server=server, metrics=self.metrics, clock=self.clock)
        return HttpServer(door, server.listen)

    def _count_refusal(self, channel: str, reason: str) -> None:
        self.metrics.refused.labels(channel, reason).inc()

    async def condition(self) -> Condition:
        """What this node cannot do now, and what is worth knowing; also brings the gauges up to date."""
        trouble = await self._trouble()
        complaints, notes = self._channels_fare(polling=trouble is None)
        journaled = await self.store.journaled()
        self.metrics.journaled.set(journaled)
        self.metrics.full.set(self.store.full)
        if self.store.full:
            complaints.append("the disk is full: nothing is accepted until there is space again")
        self.metrics.away.set(trouble is not None)
        if not await self._can_keep():
            complaints.append("nothing can be kept: the store is not available")
        elif trouble is not None:
            (notes if self.store.has_journal else complaints).append(trouble)
        if self.looking and self.looking.lookout.note:
            notes.append(self.looking.lookout.note)
        if journaled:
            notes.append(f"{journaled} deliveries are in the local journal until the database takes them")
        return Condition(complaints, notes)

    async def _can_keep(self) -> bool:
        """Whether the next delivery will be kept, as far as can be known."""
        if not self._keeps:
            try:
                await self.store.probe()
            except StoreUnavailable:
                return False
            self._keeps = True
        return True

    async def _trouble(self) -> str | None:
        """Why the work on what was kept does not go on; None while it does."""
        if self.store.has_journal and self.store.trouble is not None:
            return self.store.trouble  # it need not be asked again
        try:
            await self._count()
        except StoreUnavailable:
            return "the store is not available"
        return None

    async def _count(self) -> None:
        self.metrics.pending.set(await self.store.pending())
        for name in self.handoffs:
            waiting = await self.store.waiting_events(name)
            (self.metrics.waiting if name == CORE else self.metrics.copy_waiting.labels(name)).set(waiting)

    def _channels_fare(self, *, polling: bool) -> tuple[list[str], list[str]]:
        """Complaints and notes. Without the store nobody can poll, and it is not the channel's fault."""
        complaints, notes = list[str](), list[str]()
        for name, health in self.supervisor.health.items() if Role.EDGE in self.roles else ():
            channel, silence = self.channels[name], self.supervisor.silence(name).total_seconds()
            notes += [f"channel {name}: {remark}" for remark in channel.remarks()]
            if not polling and not channel.listens:
                continue
            silent = channel.patience_seconds is not None and silence > channel.patience_seconds
            told = None if self._works(name, health) else health.trouble or "not running yet"
            if silent:
                told = f"no progress for {silence / 60:.0f} minutes" + (f" ({told})" if told else "")
            if told is not None:
                passing = health.passing and channel.patience_seconds is not None and not silent
                (notes if passing else complaints).append(f"channel {name}: {told}")
        return complaints, notes

    async def ready(self, seconds: float = 20) -> None:
        """Return once there is nothing to complain about. Raise TimeoutError, naming what there is."""
        complaints: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while complaints := (await self.condition()).complaints:  # noqa: ASYNC110 - the store is among what is asked
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError("; ".join(complaints)) from None

    async def settled(self, seconds: float = 60) -> None:
        """Return when all work is done and the core has every event. Raise TimeoutError."""
        async with asyncio.timeout(seconds):
            while await self._under_way():  # noqa: ASYNC110 - other nodes work too
                await asyncio.sleep(0.02)

    async def _under_way(self) -> int:
        work, events = await self.store.pending(), await self.store.waiting_events()
        return work or events or await self.store.outward(self.clock() + SOON)

    def _works(self, channel: str, health: Health) -> bool:
        listens = self.channels[channel].listens
        return health.standing_by or (health.running and (not listens or self.channels[channel].address is not None))

    @property
    def http_url(self) -> str:
        """Where the HTTP entrance really listens."""
        return f"http://{self.http.host}:{self.http.port}"

    def listening(self, channel: str) -> tuple[str, int]:
        """Host and port of a channel that is a server of its own. Raise LookupError while it does not listen."""
        address = self.channels[channel].address
        if address is None:
            raise LookupError(f"channel {channel} is not listening")
        return address

    async def run(self) -> None:
        """Do what the roles say until cancelled."""
        jobs: dict[Role, list[Callable[[], Coroutine[Any, Any, None]]]] = {
            Role.EDGE: [self.supervisor.run],
            Role.PIPELINE: [self.pipeline.run, *([self.looking.lookout.run] if self.looking else [])],
            Role.HANDOFF: [
                *(handoff.run for handoff in self.handoffs.values()),
                *self.outward.jobs(),
                partial(sweeping, self.store, self.outward.files, self.clock),
            ],
        }
        async with asyncio.TaskGroup() as group:
            for role in sorted(self.roles):
                for job in jobs.get(role, []):
                    group.create_task(job())
            group.create_task(self.http.run_until_stopped())
            group.create_task(control.serve(self))


def build_pipeline(
    config: Config,
    channels: Mapping[str, AnyChannel],
    store: Store,
    *,
    metrics: Metrics,
    filed: Callable[[UUID], None],
    clock: Clock = now,
    retry_seconds: tuple[float, ...] = RETRY_SECONDS,
    offload: Offload | None = None,
    looking: Looking | None = None,
) -> Pipeline:
    """The pipeline that the configuration describes, with worker processes of its own unless they are given."""
    return Pipeline(
        store,
        channels,
        clock=clock,
        metrics=metrics,
        rules=CityRules.of(config.city),
        offload=offload or Offload(channel.kind for channel in channels.values()),
        filed=filed,
        retry_seconds=retry_seconds,
        settle_seconds=config.dedupe.settle_seconds,
        acknowledge=config.replies.acknowledge,
        looking=looking or looking_of(config, store, clock),
        judging=judging_of(config.conduct, channels),
    )


def collect_rarely() -> None:
    """What lives as long as the process need not be looked at again and again: a full collection stops all for 50 ms."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@contextlib.asynccontextmanager
async def running(node: Node) -> AsyncIterator[Node]:
    """Run a node until the block ends, then stop it in good order. An error of a role ends the block with it."""
    collect_rarely()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(node.run())
        try:
            yield node
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for handoff in node.handoffs.values():
                await handoff.close()
            await node.outward.close()


async def open_node_store(
    config: Config, *, owner: bool = True, migrate: bool = False, roles: Collection[Role] = ()
) -> Store:
    """The store that the configuration names; a node that takes deliveries keeps a journal and a reserve beside it."""
    settings = config.store
    standby = Standby(settings.journal, settings.reserve_megabytes * 1024 * 1024) if Role.EDGE in roles else None
    return await open_books(config, owner=owner, migrate=migrate, standby=standby)
