"""The round of what goes out: nothing is done twice at once, nothing is forgotten, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from gateway.rounds import LedRounds, Rounds
from store.errors import StoreUnavailable, Superseded
from tests.handing import until

ONE, TWO = UUID(int=1), UUID(int=2)
Work = Callable[[], Awaitable[None]]


class Errands(Rounds):
    """Does what it is given, once each."""

    stage, names = "errands", "errand_id"

    def __init__(self, **due: Work) -> None:
        super().__init__(0.05, pause_seconds=0.01)
        self.due = [(UUID(int=int(name[1:])), work) for name, work in due.items()]
        self.looked = 0

    async def _start(self) -> int:
        self.looked += 1
        begun, self.due = self.due, []
        for one, work in begun:
            self._begin(one, work)
        return len(begun)

    @property
    def under_way(self) -> set[UUID]:
        return set(self._under_way)


class Finishing(Errands):
    ends_what_it_began = True


async def stopped(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_it_looks_again_when_rung_and_now_and_then_when_not() -> None:
    errands = Errands()
    running = asyncio.create_task(errands.run())
    await until(lambda: asyncio.sleep(0, errands.looked >= 3), seconds=2)
    errands._idle_seconds = 3600
    await until(lambda: asyncio.sleep(0, errands._bell.is_set() is False and errands.looked >= 4), seconds=2)
    before = errands.looked
    errands.ring()
    await until(lambda: asyncio.sleep(0, errands.looked > before), seconds=2)
    await stopped(running)


@pytest.mark.parametrize("error", [Superseded("another's"), StoreUnavailable("down"), KeyError("内容")])
async def test_one_that_fails_stops_nobody(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []

    async def fails() -> None:
        raise error

    async def works() -> None:
        done.append(1)

    errands = Errands(_1=fails, _2=works)
    running = asyncio.create_task(errands.run())
    await until(lambda: asyncio.sleep(0, bool(done) and not errands.under_way))
    assert not running.done()
    await stopped(running)
    assert "内容" not in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "ended"), [(Errands, False), (Finishing, True)])
async def test_what_is_under_way_at_the_end(kind: type[Errands], ended: bool) -> None:
    begun, goes_on, done = asyncio.Event(), asyncio.Event(), []

    async def works() -> None:
        begun.set()
        await goes_on.wait()
        done.append(1)

    running = asyncio.create_task(kind(_1=works).run())
    await begun.wait()
    asyncio.get_running_loop().call_later(0.05, goes_on.set)
    await stopped(running)
    assert bool(done) == ended


# -- Where one node does it for a channel ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thing:
    id: UUID


@dataclass(frozen=True)
class Held:
    held: bool = True


@dataclass
class Box:
    lead: Any = field(default_factory=Held)


class Slow(LedRounds[Thing]):
    """Its second reading takes as long as the work that is under way then."""

    stage, names, at_once = "test", "thing", 2

    def __init__(self) -> None:
        super().__init__(0.01, "app", Box())
        self.left, self.done, self.readings = [Thing(ONE)], list[UUID](), 0
        self.read, self.over = asyncio.Event(), asyncio.Event()

    async def _due(self, most: int) -> Sequence[Thing]:
        self.readings += 1
        found = list(self.left[:most])
        if self.readings == 2:
            self.read.set()
            await self.over.wait()
        return found

    async def _do(self, one: Thing) -> None:
        await self.read.wait()
        self.done.append(one.id)
        self.left.clear()
        asyncio.get_running_loop().call_soon(self.over.set)  # when it is no more under way


async def test_what_was_done_while_it_was_read_is_not_done_again() -> None:
    rounds = Slow()
    running = asyncio.create_task(rounds.run())
    async with asyncio.timeout(10):
        while rounds.readings < 4:
            await asyncio.sleep(0)
    await stopped(running)
    assert rounds.done == [ONE]
