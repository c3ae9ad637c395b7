"""Showing the books to a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from channels.base import AnyChannel
from gateway.clock import now
from gateway.config import Config
from gateway.opening import open_books
from gateway.recount import Comparison, compare
from store.values import Books

#: Missing messages of one channel named to a person; a program gets all (``--json``).
SHOWN = 20


async def reconcile_on(
    config: Config,
    channels: Mapping[str, AnyChannel],
    since: datetime | None,
    out: Console,
    *,
    providers: bool,
    as_json: bool,
) -> int:
    """Prove the books, and with ``providers`` compare them with what these say; 1 when something is wrong or missing."""
    store = await open_books(config, owner=False)
    try:
        books = await store.reconcile(since)
        found = await compare(store, channels, now(), since) if providers else {}
    finally:
        await store.close()
    if as_json:
        told = {"providers": {name: asdict(one) for name, one in found.items()}} if providers else {}
        print(json.dumps(asdict(books) | {"balanced": books.balanced} | told, ensure_ascii=False), file=out.file)
    else:
        print_books(books, out)
        if providers:
            print_comparisons(found, out)
    return 0 if books.balanced and all(one.complete for one in found.values()) else 1


def print_books(books: Books, out: Console) -> None:
    """The totals, the proof, and what does not add up."""
    table = Table("", "total", title="The books", title_justify="left")
    for name, number in (
        ("envelopes", books.envelopes),
        ("  unpacked", books.unpacked),
        ("  pending", books.pending),
        ("messages", books.messages),
        *((f"  {name}", number) for name, number in books.outcomes.items() if number),
        ("events owed to the core", books.events["owed"]),
        *((f"  {name}", books.events[name]) for name in ("delivered", "waiting", "parked")),
    ):
        table.add_row(name, str(number))
    out.print(table)
    for sentence in books.offending:
        out.print(f"[red]✗[/red] {sentence}")
    if books.balanced:
        out.print("[green]✓[/green] the books balance")


def print_comparisons(found: Mapping[str, Comparison], out: Console) -> None:
    """What each provider counts beside ours, and what is missing by name."""
    columns = ("channel", "provider", "ours", "missing", "on the way", "waiting", "")
    table = Table(*columns, title="What the providers say", title_justify="left")
    for name, one in found.items():
        asked = "" if one.unanswered is None else f"cannot be asked: {one.unanswered}"
        listed, waiting = ("–" if number is None else str(number) for number in (one.listed, one.waiting))
        ours, missing = ("–", "–") if one.listed is None else (str(one.ours), str(len(one.missing)))
        table.add_row(name, listed, ours, missing, str(one.unsettled), waiting, asked)
    out.print(table)
    for name, one in found.items():
        for sentence in _sentences(name, one):
            out.print(f"[red]✗[/red] {escape(sentence)}")
    if all(one.complete and one.unanswered is None for one in found.values()):
        out.print("[green]✓[/green] we have all that the providers delivered")


def _sentences(name: str, one: Comparison) -> list[str]:
    said = [f"{name}: {missing} is not in the books" for missing in one.missing[:SHOWN]]
    if len(one.missing) > SHOWN:
        said.append(f"{name}: … and {len(one.missing) - SHOWN} more; --json names all")
    if one.obstacle is not None:
        said.append(f"{name}: {one.waiting} wait at the provider: {one.obstacle}")
    return said
