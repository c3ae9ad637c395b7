"""What a message is to the matters before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dedupe import relation as module
from dedupe.relation import QUESTION, RESULT, Asked, relation, when_full
from normalizer.cues import read_cues
from normalizer.model import (
    Act,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    KeptMessage,
    Outcome,
    Past,
    PastMatter,
    PastMessage,
    Verdict,
)
from tests.store import conftest as build

NOW = build.NOW
CODE = "2611230000000014"
PHONE = Contact(type=ContactType.PHONE, value="+8613800138000", assurance="verified")


def past_matter(**more: Any) -> PastMatter:
    return PastMatter.model_validate(
        {"matter_id": uuid4(), "filed_at": NOW - timedelta(days=2), "tracking_code": CODE} | more
    )


def asked(text: str = "路灯坏了", past: Past | None = None, settle: float = 0, **more: Any) -> Asked:
    kept = KeptMessage(uuid4(), uuid4(), "wechat", "wechat", NOW, build.message(text, **more))
    return Asked(kept, read_cues(text), past or Past(), settle)


def decided(*args: Any, **more: Any) -> tuple[Outcome, Act, Any]:
    verdict = relation(asked(*args, **more))
    return verdict.outcome, verdict.act, verdict.matter_id


def latest(seconds: float, began: float | None = None, group: str | None = None) -> PastMessage:
    return PastMessage(
        matter_id=uuid4(),
        received_at=NOW - timedelta(seconds=seconds),
        began_at=NOW - timedelta(seconds=seconds if began is None else began),
        group=group,
    )


# -- New, or named -----------------------------------------------------------------------------------------------------


def test_a_message_that_names_nothing_is_a_new_matter() -> None:
    assert decided() == (Outcome.FILED, Act.REPORTS, None)


def test_a_message_that_names_its_callers_matter_adds_to_it() -> None:
    named = past_matter()
    found = decided("还有一盏也坏了", Past(named=named), in_reply_to=str(named.matter_id))
    assert found == (Outcome.ATTACHED, Act.REPORTS, named.matter_id)


def test_a_matter_of_somebody_else_is_not_opened_by_its_number() -> None:
    verdict = relation(asked(past=Past(named=None), in_reply_to=str(uuid4())))
    assert (verdict.outcome, verdict.reason) == (Outcome.FILED, "names a matter that is not its caller's")


def test_a_matter_of_his_whose_code_he_writes_is_added_to() -> None:
    mine = past_matter()
    assert decided(f"关于{CODE}，昨天又有两盏灯坏了", Past(coded=(mine,))) == (
        Outcome.ATTACHED,
        Act.REPORTS,
        mine.matter_id,
    )


@pytest.mark.parametrize("limit", ["MOST_MESSAGES", "MOST_CHARACTERS"])
def test_a_full_matter_takes_no_more(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    kept = KeptMessage(uuid4(), uuid4(), "app", "app", NOW, build.message())
    matter = build.matter(kept, uuid4())
    verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=matter.matter_id, reason="names it")
    assert when_full(verdict, matter) == verdict
    monkeypatch.setattr(module, limit, 1)
    assert when_full(verdict, matter).outcome is Outcome.FILED
    chased = Verdict(outcome=Outcome.CHASED, matter_id=matter.matter_id, reason="asks again")
    assert when_full(chased, matter) == chased


def test_the_new_wording_of_a_message_goes_where_the_message_is() -> None:
    matter_id = uuid4()
    assert decided("路灯和井盖都坏了", Past(amended=matter_id)) == (Outcome.ATTACHED, Act.REPORTS, matter_id)


# -- A conversation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "began", "settle", "joined"),
    [(59, 59, 60, True), (61, 61, 60, False), (30, 181, 60, True), (30, 3601, 60, False), (1, 1, 0, False)],
)
def test_pieces_of_one_story_are_one_matter(seconds: float, began: float, settle: float, joined: bool) -> None:
    verdict = relation(asked("[图片]", Past(latest=latest(seconds, began)), settle))
    assert (verdict.outcome is Outcome.ATTACHED, verdict.settling) == (joined, joined)


def test_the_pictures_of_an_album_are_together_however_long_it_takes() -> None:
    assert decided("", Past(latest=latest(400, 400, "album-1")), group="album-1")[0] is Outcome.ATTACHED
    assert decided("", Past(latest=latest(400, 400, "album-1")), group="album-2")[0] is Outcome.FILED


def test_a_question_in_the_middle_of_telling_is_a_piece_and_no_chase() -> None:
    before = latest(20)
    mine = past_matter(matter_id=before.matter_id, filed_at=NOW - timedelta(seconds=20))
    assert decided("什么时候能修", Past(matters=(mine,), latest=before), 60)[:2] == (Outcome.ATTACHED, Act.REPORTS)


# -- Asking how it stands ----------------------------------------------------------------------------------------------


def test_his_own_matter_is_told_by_its_code_and_nobody_elses() -> None:
    mine = past_matter()
    assert decided(f"进度 {CODE}", Past(coded=(mine,))) == (Outcome.ANSWERED, Act.ASKS, mine.matter_id)
    assert decided(f"进度 {CODE}", Past(matters=(past_matter(),))) == (Outcome.ANSWERED, Act.ASKS, None)


def test_without_a_code_he_asks_about_his_newest_and_who_has_none_asks_something_else() -> None:
    newest, older = past_matter(), past_matter()
    assert decided("查询", Past(matters=(newest, older)))[2] == newest.matter_id
    assert decided("查询办事进度去哪里")[0] is Outcome.FILED


# -- After a result, a question, a visit -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "score"), [("5", 5), ("５分", 5), ("满意", 4), ("非常不满意！", 1)])
def test_a_mark_after_a_result_evaluates_it(text: str, score: int) -> None:
    done = past_matter(answered_at=NOW - timedelta(days=1))
    verdict = relation(asked(text, Past(matters=(done,))))
    assert (verdict.outcome, verdict.act, verdict.score) == (Outcome.ANSWERED, Act.EVALUATES, score)


@pytest.mark.parametrize("done", [(), (None,), (RESULT + timedelta(days=1),)], ids=["nothing", "open", "long ago"])
def test_a_mark_that_nobody_asked_for_is_no_evaluation(done: tuple[timedelta | None, ...]) -> None:
    matters = tuple(past_matter(answered_at=NOW - ago if ago else None) for ago in done)
    assert decided("5", Past(matters=matters))[1] is not Act.EVALUATES


def test_whatever_he_says_after_a_return_visit_answers_it() -> None:
    visited = past_matter(asked=uuid4(), asked_at=NOW - timedelta(days=1), asks="return_visit", answered_at=NOW)
    verdict = relation(asked("修好了，谢谢你们", Past(matters=(visited,))))
    assert (verdict.act, verdict.answers, verdict.score) == (Act.EVALUATES, visited.asked, None)


@pytest.mark.parametrize(("days", "answers"), [(6, True), (8, False)])
def test_what_comes_after_a_question_answers_it_for_a_week(days: int, answers: bool) -> None:
    assert timedelta(days=7) == QUESTION
    questioned = past_matter(asked=uuid4(), asked_at=NOW - timedelta(days=days), asks="question")
    verdict = relation(asked("在北门第三根灯杆", Past(matters=(questioned,))))
    assert (verdict.act is Act.ANSWERS, verdict.answers) == (answers, questioned.asked if answers else None)


@pytest.mark.parametrize("text", ["不满意，路灯根本没修好", "情况不属实，没有解决", "还是没人来，不认可这个结果"])
def test_an_objection_to_a_result_is_no_chase(text: str) -> None:
    done = past_matter(answered_at=NOW - timedelta(days=1))
    assert decided(text, Past(matters=(done,)))[:2] == (Outcome.ATTACHED, Act.OBJECTS)


@pytest.mark.parametrize("text", ["怎么还没处理？", "催办", "等了三天了，没人联系我", f"{CODE}什么时候能解决"])
def test_asking_again_about_what_is_open_is_a_chase(text: str) -> None:
    mine = past_matter()
    past = Past(matters=(mine,), coded=(mine,) if CODE in text else ())
    assert decided(text, past) == (Outcome.CHASED, Act.CHASES, mine.matter_id)


def test_a_chase_that_could_be_about_several_is_told_as_it_is() -> None:
    assert decided("怎么还没处理？", Past(matters=(past_matter(), past_matter())))[0] is Outcome.FILED


@pytest.mark.parametrize("text", ["撤回", "我要撤销诉求", f"取消 {CODE}", "cancel my request"])
def test_he_may_take_it_back(text: str) -> None:
    mine = past_matter()
    past = Past(matters=(mine,), coded=(mine,) if CODE in text else ())
    assert decided(text, past) == (Outcome.ANSWERED, Act.WITHDRAWS, mine.matter_id)


@pytest.mark.parametrize("text", ["取消公交线路不合理", "要求撤销物业的罚款通知单", "取消"])
def test_other_things_are_cancelled_too(text: str) -> None:
    assert decided(text, Past(matters=(past_matter(),)))[1] is Act.REPORTS


# -- No more messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["TD", "td", "退订", " ＴＤ。", "stop", "N"])
def test_a_word_for_no_more_messages_is_heard_by_sms(text: str) -> None:
    assert decided(text, sender=PHONE)[:2] == (Outcome.ANSWERED, Act.OPTS_OUT)
    assert decided(text)[1] is not Act.OPTS_OUT


@pytest.mark.parametrize("text", ["退订报纸没人管", "TD线停运", "stop the noise", "我要退订宽带，营业厅不给办"])
def test_the_word_within_a_complaint_is_a_complaint(text: str) -> None:
    assert decided(text, sender=PHONE) == (Outcome.FILED, Act.REPORTS, None)


def test_a_picture_after_a_visit_is_more_than_an_answer() -> None:
    visited = past_matter(asked=uuid4(), asked_at=NOW, asks="return_visit")
    picture = Attachment(id="0", kind=AttachmentKind.IMAGE)
    assert decided("还是坏的", Past(matters=(visited,)), attachments=(picture,))[1] is not Act.EVALUATES


# -- After a call to an operator ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "minutes", "pictures", "joined"),
    [
        ("补充：灯杆编号A12", 1, 0, True),
        ("刚才打电话反映的路灯在北门", 29, 0, True),
        ("照片发给你们", 5, 1, True),
        ("", 5, 2, True),
        ("补充：灯杆编号A12", 31, 0, False),
        ("楼道里有人养鸡", 1, 0, False),
        ("楼道里有人养鸡", 1, 1, False),
        ("请打我电话", 1, 0, False),
        ("", 31, 1, False),
    ],
)
def test_what_he_sends_right_after_a_call_and_speaks_of_it_completes_the_call(
    text: str, minutes: float, pictures: int, joined: bool
) -> None:
    call = latest(60 * minutes)
    sent = tuple(Attachment(id=str(number), kind=AttachmentKind.IMAGE) for number in range(pictures))
    found = decided(text, Past(registered=call), sender=PHONE, attachments=sent)
    assert found == ((Outcome.ATTACHED, Act.REPORTS, call.matter_id) if joined else (Outcome.FILED, Act.REPORTS, None))


def test_without_a_call_it_is_a_matter_of_its_own() -> None:
    assert decided("补充：灯杆编号A12", sender=PHONE)[0] is Outcome.FILED


def test_a_matter_that_is_named_comes_before_the_call() -> None:
    mine = past_matter()
    assert decided(f"{CODE} 补充照片", Past(coded=(mine,), registered=latest(60)), sender=PHONE)[2] == mine.matter_id
