"""Where normalizer/data/offers.npz comes from. Run: python -m bench.train_offers.

All of it is our own: bench/conduct_offers.txt (patterns; each is filled many times), the labelled messages of tests/data/conduct, and as
what is no offer those that bench/train_staff.py has, with COLD's harmless posts (Apache-2.0). The same seed gives the same file.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import numpy as np

from bench.contenders import ROOT
from bench.train_conduct import COLD
from bench.train_staff import (
    ABUSE,
    HARMLESS,
    OWN,
    PATTERN,
    POST,
    SEED,
    SIZE,
    Example,
    filled_in,
    fit,
    others,
    patterns,
    table,
)
from normalizer.clean import clean
from normalizer.conduct_advert import LEAST, WEIGHTS, grams
from normalizer.folding import fold

PATTERNS = ROOT / "bench" / "conduct_offers.txt"
#: Messages made of a pattern, at least and at most, else as many as it has alternatives; what one of ours that is neither offer nor ordinary counts; COLD's posts that are taken.
EACH, MOST, ELSE, POSTS = 30, 300, 1.0, 0.5


def main() -> int:
    """Learn, and write the weights."""
    if not COLD.is_file():
        print(f"{COLD} is absent")
        return 1
    learned, bias = fit([example(*one) for one in examples()], SIZE)
    step = float(np.abs(learned).max()) / 127
    whole = np.rint(learned / step).astype(np.int8)
    np.savez_compressed(WEIGHTS, grams=whole, step=np.float64(step), bias=np.float64(bias))
    print(f"{np.count_nonzero(whole):,} weights, bias {bias:.3f}, {WEIGHTS.stat().st_size / 1024:.0f} KB")
    return 0


def examples() -> Iterator[tuple[str, int, float]]:
    """All texts: whether each is an offer, and what it counts."""
    chance = random.Random(SEED)
    for label, pattern in patterns(PATTERNS):
        for _ in range(min(MOST, max(EACH, pattern.count("|")))):
            yield filled_in(pattern, chance), label, PATTERN
    gold = {row["id"]: row for row in table(OWN / "gold.csv")}
    for row in table(OWN / "messages.csv"):
        kind, offer = gold[row["id"]]["kind"], gold[row["id"]]["label"] == "1"
        if kind != "link" or not offer:
            weight = {"spam": ABUSE, "ordinary": HARMLESS}.get(kind, ELSE)
            yield row["text"], int(kind == "spam" and offer), weight
    yield from others(chance)
    for row in table(COLD):
        if row["label"] == "0" and chance.random() < POSTS:
            yield row["text"], 0, POST


def example(text: str, label: int, weight: float) -> Example:
    """A text's features."""
    folded = fold(clean(text)).text
    found = grams(folded)
    return Example(found, np.full(len(found), 1 / np.sqrt(3 * max(len(folded), LEAST))), label, weight)


if __name__ == "__main__":
    sys.exit(main())
