"""Answers that ride on the acknowledgement of what they answer: WeChat and Weibo read a reply from the same response.

It costs nothing of the reply quota and needs no further permission; but a provider waits 5 s at most.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from channels.base import AnyChannel, Webhook
from gateway.clock import Clock
from normalizer.model import Kept
from normalizer.reply import Outgoing
from store.store import Store

log = structlog.get_logger(__name__)

#: Acknowledgements that wait at once; beyond, the answer goes out by itself.
MOST = 200


class Rides:
    """Who waits for what becomes of his delivery."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._waiting: dict[UUID, asyncio.Event] = {}

    def settled(self, envelope_id: UUID) -> None:
        """An envelope's message has its outcome, or it held none."""
        if (waiting := self._waiting.get(envelope_id)) is not None:
            waiting.set()

    async def wait(self, channel: AnyChannel, kept: Kept) -> Outgoing | None:
        """The reply to what was just kept; None when there is none in time."""
        seconds = channel.ride_seconds if isinstance(channel, Webhook) else 0.0
        if not seconds or self._store.trouble is not None or (len(self._waiting) >= MOST and not kept.again):
            return None
        try:
            if not kept.again:
                await self._until_settled(kept.receipt, seconds)
            return await self._store.ride(channel.name, kept.receipt, self._clock())
        except TimeoutError:
            return None
        except Exception as error:  # noqa: BLE001 - the delivery is kept: it is acknowledged whatever became of its answer
            log.warning("no_ride", channel=channel.name, error=type(error).__name__)
            return None

    async def _until_settled(self, envelope_id: UUID, seconds: float) -> None:
        self._waiting[envelope_id] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._waiting[envelope_id].wait()
        finally:
            del self._waiting[envelope_id]
