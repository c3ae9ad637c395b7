"""`gateway conduct`: whose signs of conduct are which, what is decided about them, and the evidence for the police."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.clock import now
from gateway.commands.deciding import done
from gateway.conducted import APPEAL, CLEAR, EXPORT, READ, do
from gateway.config import Config
from gateway.opening import open_books
from store.flagbook import Noticed


async def show_conduct(config: Config, caller: UUID, by: str, reason: str, out: Console, *, as_json: bool) -> int:
    """Show what counts of a caller; who read it, and why, is kept."""
    await done(config, {"do": READ, "named": str(caller), "by": by, "reason": reason}, do)
    store = await open_books(config, owner=False)
    try:
        found = await store.flags().of(caller, now())
    finally:
        await store.close()
    if as_json:
        print(json.dumps([asdict(one) for one in found], default=str, ensure_ascii=False))  # noqa: T201 - for programs
    elif found:
        _show(found, out)
    else:
        out.print("[green]✓[/green] nothing that counts")
    return 0


def _show(found: list[Noticed], out: Console) -> None:
    table = Table("noticed", "kind", "score", "evidence", "matter", "counts until", "disputed")
    for one in found:
        evidence, matter = escape("; ".join(one.evidence)), str(one.matter_id or "")
        disputed = f"{one.appealed_at:%Y-%m-%d}" if one.appealed_at else ""
        times = (f"{one.at:%Y-%m-%d %H:%M}", f"{one.expires_at:%Y-%m-%d}")
        table.add_row(times[0], one.kind, f"{one.score:.2f}", evidence, matter, times[1], disputed)
    out.print(table)


async def appeal_conduct(config: Config, matter: str, by: str, reason: str, out: Console) -> int:
    """Write down that the flags of a matter are disputed."""
    told = await done(config, {"do": APPEAL, "named": matter, "by": by, "reason": reason}, do)
    out.print(f"[green]✓[/green] {told['flags']} flags are disputed; the core is told that a person should look")
    return 0


async def clear_conduct(config: Config, matter: str, by: str, reason: str, out: Console) -> int:
    """Say that the flags of a matter do not count."""
    told = await done(config, {"do": CLEAR, "named": matter, "by": by, "reason": reason}, do)
    out.print(f"[green]✓[/green] {told['flags']} flags do not count any more; the core is told")
    return 0


async def export_conduct(config: Config, matter: str, to: Path, by: str, reason: str, out: Console) -> int:
    """Write the evidence to a file that only its owner can read; that somebody has it is written down before."""
    await done(config, {"do": EXPORT, "named": matter, "by": by, "reason": reason}, do)
    store = await open_books(config, owner=False)
    try:
        bundle = await store.flags().bundle(matter)
    finally:
        await store.close()
    whole = {"exported": {"by": by, "reason": reason, "at": now().isoformat()}} | bundle
    _write(to, json.dumps(whole, ensure_ascii=False, indent=1))
    out.print(f"[green]✓[/green] {to}: {len(bundle['messages'])} messages; they are the citizen's own words")
    return 0


def _write(file: Path, text: str) -> None:
    """Never over an older one."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as target:
        target.write(text)
