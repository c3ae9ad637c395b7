"""`gateway serve`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection, Mapping

import structlog

from channels.base import AnyChannel
from gateway.config import Config
from gateway.node import Node, Role, open_node_store, running

log = structlog.get_logger(__name__)


async def serve_until_stopped(config: Config, channels: Mapping[str, AnyChannel], roles: Collection[Role]) -> int:
    """Run a node until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = await open_node_store(config, roles=roles)
    try:
        async with running(Node(config, channels, store, roles=roles)) as node:
            log.info("serving", http=node.http_url, channels=sorted(channels), roles=sorted(node.roles))
            await stop.wait()
            log.info("stopping")
    finally:
        await store.close()
    return 0
