"""What is not the hotline's is suggested with its ground; what only mentions such things is taken. Our own sentences, invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench import quality_acceptance as quality
from gateway.profile import FOLDER, load_profile
from normalizer.acceptance import doubts, platform, suggest
from normalizer.model import Acceptance
from normalizer.profile import Ground, GroundRule, PlatformRule, Profile

CITY = "370700"
WEIFANG = load_profile("weifang", FOLDER)


def profile(*grounds: GroundRule, platforms: tuple[PlatformRule, ...] = ()) -> Profile:
    return WEIFANG.model_copy(update={"grounds": grounds, "platforms": platforms})


def rule(ground: Ground, suggestion: str = "refer") -> GroundRule:
    return GroundRule.model_validate(
        {
            "ground": ground,
            "name": f"{ground}的",
            "suggestion": suggestion,
            "where_to": "另有渠道" if suggestion == "refer" else None,
            "explain": "不属于热线受理范围",
            "article": "第十九条",
        }
    )


@pytest.mark.parametrize(
    ("text", "ground", "rule_of"),
    [
        ("我不服一审判决，太不公平", Ground.LITIGATION, "litigation.dissent"),
        ("我跟开发商正在打官司，请市长给法院说一声", Ground.LITIGATION, "litigation.begun"),
        ("劳动仲裁裁决下来了公司不付", Ground.LITIGATION, "litigation.enforcement"),
        ("我已经申请了劳动仲裁", Ground.ARBITRATION, "arbitration.pending"),
        ("我要举报局长受贿", Ground.DISCIPLINE, "discipline.reported"),
        ("不服交警处罚决定，想行政复议", Ground.RECONSIDERATION, "reconsideration.told"),
        ("申请公开北环路的征地批文", Ground.DISCLOSURE, "disclosure.request"),
        ("已到信访局登记，三级终结", Ground.PETITION, "petition.ended"),
        ("对答复意见不服，申请复查复核", Ground.PETITION, "petition.ended"),
        ("有人把国家秘密泄露到网上", Ground.SECRETS, "secrets.told"),
        ("帮我查一下我前夫的住址", Ground.PRIVACY, "privacy.asked"),
        ("给我介绍个小姐，多少钱", Ground.PUBLIC_MORALS, "public_morals.asked"),
        ("签了息诉罢访协议，现在又想追加", Ground.CONCLUDED, "concluded.admitted"),
    ],
)
def test_a_ground_is_told(text: str, ground: Ground, rule_of: str) -> None:
    first = doubts("", text)[0]
    assert (first.ground, first.rule) == (ground, f"acceptance.{rule_of}")
    assert first.span is not None and 0 <= first.span[0] < first.span[1] <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("不行我就去法院告你们", id="a threat"),
        pytest.param("建议你们向法院学习", id="a comparison"),
        pytest.param("法院门口积水，停车也乱", id="a place"),
        pytest.param("咨询行政复议要什么材料", id="a question about procedure"),
        pytest.param("窗口工作人员态度差，推诿扯皮", id="style of staff: Jinan Art. 14, Weifang Art. 10"),
        pytest.param("你们答复过了，可问题没解决，我不满意", id="an objection: Weifang Art. 14"),
        pytest.param("已经投诉六次没有人管", id="an unanswered matter"),
        pytest.param("物业经理贪污公共收益", id="no office"),
        pytest.param("是不是收了老板的好处才不查这家KTV", id="a rhetorical question"),
        pytest.param("物业不公开账目", id="no government information"),
        pytest.param("我的信息被中介泄露了", id="his own privacy"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_only_mentions_it_is_taken(text: str) -> None:
    assert doubts("", text) == ()


def test_a_long_letter_that_passes_by_a_procedure_is_taken_and_one_with_it_as_title_is_not() -> None:
    text = "小区电梯坏了半年。" * 40 + "法院判决了隔壁小区的案子。"
    assert doubts("电梯坏了", text) == ()
    (doubt,) = doubts("法院判决了还不修电梯", "电梯坏了半年。" * 60)
    assert doubt.ground is Ground.LITIGATION and doubt.span is None


def test_the_surest_comes_first_and_each_ground_once() -> None:
    found = doubts("", "法院判了我不服判决，仲裁委也在立案，还要仲裁")
    assert [doubt.ground for doubt in found] == [Ground.LITIGATION, Ground.ARBITRATION]


@pytest.mark.parametrize(
    ("division", "city", "out"),
    [
        ("370602", "370700", True),
        ("370783", "370700", False),
        ("370783", "3707", False),
        ("110105", "110100", False),
        ("310115", "110100", True),
        ("500243", "50", False),
        ("370000", "370700", False),
        ("440000", "370700", True),
        ("429005", "429004", True),
        ("429004", "429004", False),
        (None, "370700", False),
        ("", "370700", False),
        ("370602", "", False),
    ],
)
def test_a_place_in_another_prefecture_is_out_of_the_area(division: str | None, city: str, *, out: bool) -> None:
    acceptance, found = suggest("", "路灯不亮", profile(rule(Ground.OUT_OF_AREA)), division=division, city=city)
    assert (acceptance.suggestion == "refer") is out
    assert [doubt.rule for doubt in found] == (["acceptance.out_of_area.place"] if out else [])


def test_a_suggestion_has_the_citys_words_article_and_way() -> None:
    acceptance, found = suggest("", "我不服一审判决", profile(rule(Ground.LITIGATION)), division=None, city=CITY)
    assert acceptance == Acceptance(suggestion="refer", ground="litigation的", article="第十九条", where_to="另有渠道")
    assert found[0].rule == "acceptance.litigation.dissent"


def test_only_grounds_of_the_profile_count() -> None:
    told = suggest("", "法院已经判决，我不服", profile(rule(Ground.SECRETS)), division=None, city=CITY)
    assert told == (Acceptance(), ())


def test_a_way_that_is_open_goes_before_none() -> None:
    rules = (rule(Ground.LITIGATION, "refuse"), rule(Ground.PETITION))
    acceptance, found = suggest("", "法院判决我不服，信访局也登记受理了", profile(*rules), division=None, city=CITY)
    assert acceptance.suggestion == "refer"
    assert [doubt.ground for doubt in found] == [Ground.PETITION, Ground.LITIGATION]


def line(number: str, *subjects: str, refer: bool = False) -> PlatformRule:
    return PlatformRule(number=number, name=number, subjects=subjects, refer=refer, article="四、工作网络")


LINES = (line("12315", refer=True), line("12333"), line("96000", "海蜇"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("超市卖过期食品不给退款", "12315"),
        ("公司拖欠工资", "12333"),
        ("海蜇泛滥", "96000"),
        ("超市拖欠工资，不交社保，还卖假货", "12333"),
        ("路上有坑", None),
    ],
)
def test_a_linked_platform_is_named_by_its_subjects(text: str, number: str | None) -> None:
    found = platform(text, profile(platforms=LINES))
    assert (found and found[0]) == number
    if found:
        start, end = found[1]
        assert text[start:end]


def test_a_profile_without_platforms_names_none() -> None:
    assert platform("假货", profile()) is None


def test_a_platform_is_suggested_only_where_the_city_refers_to_it() -> None:
    city = profile(rule(Ground.OTHER_PLATFORM), platforms=LINES)
    acceptance, found = suggest("", "商家卖假货", city, division=None, city=CITY)
    assert (acceptance.suggestion, found[0].platform) == ("refer", "12315")
    assert suggest("", "公司拖欠工资", city, division=None, city=CITY)[0].suggestion == "accept"
    in_title = suggest("商家卖假货", "请处理", city, division=None, city=CITY)[1]
    assert in_title[0].span is None


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_gives_a_result(text: str, title: str) -> None:
    for doubt in doubts(title, text):
        assert doubt.span is None or 0 <= doubt.span[0] < doubt.span[1] <= len(text)


def test_a_hostile_text_is_read() -> None:
    for piece in ("法院", "我已经", "举报局长", "请查他的", "依法处理", "（2024）", "\n"):
        doubts(piece * 2_000, piece * 20_000)


def test_our_own_texts_reach_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "board", list)
    found = quality.measure(WEIFANG, CITY)
    for half, counts in found.grounds.items():
        whole = quality.total_of(counts.values())
        assert whole.precision >= (0.97 if half == "1" else 0.95) and whole.recall >= 0.9, (half, whole)
    assert all(platforms.recall >= 0.9 for platforms in found.platforms.values())
    quality.show(found, Console(quiet=True))


def test_the_set_is_large_enough() -> None:
    labels = [message.label for message in quality.messages()]
    assert labels.count("0") >= 100
    assert all(labels.count(ground) >= 15 for ground in Ground if ground is not Ground.OTHER_PLATFORM)
