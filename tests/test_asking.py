"""What a short message says besides asking again: our own sentences, invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.asking import SHORT, besides


@pytest.mark.parametrize(
    "text",
    [
        "催办",
        "我上个月投诉的锦绣江南小区油烟的问题，到现在都没有人来管，到底什么时候能解决？",
        "你好，锦绣江南3栋油烟的事反映好几次了，一直没有下文，急死人了！请尽快处理，谢谢",
        "再问一下油烟的事，等了两个星期，还要等多久？",
        "之前报修过的电梯，现在还没修好，请抓紧",
        "上次说的路灯问题怎么样了，有结果了吗",
        "还是噪音的问题，老样子，没人理我们",
    ],
)
def test_who_only_asks_again_says_nothing_else(text: str) -> None:
    assert besides(text) == ("", True)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("我上周反映的油烟问题还没人管，昨晚烟道起火了。", "昨晚烟道起火了"),
        ("补充：电梯的事，今天又困住了两个孩子", "今天又困住了两个孩子"),
        ("这是我投诉过的那家店，老板把举报人堵在楼道里", "老板把举报人堵在楼道里"),
        ("投诉过的污水又漫到学校门口了", "又漫到学校门口了"),
        ("还没有人处理，昨天死了人", "昨天死了人"),
        ("再次反映，水管旁边出现了裂缝的问题", "水管旁边出现了裂缝的问题"),
    ],
)
def test_what_is_new_is_left(text: str, rest: str) -> None:
    assert besides(text)[0] == rest


@pytest.mark.parametrize(
    "text",
    [
        "锦绣江南小区楼下烧烤店油烟扰民，请城管来管一管",
        "学校门口的红绿灯坏了，还是新装的",
        "小区又有两栋楼停水，物业接了电话就没声了",
        "老板说的都是假话",
    ],
)
def test_a_first_letter_speaks_of_no_earlier_one(text: str) -> None:
    rest, refers = besides(text)
    assert rest and not refers


def test_clauses_end_at_lines_and_marks_of_every_width() -> None:
    assert besides("您好\n停水三天了!谢谢；催办")[0] == "停水三天了"
    assert besides("") == ("", False)


@given(st.text(max_size=SHORT))
def test_any_text_has_a_rest(text: str) -> None:
    rest, _ = besides(text)
    assert len(besides(rest)[0]) <= len(rest)
