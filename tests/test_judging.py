"""What counts of a message when its conduct is judged: a right, a repeat of what was answered, a campaign, danger."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.config import Conduct
from gateway.judging import judging_of, present
from normalizer.fingerprint import fingerprint
from normalizer.heard import Recent
from normalizer.model import (
    Act,
    KeptMessage,
    Level,
    Outcome,
    Past,
    PastMatter,
    PastText,
    Tie,
    TieKind,
    Urgency,
    Verdict,
)
from store.values import Filing
from tests.store.conftest import NOW, matter, message

WORDS = "历下区泉景花园3号楼前的路灯坏了半个月，请尽快派人来修。"
PRINTS = fingerprint("", WORDS)
KEPT = KeptMessage(
    id=UUID(int=9), envelope_id=UUID(int=8), channel="wechat", kind="wechat", received_at=NOW, message=message(WORDS)
)
DAY = timedelta(days=1)


def earlier(
    days: float, answered: float | None = None, *, own: bool = True, words: str = WORDS, **more: Any
) -> PastText:
    """An earlier message, so many days before, and when its matter was answered."""
    answered_at = NOW - answered * DAY if answered is not None else None
    of = PastMatter(matter_id=uuid4(), filed_at=NOW - days * DAY, answered_at=answered_at, **more)
    return PastText(uuid4(), of, own, NOW - days * DAY, fingerprint("", words))


def filing(outcome: Outcome, of: PastText | None = None, act: Act = Act.REPORTS, **more: Any) -> Filing:
    matter_id = of.matter.matter_id if of and outcome is not Outcome.FILED else None
    ties = (Tie(TieKind.FOLLOWS, of.matter.matter_id, Level.LINK, 0.9, "again"),) if of and not matter_id else ()
    return Filing(
        Verdict(outcome=outcome, act=act, matter_id=matter_id, reason="", ties=ties), more.get("matter"), None
    )


@pytest.mark.parametrize(
    ("before", "outcome", "repeats", "chases"),
    [
        pytest.param(earlier(5), Outcome.CHASED, False, True, id="a chase of what is open is a right"),
        pytest.param(earlier(5, 2), Outcome.CHASED, True, False, id="the same after an answer is a repeat"),
        pytest.param(
            earlier(5, 2, withdrawn_at=NOW), Outcome.CHASED, False, True, id="taken back: nothing was answered"
        ),
        pytest.param(
            earlier(20, 15), Outcome.FILED, True, False, id="a new matter in the very words of an answered one"
        ),
        pytest.param(earlier(20, 15, words="其他的话"), Outcome.FILED, False, False, id="in other words it tells anew"),
        pytest.param(earlier(20), Outcome.FILED, False, False, id="in the very words of one that was never answered"),
    ],
)
def test_a_right_and_a_repeat_are_told_apart(before: PastText, outcome: Outcome, repeats: bool, chases: bool) -> None:
    act = Act.CHASES if outcome is Outcome.CHASED else Act.REPORTS
    found = present(KEPT, PRINTS.pack(), Past(alike=(before,)), filing(outcome, before, act))
    assert (found.repeats, found.chases) == (repeats, chases)


@pytest.mark.parametrize("act", [Act.ASKS, Act.ANSWERS, Act.EVALUATES, Act.OBJECTS, Act.WITHDRAWS])
def test_what_he_says_about_his_matter_is_a_right(act: Act) -> None:
    assert present(KEPT, PRINTS.pack(), Past(), filing(Outcome.ANSWERED, earlier(1), act)).chases


def test_others_are_counted_by_their_matters_and_only_within_the_hour() -> None:
    near, far, mine = earlier(0.01, own=False), earlier(0.5, own=False), earlier(0.01)
    other_words = earlier(0.01, own=False, words="其他的话")
    found = present(KEPT, PRINTS.pack(), Past(alike=(near, near, far, mine, other_words)), filing(Outcome.FILED))
    assert found.others == 1


@pytest.mark.parametrize("urgency", list(Urgency))
def test_danger_is_what_the_matter_says(urgency: Urgency) -> None:
    told = filing(Outcome.FILED, matter=matter(KEPT, uuid4(), urgency=urgency))
    assert present(KEPT, PRINTS.pack(), Past(), told).immediate == (urgency is Urgency.IMMEDIATE)


def judged(repeats: int, *texts: PastText) -> list[str]:
    """The flags of a further letter in the very words, after so many recalled repeats."""
    judging, fields = judging_of(Conduct(), {}), SimpleNamespace(prints=PRINTS.pack())
    of = judging.of(KEPT, fields)  # type: ignore[arg-type]  # nothing else is read of them
    assert of.flags_last == timedelta(days=90)
    found = of.judge(Recent(b"w", (), repeats), Past(alike=texts), filing(Outcome.FILED, texts[0]))
    return [flag.kind for flag in found.flags]


def test_letters_in_the_very_words_after_an_answer_add_to_the_chases() -> None:
    answered, again, once_more = earlier(29, 28), earlier(20, 19), earlier(10, 9)
    assert judged(0, answered, again) == []
    assert judged(1, answered, again) == judged(0, answered, again, once_more) == ["repeat_without_reason"]
    assert judged(0, answered, earlier(28.5)) == [], "he had no answer yet"


def test_limits_follow_the_settings() -> None:
    settings = Conduct(flood_per_minute=3, hold_minutes=5)
    assert (judging_of(settings, {}).limits.flood_per_minute, judging_of(settings, {}).limits.hold) == (
        3,
        timedelta(minutes=5),
    )
