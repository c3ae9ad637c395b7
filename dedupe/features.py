"""What two messages have in common, as a few numbers; n-grams are compared with many at once, for that is cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, log
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from normalizer.fingerprint import BITS, NAME, PLACE, TITLE, TITLE_TOPIC, Fingerprint, Hashes, starts
from normalizer.lexicon import TOPIC_NAMES, constant
from normalizer.places import Scale, by_kind, excluding
from normalizer.topics import SETTINGS

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Features:
    """What two messages have in common."""

    #: In the order of ``NAMES``.
    values: tuple[float, ...]
    #: How much both say alike: the rarities of the shared n-grams, those of a title twice.
    told: float
    #: How much of the places that the one names, which names fewer, the other has too, about 0 to 1; 1 if either names none.
    place: float
    #: How much of what the titles speak of is spoken of in both messages, 0 to 1.
    topic: float


#: The features, in words for a person.
NAMES = (
    "a name of the title in the other message, and the topic too",
    "words in common",
    "words in common besides places",
    "the title's place is not in the other message",
    "another city",
    "another district",
    "time between",
    "both only ask",
)

#: An n-gram is as rare as can be from one in this many messages on: then the size of the index does not matter.
RAREST = 2_000
#: While the index is small, n-grams count as if so many more messages were in it, and one in 500 of those had each.
ASSUMED, ASSUMED_SHARE = 500, 0.002
#: Rarity from which a name counts, and over which range it counts the more.
NAME_FROM, NAME_RANGE = 0.25, 0.4
#: What a place must count in the title, and may count in the other message, to be missed there.
PLACE_TOLD, PLACE_FOUND = 0.7, 0.4
#: What a topic counts that tells where or who rather than what is wrong.
SETTING = 0.3
#: To what a title's topics weigh so much is added, half of it as found: few words prove little.
TOPIC_ASSUMED = 0.15
#: Half of what names can give is given by so much of them.
NAME_HALF = 1.0
#: Added below the root of a cosine: two very short letters are not the same for one word.
COSINE_ASSUMED = 2.0
#: Days between two messages are looked at up to this, and taken to be so many where unknown.
MOST_DAYS, DAYS_UNKNOWN = 730.0, 30.0


class Frequencies(Protocol):
    """How common an n-gram is among the messages of the index."""

    @property
    def total(self) -> int:
        """Messages in it."""
        ...

    def of(self, grams: Hashes) -> NDArray[np.floating | np.integer]:
        """In how many of them each n-gram stands; more than that where some share a counter."""
        ...


def rarity(grams: Hashes, frequencies: Frequencies) -> Numbers:
    """0 (in every message) to 1 (in one of ``RAREST`` or fewer)."""
    total = frequencies.total + ASSUMED
    known = np.asarray(frequencies.of(grams), np.float32)  # half as wide, for the logarithm
    known = np.minimum(np.maximum(known + np.float32(ASSUMED * ASSUMED_SHARE), np.float32(total / RAREST)), total)
    found: Numbers = np.log(known, dtype=np.float32).astype(np.float64)
    found *= -1 / log(RAREST)
    found += log(total) / log(RAREST)
    return found


def features(a: Fingerprint, b: Fingerprint, common: Common, days: float) -> Features:
    """All that two messages have in common; ``days`` between them, nan: not known."""
    here, there = by_kind(a.areas), by_kind(b.areas)
    where = (float(excluding(here, there, Scale.CITY)), float(excluding(here, there, Scale.COUNTY)))
    topic = _topics(a, b)
    values = (common.named * topic, common.words, common.elsewhere, common.missed, *where, _time(days))
    return Features((*values, float(a.asks and b.asks)), common.told, common.place, topic)


# -- N-grams -----------------------------------------------------------------------------------------------------------


class Common(NamedTuple):
    """What the n-grams of two messages have in common, each but the last 0 to 1."""

    #: Names of the one's title in the other message.
    named: float
    words: float
    #: Words besides places.
    elsewhere: float
    #: Titles whose place is not in the other message.
    missed: float
    #: See ``Features``.
    told: float
    place: float


#: By an n-gram's marks as how many words it counts (two in the title); whether it is of a place, or besides places; the name
#: of something; a place of the title.
_WORDS = np.array([1.0 + bool(marks & TITLE) for marks in range(8)])
_PLACE = np.array([bool(marks & PLACE) for marks in range(8)], np.float64)
_ELSEWHERE = 1.0 - _PLACE
_NAME = np.array([bool(marks & NAME) for marks in range(8)], np.float64)
_TITLED = np.array([bool(marks & TITLE and marks & PLACE) for marks in range(8)], np.float64)
#: By the marks of a shared n-gram here (rows of eight) and there: the product of its words, and besides places; their mean;
#: whether it is of a place here, there; a name here, there; a place of the title here, there.
_SHARED = np.array(
    [
        (
            _WORDS[a] * _WORDS[b],
            _WORDS[a] * _WORDS[b] * _ELSEWHERE[a] * _ELSEWHERE[b],
            (_WORDS[a] + _WORDS[b]) / 2,
            *(_PLACE[a], _PLACE[b], _NAME[a], _NAME[b], _TITLED[a], _TITLED[b]),
        )
        for a in range(8)
        for b in range(8)
    ]
)
_IS_MARK, _MARK_BITS = constant(7), constant(32 - BITS)


def common(new: Fingerprint, others: Sequence[Fingerprint], frequencies: Frequencies) -> list[Common]:
    """What the n-grams of a message have in common with those of each of the others."""
    own, lengths = len(new.marked), [len(other.marked) for other in others]
    marked = np.concatenate([new.marked, *[other.marked for other in others]])
    whose = np.repeat(np.arange(len(others) + 1), [own, *lengths])
    grams, marks = marked >> _MARK_BITS, (marked & _IS_MARK).astype(np.intp)
    rare = rarity(grams, frequencies)
    named = np.minimum(np.maximum((rare - NAME_FROM) * (1 / NAME_RANGE), 0.0), 1.0)
    told = (rare * _WORDS.take(marks)) ** 2
    placed = _PLACE.take(marks)
    weights = (told, told * (1 - placed), rare * placed, named * _TITLED.take(marks))
    wholes = [np.bincount(whose, each, len(others) + 1).tolist() for each in weights]
    here, there = _shared(grams[:own], grams[own:])
    there += own
    rows = _SHARED.take(marks.take(here) * 8 + marks.take(there), axis=0)
    of_shared = rare.take(there)[:, None]
    rows[:, :2] *= of_shared**2
    rows[:, 2:5] *= of_shared
    rows[:, 5:] *= named.take(there)[:, None]
    sums = np.zeros((len(others) + 1, rows.shape[1]))
    owners = whose.take(there)
    begins = starts(owners)
    if len(begins):
        sums[owners.take(begins)] = np.add.reduceat(rows, begins, axis=0)
    mine, *theirs = zip(*wholes, strict=True)
    return [_in_common(mine, one, shared) for one, shared in zip(theirs, sums[1:].tolist(), strict=True)]


def _shared(mine: Hashes, theirs: Hashes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each n-gram that is in both stands here, and there, in the order of there."""
    if not len(mine):
        nowhere = np.zeros(0, np.intp)
        return nowhere, nowhere
    at = np.searchsorted(mine[:-1], theirs)
    there = (mine.take(at) == theirs).nonzero()[0]
    return at.take(there), there


