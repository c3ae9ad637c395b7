"""`gateway check --live`: trying what the configuration names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from channels.base import AnyChannel
from gateway.config import Config
from gateway.node import open_node_store
from gateway.server import bind
from store.errors import StoreError, StoreLocked


async def probe(config: Config, channels: Mapping[str, AnyChannel], out: Console) -> int:
    """Try what the configuration names: the store, the core's address, our own port. 1 when something does not work."""
    try:
        store_complaint, runs = await _probe_store(config), False
    except StoreLocked:
        store_complaint, runs = None, True  # a running node owns the store, and has our port: both work
    complaints = [store_complaint, await _probe_core(config), None if runs else _probe_listen(config)]
    for complaint in filter(None, complaints):
        out.print(f"[red]✗[/red] {escape(complaint)}")
    if any(complaints):
        return 1
    out.print(f"[green]✓[/green] store, core and addresses answer; {len(channels)} channels can start")
    return 0


async def _probe_store(config: Config) -> str | None:
    try:
        store = await open_node_store(config)
    except StoreLocked:
        raise
    except StoreError as error:
        return f"store: {error}"
    await store.close()
    return None


async def _probe_core(config: Config) -> str | None:
    if config.core.url is None:
        return None
    parts = urlsplit(config.core.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError):
        return f"core.url: nothing answers on {parts.hostname}:{port}; start the case core or correct the address"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


def _probe_listen(config: Config) -> str | None:
    try:
        bind(config.server.listen).close()
    except OSError as error:
        return str(error.strerror)
    return None
