"""How much a short message reads like danger at this moment, and what comes for it: a linear model over characters, pairs and triples.

Learned by bench/train_emergency.py from messages of our own, and from posts (COLD, Apache-2.0) as what danger is not. It adds
to the rules what nobody foresaw; short of the weights' file it says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normalizer.conduct_model import hashes

WEIGHTS = Path(__file__).parent / "data" / "emergency.npz"
#: What may be in danger's place: the service, or a life of which its owner is tired.
CRISIS = "crisis"
CLASSES = ("110", "119", "120", "122", CRISIS)
#: Weights of the classes, as a power of two, of the hashes of which they take the upper part.
LINE_BITS, LINE_SHIFT = 15, 2
#: N-grams that the shortest message counts as: one strong word alone proves little.
FLOOR = 30
#: From here on a message reads like danger.
THRESHOLD = 0.25
#: How much a passage of a letter must, of so many sentences at the most, of so many characters at least.
_PASSAGE, _TOGETHER, _LEAST = 2.0, 3, 24
_SENTENCES = re.compile("[。！？!?；;\n]+")
_CLAUSES = re.compile("[，,。！？!?；;\n ]+")

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Danger:
    """A message that reads like danger."""

    #: The service, or CRISIS.
    kind: str
    #: How much it reads like danger, around zero, and how much more like this kind than like the next.
    score: float
    margin: float
    #: The clause that says most of it.
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Weights:
    """What was learned, in steps: of danger by n-gram, and of each class by n-gram."""

    danger: NDArray[np.int8]
    lines: NDArray[np.int8]
    steps: tuple[float, float]
    bias: float
    biases: Numbers


@cache
def weights() -> Weights | None:
    """What was learned; None: there is no model."""
    if not WEIGHTS.is_file():
        return None
    with np.load(WEIGHTS) as stored:
        steps = float(stored["steps"][0]), float(stored["steps"][1])
        return Weights(stored["danger"], stored["lines"], steps, float(stored["bias"]), stored["biases"])


@lru_cache(maxsize=8)
def score(folded: str) -> float:
    """How much a text reads like danger, around zero; without a model far below it."""
    learned = weights()
    if learned is None or not folded:
        return -100.0
    grams = np.concatenate(hashes(folded))
    found = float(learned.danger.take(grams).sum(dtype=np.int32)) * learned.steps[0]
    return float(found / max(len(grams), FLOOR) ** 0.5 + learned.bias)


def unlike(folded: str, bound: float) -> bool:
    """Whether a text reads so little like danger; without a model none does."""
    return weights() is not None and score(folded) <= bound


@lru_cache(maxsize=8)
def danger(folded: str) -> Danger | None:
    """What a folded short text tells of, if it reads like danger."""
    learned, told = weights(), score(folded)
    if learned is None or told < THRESHOLD:
        return None
    pieces = hashes(folded)
    grams = np.concatenate(pieces)
    sums = learned.lines[:, grams >> LINE_SHIFT].sum(axis=1, dtype=np.int32) * learned.steps[1]
    each = sums / max(len(grams), FLOOR) ** 0.5 + learned.biases
    first, second = each.argsort()[::-1][:2]
    return Danger(CLASSES[first], told, float(each[first] - each[second]), *_clause(folded, pieces[1], learned))


def passage(folded: str) -> tuple[int, int] | None:
    """The one to three sentences of a letter that read most like danger, if any reads clearly like it."""
    learned = weights()
    if learned is None:
        return None
    sums = np.zeros(len(folded) + 1, np.int32)
    for grams in hashes(folded):
        sums[1 : len(grams) + 1] += learned.danger.take(grams)
    told = np.cumsum(sums)
    cuts = np.array([0, *(mark.end() for mark in _SENTENCES.finditer(folded)), len(folded)])
    best, found = (_PASSAGE - learned.bias) / learned.steps[0], None
    for count in range(1, min(_TOGETHER, len(cuts) - 1) + 1):
        starts, ends = cuts[:-count], cuts[count:]
        scores = (told[ends] - told[starts]) / np.sqrt(3 * np.maximum(ends - starts, _LEAST))
        place = int(scores.argmax())
        if scores[place] > best:
            best, found = float(scores[place]), (int(starts[place]), int(ends[place]))
    return found


def _clause(folded: str, pairs: NDArray[np.uint32], learned: Weights) -> tuple[int, int]:
    """The clause whose pairs of characters speak most of danger."""
    cuts = [0, *(mark.end() for mark in _CLAUSES.finditer(folded)), len(folded)]
    each = np.concatenate([[0], np.cumsum(learned.danger.take(pairs), dtype=np.int32)])
    spans = [(start, end) for start, end in pairwise(cuts) if end > start]
    last = len(each) - 1
    return max(spans, key=lambda span: int(each[min(span[1], last)] - each[min(span[0], last)]))
