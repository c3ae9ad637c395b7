"""Who asks to stay unnamed, and what of his words would name him. Our own sentences; names and numbers are invented."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import quality_acceptance as quality
from normalizer import confidential_words as words
from normalizer.clean import clean
from normalizer.confidential import asks_to_stay_unnamed
from normalizer.naming import masked, names


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("请为我保密", "asked"),
        ("不要透露我的姓名和电话", "asked"),
        ("别让他们知道是谁举报的", "asked"),
        ("请勿泄露个人信息", "asked"),
        ("please keep my name confidential", "asked"),
        ("匿名举报东门赌场", "anonymous"),
        ("怕打击报复，不便署名", "anonymous"),
    ],
)
def test_a_request_to_stay_unnamed_is_heard(text: str, rule: str) -> None:
    found = asks_to_stay_unnamed(text)
    assert found is not None and found.rule == f"confidential.{rule}"
    assert 0 <= found.span[0] < found.span[1] <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("加强保密工作", id="a subject"),
        pytest.param("要求小区对业主信息保密", id="a demand on others"),
        pytest.param("我的信息被泄露了", id="a grievance"),
        pytest.param("匿名电话天天骚扰我", id="another is anonymous"),
        pytest.param("请公开回复", id="the opposite"),
        pytest.param("请问可以匿名举报吗", id="a question"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_only_speaks_of_it_is_no_request(text: str) -> None:
    assert asks_to_stay_unnamed(text) is None


@pytest.mark.parametrize(
    ("text", "known", "out"),
    [
        ("我叫张三，举报李局长受贿", (), "我叫[姓名]，举报李局长受贿"),
        ("我是金桂苑5号楼302的王五", (), None),
        ("家住3号楼2单元501，楼下吵", (), "家住[地址]，楼下吵"),
        ("电话13900000001", (), "电话[电话]"),
        ("电话１３９ ００００－０００１", (), "电话[电话]"),
        ("身份证11010519491231002X", (), "身份证[证件号码]"),
        ("号码是11010519491231002X", (), "号码是[证件号码]"),
        ("邮箱a.b@example.com", (), "邮箱[邮箱]"),
        ("微信号：zhang_88", (), "微信号：[账号]"),
        ("我的车鲁Z12345被划", (), "我的车[车牌]被划"),
        ("货车鲁Z12345超载", (), "货车鲁Z12345超载"),
        ("老板的电话13900000001", (), "老板的电话13900000001"),
        ("被举报人：刘大伟", (), "被举报人：刘大伟"),
        ("请查处。\n此致\n敬礼\n陈晓明", (), "请查处。\n此致\n敬礼\n[姓名]"),
        ("恒远公司的车", ("恒远公司",), "[单位]的车"),
        ("我在恒远公司上班", (), "我在[身份]"),
        ("张-三 来过", ("张三",), "[姓名] 来过"),
        ("138 0000 0001 是我", ("+8613800000001",), "[电话] 是我"),
        ("老板电话139 0000 0001", ("13900000001",), "老板电话[电话]"),
        ("A@EXAMPLE.com", ("a@example.com",), "[邮箱]"),
        ("我叫张三。张三看见了", (), "我叫[姓名]。[姓名]看见了"),
    ],
)
def test_what_names_him_goes_and_what_he_reports_stays(text: str, known: tuple[str, ...], out: str | None) -> None:
    said = masked(text, names(text, known))
    if out is None:
        assert "王五" not in said and "302" not in said
    else:
        assert said == out


def test_spans_are_in_order_and_none_lies_over_another() -> None:
    text = "举报人：张三，电话13900000001，住5号楼302室\n此致\n敬礼\n张三"
    found = names(text, ("张三", "13900000001"))
    assert found and all(a.end <= b.start for a, b in pairwise(found))


def test_a_check_digit_tells_a_card_from_another_number() -> None:
    assert names("编码110105194912310021") == ()
    assert [one.label for one in names("编码11010519491231002X")] == ["证件号码"]


def test_what_overlaps_is_masked_once() -> None:
    assert masked("abcdef", [(1, 4, "姓名"), (2, 3, "电话"), (5, 6, "电话")]) == "a[姓名]e[电话]"
    assert masked("abc", []) == "abc"


@given(st.text(max_size=300), st.lists(st.text(max_size=12), max_size=4))
def test_any_text_gives_a_result(text: str, known: list[str]) -> None:
    found = names(text, known)
    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    assert len(masked(text, found)) >= 0
    asks_to_stay_unnamed(text)


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_known_never_stays(before: str, behind: str) -> None:
    text = clean(f"{before} 13900000001 {behind}")
    assert "13900000001" not in masked(text, names(text, ["13900000001"]))


def test_a_hostile_text_is_read() -> None:
    for piece in (
        "1",
        "我叫",
        "一二三",
        "举报人：张",
        "5号楼",
        "a.",
        "张、",
        "不要透露我",
        "家住5号楼",
        "我是厂里会计，",
    ):
        names(piece * 1_500)
        asks_to_stay_unnamed(piece * 20_000)


def test_our_own_texts_reach_what_was_asked() -> None:
    for half in (*quality.HALVES, *quality.ROUNDS):
        asked, one = quality._requests(half), quality._masking(half)
        assert asked.precision >= 0.98 and asked.recall >= 0.95, (half, asked)
        most = 0.03 if half in quality.HALVES else 0.05  # what a round marks as his, edges included, is less sure
        assert one.leaked <= 0.02 * one.identity and one.masked <= most * one.others, (half, one)


def test_the_sets_are_large_enough() -> None:
    labels = [row["label"] for row in quality.confidential("requests")]
    assert min(labels.count("1"), labels.count("0")) >= 250
    assert len(quality.confidential("reports")) >= 450


def _first(parsed: Iterable[Any]) -> tuple[set[str], bool]:
    """With which characters something parsed begins, and whether it may be nothing."""
    found = set[str]()
    for op, value in parsed:
        signs, nothing = _of(str(op), value)
        found |= signs
        if not nothing:
            return found, False
    return found, True


def _of(op: str, value: Any) -> tuple[set[str], bool]:
    signs, nothing = set[str](), False
    match op:
        case "LITERAL":
            signs = {chr(value)}
        case "IN":
            signs = set().union(*(_of(str(kind), sign)[0] for kind, sign in value))
        case "RANGE":
            signs = {chr(sign) for sign in range(value[0], value[1] + 1)}
        case "BRANCH":
            branches = [_first(branch) for branch in value[1]]
            signs, nothing = set().union(*(one for one, _ in branches)), any(empty for _, empty in branches)
        case "SUBPATTERN":
            signs, nothing = _first(value[3])
        case "MAX_REPEAT" | "MIN_REPEAT":
            signs, nothing = _first(value[2])
            nothing = nothing or value[0] == 0
        case "AT" | "ASSERT" | "ASSERT_NOT":
            nothing = True
        case other:
            assert other == "CATEGORY"
    return signs, nothing


@pytest.mark.parametrize("pattern", [words.ASKED, words.ANONYMOUS], ids=["asked", "anonymous"])
def test_patterns_are_tried_wherever_they_can_begin(pattern: re.Pattern[str]) -> None:
    begins, _, whole = pattern.pattern.partition("])(?:")
    signs, nothing = _first(re._parser.parse(f"(?:{whole}"))  # type: ignore[attr-defined]
    assert not nothing
    assert {sign.lower() for sign in signs if not sign.isspace()} <= set(begins)
