"""Names of places in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.place_names import place_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("市中区舜玉路的搅拌站每天夜里生产", ("舜玉路",)),
        ("我住在泉景花园3号楼2单元501室", ("泉景花园",)),
        ("滨河公园北门与解放街交叉口", ("滨河公园", "解放街")),
        ("泉景花园的路灯，泉景花园的井盖", ("泉景花园",)),
        ("这条马路每个小区都有，道路不平", ()),
        ("The light on Science Avenue", ()),
        ("", ()),
    ],
)
def test_names_are_found_and_house_numbers_are_not(text: str, names: tuple[str, ...]) -> None:
    assert place_names(text) == names


@given(st.text(max_size=300))
def test_any_text_has_names_or_none(text: str) -> None:
    assert all(name in text for name in place_names(text))
