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
from gateway.demo.run import once, send_all, settle, stage
from gateway.node import Node
from normalizer.model import HotlineMatter, Urgency


class OnScreen:
    """One line per event as the core gets it, and per reply as the citizen does; nothing when ``quiet``."""

    def __init__(self, out: Console, *, quiet: bool = False) -> None:
        self._out, self._quiet = out, quiet

    def event(self, event_type: str, matter: HotlineMatter) -> None:
        """The core has an event."""
        what = event_type.split(".")[2]
        self._print(
            f"[green]✓[/green] {matter.tracking_code}  {what:<7} {matter.channel.kind:<10} "
            f"{matter.language or '-':<3} {escape(matter.title)}"
        )
        if because := _because(what, matter):
            self._print(f"  {'':<16}  [yellow]{escape(because)}[/yellow]")

    def reply(self, kind: str, to: str, words: str) -> None:
        """A citizen has a reply."""
        del to
        self._print(f"[blue]←[/blue] {'':<16}  {'reply':<7} {kind:<10} {'':<3} [dim]{escape(words)}[/dim]")

    def story(self, title: str) -> None:
        """Messages follow that have to do with each other."""
        self._print(f"\n  [bold]{escape(title)}[/bold]")

    def remark(self, words: str) -> None:
        """Somebody did something."""
        self._print(f"  {'':<16}  [yellow]operator: {escape(words)}[/yellow]")

    def _print(self, line: str) -> None:
        if not self._quiet:
            self._out.print(line)


def _because(what: str, matter: HotlineMatter) -> str | None:
    """Why the matter is where it is, in plain words."""
    if what == "changed" and matter.incident is not None:
        known = matter.incident
        return f"incident: {known.citizens} citizens, {known.matters} matters; {'、'.join(known.places)}"
    if what in {"amended", "chased"}:
        raised = f"; now {matter.urgency}" if matter.urgency is not Urgency.ROUTINE else ""
        return f"{matter.messages[-1].reason}{raised}" if matter.messages[-1].reason else None
    if matter.urgency is Urgency.IMMEDIATE:
        return f"danger: {matter.emergency_line or 'crisis'}, immediate"
    if matter.confidential:
        return f"sealed: alias {str(matter.caller_id)[:8]}, {matter.content[:60]}"
    if matter.acceptance.suggestion != "accept":
        return f"suggested: {matter.acceptance.suggestion}, {matter.acceptance.ground} ({matter.acceptance.article})"
    link = matter.same_matter_of or matter.follows or matter.incident_id
    return f"{link.reason} ({link.score:.2f})" if link else None


async def show_once(
    config: Config, channels: Mapping[str, AnyChannel], secrets: Path, out: Console, *, as_json: bool
) -> int:
    """Send everything, wait for it, print the tally."""
    tally = await once(config, channels, secrets, OnScreen(out, quiet=as_json))
    if as_json:
        print(orjson.dumps(asdict(tally)).decode())  # noqa: T201 - for programs
    else:
        out.print(
            f"{tally.sent} messages sent on {len(channels)} channels, {tally.matters} matters, "
            f"{tally.events_received} events at the core, {tally.replies} replies at the citizens, {tally.seconds} s"
        )
    return 0


async def keep_showing(config: Config, channels: Mapping[str, AnyChannel], secrets: Path, out: Console) -> int:
    """Send everything, show it arriving, and keep serving until Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    shown = OnScreen(out)
    async with stage(config, channels, secrets, shown) as here:
        out.print(f"[bold]12345 gateway[/bold] for {escape(config.city.name)}; case core at {here.core.url}\n")
        out.print("  tracking code     event   channel    lng title, or what the citizen is told")
        sent = await send_all(here, secrets, shown)
        await settle(here)
        _farewell(here.node, sent, len(here.core.events), out)
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
