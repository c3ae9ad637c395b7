"""Where the weights of dedupe/likeness.py come from, and how they do on pairs they have not seen.

Run: python -m bench.fit_likeness. Needs ../shared/data (real messages and labelled pairs, which are not ours to publish)
and bench/pairs_more.csv (further labels for them, ids only); bench/pairs_check.csv was labelled when all else was done,
and nothing was fitted or written with it in view. Logistic regression with a ridge, each feature held to its
sign; cross-validated in five folds, eight times, messages that any labelled pair connects always in one fold. Prints the
weights, and precision, recall and F1 at the product's own thresholds.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT
from dedupe.features import NAMES
from dedupe.likeness import START, WEIGHTS, Likeness, Thresholds, likeness
from normalizer.clean import clean, for_matching
from normalizer.fingerprint import BITS, Fingerprint, Hashes, fingerprint
from normalizer.model import Level
from normalizer.title import title

DATA = ROOT.parent / "shared" / "data"
FILES = ("附件2", "附件3", "附件4")
GOLD, MORE, CHECK = DATA / "pairs_gold_dev.csv", ROOT / "bench" / "pairs_more.csv", ROOT / "bench" / "pairs_check.csv"
FOLDS, ROUNDS, RIDGE = 5, 8, 3.0
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Written:
    """A message."""

    user: str
    at: datetime | None
    made: Fingerprint


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled pair, and what we make of it."""

    a: str
    b: str
    same: bool
    gold: bool
    own: bool
    like: Likeness


class Counted:
    """In how many messages each n-gram is, exactly."""

    def __init__(self, made: Iterable[Fingerprint]) -> None:
        self._counts, self.total = np.zeros(1 << BITS, np.int32), 0
        for one in made:
            self._counts[one.grams] += 1
            self.total += 1

    def of(self, grams: Hashes) -> NDArray[np.integer]:
        """The counts."""
        return self._counts.take(grams)


def messages() -> dict[str, Written]:
    """All of them, by their ids."""
    csv.field_size_limit(1_000_000)
    found = {}
    for name in FILES:
        with (DATA / "tipdm" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                text = clean(row["body"])
                made = fingerprint(for_matching(title(row["subject"], text)[0]), for_matching(text))
                at = datetime.fromisoformat(row["sent_at"]) if row["sent_at"] else None
                found[row["id"]] = Written(row["user"], at, made)
    return found


def pairs(written: dict[str, Written], *paths: Path) -> list[Pair]:
    """The labelled ones of these files."""
    counted = Counted(one.made for one in written.values())
    found = []
    for path in paths:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                a, b = written[row["id_a"]], written[row["id_b"]]
                days = abs(a.at - b.at).total_seconds() / 86_400 if a.at and b.at else float("nan")
                own = a.user == b.user
                like = likeness(a.made, b.made, counted, same_caller=own, apart_days=days)
                found.append(Pair(row["id_a"], row["id_b"], row["label"] == "1", path is GOLD, own, like))
    return found


def groups(labelled: list[Pair]) -> NDArray[np.intp]:
    """For each pair the number of its group: all pairs that share a message, directly or by others."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for pair in labelled:
        parent[root(pair.a)] = root(pair.b)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(pair.a), len(numbers)) for pair in labelled])


def fit(values: Numbers, same: Numbers, ridge: float = RIDGE) -> tuple[Numbers, float]:
    """The weights and the start; a feature whose weight came out against its sign gets none."""
    kept = list(range(values.shape[1]))
    while True:
        weights, start = _fit(values[:, kept], same, ridge)
        wrong = [at for at, weight in zip(kept, weights, strict=True) if weight * WEIGHTS[at] < 0]
        if not wrong:
            whole = np.zeros(values.shape[1])
            whole[kept] = weights
            return whole, start
        kept = [at for at in kept if at not in wrong]


def _fit(values: Numbers, same: Numbers, ridge: float) -> tuple[Numbers, float]:
    """Newton's method on values brought to one scale; the ridge does not touch the start."""
    mean, spread = values.mean(0), values.std(0) + 1e-9
    scaled = np.c_[(values - mean) / spread, np.ones(len(values))]
    penalty = np.diag([*[ridge] * values.shape[1], 1e-6])
    weights = np.zeros(scaled.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-scaled @ weights))
        slope = scaled.T @ (chance - same) + penalty @ weights
        weights -= np.linalg.solve((scaled.T * (chance * (1 - chance))) @ scaled + penalty, slope)
    own = weights[:-1] / spread
    return own, float(weights[-1] - own @ mean)


