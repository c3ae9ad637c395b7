"""How alike two messages are: a weighted sum of features that a person can read, and vetoes.

Two letters are about one matter when they name one place *and* speak of one problem: the first feature is the product
of both. The weights come from bench/fit_likeness.py (logistic regression on labelled pairs); the features are few, and
each speaks either for or against, so that they hold in other cities too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from operator import mul

from dedupe.features import NAMES, Common, Features, Frequencies, common, features
from dedupe.vetoes import YEARS_APART, Said, doubtful, veto
from normalizer.fingerprint import Fingerprint
from normalizer.model import Level, Share

__all__ = ["Frequencies", "Likeness", "Thresholds", "likeness", "likenesses"]

#: What one of each feature is worth, in the order of ``features.NAMES``; and what the sum starts from.
WEIGHTS = (6.0, 4.6, 2.9, -3.6, -2.4, -0.3, -2.7, -0.6)
START = -2.95
#: Two callers mean one thing only if they name one place, or say so much alike (``Features.told``).
LEAST_NAMED, LEAST_TOLD = 0.2, 18.0
#: Agreement of the topics (``Features.topic``) below which it is another problem; and below which nothing is linked.
OTHER_TOPIC, SAME_TOPIC = 0.2, 0.35
#: Places in common (``Features.place``) below which nothing is linked: the same trouble, in the same words even, but elsewhere.
SAME_PLACE = 0.24
_NAMED, _MISSED, _DISTRICT = 0, 3, 5
_START = "two messages at random"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which two messages are linked, or shown to a person."""

    link: float = 0.76
    suggestion: float = 0.44
    #: So much less is enough for two of one caller.
    own: float = 0.06

    @property
    def least(self) -> float:
        """Below it is nothing, whoever wrote it."""
        return min(self.link, self.suggestion) - self.own

    def level(self, score: float, *, same_caller: bool) -> Level | None:
        """The level of a score; None: neither."""
        score += self.own * same_caller
        return Level.LINK if score >= self.link else Level.SUGGESTION if score >= self.suggestion else None


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two messages are, and why."""

    #: 0 to 1: how sure it is that both are about the same.
    score: float
    #: None: not alike enough even for a person to look, or something speaks against it.
    level: Level | None
    #: The value of each feature, in the order of ``features.NAMES``.
    values: tuple[float, ...]
    #: What speaks against it whatever the score, in plain words.
    veto: str | None = None

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each feature gives to the score: the logarithm of its odds is the sum of value times weight."""
        named = zip((_START, *NAMES), (1.0, *self.values), (START, *WEIGHTS), strict=True)
        return tuple(
            Share(feature=name, value=round(value, 4), weight=weight) for name, value, weight in named if value
        )


_DEFAULT = Thresholds()


def likeness(
    a: Fingerprint,
    b: Fingerprint,
    frequencies: Frequencies,
    *,
    same_caller: bool,
    apart_days: float,
    thresholds: Thresholds = _DEFAULT,
) -> Likeness:
    """Compare two messages; ``apart_days`` may be nan: not known. The same whichever comes first."""
    return _judged(a, b, common(a, [b], frequencies)[0], apart_days, thresholds, same_caller=same_caller)


def likenesses(
    new: Fingerprint,
    others: Sequence[tuple[Fingerprint, bool, float]],
    frequencies: Frequencies,
    thresholds: Thresholds = _DEFAULT,
) -> list[Likeness | None]:
    """Compare a message with many: each with whether one caller wrote both, and the days between them.

    None stands for what no threshold can reach, whatever else is known of it: that costs a fraction of a comparison.
    """
    if not others:
        return []
    told = common(new, [other for other, _, _ in others], frequencies)
    return [
        None
        if _at_most(words) < thresholds.least
        else _judged(new, other, words, apart, thresholds, same_caller=same_caller)
        for (other, same_caller, apart), words in zip(others, told, strict=True)
    ]


def _at_most(words: Common) -> float:
    """The score if nothing but their words spoke against it."""
    return _score(words[: _MISSED + 1])


def _score(values: Sequence[float]) -> float:
    """Of so many features, the first ones."""
    worth: float = sum(map(mul, values, WEIGHTS))
    return 1 / (1 + exp(-START - worth))


def _judged(
    a: Fingerprint, b: Fingerprint, words: Common, apart: float, thresholds: Thresholds, *, same_caller: bool
) -> Likeness:
    found = features(a, b, words, apart)
    here, there = Said.by(a), Said.by(b)
    score = _score(found.values)
    against = veto(here, there) or _against(found, apart, same_caller=same_caller)
    level = None if against else thresholds.level(score, same_caller=same_caller)
    unsure = found.place < SAME_PLACE or found.topic < SAME_TOPIC or found.values[_DISTRICT] or doubtful(here, there)
    if level is Level.LINK and unsure:
        level = Level.SUGGESTION
    return Likeness(score, level, found.values, against)


def _against(found: Features, apart: float, *, same_caller: bool) -> str | None:
    """路灯坏了, written by two people, is about two lamps until one of them says where."""
    nowhere = found.values[_NAMED] < LEAST_NAMED
    if found.values[_MISSED] >= 1:
        return "another place: neither names that of the other's title"
    if found.values[_DISTRICT] and nowhere:
        return "another district, and no common place"
    if found.topic < OTHER_TOPIC:
        return "another problem"
    if not same_caller and apart > YEARS_APART:
        return "more than two years apart"
    if not same_caller and nowhere and found.told < LEAST_TOLD:
        return "no common place, and too little else to tell"
    return None
