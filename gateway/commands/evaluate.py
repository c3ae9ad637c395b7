"""`gateway evaluate`: how well we do on texts and mails of one's own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway.mail_measure import Score, files_below, measure

#: Lost files named to a person; a program gets all (``--json``).
SHOWN = 20


async def evaluate_mail(folder: Path, out: Console, err: Console, *, as_json: bool, to: Path | None) -> int:
    """Read every file below ``folder`` as a mail, say how that went, and write what was understood to ``to``."""
    score = await score_folder(folder, err, to)
    if as_json:
        print(json.dumps(score.written(), ensure_ascii=False), file=out.file)
    else:
        print_score(score, out)
    return 1 if score.complaints() else 0


async def score_folder(folder: Path, err: Console, to: Path | None = None, only: str = "*") -> Score:
    """Read and count the files whose names match ``only``, with a progress bar on ``err`` when it is a terminal."""
    files, score = files_below(folder, only), Score()
    columns = (
        TextColumn(escape(folder.name)),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    shown = Progress(*columns, console=err, disable=not err.is_terminal, redirect_stdout=False, redirect_stderr=False)
    with _lines(to) as lines, shown as bar:
        task = bar.add_task("read", total=len(files))
        async for one in measure(folder, files, lambda: bar.advance(task)):
            score.add(one)
            if lines is not None:
                told = one.understood | {"file": one.file, "lost": one.lost, "seconds": round(one.seconds, 4)}
                lines.write(json.dumps(told, ensure_ascii=False, default=str) + "\n")
    return score


@contextlib.contextmanager
def _lines(to: Path | None) -> Iterator[IO[str] | None]:
    if to is None:
        yield None
        return
    with to.open("w", encoding="utf-8") as lines:
        yield lines


def print_score(score: Score, out: Console) -> None:
    """The figures, what was lost, and the promises not kept."""
    table = Table("", "", show_header=False, title="Mails read", title_justify="left")
    for name, value in score.written().items():
        if isinstance(value, int | float):
            table.add_row(name.replace("_", " "), f"{value:g}" if isinstance(value, float) else str(value))
    out.print(table)
    for file, reason in list(score.lost_files.items())[:SHOWN]:
        out.print(f"[red]✗[/red] {escape(file)}: {reason}")
    for sentence in score.complaints():
        out.print(f"[red]✗[/red] {escape(sentence)}")
    if not score.complaints():
        out.print("[green]✓[/green] every mail was read, within the limits on time and memory")