def cross_validated(labelled: list[Pair], seed: int) -> list[Level | None]:
    """The level of each pair, by weights that were found without it or any pair connected with it."""
    values = np.array([pair.like.values for pair in labelled])
    same = np.array([float(pair.same) for pair in labelled])
    group = groups(labelled)
    fold = np.random.default_rng(seed).permutation(group.max() + 1)[group] % FOLDS
    scores = np.zeros(len(labelled))
    for number in range(FOLDS):
        weights, start = fit(values[fold != number], same[fold != number])
        scores[fold == number] = 1 / (1 + np.exp(-values[fold == number] @ weights - start))
    levels = Thresholds()
    return [
        None if pair.like.veto else levels.level(float(score), same_caller=pair.own)
        for pair, score in zip(labelled, scores, strict=True)
    ]


def figures(said: list[bool], true: list[bool]) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    right = sum(one and other for one, other in zip(said, true, strict=True))
    precision, recall = right / max(sum(said), 1), right / max(sum(true), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def table(labelled: list[Pair], judged: list[list[Level | None]], heading: str) -> Table:
    """Figures of several rounds, their mean."""
    found = Table("", "pairs", *(f"{level} {name}" for level in ("found", "linked") for name in ["P", "R", "F1"]))
    found.title = heading
    parts = {
        "given": [pair.gold for pair in labelled],
        "given, one caller": [pair.gold and pair.own for pair in labelled],
        "given, different callers": [pair.gold and not pair.own for pair in labelled],
        "ours": [not pair.gold for pair in labelled],
        "ours, different callers": [not pair.gold and not pair.own for pair in labelled],
        "all": [True for _ in labelled],
    }
    for name, chosen in parts.items():
        places = [at for at, one in enumerate(chosen) if one]
        if not places:
            continue
        true = [labelled[at].same for at in places]
        rows = [
            figures([levels[at] is not None for at in places], true)
            + figures([levels[at] is Level.LINK for at in places], true)
            for levels in judged
        ]
        found.add_row(name, str(len(places)), *(f"{value:.3f}" for value in np.mean(rows, axis=0)))
    return found


def main() -> int:
    """Fit, validate, print."""
    out = Console(width=120)
    if not GOLD.exists():
        out.print(f"There are no labelled pairs at {GOLD.parent}: nothing to fit.")
        return 0
    written = messages()
    labelled = pairs(written, GOLD, MORE)
    values = np.array([pair.like.values for pair in labelled])
    weights, start = fit(values, np.array([float(pair.same) for pair in labelled]))
    chosen = Table("feature", "fitted", "in use", title=f"Weights, from {len(labelled)} pairs")
    for name, fitted, used in zip((*NAMES, "start"), (*weights, start), (*WEIGHTS, START), strict=True):
        chosen.add_row(name, f"{fitted:.2f}", f"{used:.2f}")
    out.print(chosen)
    rounds = [cross_validated(labelled, seed) for seed in range(ROUNDS)]
    out.print(table(labelled, rounds, "Cross-validated"))
    out.print(table(labelled, [[pair.like.level for pair in labelled]], "With the weights in use (seen pairs)"))
    checked = pairs(written, CHECK)
    out.print(table(checked, [[pair.like.level for pair in checked]], "With the weights in use, pairs never seen"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
