"""`gateway links split`, `join`, `unlink` and `export`: an operator's word on what belongs together."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from gateway.clock import now
from gateway.commands.deciding import answer
from gateway.config import Config
from gateway.linking import ASKED, Asked, do
from gateway.opening import open_books
from gateway.rules import CityRules
from store.linkbook import Written
from store.store import Store


async def decide_on(config: Config, asked: Asked, out: Console, err: Console) -> int:
    """Through the node that owns the store, or here; 1 when it cannot be done."""
    question = {"do": ASKED, "asked": asked.model_dump(mode="json")}

    async def doing(store: Store, asked: dict[str, Any], at: datetime) -> dict[str, str]:
        return await do(store, asked, at, CityRules.of(config.city))

    told = await answer(config, question, doing)
    if "error" in told:
        err.print(f"[red]✗[/red] {escape(told['error'])}")
        return 1
    out.print(f"[green]✓[/green] {told['done']}")
    return 0


async def export(config: Config, messages: Path, gold: Path, by: str, reason: str, out: Console) -> int:
    """Write what operators have decided as labelled pairs for ``gateway evaluate``; the texts are citizens' own.

    Raise StoreLocked while a node owns the store: that somebody has the texts is written before he gets them.
    """
    store = await open_books(config)
    try:
        pairs = await store.links().labelled()
        wanted = list(dict.fromkeys(one for pair in pairs for one in (pair.one, pair.other)))
        texts = await store.links().texts(wanted, by, reason, now())
        _write(gold, ("id_a", "id_b", "label"), [(pair.one, pair.other, int(pair.together)) for pair in pairs])
        _write(messages, ("id", "sender", "time", "title", "text"), [_row(one) for one in texts])
    finally:
        await store.close()
    out.print(f"{len(pairs)} pairs, {len(wanted)} messages; the texts are citizens' own: delete the files when done")
    return 0


def _write(file: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        written = csv.writer(target)
        written.writerow(columns)
        written.writerows(rows)


def _row(one: Written) -> tuple[object, ...]:
    kept = one.kept
    return kept.id, one.caller_id, kept.received_at.isoformat(), kept.message.title or "", kept.message.text
