"""`gateway handoff list`: what a sink refused."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from gateway.config import Config
from gateway.opening import open_books
from gateway.parked import parked
from store.values import ParkedEvent

#: Rows in a table for people; ``--json`` prints all.
SHOWN = 50


async def list_parked(config: Config, out: Console, *, as_json: bool) -> int:
    """Say what is parked: 0 when nothing is, else 1."""
    store = await open_books(config, owner=False)
    try:
        found = [event async for event in parked(store)]
    finally:
        await store.close()
    if as_json:
        print(json.dumps([asdict(event) for event in found], default=str, ensure_ascii=False))  # noqa: T201 - for programs
    elif found:
        _show(found, out)
    else:
        out.print("[green]✓[/green] nothing is parked")
    return 1 if found else 0


def _show(found: list[ParkedEvent], out: Console) -> None:
    table = Table("event", "sink", "matter", "type", "answer", "since", "behind it")
    for event in found[:SHOWN]:
        since = f"{event.at:%Y-%m-%d %H:%M}" if event.at else ""
        row = (str(event.id), event.sink, event.tracking_code, event.type, event.reason or "", since)
        table.add_row(*row, str(event.behind))
    out.print(table)
    if len(found) > SHOWN:
        out.print(f"and {len(found) - SHOWN} more; --json prints all")
    out.print("mend what the answer tells of, then: gateway handoff retry EVENT … (or --all)")
