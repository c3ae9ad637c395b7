"""`gateway index status`: how the log of fingerprints stands."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.table import Table

from gateway.config import Config
from gateway.opening import open_books
from normalizer.fingerprint import VERSION
from store.fingerprints import LogState


async def show_index(config: Config, since: datetime, out: Console, *, as_json: bool) -> int:
    """Say what the log holds; 1 when messages are not in it."""
    store = await open_books(config, owner=False)
    try:
        state = await store.fingerprints().state(since)
    finally:
        await store.close()
    if as_json:
        print(json.dumps(asdict(state) | {"version": VERSION, "since": since}, default=str), file=out.file)
    else:
        _print(state, since, out)
    return 1 if state.lacking else 0


def _print(state: LogState, since: datetime, out: Console) -> None:
    rows, others = sum(state.versions.values()), {v: n for v, n in state.versions.items() if v != VERSION}
    table = Table("", "", title=f"The index, from {since:%Y-%m-%d} on", title_justify="left")
    for name, shown in (
        ("messages that are compared", f"{state.messages}"),
        ("fingerprints", f"{rows}"),
        (f"  of version {VERSION}, searched", f"{rows - sum(others.values())}"),
        *((f"  of version {version}, not searched", f"{number}") for version, number in sorted(others.items())),
        ("oldest", f"{state.oldest:%Y-%m-%d %H:%M}" if state.oldest else "–"),
        ("newest", f"{state.newest:%Y-%m-%d %H:%M}" if state.newest else "–"),
        ("bytes, sealed", f"{state.size:,}"),
        ("bytes a message", f"{state.size / rows:.0f}" if rows else "–"),
    ):
        table.add_row(name, shown)
    out.print(table)
    if state.lacking:
        out.print(f"[red]✗[/red] {state.lacking} messages are not in it: `gateway index rebuild`")
    else:
        out.print("[green]✓[/green] every message is in it")
