"""How much a passage reads like a threat or an insult to the people of the hotline: a linear model over characters and classes.

Learned by bench/train_staff.py from sentences of our own; a class of words (normalizer/conduct_classes.py) weighs alone and with
the one before it, so that what was never written down is read like its siblings. Short of the weights' file it says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from normalizer.conduct_classes import classed, names
from normalizer.conduct_model import Signs

WEIGHTS = Path(__file__).parent / "data" / "staff.npz"
#: A passage of fewer characters, or of fewer classes, counts as one of so many: little is no proof.
LEAST, FEWEST = 8, 3
#: How far apart two words are near.
NEAR = 2
#: From here on a passage of a short message, and one of a longer one, counts.
SHORT, LONG = 0.7, 1.4
#: What is taken off for a short message that tells of nobody else, asks and quotes nothing.
PLAIN = 0.6
#: What is asked more of a passage of a short message that tells of inaction, mischance, despair, lawful steps or shoes to be in.
GRIEVED = 0.4
#: What is asked more of one without a word of violence, scorn, death, spying or the reader's kin.
UNARMED = 1.0
#: Characters of a short message.
_SHORT = 120
#: A passage of a longer text whose classes weigh no more is not looked at; what a text leans to in which nothing is.
_UNLIKELY, _NOTHING = -0.5, -99.0
#: Different signs that a passage must have, of a short message and of a longer one.
_DIFFERENT = (2, 5)
_ENDS = re.compile("[。！？!?；;\n]+")
_HARMS = frozenset(["kill", "hurt", "fire", "weapon", "die", "warn", "know", "gang", "lose", "cond", "body"])
_SCORNS = frozenset(
    ["animal", "stupid", "useless", "moral", "curse", "parent", "order", "region", "oath", "slur", "obscene", "group"]
)
_OTHERS = frozenset(["third", "said", "to_me", "ask", "fear", "legal", "mark", "query"])
_GRIEVES = frozenset(["figure", "despair", "inaction", "boss", "legal", "swapped"])
_STRONG = (_HARMS | _SCORNS) - {"warn", "know", "gang", "lose", "cond", "body", "group", "oath", "die"}
_ARMED = _STRONG | {"yours", "know", "lose", "sex", "weapon", "die", "gang"}


@dataclass(frozen=True, slots=True)
class Attack:
    """A passage that reads like a threat or an insult to staff."""

    kind: Literal["insult", "threat", "harassment"]
    #: 0 to 1; one half at the threshold.
    score: float
    start: int
    end: int
    #: Where its first word of violence or scorn stands, or of death or spying, if it has one.
    words: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Weights:
    """What was learned."""

    #: Of each hash of an n-gram, in steps.
    grams: NDArray[np.int8]
    #: Of each class; of each pair of one class before another (the last: none before it); of each such pair that is near.
    alone: list[float]
    pairs: list[float]
    close: list[float]
    step: float
    bias: float


@cache
def weights() -> Weights | None:
    """What was learned; None: there is no model."""
    if not WEIGHTS.is_file():
        return None
    with np.load(WEIGHTS) as stored:
        step = float(stored["step"])
        alone, pairs, close = ((stored[name] * step).tolist() for name in ("alone", "pairs", "close"))
        return Weights(stored["grams"], alone, pairs, close, step, float(stored["bias"]))


def cuts(text: str) -> list[int]:
    """Where sentences begin, and the end."""
    found = [0, *(one.end() for one in _ENDS.finditer(text))]
    return found if found[-1] == len(text) else [*found, len(text)]


def told(text: str, ends: list[int]) -> Iterator[tuple[int, int, int, bool]]:
    """The classes in a folded text: where each begins, its number, its pair with the one before it in its sentence, whether near."""
    many = len(names())
    part, before, last = 0, many, 0
    for number, start, end in classed(text):
        if start >= ends[part + 1]:
            while start >= ends[part + 1]:
                part += 1
            before = many
        yield start, number, before * many + number, before != many and start - last <= NEAR
        before, last = number, end


def staff(text: str, grams: list[Signs]) -> tuple[float, Attack | None]:
    """How much a folded text leans to abuse of staff, and the passage that does most if it does enough."""
    learned = weights()
    if learned is None or not text:
        return 0.0, None
    score, start, end = _leaning(text, grams, learned)
    if score < SHORT - PLAIN or len(set(text[start:end])) < _DIFFERENT[len(text) > _SHORT]:
        return score, None
    found = [(names()[number], start + first, start + last) for number, first, last in classed(text[start:end])]
    over = score - _asked(text, [name for name, _, _ in found])
    if over < 0:
        return score, None
    words = [(first, last) for name, first, last in found if name in _STRONG]
    words = words or [(first, last) for name, first, last in found if name in {"die", "know"}]
    return score, Attack(_kind([name for name, _, _ in found]), round(1 - 0.5 / (1 + over), 3), start, end, words[:1])


def _asked(text: str, found: list[str]) -> float:
    """What a passage of these classes must lean to, to count."""
    if len(text) > _SHORT:
        return LONG
    more = (GRIEVED if not _GRIEVES.isdisjoint(found) else 0) + (UNARMED if _ARMED.isdisjoint(found) else 0)
    return SHORT - (PLAIN if _plain(text) else 0) + more


def _plain(text: str) -> bool:
    """Whether a text tells of nobody else, asks and quotes nothing."""
    return not any(names()[number] in _OTHERS for number, _, _ in classed(text))


def _leaning(text: str, grams: list[Signs], learned: Weights) -> tuple[float, int, int]:
    """How much the passage that does so most reads like abuse, and where it stands; of a long text only if its words say so."""
    ends = cuts(text)
    sums, counts = _by_sentence(text, ends, learned)
    within = {1, 2, len(ends) - 1} if len(text) <= _SHORT else {1, 2}
    passages = [
        (sums[at + length] - sums[at], counts[at + length] - counts[at], ends[at], ends[at + length])
        for length in within
        for at in range(len(ends) - length)
    ]
    likely = [
        (learned.bias + weighed / sqrt(max(count, FEWEST)), start, end) for weighed, count, start, end in passages
    ]
    if len(text) > _SHORT:
        likely = [one for one in likely if one[0] > _UNLIKELY]
    if not likely:
        return (_NOTHING, 0, 0)
    signs = _by_sign(len(text), grams, learned)
    return max((score + signs(start, end), start, end) for score, start, end in likely)


def _by_sentence(text: str, ends: list[int], learned: Weights) -> tuple[list[float], list[int]]:
    """What the classes before each sentence weigh, and how many they are."""
    sums, counts = [0.0], [0]
    weighed, count, part = 0.0, 0, 1
    for start, number, pair, near in told(text, ends):
        while start >= ends[part]:
            sums.append(weighed)
            counts.append(count)
            part += 1
        weighed += learned.alone[number] + learned.pairs[pair] + (learned.close[pair] if near else 0)
        count += 1
    rest = len(ends) - len(sums)
    return sums + [weighed] * rest, counts + [count] * rest


def _by_sign(size: int, grams: list[Signs], learned: Weights) -> Callable[[int, int], float]:
    """What the characters of a passage weigh."""
    found = np.zeros(size + 1, np.int32)
    for one in grams:
        found[1 : len(one) + 1] += learned.grams.take(one)
    summed = np.cumsum(found)

    def weighed(start: int, end: int) -> float:
        return learned.step * float(summed[end] - summed[start]) / sqrt(3 * max(end - start, LEAST))

    return weighed


def _kind(found: list[str]) -> Literal["insult", "threat", "harassment"]:
    """What kind of abuse the classes of a passage make it."""
    harms, scorns = sum(name in _HARMS for name in found), sum(name in _SCORNS for name in found)
    if found.count("sex") > max(1, harms, scorns):
        return "harassment"
    return "threat" if harms > scorns else "insult"
