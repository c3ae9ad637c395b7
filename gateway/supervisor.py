"""Keeps every channel's ``run`` alive: one failing channel stops only itself, and is started again with back-off.

A server of its own runs on every node; what polls runs on the one that leads it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.base import AnyChannel, Deliver, State
from channels.errors import ChannelError
from gateway.clock import Clock
from store.membership import Lead

log = structlog.get_logger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel's ``run`` fares."""

    running: bool
    #: Another node runs it; this one stands by.
    standing_by: bool = False
    #: One word; None while all is well.
    trouble: str | None = None
    since: datetime | None = None
    #: The trouble may pass without anybody mending it.
    passing: bool = False


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a ``run`` ended."""

    reason: str
    passing: bool = False
    #: The least to wait before the next one, seconds.
    after_seconds: float = 0.0


class Supervisor:
    """Runs the channels that have something to run."""

    def __init__(
        self,
        channels: Iterable[AnyChannel],
        deliver: Deliver,
        states: Mapping[str, State],
        lead: Callable[[str], Lead],
        *,
        clock: Clock,
        first_seconds: float = FIRST_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._channels = [c for c in channels if c.runs]
        self._deliver, self._states, self._lead = deliver, states, lead
        self._clock, self._first, self._jitter = clock, first_seconds, jitter
        #: By channel name; a channel that has nothing to run is not in it.
        self.health: dict[str, Health] = {channel.name: Health(running=False) for channel in self._channels}
        #: When each last got on, or began to run here.
        self._progress: dict[str, datetime] = {}

    def progressed(self, channel: str) -> None:
        """It has delivered something, or looked whether there is anything."""
        self._progress[channel] = self._clock()

    def silence(self, channel: str) -> timedelta:
        """How long it has been running here without progress."""
        last = self._progress.get(channel)
        return self._clock() - last if last is not None else timedelta(0)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for channel in self._channels:
                group.create_task(self._keep_alive(channel) if channel.listens else self._take_turns(channel))

    async def _take_turns(self, channel: AnyChannel) -> None:
        """Run what polls on one node at a time: two would take each other's messages, or take them twice."""
        lead = self._lead(f"channel:{channel.name}")
        while True:
            self.health[channel.name] = Health(running=False, standing_by=True)
            await lead.gained()
            self.progressed(channel.name)
            running = asyncio.create_task(self._keep_alive(channel))
            try:
                await lead.lost()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                self._progress.pop(channel.name, None)

    async def _keep_alive(self, channel: AnyChannel) -> None:
        wait = self._first
        while True:
            started = self._clock()
            self.health[channel.name] = Health(running=True, since=started)
            ended = await self._once(channel)
            if (self._clock() - started).total_seconds() > LONGEST_SECONDS:
                wait = self._first  # it ran well for a while: begin anew
            self.health[channel.name] = Health(
                running=False, trouble=ended.reason, since=self._clock(), passing=ended.passing
            )
            # With jitter: after an outage not all come back at once.
            seconds = max(wait * (0.5 + self._jitter() / 2), ended.after_seconds)
            log.error("channel_stopped", channel=channel.name, reason=ended.reason, again_in_seconds=round(seconds, 1))
            await asyncio.sleep(seconds)
            wait = min(wait * 2, LONGEST_SECONDS)

    async def _once(self, channel: AnyChannel) -> _Ended:
        """Run it until it fails; why, without the text of an exception, which may quote a citizen or a secret."""
        try:
            await channel.run(self._deliver, self._states[channel.name])
        except ChannelError as error:
            return _Ended(error.reason, error.retryable, getattr(error, "after_seconds", 0.0))
        except OSError as error:
            # The system's words, or ours about an address.
            return _Ended(error.strerror or type(error).__name__, passing=True)
        except Exception as error:  # noqa: BLE001 - whatever happens to one channel stays there
            return _Ended(type(error).__name__)
        return _Ended("ended")
