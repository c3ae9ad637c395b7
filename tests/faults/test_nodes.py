"""Four gateways on one PostgreSQL: one is killed, one stopped past its lease, one asked to end; the rest carries on."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.cluster import BotApi, Cluster, clustered
from tests.faults.conftest import FULL
from tests.faults.ledger import examine, in_effect, result
from tests.faults.load import Load
from tests.faults.world import SETTLE_SECONDS
from tests.faults.zygote import Zygote
from tests.postgres import Server

ROUNDS = 10 if FULL else 1
#: A stopped node's work is taken over within this time, seconds; in a short run the machine has other work as well.
TAKEN_OVER = 15.0 if FULL else 30.0
#: Longer than a lease, seconds.
PAST_THE_LEASE = 9.0


@pytest.fixture
async def cluster(tmp_path: Path, zygote: Zygote, postgresql: Server) -> AsyncIterator[tuple[Cluster, BotApi]]:
    """Four nodes and a bot that one of them polls."""
    async with (
        BotApi().serving() as bot,
        clustered(tmp_path, zygote, postgresql.fresh_database(), bot) as made,
    ):
        yield made, bot


async def _reach_the_core(cluster: Cluster, numbers: set[int]) -> float:
    """Seconds until the core has these letters."""
    began = time.monotonic()
    while missing := numbers - set(in_effect(cluster.core.events.values(), _Silent())):
        assert time.monotonic() - began < SETTLE_SECONDS, (
            f"{len(missing)} letters do not reach the core: {await cluster.told()}"
        )
        await asyncio.sleep(0.2)
    return time.monotonic() - began


class _Silent:
    """Takes complaints that only count at the end."""

    def expect(self, holds: bool, sentence: str) -> None:
        """Nothing."""


async def test_nodes_die_sleep_and_leave_while_citizens_write(cluster: tuple[Cluster, BotApi]) -> None:
    nodes, bot = cluster
    load = Load(nodes, senders=6, pause=0.5)  # type: ignore[arg-type]  # all that it uses of a world
    await nodes.start(0, 1, 2, 3)
    takeovers: list[float] = []
    talking = asyncio.create_task(_talk(load, bot))
    async with load.writing():
        for _ in range(ROUNDS):
            for fault in (_killed, _asleep, _asked_to_leave):
                await load.acknowledges(30)
                takeovers.append(await fault(nodes, load))
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    async with asyncio.timeout(30):
        while any(letter.acknowledged is None for letter in bot.letters.values()):
            await asyncio.sleep(0.05)
    await nodes.settled()
    ledger = await examine(nodes, load)  # type: ignore[arg-type]  # as above
    gaps = [after - before for before, after in zip(bot.polled, bot.polled[1:], strict=False)]
    ledger.expect(max(gaps) <= TAKEN_OVER, f"nobody polled for {max(gaps):.1f} s")
    ledger.expect(bot.conflicts <= len(takeovers), f"{bot.conflicts} polls at once")
    ledger.expect(max(takeovers) <= TAKEN_OVER, f"taken over in {takeovers}")
    result("node_lost", nodes, ledger, runs=3 * ROUNDS, recovery_seconds=max(takeovers))  # type: ignore[arg-type]
    assert ledger.complaints == []


async def _talk(load: Load, bot: BotApi) -> None:
    while True:
        bot.say(load.letter("telegram", "900000001"))
        await asyncio.sleep(0.3)


def _others(nodes: Cluster, number: int) -> None:
    """From now on nobody writes to this one."""
    nodes.up.discard(number)


async def _killed(nodes: Cluster, load: Load) -> float:
    """The first node is gone from one moment to the next. Seconds until what was acknowledged by then is at the core."""
    acknowledged = set(load.acknowledged)
    _others(nodes, 0)
    await nodes.worlds[0].kill()
    load.hang_up()
    took = await _reach_the_core(nodes, acknowledged)
    await nodes.start(0)
    return took


async def _asleep(nodes: Cluster, load: Load) -> float:
    """The second node stands still past its lease, with work in its hands, and then goes on as if nothing had been."""
    acknowledged, child = set(load.acknowledged), nodes.worlds[1].child
    assert child is not None
    _others(nodes, 1)
    began = time.monotonic()
    child.signal(signal.SIGSTOP)
    load.hang_up()
    took = await _reach_the_core(nodes, acknowledged)
    await asyncio.sleep(PAST_THE_LEASE - (time.monotonic() - began))
    child.signal(signal.SIGCONT)
    nodes.up.add(1)
    return took


async def _asked_to_leave(nodes: Cluster, load: Load) -> float:
    """The third ends in good order: what it held is free at once."""
    acknowledged = set(load.acknowledged)
    _others(nodes, 2)
    assert await nodes.worlds[2].stop(10) == 0
    load.hang_up()
    took = await _reach_the_core(nodes, acknowledged)
    await nodes.start(2)
    return took
