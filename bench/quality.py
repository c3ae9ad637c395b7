"""How well is found what belongs together, beside plain methods? Run: make quality.

On the development texts of ../shared/data where these are present, and on pairs of our own (tests/data/pairs). A plain
method's threshold is the one that is best for it on the development pairs, and is used unchanged on ours; where the
development texts are absent, the best for it on our own pairs, which flatters it.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT, circumstances
from bench.plain import METHODS, Score
from gateway.gathering import gather, judge, judge_found
from gateway.labelled import Pair, Written, read_messages, read_pairs
from gateway.measure_incidents import by_incident, cluster, shape
from gateway.measure_pairs import Figures, flagged, linked, rounded, share

RESULTS = ROOT / "bench" / "results" / "quality.json"
OWN = ROOT / "tests" / "data" / "pairs"
SHARED = ROOT.parent / "shared" / "data"
WIDTH = 140
OURS = "the gateway"
#: The least precision of a link.
SURE = 0.98
#: The columns of the city's board, as ours.
_NAMES = {"id": "id", "user": "sender", "sent_at": "time", "subject": "title", "body": "text"}


@dataclass(frozen=True, slots=True)
class Texts:
    """Labelled messages."""

    name: str
    messages: Sequence[Written]
    pairs: Sequence[Pair]

    def different(self) -> list[bool]:
        """Whether two people wrote a pair."""
        senders = [one.sender for one in self.messages]
        return [senders[pair.a] != senders[pair.b] or not senders[pair.a] for pair in self.pairs]


@dataclass(frozen=True, slots=True)
class Row:
    """How a method did on one set of texts."""

    texts: str
    method: str
    #: From this score on it says "the same"; None: it has levels of its own.
    threshold: float | None
    all: Figures
    #: Of pairs of two people.
    different: Figures
    #: The most it finds while its precision is at least SURE; of ours, what it links.
    sure: Figures
    #: CPU time, microseconds a message: plain methods only read it, ours also finds and compares.
    microseconds: float

    def written(self) -> dict[str, Any]:
        """For programs."""
        return {
            "method": self.method,
            "threshold": self.threshold and round(self.threshold, 4),
            **self.all.written(),
            "different_callers": self.different.written(),
            "sure": self.sure.written(),
            "microseconds_per_message": round(self.microseconds, 1),
        }


def own_texts() -> Texts:
    """Our own pairs."""
    messages = read_messages(OWN / "messages.csv")
    return Texts("our own", messages, read_pairs(OWN / "gold.csv", messages))


def development_texts() -> Texts | None:
    """The city's board as far as it lies beside us; None: it does not."""
    gold, files = SHARED / "pairs_gold_dev.csv", sorted((SHARED / "tipdm").glob("*.csv"))
    if not gold.is_file() or not files:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "messages.csv"
        with path.open("w", encoding="utf-8", newline="") as to:
            lines = csv.DictWriter(to, _NAMES.values())
            lines.writeheader()
            for file in files:
                with file.open(encoding="utf-8", newline="") as rows:
                    lines.writerows(
                        {ours: row[theirs] for theirs, ours in _NAMES.items()} for row in csv.DictReader(rows)
                    )
        messages = read_messages(path)
    return Texts("development", messages, read_pairs(gold, messages))


# -- Measuring ---------------------------------------------------------------------------------------------------------


def ours(texts: Texts) -> tuple[Row, dict[str, Any]]:
    """What the gateway says of the pairs, and what it makes of them as incidents."""
    gathered = gather(texts.messages, None, _silent)
    found = sum(1 for _ in judge_found(gathered, _silent))
    spent = gathered.costs.written(len(texts.messages))["microseconds_per_message"]
    judged = list(judge(gathered, texts.pairs))
    incidents = cluster(gathered, _silent)
    across = list(by_incident(incidents, (one for one in judged if not one.own)))
    more = {
        "messages": len(texts.messages),
        "pairs": len(judged),
        "compared_per_message": round(found / len(texts.messages), 1),
        "candidates_recall": rounded(
            share(sum(one.met for one in judged if one.same), sum(bool(one.same) for one in judged))
        ),
        "incident": {**flagged(across).written(), "link": linked(across).written(), **shape(incidents)},
    }
    different = flagged(one for one in judged if not one.own)
    return Row(texts.name, OURS, None, flagged(judged), different, linked(judged), spent), more


