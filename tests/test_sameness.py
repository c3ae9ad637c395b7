"""What a message is that is somewhat like an earlier one of the same person: his own word on it counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dedupe.likeness import Thresholds
from dedupe.sameness import Looks, tells_again
from normalizer.model import KeptMessage, Level, Outcome, Past, PastMatter, PastText, Verdict
from tests.store.conftest import NOW, message
from tests.test_likeness import EMPTY, made

HEAD = "翠湖雅苑路灯坏了"
LAMP = "翠湖雅苑3号楼前的路灯坏了半个月，晚上老人出门看不清路，请尽快派人来修。"
SAID = "上周反映的翠湖雅苑的路灯，还是没人来修"
#: Nothing is surely alike, and much somewhat.
DOUBTING = Thresholds(link=1.5)


def told(text: str, days: float = 3, heading: str = HEAD, **more: Any) -> PastText:
    at = NOW - timedelta(days=days)
    matter = PastMatter(matter_id=uuid4(), filed_at=at, **more)
    return PastText(message_id=uuid4(), matter=matter, own=True, received_at=at, fingerprint=made(heading, text))


def judged(text: str, *earlier: PastText, joins: bool = True, heading: str = HEAD) -> Verdict:
    looks = Looks(made(heading, text), EMPTY, thresholds=DOUBTING, joins=joins)
    kept = KeptMessage(uuid4(), uuid4(), "wechat", "wechat", NOW, message(text))
    verdict = tells_again(looks, Past(alike=earlier), kept)
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    ("text", "outcome"),
    [(SAID, Outcome.CHASED), (f"{SAID}，昨晚有个孩子摔破了头", Outcome.ATTACHED)],
)
def test_who_says_that_he_told_of_it_before_is_believed(text: str, outcome: Outcome) -> None:
    lamp = told(LAMP)
    verdict = judged(text, lamp)
    assert (verdict.outcome, verdict.matter_id) == (outcome, lamp.matter.matter_id)
    assert verdict.ties[0].level is Level.LINK


@pytest.mark.parametrize(
    "text",
    ["翠湖雅苑的路灯没人来修", f"{SAID}，就在16栋门口", f"{SAID}。{'请尽快派人来修。' * 20}"],
    ids=["does not say so", "another building", "tells it all anew"],
)
def test_otherwise_a_person_looks(text: str) -> None:
    verdict = judged(text, told(LAMP))
    assert (verdict.outcome, verdict.ties[0].level) == (Outcome.FILED, Level.SUGGESTION)


def test_where_no_place_is_named_a_person_looks() -> None:
    text = "上周反映的路灯坏了，晚上老人出门看不清路，还是没人来修"
    verdict = judged(text, told(LAMP, heading="路灯坏了"), heading="路灯坏了")
    assert (verdict.outcome, verdict.ties[0].level) == (Outcome.FILED, Level.SUGGESTION)


def test_of_two_matters_like_it_a_person_chooses() -> None:
    verdict = judged(SAID, told(LAMP), told(f"{LAMP}东门外也不亮。", days=2))
    assert (verdict.outcome, verdict.ties[0].level) == (Outcome.FILED, Level.SUGGESTION)


def test_where_nothing_may_be_joined_his_word_joins_nothing() -> None:
    assert judged(SAID, told(LAMP), joins=False).outcome is Outcome.FILED


def test_what_is_over_is_followed_with_certainty() -> None:
    verdict = judged(SAID, told(LAMP, closed_at=NOW - timedelta(days=20), days=25))
    assert (verdict.outcome, verdict.ties[0].kind, verdict.ties[0].level) == (Outcome.FILED, "follows", Level.LINK)
