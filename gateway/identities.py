"""Asking providers whose their contacts are: after the words are safe, once for each, without holding anything up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from channels.base import AnyChannel, State
from channels.errors import Missing, NotSent
from gateway.clock import Clock
from gateway.rounds import LedRounds
from store.identities import DueIdentity, IdentityBox

log = structlog.get_logger(__name__)

#: Contacts asked about at once for a channel.
AT_ONCE = 2
#: How often the queue is looked at when nobody rings, seconds.
IDLE_SECONDS = 5.0
#: First and longest wait between tries, seconds; after so many tries it is not asked any more.
FIRST_SECONDS, LONGEST_SECONDS, TRIES = 5.0, 86_400.0, 20
#: How long one answer may take, seconds.
ASK_SECONDS = 30.0


class Identities(LedRounds[DueIdentity]):
    """Asks by one channel until cancelled; ring it when somebody new has written."""

    stage, names, at_once = "identities", "identity_id", AT_ONCE

    def __init__(
        self,
        channel: AnyChannel,
        box: IdentityBox,
        state: State,
        *,
        clock: Clock,
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        super().__init__(IDLE_SECONDS, channel.name, box)
        self._channel, self._box, self._state = channel, box, state
        self._clock, self._first = clock, first_seconds

    async def _due(self, most: int) -> Sequence[DueIdentity]:
        return await self._box.due(self._clock(), most)

    async def _do(self, due: DueIdentity) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._channel.unionid(due.contact, self._state)
        except Missing as error:
            log.warning("no_unionid", channel=self._channel.name, reason=error.reason)
            await self._box.unknown(due, error.reason)
        except Exception as error:  # noqa: BLE001 - a fault of theirs or ours: it is asked again
            await self._again(due, error)
        else:
            await self._box.known(due, found, self._clock())

    async def _again(self, due: DueIdentity, error: Exception) -> None:
        reason = getattr(error, "reason", type(error).__name__)
        if due.attempts + 1 >= TRIES:
            log.warning("no_unionid", channel=self._channel.name, reason=reason)
            await self._box.unknown(due, reason)
            return
        asked = error.after_seconds if isinstance(error, NotSent) else 0.0
        wait = max(min(asked, LONGEST_SECONDS), min(LONGEST_SECONDS, self._first * 2**due.attempts))
        at = self._clock()
        await self._box.put_off(due, reason, at, at + timedelta(seconds=wait))
