"""The city's rules on one message: each field that is read, with its rule and its words; what was stated stands above."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from gateway.profile import load_profile
from normalizer.fields import Fields, Rules, Triage
from normalizer.model import Message
from normalizer.normalize import normalize

ID = UUID(int=7)
NOW = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
RULES = Rules(load_profile("jinan", Path()), "370100", ZoneInfo("Asia/Shanghai"))
MESSAGE: dict[str, Any] = {
    "key_space": "lines",
    "provider_id": "1",
    "account": "us",
    "sender": {"type": "wechat", "value": "o1", "assurance": "verified"},
}


def read(text: str, **said: Any) -> Triage:
    return whole(text, **said).triage


def whole(text: str, **said: Any) -> Fields:
    return normalize(Message.model_validate(MESSAGE | {"text": text} | said, strict=False), ID, RULES, NOW)


FIRE = "历下区泉城路180号3号楼着火了，浓烟很大，有人被困，快来！"


def test_danger_is_immediate_and_names_its_line_and_what_to_tell_him() -> None:
    found = read(FIRE)
    assert (found.emergency_line, found.urgency, found.crisis) == ("119", "immediate", False)
    assert any("119" in words for words in found.warnings)


def test_who_may_harm_himself_is_heard_first() -> None:
    found = read("我不想活了，现在就在楼顶，马上跳下去")
    assert (found.crisis, found.urgency) == (True, "immediate")
    assert found.warnings[0] == RULES.profile.crisis.tell


@pytest.mark.parametrize("text", ["去年着过火，现在消防通道还被占", "路灯坏了，请维修", ""])
def test_what_is_no_danger_is_routine(text: str) -> None:
    found = read(text)
    assert (found.emergency_line, found.urgency, found.crisis, found.warnings) == (None, "routine", False, ())


def test_what_an_operator_has_dealt_with_is_no_longer_urgent() -> None:
    assert read(FIRE, disposition="answered_on_the_spot", answer="已转119").urgency == "routine"


def test_what_a_linked_platform_says_of_the_line_stands() -> None:
    assert read("路口有人打架，正在打", emergency_line="122").emergency_line == "122"


def test_a_chosen_kind_stands_above_the_words() -> None:
    assert read("我要投诉物业乱收费", matter_kind="consultation").kind == "consultation"
    assert read("我要投诉物业乱收费，态度恶劣").kind == "complaint"


def test_the_place_in_the_words_and_its_division() -> None:
    found = read(FIRE)
    assert found.place is not None and found.place.text is not None
    assert "泉城路180号" in found.place.text and found.place.division_code == "370102"


def test_a_place_told_by_itself_stands_and_is_given_its_division() -> None:
    found = read(FIRE, place={"text": "历城区花园路1号"})
    assert found.place is not None
    assert (found.place.text, found.place.division_code) == ("历城区花园路1号", "370112")


def test_whoever_asks_for_it_is_sealed_and_so_is_every_report() -> None:
    assert read("请为我保密，不要透露我的姓名。小区有人开赌场").confidential
    assert read("举报：城东有人非法倾倒危险废物，请查处", matter_kind="report").confidential
    assert not read("路灯坏了，请维修").confidential


def test_what_only_reads_like_a_report_keeps_its_name() -> None:
    found = read("城东有人夜里往河里偷排废水，无证经营，请查处")
    assert not found.confidential, "he did not call it a report"
    assert read("我举报城东有人夜里往河里偷排废水，请查处").confidential
    complains = "小区夜里施工噪音太大，投诉几次物业都不管，本人现实名举报该工地夜间施工，希望尽快解决"
    assert (read(complains).kind, read(complains).confidential) == ("complaint", True), "he says so"
    assert not read(complains.replace("现实名举报", "反映")).confidential
    assert not read("请问我要举报无证摊贩应该找哪个部门？").confidential, "he only asks"


def test_acceptance_is_suggested_with_its_article_and_way() -> None:
    found = read("法院已经判决，我不服这个判决，请你们改判")
    assert found.acceptance.suggestion == "refer"
    assert found.acceptance.ground and found.acceptance.where_to


def test_what_is_said_to_staff_is_a_flag_with_its_words() -> None:
    found = read("接电话的话务员你给我等着，我找人弄死你")
    assert found.flags and found.flags[0].kind in {"threat", "insult"} and found.flags[0].evidence


@pytest.mark.parametrize("text", ["我明天要去跳黄河，谁也别拦我", "你们别找我了，我已经站在跨江大桥的栏杆外面了"])
def test_whoever_may_harm_himself_is_no_abuser_because_of_how_it_sounds(text: str) -> None:
    found = read(text)
    assert (found.crisis, found.flags) == (True, ())


def test_a_threat_in_so_many_words_is_one_of_whoever_may_harm_himself_too() -> None:
    found = read("我不活了，拉着你们一起死")
    assert found.crisis and {flag.kind for flag in found.flags} == {"threat"}


def test_harsh_words_about_a_grievance_are_none() -> None:
    assert read("物业太黑心了，不作为，垃圾公司，管都不管！").flags == ()


@pytest.mark.parametrize("text", [FIRE, "我要投诉XX物业公司，昨晚10点停水，请为我保密"])
def test_each_derived_field_names_its_rule_and_words(text: str) -> None:
    found = whole(text)
    for one in found.evidence:
        assert one.rule and one.message_id == ID
        assert one.span is None or 0 <= one.span[0] < one.span[1] <= len(found.text)
    named = {one.field for one in found.evidence}
    read_ = found.triage
    told = {
        "emergency_line": read_.emergency_line,
        "confidential": read_.confidential,
        "occurred_at": read_.occurred_at,
        "target_unit": read_.target_unit,
        "place.text": read_.place,
    }
    assert {name for name, value in told.items() if value} <= named


def test_without_rules_only_what_was_stated_is_read() -> None:
    message = Message.model_validate(MESSAGE | {"text": FIRE, "matter_kind": "help"}, strict=False)
    assert normalize(message, ID).triage.urgency == "routine"
    assert normalize(message, ID).triage.kind == "help"


@pytest.mark.parametrize("text", ["", " ", "a", "😀" * 5000, "一" * 60_000, "\n" * 3000, "12" * 9000, "\U000e0001着火"])
def test_any_text_is_read(text: str) -> None:
    assert isinstance(read(text), Triage)
