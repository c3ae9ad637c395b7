"""Danger to the writer's own life, told from temper, figures of speech, threats to others and the past."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.clean import clean
from normalizer.crisis import crisis

DATA = Path(__file__).parent / "data" / "emergency"


@pytest.mark.parametrize(
    "text",
    [
        "我不想活了",
        "再不解决我就从楼上跳下去",
        "你们不给我解决，我就死给你们看",
        "我已经写好遗书了，明天就走",
        "我刚吃了一瓶安眠药，谁都别找我",
        "今天要是没有答复，我就吊死在你们门口",
        "实在是没有活路了，我要以死证明清白",
        "I want to kill myself",
        "我要跳樓，沒人理我",
        "活不下去了",
        "药我数好了，够了",
        "刀在手里，割下去只要一下",
    ],
)
def test_what_is_said_outright_is_explicit(text: str) -> None:
    found = crisis(text)
    assert found is not None and found.explicit and found.rule == "crisis.explicit"


@pytest.mark.parametrize("text", ["我女儿说她不想活了，我拦不住", "我老婆得了抑郁症，刚才说要跳楼，把自己锁在房间里"])
def test_somebody_close_counts_as_the_writer(text: str) -> None:
    found = crisis(text)
    assert found is not None and found.explicit and found.rule == "crisis.other"


@pytest.mark.parametrize(
    "text",
    ["活着真累，撑不下去了", "想永远睡过去，不要再醒来", "后事都交代好了，没什么牵挂了", "心里只有黑，看不到明天"],
)
def test_hints_are_found_in_short_messages(text: str) -> None:
    found = crisis(text)
    assert found is not None and not found.explicit


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("气死我了，什么态度", id="temper"),
        pytest.param("手机信号差得想死", id="figure of speech"),
        pytest.param("真是想死的心都有了，排了三个小时的队", id="heart to die"),
        pytest.param("跟你们同归于尽", id="threat to others"),
        pytest.param("我丈夫去年跳楼自杀了，单位到现在不给说法", id="past"),
        pytest.param("保安说让我有本事去跳楼", id="told to"),
        pytest.param("我不会自杀的，如果我死了一定是被人害的", id="denied"),
        pytest.param("清仓跳楼价是不是虚假宣传", id="sale"),
        pytest.param("企业熬不下去了，希望减免房租", id="firm"),
        pytest.param("以前得抑郁症的时候想过自杀，现在好了，想问残疾证怎么办", id="better"),
        pytest.param("鱼塘里的鱼都不想活了，水太脏", id="fish"),
        pytest.param("我不想活在噪音里", id="living in noise"),
        pytest.param("我走了两个窗口都说不归他们管", id="walked"),
        pytest.param("我先走了，再见", id="goodbye"),
        pytest.param("我要睡了，明天早上再联系我", id="going to bed"),
        pytest.param("我想死心塌地在这城市落户", id="devoted"),
        pytest.param("", id="empty"),
    ],
)
def test_what_only_sounds_like_it_is_none(text: str) -> None:
    assert crisis(text) is None


def test_one_hint_in_a_letter_is_none_and_two_are() -> None:
    letter = "您好，我是住在老街的租户，房东不肯退押金，我跑了很多趟都没有结果，心里很难受。" * 3
    assert crisis(f"{letter}真的生不如死。") is None
    found = crisis(f"{letter}真的生不如死。我已经没有勇气活下去了。")
    assert found is not None and found.rule == "crisis.indirect"


def test_the_words_are_named() -> None:
    text = "领导好。我已经写好遗书了。"
    found = crisis(text)
    assert found is not None and "写好遗书" in text[slice(*found.span)]


def test_our_own_messages_are_recognised() -> None:
    """The promised share of what is said outright, most of what is hinted, and no counterpart taken for it."""
    with (DATA / "messages.csv").open(encoding="utf-8", newline="") as rows:
        texts = {row["id"]: (row["title"], row["text"]) for row in csv.DictReader(rows)}
    total, right = Counter[str](), Counter[str]()
    with (DATA / "gold.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found = crisis(texts[row["id"]][0]) or crisis(texts[row["id"]][1])
            total[row["kind"]] += row["label"] in {"crisis", "0"}
            right[row["kind"]] += (found is not None) == (row["label"] == "crisis") and row["kind"] != "live"
    for path in DATA.glob("round_*.csv"):
        with path.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                found = crisis(row["text"])
                total[row["kind"]] += row["label"] in {"crisis", "0"}
                right[row["kind"]] += (found is not None) == (row["label"] == "crisis") and row["kind"] != "live"
    assert total["explicit"] >= 250 and total["indirect"] >= 40
    assert right["explicit"] / total["explicit"] >= 0.98 and right["indirect"] / total["indirect"] >= 0.85
    counterparts = ("past", "negated", "quoted", "hypothetical", "generic", "figurative")
    assert sum(right[kind] for kind in counterparts) >= 0.99 * sum(total[kind] for kind in counterparts)


@given(st.text(max_size=300) | st.text("我想死活不了，。跳楼遗书自杀 ", max_size=300))
def test_any_text_gives_a_result(text: str) -> None:
    found = crisis(clean(text))
    assert found is None or 0 <= found.span[0] < found.span[1] <= len(clean(text))
