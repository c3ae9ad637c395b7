"""A crowd takes all descriptors: acknowledgements stay honest, and the node recovers when the crowd is gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from tests.faults.conftest import FULL
from tests.faults.ledger import examine, result
from tests.faults.load import Load
from tests.faults.world import World

OPEN_FILES, CROWD = 64, 200


@contextlib.asynccontextmanager
async def crowd(port: int) -> AsyncIterator[None]:
    """So many connections that say nothing; those cut off come back."""
    members = [asyncio.create_task(_insist(port)) for _ in range(CROWD)]
    try:
        yield
    finally:
        for member in members:
            member.cancel()
        await asyncio.gather(*members, return_exceptions=True)


async def _insist(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await reader.read()
            finally:
                writer.close()
        await asyncio.sleep(0.1)


async def test_a_crowd_that_takes_all_descriptors(world: World) -> None:
    load, worst, runs = Load(world), 0.0, 10 if FULL else 2
    await world.start(open_files=OPEN_FILES)
    async with load.writing():
        for _ in range(runs):
            await load.acknowledges(10)
            async with crowd(world.port):
                await asyncio.sleep(3)
            gone = time.monotonic()
            await load.acknowledges(1)
            worst = max(worst, load.first_after(gone))
    await world.settled()
    ledger = await examine(world, load)
    result("emfile", world, ledger, runs=runs, recovery_seconds=worst)
    assert ledger.complaints == []
    assert worst < 10
