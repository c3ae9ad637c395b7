"""What goes out to providers, channel by channel: replies to citizens, and requests for what they sent beside words."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from channels.base import AnyChannel, StateChange
from gateway.clock import Clock
from gateway.config import Config
from gateway.identities import Identities
from gateway.media import Media
from gateway.metrics import Metrics
from gateway.offload import Offload
from gateway.replies import Replies
from gateway.scan import Scanner
from store.envelopes import StateWrite
from store.store import Store


class ChannelState:
    """A channel's view of its own state."""

    def __init__(self, store: Store, channel: str) -> None:
        self._store, self._channel = store, channel

    async def get(self, key: str) -> str | None:
        """The value last committed."""
        return await self._store.state(self._channel, key)

    async def change(self, change: StateChange) -> bool:
        """Compare and set; False when another was faster."""
        return await self._store.change_state(StateWrite(self._channel, change.key, change.expected, change.value))


class Outward:
    """Everything that sends and fetches."""

    def __init__(
        self,
        config: Config,
        channels: Mapping[str, AnyChannel],
        store: Store,
        *,
        clock: Clock,
        metrics: Metrics,
        offload: Offload,
    ) -> None:
        self._channels, self._offload = channels, offload
        scanner = Scanner(config.store.scan, offload)
        #: Where what was fetched lies.
        self.files = store.files(config.store.files)
        self._replies = [
            Replies(channel, store.replybox(name), ChannelState(store, name), clock=clock, metrics=metrics)
            for name, channel in channels.items()
            if channel.reaches
        ]
        self._media = [
            Media(
                channel,
                store.mediabox(name),
                self.files,
                ChannelState(store, name),
                offload=offload,
                scanner=scanner,
                clock=clock,
                metrics=metrics,
            )
            for name, channel in channels.items()
            if channel.fetches
        ]

        self._identities = [
            Identities(channel, store.identitybox(name), ChannelState(store, name), clock=clock)
            for name, channel in channels.items()
            if channel.identifies
        ]

    def ring(self) -> None:
        """There may be something to send, to fetch or to ask."""
        for identities in self._identities:
            identities.ring()
        for replies in self._replies:
            replies.ring()
        for media in self._media:
            media.ring()

    def jobs(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What is to be run until cancelled."""
        return [one.run for one in (*self._replies, *self._media, *self._identities)]

    async def close(self) -> None:
        """Release what the channels hold."""
        await self._offload.close()
        for channel in self._channels.values():
            await channel.close()
