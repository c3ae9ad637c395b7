"""Several matters in one letter, and lists that are of one: our own letters, invented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.several import several

_OWN = Path(__file__).parent / "data" / "fields" / "several.jsonl"


@pytest.mark.parametrize(
    ("text", "parts", "rule"),
    [
        pytest.param(
            "反映两件事：1、花园路路灯不亮。2、翠湖小区垃圾没人清运。",
            ("1、花园路路灯不亮。", "2、翠湖小区垃圾没人清运。"),
            "several.numbered",
            id="numbered",
        ),
        pytest.param(
            "一、关于路灯：滨河路全黑。\n二、关于流浪狗：野狗咬人。\n谢谢",
            ("一、关于路灯：滨河路全黑。", "二、关于流浪狗：野狗咬人。"),
            "several.numbered",
            id="the last part ends with its line",
        ),
        pytest.param(
            "小区门口路灯坏了。另外还想咨询医保怎么报销。",
            ("小区门口路灯坏了。", "另外还想咨询医保怎么报销。"),
            "several.more",
            id="one more",
        ),
    ],
)
def test_matters_about_different_things_are_marked(text: str, parts: tuple[str, ...], rule: str) -> None:
    found = several(text)
    assert found and tuple(text[slice(*span)] for span in found.spans) == parts
    assert found.rule == rule


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("反对建加油站，理由如下：一、噪音扰民 二、污染环境 三、有火灾隐患", id="reasons"),
        pytest.param("楼上漏水。诉求：1、赔偿损失 2、修电梯 3、道歉", id="requests"),
        pytest.param("1.施工噪音太大\n2.扬尘很多", id="what goes together"),
        pytest.param("烧烤店油烟大，另外晚上还很吵", id="two sides of one"),
        pytest.param("污水直排。还有一个情况补充：污水是半夜排的", id="more of the same"),
        pytest.param("今天停水了", id="one"),
        pytest.param("", id="empty"),
    ],
)
def test_one_matter_is_not_taken_for_several(text: str) -> None:
    assert several(text) is None


def test_what_is_marked_in_our_own_letters_is_right() -> None:
    rows = [json.loads(line) for line in _OWN.read_text("utf-8").splitlines()]
    found = [(len(matters.spans) if (matters := several(text)) else 0, parts) for _, text, parts in rows]
    marked = [parts for count, parts in found if count]
    assert len(rows) >= 60
    assert sum(bool(parts) for parts in marked) / len(marked) >= 0.9
    assert sum(count == parts for count, parts in found) / len(rows) >= 0.85


@given(st.text(alphabet="一二、1.2第，另外还想反映路灯垃圾事件。\n：（）①②", max_size=120))
def test_any_text_has_parts_in_order_or_none(text: str) -> None:
    found = several(text)
    assert found is None or all(0 <= start < end <= len(text) for start, end in found.spans)
