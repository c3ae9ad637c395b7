"""`gateway callers show`: who is whom, and on whose word."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.config import Config
from gateway.opening import open_books
from gateway.people import written


async def show_caller(config: Config, named: str, out: Console, *, as_json: bool) -> int:
    """Show a person; contacts are masked."""
    store = await open_books(config, owner=False)
    try:
        sheet = written(await store.people().sheet(named), reveal=False)
    finally:
        await store.close()
    print_sheet(sheet, out, as_json=as_json)
    return 0


def print_sheet(sheet: dict[str, Any], out: Console, *, as_json: bool) -> None:
    """What is known of a person, for programs or for people."""
    if as_json:
        print(json.dumps(sheet, ensure_ascii=False))  # noqa: T201 - for programs
    else:
        _show(sheet, out)


def _show(sheet: dict[str, Any], out: Console) -> None:
    out.print(f"person {sheet['person']}, {len(sheet['callers'])} callers")
    _table(out, sheet["contacts"], "caller", "type", "value", "assurance")
    _table(out, sheet["proofs"], "caller_id", "kind", "value", "evidence", "shown_at", "ended")
    _table(out, sheet["joins"], "id", "one_id", "other_id", "evidence", "decided_by", "reason", "at", "undone_by")
    for hint in sheet["hints"]:
        out.print(f"hint, no join: {hint['value']} in his words is a number of caller {hint['caller']}")


def _table(out: Console, rows: list[dict[str, Any]], *columns: str) -> None:
    if not rows:
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(escape(str(row[name] or "")) for name in columns))
    out.print(table)
