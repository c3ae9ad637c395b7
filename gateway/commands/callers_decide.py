"""`gateway callers join`, `undo` and `show --reveal`: what is kept with a name and a reason."""

from __future__ import annotations

from rich.console import Console

from gateway.commands.callers import print_sheet
from gateway.commands.deciding import done
from gateway.config import Config
from gateway.people import JOIN, REVEAL, UNDO, do


async def join_callers(config: Config, one: str, other: str, by: str, reason: str, out: Console) -> int:
    """Say that two callers are one person."""
    told = await done(config, {"do": JOIN, "one": one, "other": other, "by": by, "reason": reason}, do)
    out.print(f"[green]✓[/green] joined; to take it back: gateway callers undo {told['join']} --reason … --by …")
    return 0


async def undo_join(config: Config, join: str, by: str, reason: str, out: Console) -> int:
    """Say that they are not; 1 when somebody has said so before."""
    told = await done(config, {"do": UNDO, "join": join, "by": by, "reason": reason}, do)
    if not told["undone"]:
        out.print("it was undone before")
        return 1
    out.print("[green]✓[/green] undone; other joins of the same callers stand: see gateway callers show")
    return 0


async def reveal_caller(config: Config, named: str, by: str, reason: str, out: Console, *, as_json: bool) -> int:
    """Show a person with his contacts in full; who read them, and why, is kept."""
    told = await done(config, {"do": REVEAL, "named": named, "by": by, "reason": reason}, do)
    print_sheet(told["sheet"], out, as_json=as_json)
    return 0
