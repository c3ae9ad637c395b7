"""The number a citizen reads out."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_10

from normalizer.tracking import NUMBERS, tracking_code, valid

DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))
CODES = st.builds(tracking_code, DAYS, st.integers(0, NUMBERS - 1))


def test_a_code_is_date_number_and_check_digit() -> None:
    assert tracking_code(date(2026, 11, 22), 4711) == "2611220000047112"


@settings(deadline=None)
@given(CODES)
def test_an_independent_library_agrees(code: str) -> None:
    assert mod_11_10.is_valid(code)
    assert valid(code)


@settings(deadline=None)
@given(CODES, st.integers(0, 15), st.integers(1, 9))
def test_every_single_wrong_digit_is_caught(code: str, place: int, by: int) -> None:
    wrong = code[:place] + str((int(code[place]) + by) % 10) + code[place + 1 :]
    assert not mod_11_10.is_valid(wrong)
    assert not valid(wrong)


def test_most_swapped_neighbours_are_caught() -> None:
    swaps = caught = 0
    for step in range(3000):
        code = tracking_code(date(2026, 1, 1) + timedelta(days=step % 365), step * 7_654_321 % NUMBERS)
        for place in range(15):
            if code[place] != code[place + 1]:
                swaps += 1
                caught += not valid(code[:place] + code[place + 1] + code[place] + code[place + 2 :])
    assert caught / swaps > 0.98


@pytest.mark.parametrize(
    "code",
    [
        "",
        "261122000004711",
        "26112200000471122",
        "2611220000047112\n",
        " 611220000047112",
        "２６１１２２０００００４７１１２",
        "261122000004711X",
    ],
)
def test_what_is_not_sixteen_digits_is_no_code(code: str) -> None:
    assert not valid(code)


@pytest.mark.parametrize("payload", ["261322000004711", "260230000004711", "260200000004711", "622202100004711"])
def test_what_does_not_start_with_a_day_is_no_code(payload: str) -> None:
    assert not valid(payload + mod_11_10.calc_check_digit(payload))


@pytest.mark.parametrize(
    ("day", "number"), [(date(2026, 1, 1), -1), (date(2026, 1, 1), NUMBERS), (date(1999, 1, 1), 1)]
)
def test_what_does_not_fit_is_refused(day: date, number: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        tracking_code(day, number)
