"""The rules of lianyungang: every article that touches the entrance has a rule and a case, and the cases hold."""

from __future__ import annotations

import pytest

from tests.regulations.cases import Case
from tests.regulations.judging import judge, profile_of, uncovered, unfounded, wrong
from tests.regulations.lianyungang_cases import CASES

CITY = "lianyungang"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_judged_as_the_regulation_says(case: Case) -> None:
    assert wrong(case, judge(profile_of(CITY), case.said)) == {}


@pytest.mark.parametrize("article", profile_of(CITY).intake_articles)
def test_an_article_at_the_entrance_has_a_rule_and_a_case(article: str) -> None:
    assert uncovered(profile_of(CITY), CASES, article) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_names_a_rule_of_its_article(case: Case) -> None:
    assert unfounded(profile_of(CITY), case) == ""
