"""Counting what was said of pairs against what people say of them, and drawing pairs to be labelled."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import pytest

from gateway.drawing import Draw
from gateway.measure_pairs import Figures, Judged, hardest, same_matter
from normalizer.model import Level

_numbers = count()


def judged(level: Level | None, same: bool | None, score: float = 0.5, **more: Any) -> Judged:
    return Judged(next(_numbers), next(_numbers), level, score, "why", same, **more)


LINK, SUGGESTION = Level.LINK, Level.SUGGESTION
#: Three that are the same, of which one is linked and one suggested; three that are not, of which one is suggested.
SIX = [
    judged(LINK, same=True, own=True),
    judged(SUGGESTION, same=True),
    judged(None, same=True, found=False, met=False),
    judged(SUGGESTION, same=False, own=True),
    judged(None, same=False),
    judged(None, same=False),
]


def test_precision_recall_and_f1() -> None:
    figures = Figures(right=6, wrong=2, missed=4)
    assert (figures.flagged, figures.precision, figures.recall) == (8, 0.75, 0.6)
    assert figures.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        (Figures(0, 0, 0), (None, None, None)),
        (Figures(0, 0, 3), (None, 0.0, 0.0)),
        (Figures(0, 3, 0), (0.0, None, 0.0)),
    ],
)
def test_what_cannot_be_said_is_null(figures: Figures, told: tuple[float | None, ...]) -> None:
    assert tuple(figures.written()[name] for name in ("precision", "recall", "f1")) == told


def test_figures_of_pairs_by_level_and_by_who_wrote_them() -> None:
    told = same_matter(SIX)
    assert {name: told[name] for name in ("n", "precision", "recall", "flagged")} == {
        "n": 6,
        "precision": 0.6667,
        "recall": 0.6667,
        "flagged": 3,
    }
    assert told["link"] == {"precision": 1.0, "recall": 0.3333, "f1": 0.5, "flagged": 1}
    same, different = told["relations"]["same_caller"], told["relations"]["different_callers"]
    assert (same["n"], same["precision"], same["recall"], same["link"]["precision"]) == (2, 0.5, 1.0, 1.0)
    assert (different["n"], different["precision"], different["recall"], different["link"]["flagged"]) == (
        4,
        1.0,
        0.5,
        0,
    )


def test_what_another_threshold_would_say() -> None:
    pairs = [
        judged(LINK, same=True, score=0.9),
        judged(SUGGESTION, same=False, score=0.6),
        judged(None, same=True, score=0.4),
        judged(None, same=False, score=0.95, vetoed=True),
    ]
    found = {one["score"]: (one["precision"], one["recall"]) for one in same_matter(pairs)["thresholds"]}
    assert (found[0.4], found[0.5], found[0.6]) == ((0.6667, 1.0), (0.5, 0.5), (0.5, 0.5))
    assert (found[0.7], found[0.9], found[0.95]) == ((1.0, 0.5), (1.0, 0.5), (None, 0.0))


def test_a_pair_that_the_gateway_would_not_have_compared_is_not_found_by_itself() -> None:
    by_sender = judged(LINK, same=True, own=True, found=False)
    alone = judged(LINK, same=True, found=False, met=False)
    told = same_matter([judged(LINK, same=True), by_sender, alone])
    assert (told["recall"], told["link"]["recall"]) == (1.0, 1.0)
    assert told["retrieval"] == {
        "index_recall": 0.3333,
        "candidates_recall": 0.6667,
        "precision": 1.0,
        "recall": 0.6667,
        "f1": 0.8,
        "flagged": 2,
    }


def test_the_hardest_errors_come_first() -> None:
    sure_but_wrong, missed = judged(LINK, same=False, score=0.99), judged(None, same=True, score=0.0)
    nearly, right, unknown = judged(None, same=True, score=0.4), judged(LINK, same=True), judged(LINK, same=None)
    vetoed = judged(None, same=True, score=1.0)
    assert hardest([vetoed, nearly, right, sure_but_wrong, unknown, missed]) == [missed, sure_but_wrong, nearly, vetoed]


# -- Drawing -----------------------------------------------------------------------------------------------------------


def drawn(most: int, pairs: list[Judged]) -> list[Judged]:
    draw = Draw(most)
    for one in pairs:
        draw.add(one)
    return draw.drawn()


def test_as_many_of_each_tenth_and_of_each_relation_are_drawn() -> None:
    many = [
        judged(None, None, score, own=own) for score in (0.05, 0.55, 1.0) for own in (True, False) for _ in range(500)
    ]
    found = drawn(60, many)
    assert Counter((one.score, one.own) for one in found) == dict.fromkeys(
        ((score, own) for score in (0.05, 0.55, 1.0) for own in (True, False)), 10
    )
    assert drawn(60, many) == found and found != sorted(found, key=lambda one: one.score)
    assert max(many.index(one) for one in found if one.score == 0.05) > 60


def test_where_a_tenth_has_too_few_the_others_give_more() -> None:
    many = [judged(None, None, 0.05) for _ in range(500)] + [judged(None, None, 0.95) for _ in range(3)]
    assert Counter(one.score for one in drawn(20, many)) == {0.05: 17, 0.95: 3}
    assert drawn(20, many[:5]) != many[:5] and set(drawn(20, many[:5])) == set(many[:5])
