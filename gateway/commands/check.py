"""`gateway check --live`: trying what the configuration names."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from channels.base import AnyChannel
from channels.smtp import Smtp
from gateway.config import Config
from gateway.opening import open_books
from gateway.server import bind
from store.database import is_owned
from store.errors import NoStore, StoreError


async def probe(config: Config, channels: Mapping[str, AnyChannel], out: Console) -> int:
    """Try what the configuration names: store, core, our own addresses, mailboxes; nothing is made. 1 when one fails."""
    probed = await asyncio.gather(*(channel.probe() for channel in channels.values()))
    found = {f"channels.{name}": one for name, one in zip(channels, probed, strict=True)}
    complaints = [await _probe_store(config), await _probe_core(config), *_probe_addresses(config, channels)]
    complaints += [f"{name}: {one.wrong}" for name, one in found.items() if one.wrong is not None]
    for name, one in found.items():
        if one.note is not None:
            out.print(escape(f"  {name}: {one.note}"))
    for complaint in filter(None, complaints):
        out.print(f"[red]✗[/red] {escape(complaint)}")
    if any(complaints):
        return 1
    out.print(f"[green]✓[/green] store, core and addresses answer; {len(channels)} channels can start")
    return 0


async def _probe_store(config: Config) -> str | None:
    try:
        store = await open_books(config, owner=False)
    except NoStore:
        return None  # the first start makes it
    except StoreError as error:
        return f"store: {error}"
    await store.close()
    return None


async def _probe_core(config: Config) -> str | None:
    if config.core.path is not None and not _writable(config.core.path):
        return f"core.path: {config.core.path} cannot be written"
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


def _writable(path: Path) -> bool:
    """Whether the file, or the nearest folder above it that exists, may be written."""
    while not path.exists():
        path = path.parent
    return os.access(path, os.W_OK)


def _probe_addresses(config: Config, channels: Mapping[str, AnyChannel]) -> Iterator[str]:
    """Our own addresses must be free, unless a node of ours has them."""
    if config.store.url.startswith("sqlite") and is_owned(config.store.url):
        return
    wanted = {"server.listen": config.server.listen}
    for name, channel in channels.items():
        if isinstance(channel, Smtp):
            wanted[f"channels.{name}.listen"] = channel.settings.listen
    for setting, listen in wanted.items():
        try:
            bind(listen, setting).close()
        except OSError as error:
            yield str(error.strerror)
