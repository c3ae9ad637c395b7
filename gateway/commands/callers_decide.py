"""`gateway callers join`, `undo` and `show --reveal`: what is kept with a name and a reason."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from gateway import control
from gateway.clock import now
from gateway.commands.callers import print_sheet
from gateway.config import Config
from gateway.opening import open_books
from gateway.people import JOIN, REVEAL, UNDO, do
from store.errors import NobodySuch, StoreLocked


async def join_callers(config: Config, one: str, other: str, by: str, reason: str, out: Console) -> int:
    """Say that two callers are one person."""
    told = await _done(config, {"do": JOIN, "one": one, "other": other, "by": by, "reason": reason})
    out.print(f"[green]✓[/green] joined; to take it back: gateway callers undo {told['join']} --reason … --by …")
    return 0


async def undo_join(config: Config, join: str, by: str, reason: str, out: Console) -> int:
    """Say that they are not; 1 when somebody has said so before."""
    told = await _done(config, {"do": UNDO, "join": join, "by": by, "reason": reason})
    if not told["undone"]:
        out.print("it was undone before")
        return 1
    out.print("[green]✓[/green] undone; other joins of the same callers stand: see gateway callers show")
    return 0


async def reveal_caller(config: Config, named: str, by: str, reason: str, out: Console, *, as_json: bool) -> int:
    """Show a person with his contacts in full; who read them, and why, is kept."""
    told = await _done(config, {"do": REVEAL, "named": named, "by": by, "reason": reason})
    print_sheet(told["sheet"], out, as_json=as_json)
    return 0


async def _done(config: Config, asked: dict[str, Any]) -> dict[str, Any]:
    """By this process, or by the node that owns the store. Raise NobodySuch, StoreLocked."""
    try:
        store = await open_books(config)
    except StoreLocked:
        told = await control.ask_node(config, asked)
    else:
        try:
            told = await do(store, asked, now())
        finally:
            await store.close()
    if "error" in told:
        raise NobodySuch(told["error"])
    return told
