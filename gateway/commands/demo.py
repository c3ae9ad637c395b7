"""`gateway demo`: what a newcomer sees."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import orjson
from rich.console import Console
from rich.markup import escape

from channels.base import AnyChannel
from gateway.config import Config
from gateway.demo.run import once, send_letters, stage
from gateway.node import Node
from normalizer.model import HotlineMatter


def _line(event_type: str, matter: HotlineMatter) -> str:
    """One line per event as the core gets it."""
    what = event_type.split(".")[2]
    return (
        f"[green]✓[/green] {matter.tracking_code}  {what:<7} {matter.channel.kind:<10} "
        f"{matter.language or '-':<3} {escape(matter.title)}"
    )


async def show_once(
    config: Config, channels: Mapping[str, AnyChannel], secrets: Path, out: Console, *, as_json: bool
) -> int:
    """Send everything, wait for it, print the tally."""
    tally = await once(config, channels, secrets, lambda t, m: None if as_json else out.print(_line(t, m)))
    if as_json:
        print(orjson.dumps(asdict(tally)).decode())  # noqa: T201 - for programs
    else:
        out.print(
            f"{tally.sent} messages sent on {len(channels)} channels, {tally.matters} matters, "
            f"{tally.events_received} events at the core, {tally.seconds} s"
        )
    return 0


async def keep_showing(config: Config, channels: Mapping[str, AnyChannel], secrets: Path, out: Console) -> int:
    """Send everything, show it arriving, and keep serving until Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with stage(config, channels, lambda t, m: out.print(_line(t, m))) as (node, core):
        out.print(f"[bold]12345 gateway[/bold] for {escape(config.city.name)}; case core at {core.url}\n")
        out.print("tracking code     event   channel    lng title")
        sent = await send_letters(node, secrets, lambda _name, _ack: None)
        await node.settled()
        _farewell(node, sent, len(core.events), out)
        await stop.wait()
    return 0


def _farewell(node: Node, sent: int, events: int, out: Console) -> None:
    out.print(f"\n{sent} messages sent, {events} events at the core. Still serving; Ctrl-C ends it. Look at:")
    for path, what in (
        ("/docs", "the API, to try out"),
        ("/metrics", "counters"),
        ("/readyz", "how the node fares"),
    ):
        out.print(f"  {node.http_url}{path:<10} {what}")
    out.print("  gateway reconcile      the books (in another terminal)")
