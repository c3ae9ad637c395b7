"""The breaker: eight failures in a row and a sink is only tried, rarely, until one success lets everything go."""

from __future__ import annotations

import pytest

from gateway.breaker import FAILURES, LONGEST_SECONDS, URGENT_SECONDS, Breaker


class Time:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def made(time: Time, jitter: float = 1.0) -> Breaker:
    return Breaker(time, lambda: jitter)


def broken(time: Time, jitter: float = 1.0) -> Breaker:
    breaker = made(time, jitter)
    for _ in range(FAILURES):
        breaker.failed()
    return breaker


def test_it_opens_at_the_eighth_failure_in_a_row(time: Time) -> None:
    breaker = made(time)
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.failed()
        assert breaker.closed
        breaker.succeeded()
    for _ in range(FAILURES):
        assert breaker.closed
        breaker.failed()
    assert not breaker.closed and not breaker.may_try


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_tries_are_further_and_further_apart_up_to_a_minute(time: Time, jitter: float, factor: float) -> None:
    breaker, waits = broken(time, jitter), []
    for _ in range(9):
        before = time.now
        while not breaker.may_try:
            time.now += 0.25
        waits.append(time.now - before)
        breaker.failed()
    steps = [1, 2, 4, 8, 16, 32, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]
    assert waits == pytest.approx([step * factor for step in steps], abs=0.25)


def test_one_success_lets_everything_go_and_the_next_outage_begins_with_short_waits(time: Time) -> None:
    breaker = broken(time)
    for _ in range(6):
        time.now += LONGEST_SECONDS
        breaker.failed()
    time.now += LONGEST_SECONDS
    breaker.succeeded()
    assert breaker.closed
    for _ in range(FAILURES):
        breaker.failed()
    time.now += 1
    assert breaker.may_try


def test_of_many_sent_at_once_only_the_first_counts_once_it_is_open(time: Time) -> None:
    breaker = broken(time)
    for _ in range(24):
        breaker.failed()
    time.now += 1
    assert breaker.may_try


def test_what_is_urgent_may_go_every_five_seconds_whatever_else_is_tried(time: Time) -> None:
    breaker = broken(time)
    for _ in range(8):
        time.now += LONGEST_SECONDS
        breaker.failed()
    breaker.failed(urgent=True)
    for _ in range(3):
        time.now += URGENT_SECONDS - 0.1
        breaker.failed()
        assert not breaker.may_try_urgent
        time.now += 0.1
        assert breaker.may_try_urgent and not breaker.may_try
        breaker.failed(urgent=True)


def test_urgent_tries_put_the_turn_of_the_others_off_no_further(time: Time) -> None:
    breaker = broken(time)
    for _ in range(8):
        time.now += LONGEST_SECONDS
        breaker.failed()
    for _ in range(int(LONGEST_SECONDS / URGENT_SECONDS) - 1):
        time.now += URGENT_SECONDS
        breaker.failed(urgent=True)
        assert not breaker.may_try
    time.now += URGENT_SECONDS
    assert breaker.may_try


def test_a_sink_that_says_how_long_to_stay_away_is_obeyed_also_by_what_is_urgent(time: Time) -> None:
    breaker = made(time)
    breaker.told(120)
    for _ in range(3):
        assert not breaker.closed and not breaker.may_try and not breaker.may_try_urgent
        breaker.succeeded()  # what was sent before it said so
        breaker.failed()
        time.now += 39
    time.now += 3
    assert breaker.may_try and breaker.may_try_urgent
    breaker.succeeded()
    assert breaker.closed


def test_its_latest_word_counts(time: Time) -> None:
    breaker = made(time)
    breaker.told(60)
    breaker.told(5)
    time.now += 5
    assert breaker.may_try
    breaker.failed()  # and then it does not answer at all: an outage like any other
    assert not breaker.may_try and breaker.may_try_urgent
