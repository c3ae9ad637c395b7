"""Showing the books to a person."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from store.values import Books


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
