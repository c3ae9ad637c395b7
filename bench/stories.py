"""Ten thousand stories of simulated citizens, every promise checked. Run: python -m bench.stories (SHORT=1: 300 stories).

Ten towns of a thousand stories, each with a store and a seed of its own; the figures are written after each. The real
store on SQLite and the real judgement, one transaction a message (bench/story_world.py). Exit 1 when a promise of
bench/story_check.py is broken that does not hang on how alike two texts are: identity, books, counts, undoing. What hangs
on it is counted: how much of what belongs together was found, and how often two things were taken for one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.contenders import ROOT, circumstances
from bench.story_check import Facts, Verdicts, check, facts
from bench.story_world import World
from gateway.stories.generator import stories
from gateway.stories.story import Story
from store.opening import open_store

RESULTS = ROOT / "bench" / "results" / "stories.json"
SEED, TOWNS, FULL, SHORT = 2026, 10, 1_000, 300
#: A disk would only slow it down: nothing of it is kept.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


async def happen(told: Sequence[Story], bar: Progress | None = None) -> tuple[World, Facts]:
    """Let stories happen in a store of their own; what it says then."""
    with tempfile.TemporaryDirectory(prefix="stories-", dir=MEMORY) as folder:
        store = await open_store(f"sqlite:///{folder}/gateway.db", Path(folder, "keys.json"))
        try:
            world, bar = World(store), bar or Progress(disable=True)
            task = bar.add_task("messages", total=sum(len(story.steps) for story in told))
            await world.run(told, lambda filed: bar.update(task, completed=filed))
            return world, await facts(store)
        finally:
            await store.close()


def written(verdicts: Verdicts, seconds: float) -> dict[str, Any]:
    """The figures."""
    return {
        **circumstances(),
        "seed": SEED,
        "stories": verdicts.stories,
        "messages": verdicts.messages,
        "seconds": round(seconds),
        "faults": dict(verdicts.faults),
        "found": verdicts.shares(),
        "wanted": dict(sorted(verdicts.wanted.items())),
    }


def show(verdicts: Verdicts, out: Console) -> None:
    """The table, and what is wrong."""
    table = Table("belongs together", "there are", "found", box=SIMPLE)
    for name, share in verdicts.shares().items():
        table.add_row(name, f"{verdicts.wanted[name]:,}", f"{share:.1%}")
    out.print(table)
    for promise, number in verdicts.faults.items():
        out.print(f"[red]broken[/] {number} times: {promise}", *verdicts.examples[promise], sep="\n    ", markup=True)
    out.print(f"{verdicts.stories:,} stories, {verdicts.messages:,} messages, {verdicts.faults.total():,} faults")


def main() -> int:
    """Run, print, write, judge."""
    short, out = bool(os.environ.get("SHORT")), Console()
    began, verdicts = time.monotonic(), Verdicts(0, 0)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        for town in range(1 if short else TOWNS):
            told = list(stories(SEED + town, SHORT if short else FULL))
            verdicts.add(check(*asyncio.run(happen(told, bar))))
            if not short:
                figures = json.dumps(written(verdicts, time.monotonic() - began), indent=1, ensure_ascii=False)
                RESULTS.write_text(figures + "\n", encoding="utf-8")
    show(verdicts, out)
    return 1 if verdicts.certain() else 0


if __name__ == "__main__":
    sys.exit(main())
