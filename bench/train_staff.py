"""Where normalizer/data/staff.npz comes from. Run: python -m bench.train_staff.

All of it is our own: bench/conduct_staff.txt (patterns; each is filled several times), the labelled messages of tests/data/conduct,
and as what is no abuse the messages of the other sets, bench/conduct_letters.txt, the letters of tests/data/pairs and COLD's harmless
posts (../shared/data/cold/train.csv, Apache-2.0). Logistic regression with AdaGrad, characters, pairs and triples beside classes
of words. The same seed gives the same file.
"""

from __future__ import annotations

import csv
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.contenders import ROOT
from bench.train_conduct import COLD, LETTERS, PAIRS, filled
from normalizer.clean import clean
from normalizer.conduct_classes import names
from normalizer.conduct_model import BITS, hashes
from normalizer.conduct_staff import FEWEST, LEAST, WEIGHTS, cuts, told
from normalizer.folding import fold

PATTERNS = ROOT / "bench" / "conduct_staff.txt"
OWN = ROOT / "tests" / "data" / "conduct"
OTHERS = ("emergency", "kind", "acceptance")
EPOCHS, BATCH, RATE, RIDGE, SEEN = 24, 256, 0.15, 3e-6, 2
#: What one of a pattern's sentences counts, a message of ours that is abuse, one that is none, and one of another set.
PATTERN, ABUSE, HARMLESS, OTHER = 6.0, 6.0, 14.0, 1.5
#: What a harmless post counts.
POST = 0.5
#: Sentences made of a pattern: so many for each of its places, some more for its alternatives, and at most.
EACH, MOST = 3, 60
SEED = 5
#: Kinds of ours that say nothing of staff.
_NOT = ("spam", "link")
#: Rounds of ours that are kept out, to measure by.
_KEPT_OUT = ("18",)
_ENDS = re.compile("[。！？!?；;\n]+")
Numbers = NDArray[np.float64]
SIZE = 1 << BITS
PAIR = (len(names()) + 1) * len(names())


@dataclass(frozen=True, slots=True)
class Example:
    """A text to learn from: its features and how much of each."""

    features: NDArray[np.int64]
    shares: Numbers
    abusive: int
    weight: float


def main() -> int:
    """Learn, and write the weights."""
    if not COLD.is_file():
        print(f"{COLD} is absent")
        return 1
    learned, bias = fit([example(*one) for one in examples()], SIZE + len(names()) + 2 * PAIR)
    step = float(np.abs(learned).max()) / 127
    whole = np.rint(learned / step).astype(np.int8)
    classes_at, pairs_at, close_at = SIZE, SIZE + len(names()), SIZE + len(names()) + PAIR
    parts = {"grams": whole[:SIZE], "alone": whole[classes_at:pairs_at]}
    parts |= {"pairs": whole[pairs_at:close_at], "close": whole[close_at:], "classes": np.array(names())}
    np.savez_compressed(WEIGHTS, allow_pickle=False, step=np.float64(step), bias=np.float64(bias), **parts)
    print(f"{np.count_nonzero(whole):,} weights, bias {bias:.3f}, {WEIGHTS.stat().st_size / 1024:.0f} KB")
    return 0


