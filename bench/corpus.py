"""Every mail we have is read: none lost, none by an exception, within time and memory. Run: python -m bench.corpus (SHORT=1).

tests/data/mail, and each folder of ../shared/data/mime where that is present (not with SHORT=1). Exit 1 when a promise of
``gateway evaluate mail`` is not kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT, circumstances
from gateway.commands.evaluate import score_folder
from gateway.mail_measure import Score

RESULTS = ROOT / "bench" / "results" / "corpus.json"
OWN = ROOT / "tests" / "data" / "mail"
SHARED = ROOT.parent / "shared" / "data" / "mime"
WIDTH = 120
COLUMNS = ("files", "read", "lost", "exceptions", "defects", "chinese", "replaced", "slowest s", "peak MB")


def folders(short: bool) -> list[Path]:
    """What is read."""
    others = sorted(path for path in SHARED.glob("*") if path.is_dir()) if not short else []
    return [OWN, *others]


async def scores(short: bool, err: Console) -> dict[str, Score]:
    """Each folder's."""
    return {
        folder.name if folder != OWN else "our own": await score_folder(
            folder, err, only="*.eml" if folder == OWN else "*"
        )
        for folder in folders(short)
    }


def row(name: str, score: Score) -> list[str]:
    """One line of the table."""
    numbers = (score.files, score.read, score.lost, score.exceptions, score.defects, score.chinese)
    replaced = score.chinese_replacement_characters / max(1, score.chinese_characters)
    measured = (f"{replaced:.2%}", f"{score.slowest_seconds:.2f}", f"{score.peak_megabytes:.0f}")
    return [name, *map(str, numbers), *measured]


def main() -> int:
    """Read, print, write, judge."""
    out, err, short = Console(width=WIDTH), Console(stderr=True), bool(os.environ.get("SHORT"))
    found = asyncio.run(scores(short, err))
    table = Table("", *COLUMNS, title="Mails read", title_justify="left")
    for name, score in found.items():
        table.add_row(*row(name, score))
    out.print(table)
    if not short and not SHARED.is_dir():
        out.print("../shared/data/mime is absent: only our own mails were read")
    complaints = [f"{name}: {sentence}" for name, score in found.items() for sentence in score.complaints()]
    for sentence in complaints:
        out.print(f"[red]✗[/red] {sentence}")
    if not short:
        told = circumstances() | {"folders": {name: score.written() for name, score in found.items()}}
        RESULTS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
