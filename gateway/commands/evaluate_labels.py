"""`gateway evaluate conduct|emergency|kind`: how well the rules read single messages, on texts of one's own."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.commands.evaluate_pairs import bar
from gateway.labelled import Written, read_groups, read_messages
from gateway.measure_labels import Judged, Subject, gold_of, hardest, measured

COLUMNS = ("id", "label", "verdict", "score", "reason")
#: Errors named to a program, and to a person; ``--out`` has all.
HARDEST, SHOWN = 20, 10


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    messages: Path
    gold: Path | None = None
    to: Path | None = None
    as_json: bool = False


def evaluate_labels(subject: Subject, asked: Asked, out: Console, err: Console) -> int:
    """Judge every message, or those that are labelled. Raises Unusable."""
    messages = read_messages(asked.messages)
    gold = None if asked.gold is None else gold_of(subject, read_groups(asked.gold, messages), messages)
    judged, seconds = _judged(subject, messages, gold, err)
    if asked.to is not None:
        _write(asked.to, judged)
    told = _nothing_known(judged) if gold is None else measured(judged) | {"errors": _errors(judged)}
    whole = told | {"microseconds_per_message": round(1e6 * seconds / max(len(judged), 1), 1)}
    if asked.as_json:
        print(json.dumps(whole, ensure_ascii=False), file=out.file)
    else:
        _print(subject.name, whole, out)
    return 0


def _judged(
    subject: Subject, messages: Sequence[Written], gold: Mapping[int, str] | None, err: Console
) -> tuple[list[Judged], float]:
    """What is said of each, and the seconds of a processor it took."""
    places = range(len(messages)) if gold is None else sorted(gold)
    judged = []
    subject.judge("", "")  # what is loaded once is no message's cost
    with bar(err, "reading", len(places)) as progress:
        began = time.process_time()
        for number, place in enumerate(places):
            one = messages[place]
            judged.append(Judged(one.id, subject.judge(one.title, one.text), None if gold is None else gold[place]))
            progress(number)
        return judged, time.process_time() - began


def _nothing_known(judged: Sequence[Judged]) -> dict[str, Any]:
    """What can be said where nobody has labelled anything."""
    unknown = dict.fromkeys(("precision", "recall", "f1"))
    return {"n": len(judged), **unknown, "flagged": sum(one.flagged for one in judged)}


def _errors(judged: Iterable[Judged]) -> list[dict[str, Any]]:
    return [_row(one) for one in hardest(judged)[:HARDEST]]


def _row(one: Judged) -> dict[str, Any]:
    said = one.said
    return {
        "id": one.id,
        "label": one.label,
        "verdict": said.label,
        "score": round(said.score, 4),
        "reason": said.reason,
    }


def _write(to: Path, judged: Iterable[Judged]) -> None:
    """A row a message; with a byte order mark, or Excel takes the file for another charset's."""
    with to.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS)
        lines.writeheader()
        lines.writerows(map(_row, judged))


def _print(name: str, told: Mapping[str, Any], out: Console) -> None:
    """Each label, what it cost, and the hardest errors."""
    if "labels" not in told:
        out.print(f"{name}: {told['flagged']} of {told['n']} messages")
    else:
        table = Table("", "messages", "flagged", "precision", "recall", "F1", title=name, title_justify="left")
        for label, figures in {"all": told, **told["labels"]}.items():
            shown = [_shown(figures[part]) for part in ("precision", "recall", "f1")]
            table.add_row(label, str(figures["n"]), str(figures["flagged"]), *shown)
        out.print(table)
        out.print(f"told right: {_shown(told['accuracy'])}")
    out.print(f"microseconds a message: {told['microseconds_per_message']:g}")
    for one in told.get("errors", ())[:SHOWN]:
        out.print(f"[red]✗[/red] {escape(one['id'])}: {one['label']}, said {one['verdict']} ({escape(one['reason'])})")


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"