def examples() -> Iterator[tuple[str, int, float]]:
    """All texts: whether each is abuse, and what it counts."""
    yield from messages()
    chance = random.Random(SEED)
    for label, pattern in patterns(PATTERNS):
        for _ in range(min(MOST, 1 + EACH * pattern.count("{") + pattern.count("|") // 4)):
            yield filled_in(pattern, chance), label, PATTERN
    yield from others(chance)
    for row in table(COLD):
        if row["label"] == "0":
            yield row["text"], 0, POST


def others(chance: random.Random) -> Iterator[tuple[str, int, float]]:
    """Messages and sentences of ours that say nothing of the kind."""
    for name in OTHERS:
        for row in table(ROOT / "tests" / "data" / name / "messages.csv"):
            yield f"{row.get('title') or ''}\n{row['text']}".strip(), 0, OTHER
    for line in LETTERS.read_text(encoding="utf-8").splitlines():
        for _ in range(1 + 2 * line.count("{")):
            yield filled(line, chance), 0, 1.0
    for row in table(PAIRS):
        yield from ((part, 0, 1.0) for part in _ENDS.split(f"{row['title']}\n{row['text']}") if len(part) > 4)


def messages(halves: Sequence[str] = ()) -> Iterator[tuple[str, int, float]]:
    """Our own labelled messages, of these rounds or of all."""
    gold = {row["id"]: row for row in table(OWN / "gold.csv")}
    for row in table(OWN / "messages.csv"):
        label = gold[row["id"]]
        if label["kind"] in _NOT or (label["half"] not in halves if halves else label["half"] in _KEPT_OUT):
            continue
        yield row["text"], int(label["label"]), ABUSE if label["label"] == "1" else HARMLESS


def table(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a file."""
    with path.open(encoding="utf-8", newline="") as rows:
        yield from csv.DictReader(rows)


def patterns(file: Path) -> Iterator[tuple[int, str]]:
    """The patterns, with their labels; lists that have a name (@name) are put in."""
    lists = dict[str, str]()
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            name, words = line.split("\t")
            lists[name] = words
        elif line and not line.startswith("#"):
            label, pattern = line.split("\t")
            yield int(label), re.sub(r"@\w+", lambda name: lists[name[0]], pattern)


def filled_in(pattern: str, chance: random.Random) -> str:
    """A pattern with one of several in each of its places."""
    return re.sub(r"\{([^}]*)\}", lambda place: chance.choice(place[1].split("|")), pattern)


def example(text: str, abusive: int, weight: float) -> Example:
    """A text's features: hashes of n-grams, classes, pairs of classes."""
    folded = fold(clean(text)).text
    grams = np.concatenate(hashes(folded)).astype(np.int64)
    found = list(told(folded, cuts(folded))) if folded else []
    pairs = [SIZE + len(names()) + pair for _, _, pair, _ in found]
    close = [pair + PAIR for pair, (_, _, _, near) in zip(pairs, found, strict=True) if near]
    by_class = np.array([*(SIZE + number for _, number, _, _ in found), *pairs, *close], np.int64)
    shares = np.full(len(grams) + len(by_class), 1 / np.sqrt(3 * max(len(folded), LEAST)))
    shares[len(grams) :] = 1 / np.sqrt(max(len(found), FEWEST))
    return Example(np.concatenate((grams, by_class)), shares, abusive, weight)


def fit(texts: list[Example], size: int) -> tuple[Numbers, float]:
    """The weights of so many features, and the bias."""
    learned, squares = np.zeros(size), np.full(size + 1, 1e-3)
    often = sum(np.bincount(np.unique(one.features), minlength=size) for one in texts) >= SEEN
    bias = 0.0
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(len(texts))
        for start in range(0, len(order), BATCH):
            slope, common = gradient([texts[one] for one in order[start : start + BATCH]], learned, bias)
            slope += RIDGE * learned
            squares[:-1] += slope * slope
            squares[-1] += common * common
            learned -= RATE * slope / np.sqrt(squares[:-1])
            bias -= RATE * common / float(np.sqrt(squares[-1]))
    return learned * often, bias


def gradient(batch: list[Example], learned: Numbers, bias: float) -> tuple[Numbers, float]:
    """How the loss of a batch changes with each weight, and with the bias."""
    features, shares = (np.concatenate([getattr(one, name) for one in batch]) for name in ("features", "shares"))
    row = np.repeat(np.arange(len(batch)), [len(one.features) for one in batch])
    score = np.bincount(row, learned[features] * shares, len(batch)) + bias
    wrong = 1 / (1 + np.exp(-score)) - np.array([one.abusive for one in batch])
    wrong *= np.array([one.weight for one in batch])
    slope: Numbers = np.bincount(features, wrong[row] * shares, len(learned)) / 16
    return slope, float(wrong.mean())


if __name__ == "__main__":
    sys.exit(main())
