"""`gateway held list`: what waits for a person."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.config import Config
from gateway.opening import open_books
from store.holdbook import Held

#: Rows in a table for people; ``--json`` prints all.
SHOWN = 50


async def list_held(config: Config, out: Console, *, as_json: bool) -> int:
    """Say what is held and for what, without its words."""
    store = await open_books(config, owner=False)
    try:
        found = await store.holds().held()
    finally:
        await store.close()
    if as_json:
        print(json.dumps([_told(one) for one in found], default=str, ensure_ascii=False))  # noqa: T201 - for programs
    elif found:
        _show(found, out)
    else:
        out.print("[green]✓[/green] nothing is held")
    return 0


def _told(one: Held) -> dict[str, Any]:
    return {
        "message_id": one.message_id,
        "channel": one.channel,
        "received_at": one.received_at.isoformat(),
        "until": one.until and one.until.isoformat(),
        "sender": one.sender,
        "flags": [{"kind": flag.kind, "score": flag.score} for flag in one.flags],
    }


def _show(found: list[Held], out: Console) -> None:
    table = Table("message", "sender", "channel", "came", "goes on", "held for")
    for one in found[:SHOWN]:
        until = f"{one.until:%Y-%m-%d %H:%M}" if one.until else "after those before it"
        flags = ", ".join(f"{flag.kind} {flag.score:.2f}" for flag in one.flags)
        table.add_row(
            str(one.message_id), str(one.sender), escape(one.channel), f"{one.received_at:%Y-%m-%d %H:%M}", until, flags
        )
    out.print(table)
    if len(found) > SHOWN:
        out.print(f"and {len(found) - SHOWN} more; --json prints all")
    out.print("to read one: gateway held show MESSAGE --by … --reason …; then release or refuse it")
