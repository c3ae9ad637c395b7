"""The round of everything that goes out: take what is due, begin it, rest until somebody rings.

Hand-off, replies and media go alike, each as often as one thing at a time is worth looking for.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

import structlog

from store.errors import StoreUnavailable, Superseded
from store.membership import Lead

log = structlog.get_logger(__name__)
OneDue = TypeVar("OneDue", bound="Due")


class Rounds(ABC):
    """Runs until cancelled; ring it when there is something to do."""

    #: As the log calls it, and the id of one thing.
    stage: ClassVar[str]
    names: ClassVar[str]
    #: What is under way at the end is ended first; else it is cancelled, and done again by whoever comes next.
    ends_what_it_began: ClassVar[bool] = False

    def __init__(self, idle_seconds: float, *, linger_seconds: float = 0.0, pause_seconds: float | None = None) -> None:
        """How often to look when nobody rings; how long after a ring, so that what rings together is taken together;
        and how long what could not be written down is left alone (None: as long as it is idle).
        """
        self._idle_seconds, self._linger_seconds = idle_seconds, linger_seconds
        self._pause_seconds = idle_seconds if pause_seconds is None else pause_seconds
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """There is something to do."""
        self._bell.set()

    async def run(self) -> None:
        """Go on until cancelled; see ``ends_what_it_began``."""
        try:
            while True:
                self._bell.clear()
                if not await self._start():
                    await self._rest()
        finally:
            left = list(self._under_way.values())
            for task in () if self.ends_what_it_began else left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    @abstractmethod
    async def _start(self) -> int:
        """Begin what is due; how much that was."""

    def _begin(self, one: UUID, work: Callable[[], Awaitable[None]]) -> None:
        """``work`` is under way from now on, under this id."""
        self._under_way[one] = asyncio.create_task(self._attempt(one, work))

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._idle_seconds):
                await self._bell.wait()
                await asyncio.sleep(self._linger_seconds)
        except TimeoutError:
            pass

    async def _attempt(self, one: UUID, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Superseded:
            log.info("superseded", stage=self.stage, **{self.names: str(one)})
        except Exception as error:  # noqa: BLE001 - what became of it is not written: it will be found as it was
            log.error("not_written", stage=self.stage, error=type(error).__name__, **{self.names: str(one)})
            await asyncio.sleep(self._pause_seconds)
        finally:
            del self._under_way[one]
            self._bell.set()


class Due(Protocol):
    """One thing that is to be done, as it was read."""

    @property
    def id(self) -> UUID:
        """Of the thing."""


class Box(Protocol):
    """Where it is read from: by one node at a time for a channel."""

    @property
    def lead(self) -> Lead:
        """Whether this node is the one."""


class LedRounds(Rounds, Generic[OneDue]):
    """Rounds of the node that leads for one channel, with a few things at once."""

    #: How many.
    at_once: ClassVar[int]

    def __init__(self, idle_seconds: float, channel: str, box: Box) -> None:
        super().__init__(idle_seconds)
        self._name, self._led = channel, box

    @abstractmethod
    async def _due(self, most: int) -> Sequence[OneDue]:
        """Read what is due, those first that were due first."""

    @abstractmethod
    async def _do(self, one: OneDue) -> None:
        """Do it, and write down what became of it."""

    async def _start(self) -> int:
        # What is under way now may be done when the reading is over: then it was read as it is no more.
        before = frozenset(self._under_way)
        places = self.at_once - len(before)
        if not places or not self._led.lead.held:
            return 0
        try:
            due = await self._due(self.at_once + places)
        except Exception as error:  # noqa: BLE001 - it must be looked at again, whatever it was
            if not isinstance(error, StoreUnavailable):
                log.error("claim_failed", stage=self.stage, channel=self._name, error=type(error).__name__)
            return 0
        new = [one for one in due if one.id not in before][:places]
        for one in new:
            self._begin(one.id, partial(self._do, one))
        return len(new)
