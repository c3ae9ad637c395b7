"""What was said of pairs of messages, against what people say of them: precision, recall, F1, and the hardest errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from normalizer.model import Level

#: Thresholds that are shown to choose from.
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was said to be the same, against what is."""

    #: Said and true; said and not true; true and not said.
    right: int
    wrong: int
    missed: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> Figures:
        """Count pairs of what was said and what is true."""
        counts = {(said, true): 0 for said in (False, True) for true in (False, True)}
        for pair in pairs:
            counts[pair] += 1
        return cls(counts[True, True], counts[True, False], counts[False, True])

    @property
    def flagged(self) -> int:
        """How many were said to be the same."""
        return self.right + self.wrong

    @property
    def precision(self) -> float | None:
        """Of what was said the share that is true; None: nothing was said."""
        return share(self.right, self.flagged)

    @property
    def recall(self) -> float | None:
        """Of what is true the share that was said; None: nothing is."""
        return share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float | None:
        """Their harmonic mean; None: nothing was said and nothing is true."""
        return share(2 * self.right, 2 * self.right + self.wrong + self.missed)

    def written(self) -> dict[str, Any]:
        """For programs."""
        shares = {name: rounded(getattr(self, name)) for name in ("precision", "recall", "f1")}
        return shares | {"flagged": self.flagged}


def share(part: int, whole: int) -> float | None:
    """A part of a whole; None: of nothing."""
    return part / whole if whole else None


def rounded(figure: float | None) -> float | None:
    """As precisely as it is written."""
    return None if figure is None else round(figure, 4)


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair and what we say of it."""

    a: int
    b: int
    level: Level | None
    score: float
    #: Why, in plain words.
    reason: str
    #: What people say; None: nobody did.
    same: bool | None = None
    #: One person wrote both.
    own: bool = False
    #: Something speaks against it whatever the score.
    vetoed: bool = False
    #: The one is among the candidates that the index gives for the other.
    found: bool = True
    #: The gateway would have compared them: for that, or as two of one sender.
    met: bool = True

    @property
    def flagged(self) -> bool:
        """Linked, or suggested to a person."""
        return self.level is not None

    @property
    def linked(self) -> bool:
        """Sure enough to act on."""
        return self.level is Level.LINK

    @property
    def verdict(self) -> str:
        """As it is written."""
        return "none" if self.level is None else self.level.value

    @property
    def wrong(self) -> bool:
        """People say otherwise."""
        return self.same is not None and self.same != self.flagged


def same_matter(judged: Sequence[Judged]) -> dict[str, Any]:
    """The figures of labelled pairs."""
    met = Figures.of((one.flagged and one.met, bool(one.same)) for one in judged)
    return {
        "n": len(judged),
        **flagged(judged).written(),
        "link": linked(judged).written(),
        "relations": {
            "same_caller": _relation([one for one in judged if one.own]),
            "different_callers": _relation([one for one in judged if not one.own]),
        },
        "retrieval": {
            "index_recall": rounded(Figures.of((one.found, bool(one.same)) for one in judged).recall),
            "candidates_recall": rounded(Figures.of((one.met, bool(one.same)) for one in judged).recall),
            **met.written(),
        },
        "thresholds": [{"score": score} | from_score(judged, score).written() for score in SCORES],
    }


def flagged(judged: Iterable[Judged]) -> Figures:
    """Of what is linked or suggested."""
    return Figures.of((one.flagged, bool(one.same)) for one in judged)


def linked(judged: Iterable[Judged]) -> Figures:
    """Of what is linked."""
    return Figures.of((one.linked, bool(one.same)) for one in judged)


def from_score(judged: Iterable[Judged], score: float) -> Figures:
    """Of what is at least as alike, for a city that wants another threshold than ours."""
    return Figures.of((one.score >= score and not one.vetoed, bool(one.same)) for one in judged)


def _relation(judged: Sequence[Judged]) -> dict[str, Any]:
    return {"n": len(judged)} | flagged(judged).written() | {"link": linked(judged).written()}


def hardest(judged: Iterable[Judged]) -> list[Judged]:
    """The errors, the worst first: those of which the score was surest."""
    wrong = [one for one in judged if one.wrong]
    return sorted(wrong, key=lambda one: one.score if one.same else 1 - one.score)
