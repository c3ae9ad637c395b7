"""What is said, and what is not: our own sentences, invented; the labelled set lies in tests/data/conduct."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.quality_conduct import DISGUISES
from normalizer import conduct_staff
from normalizer.conduct import COUNTS, Sign, said
from normalizer.conduct_classes import names

DATA = Path(__file__).parent / "data" / "conduct"
#: The least share of each kind that is judged rightly; what may not be flagged at all stands at one.
LEAST = {
    "threat": 0.95,
    "insult": 0.95,
    "obfuscated": 0.85,
    "spam": 0.93,
    "link": 0.9,
    "angry": 1.0,
    "quoted": 1.0,
    "ordinary": 0.98,
}


def held(text: str) -> tuple[Sign, ...]:
    return tuple(sign for sign in said(text) if sign.score >= COUNTS)


def labelled() -> dict[str, list[tuple[str, bool]]]:
    with (DATA / "gold.csv").open(encoding="utf-8", newline="") as rows:
        gold = {row["id"]: row for row in csv.DictReader(rows)}
    found: dict[str, list[tuple[str, bool]]] = {}
    with (DATA / "messages.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            label = gold[row["id"]]
            found.setdefault(label["kind"], []).append((row["text"], label["label"] == "1"))
    return found


@pytest.mark.parametrize("kind", LEAST)
def test_the_labelled_messages(kind: str) -> None:
    wrong = [text for text, flagged in labelled()[kind] if bool(held(text)) != flagged]
    assert len(wrong) <= (1 - LEAST[kind]) * len(labelled()[kind]), wrong


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        pytest.param("小心我带人去你们单位砍你", "threat", "conduct.threat.staff", id="threat"),
        pytest.param("找人弄死你们", "threat", "conduct.threat.staff", id="hired"),
        pytest.param("接电话那个傻逼", "insult", "conduct.insult.word", id="slur"),
        pytest.param("你们这群废物", "insult", "conduct.insult.face", id="to the face"),
        pytest.param("滚犊子吧", "insult", "conduct.insult.order", id="order"),
        pytest.param("祝你们断子绝孙", "insult", "conduct.insult.curse", id="curse"),
        pytest.param("接线员声音真甜，陪哥睡一晚多少钱", "harassment", "conduct.harassment.sexual", id="harassment"),
        pytest.param("无抵押贷款，当天放款，利息低，电话00000000000", "spam", "conduct.spam.loan", id="loan"),
        pytest.param("点击 http://12345-gov.top/a 输入银行卡密码", "spam", "conduct.link", id="link"),
        pytest.param("黑人都是懒惰的垃圾，恶心，滚出中国", "insult", "conduct.model", id="slur of a group"),
    ],
)
def test_a_sign_names_its_rule(text: str, kind: str, rule: str) -> None:
    assert (kind, rule) in {(sign.kind, sign.rule) for sign in held(text)}


@pytest.mark.parametrize(
    ("own", "others"),
    [
        pytest.param("我要弄死你们", "邻居说要弄死你们", id="neighbour"),
        pytest.param("你这个傻逼接线员", "他骂我傻逼", id="called me"),
        pytest.param("小心你全家", "对方发短信说“小心你全家”", id="text message"),
        pytest.param("弄死你全家", "“弄死你全家”，这是他的原话", id="said behind"),
        pytest.param("我告诉你们，砍死你们", "保安告诉我说，砍死你", id="own voice"),
    ],
)
def test_what_is_reported_is_not_his(own: str, others: str) -> None:
    assert held(own)
    assert not held(others)


@pytest.mark.parametrize(
    "text",
    [
        "垃圾物业，收钱不办事",
        "黑心开发商就是骗子",
        "什么狗屁政策",
        "你们吃干饭的吗，太无能了",
        "他妈的，路又堵了",
        "把老百姓当傻子",
    ],
)
def test_harsh_words_are_a_right(text: str) -> None:
    assert not held(text)


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguise_hides_nothing(name: str) -> None:
    plain = ["你们这群傻逼", "你们都是废物", "王八蛋接线员", "操你妈", "弄死你们全家", "狗东西，你们给我等着"]
    disguised = [DISGUISES[name](text) for text in plain]
    assert disguised != plain
    assert [text for text in disguised if not held(text)] == []


def test_a_span_holds_the_words_as_written() -> None:
    text = "您好，路灯坏了。\n你们这群 傻-逼 ，什么都不管"
    sign = next(sign for sign in said(text) if sign.rule == "conduct.insult.word")
    assert text[slice(*sign.span)] == "傻-逼"


def test_an_oath_weighs_little_and_the_strongest_comes_first() -> None:
    signs = said("他妈的，弄死你们这群傻逼")
    assert [sign.score for sign in signs] == sorted((sign.score for sign in signs), reverse=True)
    assert next(sign for sign in signs if sign.rule == "conduct.insult.oath").score < COUNTS
    assert len({(sign.kind, sign.rule) for sign in signs}) == len(signs)


def test_an_insult_in_a_letter_is_found() -> None:
    letter = "尊敬的领导：我们小区已经停水三天，老人孩子苦不堪言。" * 6
    assert not held(letter)
    assert held(letter + "你们这帮狗东西就知道推诿。" + letter)


def test_rules_stand_without_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model", "staff", "advert"):
        monkeypatch.setattr(f"normalizer.conduct_{name}.weights", lambda: None)
    assert held("你们这群废物")
    assert held("无抵押贷款，当天放款，利息低，电话00000000000")
    assert not held("黑人都是懒惰的垃圾，恶心，滚出中国")
    assert not held("你是不是小时候脑子被开水烫过，听三遍都听不懂")


def test_what_was_learned_is_of_the_classes_there_are() -> None:
    with np.load(conduct_staff.WEIGHTS) as stored:
        assert tuple(stored["classes"]) == names()
        assert stored["alone"].shape == (len(names()),)
        assert stored["pairs"].shape == stored["close"].shape == ((len(names()) + 1) * len(names()),)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("敬酒不吃吃罚酒，非要我带着家伙登门拜访是吧", "threat", id="veiled"),
        pytest.param("你是不是小时候脑子被开水烫过，听三遍都听不懂", "insult", id="insult"),
        pytest.param("我不投诉，我就想听你喘两声，晚上陪我睡", "harassment", id="harassment"),
    ],
)
def test_what_reads_like_abuse_of_staff_as_a_whole(text: str, kind: str) -> None:
    assert (kind, "conduct.staff") in {(sign.kind, sign.rule) for sign in held(text)}


def test_a_weak_sign_gives_way_where_the_message_reads_like_none() -> None:
    text = "再不给答复，我就把这事捅到省电视台去"
    sign = next(sign for sign in said(text) if sign.rule == "conduct.threat.staff")
    assert sign.score < COUNTS


@pytest.mark.parametrize(
    ("threat", "right"),
    [
        pytest.param("你们等着，我这就去砍死你们", "你们等着，我这就去纪委", id="report"),
        pytest.param("信不信我现在就弄死你", "信不信我现在就打省长热线", id="hotline"),
        pytest.param("再不修我就带刀去你们单位", "再不修我就去你们单位门口坐着", id="sit"),
    ],
)
def test_steps_of_law_are_no_threat(threat: str, right: str) -> None:
    assert held(threat)
    assert not held(right)


def test_what_reads_like_an_offer_is_one_without_its_words() -> None:
    assert held("朋友圈卖茶叶，今年明前龙井，自家茶园，半斤起包邮")
    assert not held("我在朋友圈买的茶叶是假的，商家不给退钱，请市场监管局查")


def test_empty_and_endless_texts() -> None:
    assert said("") == ()
    assert not held("砍" * 20_000)
    said("你们弄死" * 5_000)
    said("a." * 5_000 + "“说：" * 3_000)


@given(st.text(max_size=300))
def test_any_text_has_signs_in_its_bounds(text: str) -> None:
    for sign in said(text):
        assert 0 <= sign.span[0] < sign.span[1] <= len(text)
        assert 0 < sign.score <= 1
