"""A rate, kept in the order of asking: the library's limiter lets whoever comes pass before those that wait."""

from __future__ import annotations

import asyncio
from types import TracebackType

from aiolimiter import AsyncLimiter


class Pace:
    """``async with pace:`` goes on when it is one's turn and the rate allows it."""

    def __init__(self, per_second: float, slice_seconds: float = 1.0) -> None:
        """So many in a second, and in every slice of it no more than its share, but one at least."""
        burst = max(1.0, per_second * slice_seconds)
        self._rate = AsyncLimiter(burst, burst / per_second)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> None:
        """Wait for one's turn, then for the rate."""
        async with self._turn:
            await self._rate.acquire()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Nothing is given back: what has gone has gone."""
