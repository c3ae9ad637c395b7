"""What holds in every city by our own choice, unless the city has a rule of its own."""

from __future__ import annotations

import pytest

from gateway.config import PROFILES
from tests.regulations.cases import Case
from tests.regulations.common_cases import CASES
from tests.regulations.judging import judge, profile_of, rule_of, wrong


@pytest.mark.parametrize("city", PROFILES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_judged_as_we_chose(case: Case, city: str) -> None:
    assert rule_of(profile_of(city), case) is not None
    assert wrong(case, judge(profile_of(city), case.said)) == {}
