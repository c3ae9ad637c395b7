"""The process is killed: at every single operation, at random moments, again and again; and asked to stop."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence

import pytest

from tests.faults.conftest import FULL
from tests.faults.ledger import examine, result
from tests.faults.load import Load
from tests.faults.shim import Control
from tests.faults.world import World, controlled

KILLS, STORMS, STOPS = (500, 100, 20) if FULL else (8, 5, 2)
#: Points tried in a short run, spread over all operations of a delivery.
SPREAD = 8
#: Seconds without an operation: then everything about a letter is done.
QUIET = 0.3
#: Lives of 2 s: longer than a lease on what a dead process held.
STARVED = 6


@pytest.mark.parametrize("channel", ["app", "mailbox"])
async def test_killed_at_every_operation_of_a_delivery(world: World, channel: str) -> None:
    """From the first byte in until the core has it: writes, syncs and sends, a process for each of them."""
    load, control = Load(world, (channel,)), controlled(world)
    operations = await _operations(world, load, control)
    runs, worst = 0, 0.0
    for at in itertools.count(1) if FULL else range(1, operations + 1, max(1, operations // SPREAD)):
        killed, seconds = await _killed_at(at, world, load, control)
        runs, worst = runs + killed, max(worst, seconds)
        if not killed:
            break
    await world.start()
    await world.settled()
    ledger = await examine(world, load)
    result(f"kill_at_{channel}", world, ledger, runs=runs, recovery_seconds=worst)
    assert ledger.complaints == []
    assert runs >= (operations // 2 if FULL else SPREAD // 2), f"killed {runs} times of {operations} operations"


async def _operations(world: World, load: Load, control: Control) -> int:
    """How many there are when nobody is killed. The first letter of a process starts more than later ones."""
    await world.start(control=control.path)
    control.count()
    await load.insist(load.letter())
    assert not await _ended(world, control, 1)
    await world.kill()
    return control.counted


async def _killed_at(at: int, world: World, load: Load, control: Control) -> tuple[bool, float]:
    """Whether an operation of that number came; then also the seconds until the next process had settled everything."""
    await world.start(control=control.path)
    load.hang_up()
    events = len(world.core.events) + 1
    control.kill(at)
    await load.attempt(letter := load.letter())
    killed = await _ended(world, control, events)
    control.disarm()
    await world.kill()
    if not killed:
        return False, 0.0
    started = time.monotonic()
    await world.start()
    if letter.acknowledged is None:
        await load.insist(letter)
    await world.settled()
    recovery = time.monotonic() - started
    await world.kill()
    return True, recovery


async def _ended(world: World, control: Control, events: int) -> bool:
    """True when the process was killed; False when the core has so many events and nothing happens any more."""
    assert world.child is not None
    counted, since = -1, time.monotonic()
    async with asyncio.timeout(60):
        while world.child.exit_code is None:
            if counted != control.counted or len(world.core.events) < events:
                counted, since = control.counted, time.monotonic()
            elif time.monotonic() - since > QUIET:
                return False
            await asyncio.sleep(0.01)
    return True


async def test_killed_at_random_moments(either_world: World) -> None:
    """Under load, with a rest now and then, so that hundreds of kills do not only pile up work."""
    world, chance = either_world, random.Random(12345)
    load, kills = Load(world), []
    await world.start()
    async with load.writing():
        for run in range(KILLS):
            await asyncio.sleep(chance.uniform(0, 1.2))
            kills.append(time.monotonic())
            await world.kill()
            await world.start()
            if run % 20 == 19:
                with load.resting():
                    await world.settled(120)
    await world.settled()
    ledger = await examine(world, load)
    worst = max(map(load.first_after, kills))
    result("random_kills", world, ledger, runs=KILLS, recovery_seconds=worst)
    assert ledger.complaints == []


async def test_killed_every_two_seconds(either_world: World) -> None:
    """It never gets time to rest, and yet each life acknowledges, and matters reach the core."""
    world, load = either_world, Load(either_world, pause=0.3)
    acknowledged, at_core, kills = [0], [0], []
    await world.start()
    async with load.writing():
        for _ in range(STORMS):
            await asyncio.sleep(2)
            kills.append(time.monotonic())
            await world.kill()
            acknowledged.append(len(load.acknowledged))
            at_core.append(len(world.core.events))
            await world.start()
    await world.settled()
    ledger = await examine(world, load)
    idle = _longest_standstill(acknowledged)
    ledger.expect(idle == 0, f"{idle} lives one after the other acknowledged nothing: {acknowledged}")
    idle = _longest_standstill(at_core)
    ledger.expect(idle < STARVED, f"{idle} lives one after the other brought nothing to the core: {at_core}")
    result("restart_storm", world, ledger, runs=STORMS, recovery_seconds=max(map(load.first_after, kills)))
    assert ledger.complaints == []


def _longest_standstill(counts: Sequence[int]) -> int:
    return max(len(list(same)) for _, same in itertools.groupby(counts)) - 1


async def test_asked_to_stop_with_work_in_flight(either_world: World) -> None:
    world, load = either_world, Load(either_world)
    stops: list[float] = []
    await world.start()
    async with load.writing():
        for _ in range(STOPS):
            await load.acknowledges(20)
            stops.append(time.monotonic())
            assert await world.stop(10) == 0
            await world.start()
    await world.settled()
    ledger = await examine(world, load)
    result("sigterm", world, ledger, runs=STOPS, recovery_seconds=max(map(load.first_after, stops)))
    assert ledger.complaints == []
