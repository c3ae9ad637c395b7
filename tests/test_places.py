"""What is an area or the name of a place, and what only looks like one."""

from __future__ import annotations

import pytest

from normalizer.fingerprint import PLACE, fingerprint
from normalizer.places import areas


@pytest.mark.parametrize("name", ["历下区", "乐民县", "民生区"])
def test_a_name_before_what_it_is_makes_an_area(name: str) -> None:
    assert areas(f"{name}停水", "") and areas("停水", f"我住在{name}")


@pytest.mark.parametrize("words", ["居民区", "办公区", "生活区", "服务区", "贫困县", "施工区", "度假区"])
def test_a_kind_of_area_names_none(words: str) -> None:
    assert not areas(f"{words}停水", f"离{words}不远")


@pytest.mark.parametrize("words", ["生产楼", "十字路口", "收费站", "换热站", "二期工地", "一条街", "写字楼"])
def test_everyday_words_before_an_ending_name_no_place(words: str) -> None:
    assert not (fingerprint("", f"在{words}").marks & PLACE).any()


def test_a_name_of_its_own_does() -> None:
    assert (fingerprint("", "在枫岭楼").marks & PLACE).any()
