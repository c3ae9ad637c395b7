"""docs/regulations.md says what the profiles and the cases say."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.config import PROFILES
from tests.regulations.common_cases import CASES as COMMON
from tests.regulations.judging import profile_of
from tests.regulations.table import CASES, PAGE, document


def test_the_table_has_not_drifted() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run: python -m tests.regulations.table"


def test_every_shipped_profile_has_its_cases() -> None:
    assert tuple(CASES) == PROFILES


@pytest.mark.parametrize("city", [*CASES, "common"])
def test_every_case_has_a_name_of_its_own(city: str) -> None:
    names = Counter(case.name for case in CASES.get(city, COMMON))
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("city", PROFILES)
def test_every_article_stands_in_the_table(city: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index(f"Profile `{city}`") :].split("\n## ")[0]
    assert [article for article in profile_of(city).intake_articles if f"\n| {article}" not in section] == []
