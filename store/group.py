"""Group commit: whoever arrives while a commit is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from store.errors import StoreError

T = TypeVar("T")
R = TypeVar("R")

#: Items in one transaction at most; 500 rows commit in some 10 ms (facts: performance, durability floor).
MOST = 500


class GroupCommit(Generic[T, R]):
    """Collects items and hands them to ``commit`` in batches, one batch at a time, in order of arrival.

    ``commit`` returns one result or exception per item. When it raises because of the data, the batch is tried item by
    item, so that one refused row does not take its neighbours with it.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    def add(self, item: T) -> asyncio.Future[R]:
        """Queue the item now; the future holds its result once it is committed, or its error, or the database's."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return future

    async def close(self) -> None:
        """Return when nothing is under way any more."""
        while self._running is not None:
            await self._running

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._settle(batch)
        finally:
            self._running = None

    async def _settle(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._commit([item for item, _ in batch])
        except StoreError as error:
            for _, future in batch:
                _resolve(future, error)
        except Exception as error:  # noqa: BLE001 - whatever one item did to the driver belongs to its waiter
            if len(batch) == 1:
                _resolve(batch[0][1], error)
                return
            for one in batch:
                await self._settle([one])
        else:
            for (_, future), result in zip(batch, results, strict=True):
                _resolve(future, result)


def _resolve(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():  # its waiter has gone: the provider hung up
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
