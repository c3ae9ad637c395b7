"""How often a client of the API may call, or an address may hand over mail; providers are never refused for load.

Counted by each node for itself, so a client that calls several nodes may call that much more often. The algorithm is
GCRA (ITU-T I.371, the leaky bucket as one number): a minute's worth at once, then evenly. It needs no library: those at
hand start a thread a hit, or cannot say without waiting how long to wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from channels.errors import TooMany
from channels.settings import ApiKey

MINUTE = 60.0
#: Who is remembered before those are forgotten who called more than a minute ago.
MOST = 10_000


class Pace:
    """One number per client: until when what it has called is paid for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._paid_until = clock, dict[str, float]()

    def keep(self, client: ApiKey) -> None:
        """Count a call. Raise TooMany when the client calls more often than it may."""
        self.spend(client.id, client.requests_per_minute)

    def spend(self, who: str, per_minute: int) -> None:
        """Count a call of ``who``. Raise TooMany."""
        at, each = self._clock(), MINUTE / per_minute
        if len(self._paid_until) >= MOST:
            self._paid_until = {name: until for name, until in self._paid_until.items() if until > at}
        paid = max(self._paid_until.get(who, at), at) + each
        if paid - at > MINUTE + each / 2:  # half a call, for what floating point loses over many
            raise TooMany("too_many", paid - at - MINUTE)
        self._paid_until[who] = paid
