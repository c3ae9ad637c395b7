"""Running the demo: everything in one process, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.base import AnyChannel
from channels.simulated import Ack
from gateway.clock import now
from gateway.config import Config
from gateway.demo.citizens import letters, peers
from gateway.demo.core import StandInCore
from gateway.node import Node, Role, open_node_store, running
from normalizer.model import HotlineMatter


class DemoFailed(Exception):
    """Something sent has no outcome, or the core did not get every event."""


@dataclass(frozen=True)
class Tally:
    """What a demo run came to; `--json` prints it."""

    sent: int
    outcomes: dict[str, int]
    matters: int
    events_received: int
    seconds: float


@contextlib.asynccontextmanager
async def stage(
    config: Config, channels: Mapping[str, AnyChannel], heard: Callable[[str, HotlineMatter], None]
) -> AsyncIterator[tuple[Node, StandInCore]]:
    """A running node with all roles, and the stand-in core it hands over to."""
    core_settings = config.core
    if core_settings.url is None or core_settings.secret is None:
        raise DemoFailed("the demo needs core.sink: webhook, with url and secret")
    core = StandInCore(core_settings.url, core_settings.secret.get_secret_value(), heard)
    store = await open_node_store(config, roles=tuple(Role))
    serving = asyncio.create_task(core.run())
    try:
        async with running(Node(config, channels, store)) as node:
            await node.ready()
            yield node, core
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await store.close()


async def send_letters(node: Node, secrets: Path, told: Callable[[str, Ack], None]) -> int:
    """Let every citizen write once; the number of messages acknowledged. Raise DemoFailed when one is not."""
    channels = peers(node.channels, secrets, node.config.server.public_url)
    sent = 0
    for name, delivery in letters(channels, now()):
        ack = await delivery.send(node)
        told(name, ack)
        if not ack.ok:
            raise DemoFailed(f"channel {name} answered {ack.status}")
        sent += 1
    return sent


async def _settle(node: Node) -> None:
    try:
        await node.settled()
    except TimeoutError:
        raise DemoFailed("not everything was filed and delivered within 60 s; see the log above") from None


async def once(
    config: Config,
    channels: Mapping[str, AnyChannel],
    secrets: Path,
    heard: Callable[[str, HotlineMatter], None],
) -> Tally:
    """Send everything, wait until it has arrived, count it. Raise DemoFailed when something is missing."""
    started = time.perf_counter()
    async with stage(config, channels, heard) as (node, core):
        await _settle(node)  # what an earlier run left behind is not ours to count
        before = await node.store.reconcile()
        sent = await send_letters(node, secrets, lambda _name, _ack: None)
        await _settle(node)
        after = await node.store.reconcile()
        outcomes = _difference(before.outcomes, after.outcomes)
        owed = after.events["owed"] - before.events["owed"]
        if sum(outcomes.values()) != sent or len(core.events) < owed or not after.balanced:
            raise DemoFailed(f"sent {sent}, outcomes {outcomes}, events {len(core.events)} of {owed}")
        return Tally(
            sent, outcomes, outcomes.get("filed", 0), len(core.events), round(time.perf_counter() - started, 2)
        )


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    return {name: number - before.get(name, 0) for name, number in after.items() if number > before.get(name, 0)}
