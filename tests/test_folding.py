"""Words that their writer hides, as they are looked up: our own texts, invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.folding import fold, level


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        pytest.param("傻-逼", "傻逼", id="hyphen"),
        pytest.param("傻 逼", "傻逼", id="space"),
        pytest.param("傻*逼傻.逼傻_逼", "傻逼傻逼傻逼", id="signs"),
        pytest.param("傻😂逼", "傻逼", id="picture between"),
        pytest.param("我，操，你，妈", "我操你妈", id="spelt out"),
        pytest.param("ＳＢ接线员", "sb接线员", id="full width"),
        pytest.param("ⓢⓑ接线员", "sb接线员", id="circled"),
        pytest.param("c-n-m", "cnm", id="single letters"),
        pytest.param("n m s l", "nmsl", id="spaced letters"),
        pytest.param("傻-b", "傻b", id="character and letter"),
        pytest.param("廢物話務員", "废物话务员", id="traditional"),
        pytest.param("你🐴死了", "你马死了", id="picture for a sound"),
        pytest.param("SHABI", "shabi", id="capitals"),
        pytest.param("shǎ bī", "sha bi", id="tones"),
        pytest.param("弄シ你，弄s你，打4次", "弄死你，弄死你，打4次", id="a sound for death"),
        pytest.param("ЅВ滚犊孒", "sb滚犊子", id="letters and characters that look alike"),
    ],
)
def test_what_hides_a_word_is_taken_away(text: str, folded: str) -> None:
    assert fold(text).text == folded


@pytest.mark.parametrize(
    "text",
    [
        "人民路3-5号的路灯坏了，请派人维修。",
        "电费是3.5元，时间2026-11-02 8:30",
        "hello world 在 abc 公司",
        "您好！\n请问怎么办理？",
        "傻——逼",
    ],
)
def test_an_ordinary_text_stays(text: str) -> None:
    assert fold(text).text == text
    assert fold(text).place(2, 5) == (2, 5)


def test_a_span_leads_back_to_what_was_written() -> None:
    text = "你们这群 狗-东* 西，還不接電話"
    folded = fold(text)
    start = folded.text.index("狗东西")
    first, last = folded.place(start, start + 3)
    assert text[first:last] == "狗-东* 西"
    start = folded.text.index("还不接")
    first, last = folded.place(start, start + 3)
    assert text[first:last] == "還不接"


def test_links_keep_their_dots_and_lines_their_ends() -> None:
    assert level("HTTP://A.TOP/x") == "http://a.top/x"
    assert fold("第一行\n第二行").text == "第一行\n第二行"


@given(st.text(max_size=200))
def test_every_place_lies_in_the_text(text: str) -> None:
    folded = fold(text)
    for at in range(len(folded.text)):
        start, end = folded.place(at, at + 1)
        assert 0 <= start < end <= len(text)
        assert level(text[end - 1]) == folded.text[at]
