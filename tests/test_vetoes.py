"""What keeps two letters apart, or lets a person look: the numbers that they tell."""

from __future__ import annotations

import pytest

from dedupe.vetoes import Said, doubtful, veto
from normalizer.clean import for_matching
from normalizer.fingerprint import fingerprint


def said(title: str, text: str = "") -> Said:
    return Said.by(fingerprint(for_matching(title), for_matching(text)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("住在翠湖雅苑二期", "住在翠湖雅苑三期"),
        ("等204路等了一小时", "坐31路上班"),
        ("3号线施工", "5号线施工"),
        ("16栋停水", "3栋停水"),
        ("五组的路", "六组的路"),
    ],
)
def test_other_numbers_are_vetoed_in_a_title_and_doubtful_in_the_text(one: str, other: str) -> None:
    assert veto(said(one), said("停水", other)) is not None
    assert veto(said("停水", one), said("停水", other)) is None
    assert doubtful(said("停水", one), said("停水", other))


def test_a_number_in_common_or_told_by_one_alone_is_no_doubt() -> None:
    assert not doubtful(said("停水", "二期和三期"), said("停水", "三期"))
    assert not doubtful(said("停水", "二期"), said("停水", "16栋"))
    assert not doubtful(said("停水", "2019年"), said("停水", "2020年")), "a letter tells of other years too"
