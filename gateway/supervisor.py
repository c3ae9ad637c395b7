"""Keeps every channel's ``run`` alive: one failing channel stops only itself, and is started again with back-off.

A server of its own runs on every node; what polls runs on the one that leads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

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
    ) -> None:
        self._channels = [c for c in channels if c.runs]
        self._deliver, self._states, self._lead = deliver, states, lead
        self._clock, self._first = clock, first_seconds
        #: By channel name; a channel that has nothing to run is not in it.
        self.health: dict[str, Health] = {channel.name: Health(running=False) for channel in self._channels}

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
            running = asyncio.create_task(self._keep_alive(channel))
            try:
                await lead.lost()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def _keep_alive(self, channel: AnyChannel) -> None:
        wait = self._first
        while True:
            started = self._clock()
            self.health[channel.name] = Health(running=True, since=started)
            trouble = await self._once(channel)
            if (self._clock() - started).total_seconds() > LONGEST_SECONDS:
                wait = self._first  # it ran well for a while: begin anew
            self.health[channel.name] = Health(running=False, trouble=trouble, since=self._clock())
            log.error("channel_stopped", channel=channel.name, reason=trouble, again_in_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_SECONDS)

    async def _once(self, channel: AnyChannel) -> str:
        """Run it until it fails; why, without the text of an exception, which may quote a citizen or a secret."""
        try:
            await channel.run(self._deliver, self._states[channel.name])
        except ChannelError as error:
            return error.reason
        except OSError as error:
            return error.strerror or type(error).__name__  # the system's words, or ours about an address
        except Exception as error:  # noqa: BLE001 - whatever happens to one channel stays there
            return type(error).__name__
        return "ended"