def plain(texts: Texts, method: str, threshold: float | None = None) -> Row:
    """A plain method with this threshold, or with the one that is best for it."""
    began = time.process_time()
    score: Score = METHODS[method](texts.messages)
    spent = 1e6 * (time.process_time() - began) / len(texts.messages)
    scores = [score(pair.a, pair.b) for pair in texts.pairs]
    chosen = best(scores, texts.pairs) if threshold is None else threshold
    different = [one for one, two in zip(zip(scores, texts.pairs, strict=True), texts.different(), strict=True) if two]
    return Row(
        texts.name,
        method,
        chosen,
        at(chosen, zip(scores, texts.pairs, strict=True)),
        at(chosen, different),
        surest(scores, texts.pairs),
        spent,
    )


def at(threshold: float, scored: Iterable[tuple[float, Pair]]) -> Figures:
    """What a threshold makes of scores."""
    return Figures.of((score >= threshold, bool(pair.same)) for score, pair in scored)


def best(scores: Sequence[float], pairs: Sequence[Pair]) -> float:
    """The threshold of the highest F1."""
    return max(sorted(set(scores)), key=lambda one: at(one, zip(scores, pairs, strict=True)).f1 or 0)


def surest(scores: Sequence[float], pairs: Sequence[Pair]) -> Figures:
    """What is found at most while the precision is at least SURE."""
    all_ = (at(one, zip(scores, pairs, strict=True)) for one in sorted(set(scores)))
    nothing = Figures.of((False, bool(pair.same)) for pair in pairs)
    return next((one for one in all_ if (one.precision or 0) >= SURE), nothing)


def _silent(_: int) -> None:
    """Nobody looks."""


def measure() -> tuple[list[Row], dict[str, Any]]:
    """All methods on all texts, and what else the gateway says of each."""
    rows, more = [], {}
    thresholds: dict[str, float | None] = dict.fromkeys(METHODS)
    for texts in filter(None, (development_texts(), own_texts())):
        row, more[texts.name] = ours(texts)
        found = [plain(texts, method, thresholds[method]) for method in METHODS]
        thresholds |= {one.method: one.threshold for one in found}
        rows += [row, *found]
    return rows, more


# -- The tables --------------------------------------------------------------------------------------------------------


def table(name: str, rows: Iterable[Row]) -> Table:
    """One set of texts."""
    shown = Table(title=f"Same matter, {name} texts", title_justify="left", box=SIMPLE)
    heads = ("method", "from", "P", "R", "F1", "two people F1", "sure P", "sure R", "µs a message")
    for head in heads:
        shown.add_column(head, justify="left" if head == "method" else "right", no_wrap=True)
    for row in rows:
        shares = (row.all.precision, row.all.recall, row.all.f1, row.different.f1, row.sure.precision, row.sure.recall)
        figures = ["-" if one is None else f"{one:.3f}" for one in (row.threshold, *shares)]
        shown.add_row(row.method, *figures, f"{row.microseconds:.0f}")
    return shown


def print_more(figures: dict[str, Any], out: Console) -> None:
    """What else the gateway says of one set of texts."""
    for what in ("messages", "pairs", "compared_per_message", "candidates_recall"):
        out.print(f"{what.replace('_', ' ')}: {figures[what]}")
    joined = figures["incident"]
    for name, of in (("one incident, linked or suggested", joined), ("one incident, linked", joined["link"])):
        out.print(f"{name}: P {of['precision']}, R {of['recall']}, F1 {of['f1']}")
    out.print(f"incidents: {joined['incidents']}, messages in the largest: {joined['largest']}\n")


def complaints(rows: Sequence[Row]) -> list[str]:
    """What makes the run fail: a plain method that does as well."""
    ours_f1 = {row.texts: row.all.f1 or 0 for row in rows if row.method == OURS}
    return [
        f"{row.method} is as good as the gateway on the {row.texts} texts"
        for row in rows
        if row.method != OURS and (row.all.f1 or 0) >= ours_f1[row.texts]
    ]


def main() -> int:
    """Measure, print, write, judge."""
    out = Console(width=WIDTH)
    rows, more = measure()
    for name, figures in more.items():
        out.print(table(name, (row for row in rows if row.texts == name)))
        print_more(figures, out)
    if "development" not in more:
        out.print(
            "../shared/data is absent: only our own pairs, and each plain method at the threshold that is best on them"
        )
    out.print("rapidfuzz and jieba are no dependency of ours: left out")
    if "development" in more:
        out.print("our weights were chosen on the development texts, as were the plain methods' thresholds")
    wrong = complaints(rows)
    for sentence in wrong:
        out.print(f"[red]✗[/red] {sentence}")
    told = {
        name: figures | {"methods": [row.written() for row in rows if row.texts == name]}
        for name, figures in more.items()
    }
    RESULTS.write_text(json.dumps(circumstances() | told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