def _in_common(mine: Sequence[float], theirs: Sequence[float], shared: Sequence[float]) -> Common:
    words, elsewhere, told, here_placed, there_placed, here_named, there_named, here_titled, there_titled = shared
    named = max(here_named, there_named)
    missed = (mine[3] >= PLACE_TOLD and here_titled < PLACE_FOUND) + (
        theirs[3] >= PLACE_TOLD and there_titled < PLACE_FOUND
    )
    least = min(mine[2], theirs[2])
    return Common(
        named / (named + NAME_HALF),
        words / (mine[0] * theirs[0] + COSINE_ASSUMED) ** 0.5,
        elsewhere / (mine[1] * theirs[1] + COSINE_ASSUMED) ** 0.5,
        missed / 2,
        told,
        max(here_placed, there_placed) / least if least else 1.0,
    )


# -- Topics, time ------------------------------------------------------------------------------------------------------

_TOPIC_WEIGHTS = tuple(SETTING if name in SETTINGS else 1.0 for name in TOPIC_NAMES)


def _topics(a: Fingerprint, b: Fingerprint) -> float:
    """How much of what the one's title speaks of the other speaks of too, 0 to 1; the mean of both."""
    return (_covered(a.topics, b.topics) + _covered(b.topics, a.topics)) / 2


def _covered(topics: bytes, other: bytes) -> float:
    found, asked = TOPIC_ASSUMED / 2, TOPIC_ASSUMED
    for topic in topics:
        if topic & TITLE_TOPIC:
            weight = _TOPIC_WEIGHTS[topic & ~TITLE_TOPIC]
            asked += weight
            if topic in other or topic & ~TITLE_TOPIC in other:
                found += weight
    return found / asked


def _time(days: float) -> float:
    """0 at once, 1 from two years on."""
    return log(1 + (DAYS_UNKNOWN if isnan(days) else min(days, MOST_DAYS))) / log(1 + MOST_DAYS)
