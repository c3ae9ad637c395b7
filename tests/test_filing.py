"""What one normalised message becomes: the matter, its event, what is answered at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Literal
from uuid import uuid4

import pytest

from dedupe.relation import LONGEST_SECONDS
from gateway.filing import GRACE, Fresh, Habits, decide
from gateway.texts import STATES, standing
from normalizer.model import (
    Act,
    Attachment,
    AttachmentKind,
    HotlineMatter,
    KeptMessage,
    Outcome,
    Past,
    PastMatter,
    PastMessage,
    Urgency,
)
from normalizer.normalize import normalize
from normalizer.reply import Limit, ReplyKind
from normalizer.tracking import tracking_code
from store.values import Filing
from tests.store import conftest as build

NOW = build.NOW
CODE, OTHERS = (tracking_code(date(2026, 11, 23), number) for number in (1, 2))
TALKING = Habits(settle_seconds=60, answers=True, acknowledges=True)
ME = uuid4()


def kept(text: str = "路灯坏了", **more: Any) -> KeptMessage:
    return KeptMessage(uuid4(), uuid4(), "chat", "telegram", more.pop("at", NOW), build.message(text, **more))


def matter(**more: Any) -> HotlineMatter:
    return build.matter(kept("路灯坏了"), ME, tracking_code=CODE).model_copy(update=more)


def filing(
    said: KeptMessage, habits: Habits = TALKING, past: Past | None = None, opened: HotlineMatter | None = None
) -> Filing:
    fields = normalize(said.message, said.id)
    return decide(said, fields, Fresh(uuid4(), CODE), habits, ME, past or Past(), lambda _: opened)


def past_matter(opened: HotlineMatter, **more: Any) -> PastMatter:
    known = {"matter_id": opened.matter_id, "filed_at": NOW - timedelta(days=2), "tracking_code": CODE}
    return PastMatter.model_validate(known | more)


# -- a new matter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [("小区的路灯坏了", "zh", "受理编号"), ("The street light is broken", "en", "Its number is")],
)
def test_a_new_matter_is_acknowledged_in_his_language(text: str, language: str, words: str) -> None:
    found = filing(kept(text, answer_to="call-7"))
    (reply,) = found.replies
    assert (found.verdict.outcome, found.event_type) == (Outcome.FILED, "hotline.matter.filed.v1")
    assert (reply.kind, reply.language, reply.tracking_code) == (ReplyKind.ACKNOWLEDGEMENT, language, CODE)
    (way,) = reply.ways
    assert words in way.text and CODE in way.text
    assert (way.channel, way.account, way.to, way.answers) == ("chat", "desk", build.SENDER, "call-7")
    assert found.matter is not None and reply.matter_id == found.matter.matter_id


@pytest.mark.parametrize("habits", [Habits(), Habits(answers=True), Habits(settle_seconds=60, answers=True)])
def test_nobody_is_acknowledged_where_that_is_off(habits: Habits) -> None:
    assert filing(kept(), habits).replies == ()


def test_the_same_message_gives_the_same_reply_whoever_files_it() -> None:
    said = kept()
    assert filing(said).replies[0].id == filing(said).replies[0].id != filing(kept()).replies[0].id


def test_only_what_the_channel_can_fetch_is_fetched() -> None:
    attachments = (
        Attachment(id="0", kind=AttachmentKind.IMAGE, reference="file:1"),
        Attachment(id="1", kind=AttachmentKind.IMAGE),
        Attachment(id="2", kind=AttachmentKind.LINK, reference="https://a.example"),
    )
    found = filing(kept(attachments=attachments), Habits(fetches=frozenset({AttachmentKind.IMAGE})))
    assert [one.id for one in found.media] == ["0"]


@pytest.mark.parametrize(
    ("limits", "opens", "expires", "remaining"),
    [
        ({}, None, None, None),
        ({"message": Limit(60, 5)}, None, None, None),
        ({"message": Limit(60, 5)}, "message", NOW + timedelta(seconds=60), 5),
        ({"message": Limit(60)}, "message", NOW + timedelta(seconds=60), None),
    ],
)
def test_the_way_back_says_how_long_it_is_open(
    limits: Mapping[str, Limit], opens: str | None, expires: Any, remaining: int | None
) -> None:
    found = filing(kept(opens=opens), Habits(limits=limits)).matter
    assert found is not None
    assert (found.reply_route.expires_at, found.reply_route.remaining) == (expires, remaining)


# -- settling ----------------------------------------------------------------------------------------------------------


def piece(after: float, opened: HotlineMatter, text: str = "还有一盏") -> Filing:
    before = PastMessage(matter_id=opened.matter_id, received_at=NOW + timedelta(seconds=after - 1), began_at=NOW)
    return filing(kept(text, at=NOW + timedelta(seconds=after)), TALKING, Past(latest=before), opened)


def test_a_conversation_is_waited_for_and_nothing_else_is() -> None:
    assert filing(kept()).settles_at == NOW + timedelta(seconds=60) + GRACE
    assert filing(kept(), Habits()).settles_at is None


@pytest.mark.parametrize(("after", "until"), [(30, 90), (100, 160), (150, LONGEST_SECONDS), (179, LONGEST_SECONDS)])
def test_each_piece_lengthens_the_wait_up_to_its_end(after: float, until: float) -> None:
    found = piece(after, matter())
    assert (found.verdict.outcome, found.verdict.settling) == (Outcome.ATTACHED, True)
    assert found.settles_at == NOW + timedelta(seconds=until) + GRACE
    assert found.replies == (), "he has his number already"


def test_a_piece_after_the_longest_wait_amends_at_once() -> None:
    found = piece(200, matter())
    assert (found.verdict.outcome, found.event_type) == (Outcome.ATTACHED, "hotline.matter.amended.v1")
    assert found.settles_at is not None and found.settles_at < NOW + timedelta(seconds=200)


def test_danger_waits_for_nothing() -> None:
    assert piece(10, matter(urgency=Urgency.IMMEDIATE)).settles_at is None


# -- what he does about an earlier one ---------------------------------------------------------------------------------

DONE = {"answered_at": NOW - timedelta(days=1)}
VISITED = {"asked": uuid4(), "asked_at": NOW - timedelta(days=1), "asks": "return_visit"}
ACTS: dict[str, tuple[str, dict[str, Any], Act, str]] = {
    "chase": ("怎么还没处理？", {}, Act.CHASES, "hotline.matter.chased.v1"),
    "objection": ("不满意，没有修好", DONE, Act.OBJECTS, "hotline.matter.disputed.v1"),
    "mark": ("5", DONE, Act.EVALUATES, "hotline.matter.evaluated.v1"),
    "visit": ("都修好了", VISITED, Act.EVALUATES, "hotline.matter.evaluated.v1"),
    "withdrawal": ("撤回", {}, Act.WITHDRAWS, "hotline.matter.withdrawn.v1"),
    "visit, at length": ("修了一半。" * 30, VISITED, Act.ANSWERS, "hotline.matter.amended.v1"),
}


@pytest.mark.parametrize(("text", "steps", "act", "event"), ACTS.values(), ids=ACTS)
def test_each_act_has_its_event(text: str, steps: dict[str, Any], act: Act, event: str) -> None:
    opened = matter()
    found = filing(kept(text), TALKING, Past(matters=(past_matter(opened, **steps),)), opened)
    assert (found.verdict.act, found.event_type, found.settles_at) == (act, event, None)
    assert found.matter is not None and found.matter.revision == 2
    assert found.matter.messages[-1].act is act and found.matter.messages[-1].text == text.strip()
    tells = act in {Act.OBJECTS, Act.ANSWERS}
    assert (text[:5] in found.matter.content) == tells, "what is no telling does not become content"


def test_a_long_text_weeks_after_an_unanswered_visit_is_a_new_matter() -> None:
    opened = matter()
    asked = VISITED | {"asked_at": NOW - timedelta(days=20)}
    past = Past(matters=(past_matter(opened, **asked),))
    for text in ("小区垃圾没有人清理，已经堆了很久，居民出行困难。" * 4, "三号楼电梯停了"):
        assert filing(kept(text), TALKING, past, opened).verdict.outcome is Outcome.FILED
    assert filing(kept("5"), TALKING, past, opened).verdict.act is Act.EVALUATES


def test_a_withdrawn_matter_asks_nothing_any_more() -> None:
    opened = matter()
    asked = {"asked": uuid4(), "asked_at": NOW - timedelta(days=1), "asks": "question", "withdrawn_at": NOW}
    assert (
        filing(kept("北门第三根"), TALKING, Past(matters=(past_matter(opened, **asked),)), opened).verdict.act
        is Act.REPORTS
    )


def test_a_new_wording_waits_with_what_it_changes() -> None:
    opened = matter()
    found = filing(kept("路灯坏了两盏", amends="1"), TALKING, Past(amended=opened.matter_id), opened)
    assert found.verdict.settling and found.settles_at is not None


# -- how it stands -----------------------------------------------------------------------------------------------------

STANDINGS: dict[str, dict[str, Any]] = {
    "filed": {},
    "asked": {"asked": uuid4(), "asked_at": NOW, "asks": "question"},
    "answered": DONE,
    "closed": DONE | {"closed_at": NOW},
    "withdrawn": DONE | {"withdrawn_at": NOW},
}


@pytest.mark.parametrize(("state", "steps"), STANDINGS.items(), ids=STANDINGS)
def test_he_is_told_how_it_stands(state: str, steps: dict[str, Any]) -> None:
    opened = matter()
    found = filing(kept(f"进度 {CODE}"), TALKING, Past(coded=(past_matter(opened, **steps),)), opened)
    (reply,) = found.replies
    assert reply.ways[0].text == f"受理编号 {CODE}：{STATES[state]['zh']}"
    assert (found.event_type, reply.kind, reply.matter_id) == (None, ReplyKind.STATUS, opened.matter_id)


def test_of_a_code_that_is_not_his_he_hears_what_one_hears_of_none() -> None:
    mine = matter()
    (reply,) = filing(kept(f"进度 {OTHERS}"), TALKING, Past(matters=(past_matter(mine),)), None).replies
    assert reply.ways[0].text.endswith(STATES["unknown"]["zh"]) and reply.matter_id is None
    assert CODE not in reply.ways[0].text


@pytest.mark.parametrize(
    ("matters", "asks", "told"),
    [
        ("en", CODE, "en"),
        ("en", f"进度 {CODE}", "zh"),
        ("zh", f"status {CODE}", "en"),
        ("zh", CODE, "zh"),
        (None, CODE, "zh"),
        ("fr", CODE, "zh"),
    ],
)
def test_he_is_answered_in_the_language_in_which_he_asks_else_in_his_matters(
    matters: str | None, asks: str, told: Literal["zh", "en"]
) -> None:
    opened = matter(language=matters)
    (reply,) = filing(kept(asks), TALKING, Past(coded=(past_matter(opened),)), opened).replies
    assert (reply.language, reply.ways[0].text) == (told, standing(past_matter(opened), told, CODE))


def test_words_after_a_picture_give_the_matter_its_title_and_language() -> None:
    picture = kept("", attachments=(Attachment(id="0", kind=AttachmentKind.IMAGE, reference="file:1"),))
    opened = filing(picture).matter
    assert opened is not None and opened.language is None
    told = piece(5, opened, "The street light is broken").matter
    assert told is not None and (told.title, told.language) == ("The street light is broken", "en")
    more = piece(5, told, "三号楼也停电了").matter
    assert more is not None and (more.title, more.language) == (told.title, "en"), "his first words stay first"


def test_where_nothing_goes_back_nothing_is_answered() -> None:
    opened = matter()
    found = filing(kept("进度"), Habits(), Past(matters=(past_matter(opened),)), opened)
    assert (found.verdict.outcome, found.replies) == (Outcome.ANSWERED, ())
