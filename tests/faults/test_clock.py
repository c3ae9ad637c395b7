"""The gateway's clock jumps while work and retries are under way: everything still settles, without a storm."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.faults.ledger import examine, result
from tests.faults.load import Load
from tests.faults.world import World, controlled

HOUR = 3600
#: Seconds within which everything settles, and tries of one event that are no storm: the back-off begins at half a
#: second and doubles.
SETTLED, TRIES = 30.0, 8


@pytest.mark.parametrize("jump", [24 * HOUR, -24 * HOUR, -HOUR], ids=["+1 day", "-1 day", "-1 hour"])
async def test_the_clock_jumps(either_world: World, jump: int) -> None:
    world, load, control = either_world, Load(either_world), controlled(either_world)
    await world.start(control=control.path)
    async with load.writing():
        await load.acknowledges(10)
        world.core.refusing = 503
        await load.acknowledges(20)
        async with asyncio.timeout(20):
            while not world.core.refused:
                await asyncio.sleep(0.02)
        await asyncio.sleep(1.5)  # now some events are put off, others under way
        control.set_clock(jump)
        await load.acknowledges(20)
        await asyncio.sleep(1.5)
        world.core.refusing = None
    started = time.monotonic()
    await world.settled(SETTLED)
    ledger = await examine(world, load, in_order=False)
    most = max(world.core.deliveries.values())
    ledger.expect(most <= TRIES, f"one event was sent {most} times")
    result(f"clock_{jump:+}", world, ledger, runs=1, recovery_seconds=time.monotonic() - started)
    assert ledger.complaints == []
