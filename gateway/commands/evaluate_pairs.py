"""`gateway evaluate same-matter`: how well messages about the same are found, on texts of one's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway.drawing import Draw
from gateway.gathering import Gathered, gather, judge, judge_found, named, near
from gateway.labelled import read_messages, read_pairs
from gateway.measure_pairs import Judged, hardest, same_matter

COLUMNS = ("id_a", "id_b", "label", "verdict", "score", "reason")
#: Errors named to a program, and to a person; ``--out`` has all.
HARDEST, SHOWN = 20, 10
#: Messages after which the progress bar moves.
_STEP = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    messages: Path
    gold: Path | None = None
    to: Path | None = None
    #: Pairs that are further apart are not looked at; None: however far.
    days: float | None = None
    #: Pairs to draw for people to label; None: all are written.
    draw: int | None = None
    as_json: bool = False


def evaluate_same_matter(asked: Asked, out: Console, err: Console) -> int:
    """Judge the labelled pairs, or all that is found. Raises Unusable."""
    messages = read_messages(asked.messages)
    labelled = None if asked.gold is None else read_pairs(asked.gold, messages)
    with bar(err, "reading", len(messages)) as progress:
        gathered = gather(messages, asked.days, progress)
    with bar(err, "comparing", len(messages)) as progress:
        found = judge_found(gathered, progress)
        told = nothing_known(gathered, write(asked, gathered, found) if labelled is None else sum(1 for _ in found))
    if labelled is not None:
        kept = near(gathered, labelled, asked.days)
        judged = list(judge(gathered, kept))
        write(asked, gathered, judged)
        told = same_matter(judged) | {"left_out": len(labelled) - len(kept)} | errors(gathered, judged)
    return tell("Same matter", gathered, told, asked, out)


def nothing_known(gathered: Gathered, flagged: int) -> dict[str, Any]:
    """What can be said where nobody has labelled anything."""
    unknown = dict.fromkeys(("precision", "recall", "f1"))
    return {"n": len(gathered.messages), **unknown, "flagged": flagged}


def errors(gathered: Gathered, judged: Iterable[Judged]) -> dict[str, Any]:
    """The hardest, by ids, never words."""
    return {"errors": [named(gathered, one) for one in hardest(judged)[:HARDEST]]}


# -- Rows, and the bar -------------------------------------------------------------------------------------------------


def write(asked: Asked, gathered: Gathered, judged: Iterable[Judged]) -> int:
    """Write a row for each pair, or for those drawn; return how many are linked or suggested."""
    flagged, drawing = 0, Draw(asked.draw or 0)
    with _rows(asked.to) as write:
        for one in judged:
            flagged += one.flagged
            if asked.draw is None:
                write(named(gathered, one))
            else:
                drawing.add(one)
        for one in drawing.drawn():
            write(named(gathered, one))
    return flagged


@contextmanager
def _rows(to: Path | None) -> Iterator[Callable[[Mapping[str, Any]], object]]:
    """How to write a row; with a byte order mark, or Excel takes the file for another charset's."""
    if to is None:
        yield lambda _: None
        return
    with to.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS)
        lines.writeheader()
        yield lines.writerow


@contextmanager
def bar(err: Console, doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; it draws itself between two measurements only."""
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not err.is_terminal
    with Progress(*columns, console=err, disable=hidden, auto_refresh=False, redirect_stdout=False) as shown:
        task = shown.add_task(doing, total=total)

        def progress(number: int) -> None:
            if (number + 1) % _STEP == 0 or number + 1 == total:
                shown.update(task, completed=number + 1, refresh=True)

        yield progress


# -- For a person ------------------------------------------------------------------------------------------------------


def tell(title: str, gathered: Gathered, told: dict[str, Any], asked: Asked, out: Console) -> int:
    """The figures, to a program or a person."""
    whole = {"messages": len(gathered.messages)} | told | gathered.costs.written(len(gathered.messages))
    if asked.as_json:
        print(json.dumps(whole, ensure_ascii=False), file=out.file)
    else:
        print_figures(title, whole, out)
    return 0


def print_figures(title: str, told: Mapping[str, Any], out: Console) -> None:
    """Each kind of pairs, what it cost, and the hardest errors."""
    table = Table("", "pairs", "flagged", "precision", "recall", "F1", title=title, title_justify="left")
    for name, figures in _lines(told).items():
        shown = [_shown(figures[part]) for part in ("precision", "recall", "f1")]
        table.add_row(name, str(figures.get("n", "")), str(figures["flagged"]), *shown)
    out.print(table if "link" in told else f"{title}: {told['flagged']} pairs linked or suggested")
    for name in ("messages", "incidents", "largest", "joined_across", "left_out"):
        if name in told:
            out.print(f"{name.replace('_', ' ')}: {told[name]}")
    spent = ", ".join(f"{name} {each:g}" for name, each in told["microseconds"].items())
    out.print(f"microseconds a message: {told['microseconds_per_message']:g} ({spent})")
    for one in told.get("errors", ())[:SHOWN]:
        kind = "missed" if one["label"] else "not the same"
        ids = escape(f"{one['id_a']} {one['id_b']}")
        out.print(f"[red]✗[/red] {kind}: {ids} ({one['verdict']}, {one['score']:.2f}: {escape(one['reason'])})")


def _lines(told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    lines = {"linked or suggested": told, "  linked": told.get("link", told)}
    for name, figures in told.get("relations", {}).items():
        spelt = name.replace("_", " ")
        lines |= {spelt: figures, f"  {spelt}, linked": figures["link"]}
    if "retrieval" in told:
        lines["found by itself"] = told["retrieval"]
    return lines | {f"score from {one['score']:g}": one for one in told.get("thresholds", ())}


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"
