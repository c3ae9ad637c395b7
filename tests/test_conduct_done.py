"""What somebody does to the hotline: what is a flood, a machine, an occupied line or an empty repeat, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dedupe.conduct import SOFT, Habit, Limits, Present, SecondHand, done, habit, judge
from normalizer.heard import Heard, Recent
from normalizer.model import Outcome
from normalizer.model.matter import Flag

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
LIMITS = Limits()
SECOND_HAND = SecondHand(frozenset({"telephone"}), frozenset({"telephone", "market"}))
THREAT = Flag(kind="threat", score=0.97, evidence=("我要砸了你们",))
ONE, OTHER = UUID(int=1), UUID(int=2)


def said(seconds: float, words: str | None = None, matter: UUID | None = None, **more: object) -> Heard:
    """A message of so long ago; without words of its own, it is another text."""
    given = {"outcome": Outcome.FILED, "channel": "wechat"} | more
    text = words.encode() if words is not None else None
    return Heard(NOW - timedelta(seconds=seconds), text, matter, **given)  # type: ignore[arg-type]


def texts(number: int, every: float, matter: UUID | None = None, **more: object) -> tuple[Heard, ...]:
    return tuple(said((n + 1) * every, f"text {n}", matter, **more) for n in range(number))


def flags(heard: tuple[Heard, ...], present: Present | None = None, repeats: int = 0) -> dict[str, Flag]:
    counted = habit(Recent(b"now", heard, repeats), present or Present(NOW), SECOND_HAND)
    return {flag.kind: flag for flag in done(counted, LIMITS)}


ATTACHED: dict[str, Any] = {"outcome": Outcome.ATTACHED}
CHASED: dict[str, Any] = {"outcome": Outcome.CHASED}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(((), None), id="a first message"),
        pytest.param((texts(15, 3), None), id="many messages in a minute, fewer than a flood"),
        pytest.param((texts(100, 35), None), id="a hundred messages in an hour"),
        pytest.param((texts(40, 1, ONE, **ATTACHED), Present(NOW, ONE)), id="forty pieces of one conversation"),
        pytest.param((texts(30, 1, ONE, **ATTACHED) + texts(9, 6), Present(NOW, ONE)), id="a conversation and others"),
        pytest.param((tuple(said(n, None, ONE, **ATTACHED) for n in range(27)), Present(NOW, ONE)), id="27 pictures"),
        pytest.param((tuple(said(n * 12, "now") for n in range(4)), None), id="four times the same: an impatient hand"),
        pytest.param(
            (tuple(said(n * 90, "now", ONE, **CHASED) for n in range(39)), Present(NOW, ONE, chases=True)),
            id="the same chase forty times an hour is no abuse",
        ),
        pytest.param(((), Present(NOW, others=5000)), id="one of a campaign"),
        pytest.param(
            (tuple(said(n * 60, None, channel="telephone") for n in range(30)), Present(NOW, channel="telephone")),
            id="thirty calls that we missed",
        ),
        pytest.param(
            (
                tuple(said(n * 60, f"{n}", channel="telephone", **CHASED) for n in range(30)),
                Present(NOW, channel="telephone"),
            ),
            id="thirty calls about what is owed",
        ),
        pytest.param(
            (texts(300, 0.1, channel="market"), Present(NOW, channel="market")),
            id="a linked platform hands over much at once",
        ),
        pytest.param((texts(300, 0.1, channel="market"), None), id="what others wrote down is not his pace"),
        pytest.param((texts(400, 0.1), Present(NOW, immediate=True)), id="danger overrides a flood"),
        pytest.param((texts(40, 120), None), id="what is older does not count"),
    ],
)
def test_what_honest_people_do_is_not_flagged(case: tuple[tuple[Heard, ...], Present | None]) -> None:
    assert flags(*case) == {}


@pytest.mark.parametrize(
    ("heard", "present", "kind", "score", "evidence"),
    [
        pytest.param(
            texts(40, 1), None, "flood", 0.756, "41 messages within a minute, 41 different texts", id="other words"
        ),
        pytest.param(
            tuple(said(n, f"{n % 3}") for n in range(46)),
            None,
            "flood",
            0.787,
            "47 messages within a minute, 4 different texts",
            id="few texts",
        ),
        pytest.param(texts(199, 15), None, "flood", 0.5, "200 messages within an hour", id="steadily over an hour"),
        pytest.param(
            texts(69, 0.5, ONE, **ATTACHED),
            Present(NOW, ONE),
            "flood",
            0.571,
            "70 messages within a minute",
            id="a conversation no hand writes",
        ),
        pytest.param(
            tuple(said(n, "now") for n in range(9)), None, "flood", 0.7, "the same words 10 times", id="copies at once"
        ),
        pytest.param(
            tuple(said(n * 100, "now") for n in range(30)),
            None,
            "flood",
            0.677,
            "the same words 31 times within an hour",
            id="copies by the hour",
        ),
        pytest.param(
            tuple(said(n, "now", ONE, **CHASED) for n in range(29)),
            Present(NOW, ONE, chases=True),
            "flood",
            0.9,
            "the same words 30 times within a minute",
            id="a chase faster than a hand",
        ),
        pytest.param(
            tuple(said(n * 60, f"{n}", channel="telephone") for n in range(11)),
            Present(NOW, channel="telephone"),
            "harassment",
            0.583,
            "12 calls within an hour",
            id="occupying the line",
        ),
    ],
)
def test_what_no_hand_does_is_flagged_with_its_counts(
    heard: tuple[Heard, ...], present: Present | None, kind: str, score: float, evidence: str
) -> None:
    found = flags(heard, present)
    assert list(found) == [kind]
    assert found[kind].score == score
    assert any(evidence in told for told in found[kind].evidence), found[kind].evidence


def test_a_campaigns_words_are_told_apart_from_one_senders_copies() -> None:
    found = flags(tuple(said(n, "now") for n in range(9)), Present(NOW, others=12))
    assert found["flood"].evidence[-1] == "the same words came from 12 other callers too: those are no abuse"


def test_whoever_looks_at_a_flood_is_told_what_the_writer_waits_for() -> None:
    found = flags(tuple(said(n, "now") for n in range(9)), Present(NOW, unanswered=1))
    assert found["flood"].evidence[-1] == "1 matter of his without a result"


@pytest.mark.parametrize("repeats", [0, 1], ids=["once", "twice"])
def test_a_repeat_or_two_of_what_was_answered_is_nothing(repeats: int) -> None:
    assert flags((), Present(NOW, ONE, repeats=True), repeats=repeats) == {}


def test_repeats_count_only_where_it_was_answered() -> None:
    assert flags((), Present(NOW, ONE, repeats=True), repeats=2)["repeat_without_reason"].score == 0.5
    assert flags((), Present(NOW, ONE, chases=True), repeats=50) == {}
    assert flags((), Present(NOW), repeats=50) == {}, "what he writes now is no repeat"
    assert done(Habit(repeats=9, chases=True), LIMITS) == ()


def test_repeats_and_calls_never_hold() -> None:
    for one in (Habit(repeats=10_000), Habit(calls_hour=10_000)):
        judged = judge(one, (), NOW, LIMITS)
        assert judged.flags[0].score == SOFT < LIMITS.hold_score
        assert (judged.until, judged.review) == (None, False)


# -- what follows ------------------------------------------------------------------------------------------------------


def test_a_grave_sign_holds_for_a_time_and_no_longer() -> None:
    judged = judge(Habit(turns_minute=100), (), NOW, LIMITS)
    assert (judged.until, judged.review, judged.flags[0].score) == (NOW + timedelta(hours=1), True, 0.9)
    assert judge(Habit(turns_minute=99), (), NOW, LIMITS).until is None
    said_it = judge(Habit(), (THREAT,), NOW, LIMITS)
    assert (said_it.until, said_it.flags) == (NOW + timedelta(hours=1), (THREAT,))


def test_where_nothing_is_held_it_is_still_for_review() -> None:
    judged = judge(Habit(), (THREAT,), NOW, replace(LIMITS, hold=timedelta(0)))
    assert (judged.until, judged.review) == (None, True)


def test_danger_is_never_held_whatever_is_said() -> None:
    judged = judge(Habit(turns_minute=5000, immediate=True), (THREAT,), NOW, LIMITS)
    assert (judged.until, judged.immediate, judged.review, judged.flags) == (None, True, False, (THREAT,))


def test_the_hour_counts_conversations_not_their_pieces() -> None:
    heard = texts(150, 4, ONE, **ATTACHED) + texts(150, 3, OTHER, **ATTACHED)
    assert flags(heard, Present(NOW, ONE)) == {}
