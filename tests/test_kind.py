"""The kind of a matter: our own sentences, invented."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.kind import SPANS, TEXT, read_kind, title_word
from normalizer.kind_weights import KINDS, WEIGHTS
from normalizer.kind_words import GROUPS
from normalizer.model import MatterKind

OWN = Path(__file__).parent / "data" / "kind"


def rows(name: str) -> list[dict[str, str]]:
    with (OWN / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CASES = {
    "a question": ("请问新生儿上户口要带什么材料？", "consultation"),
    "a question without a mark": ("公租房今年什么时候开始申请啊", "consultation"),
    "asks where to report": ("我想知道举报制售假烟打哪个电话，举报有没有奖励？", "consultation"),
    "asks how to complain": ("装修公司拿了钱不干活，这种事找谁投诉，归哪个部门？", "consultation"),
    "begs": ("求求你们救救我的孩子，手术费还差八万，走投无路了", "help"),
    "a lost child": ("孩子在万福广场走丢了，快帮我们找找，请派人来", "help"),
    "a wish for the city": ("建议在青禾小学门口增设红绿灯和斑马线，方便孩子过马路", "suggestion"),
    "a wish as a question": ("18路末班车能否延长到十点，也可以增设一个站点", "suggestion"),
    "a grievance": ("楼下烧烤店油烟扰民，天天吵到凌晨，没人管", "complaint"),
    "a grievance that ends in a question": ("物业乱收费还不开票，投诉了没人管，难道就没有王法了吗？", "complaint"),
    "thanks at the end of a grievance": ("隔壁工地半夜打桩噪音扰民，睡不着觉，请尽快处理，谢谢领导", "complaint"),
    "an offence": ("万福棋牌室聚众赌博抽头，还有人放高利贷，请公安查处", "report"),
    "corruption": ("村支书贪污征地款，伪造签名冒领补贴，请纪委调查，请为我保密", "report"),
    "praise": ("给云溪街道的小周点赞，服务态度很好，又耐心又热情", "praise"),
    "praise with a wish": ("路灯修好了，第一时间就处理，效率高，感谢你们，希望继续保持", "praise"),
}


@pytest.mark.parametrize(("text", "kind"), CASES.values(), ids=CASES)
def test_the_kind_of_a_short_message(text: str, kind: str) -> None:
    assert read_kind("", text).kind == kind


@pytest.mark.parametrize(("text", "kind"), CASES.values(), ids=CASES)
def test_the_words_that_decided_are_in_the_text(text: str, kind: str) -> None:
    read = read_kind("", text)
    assert 1 <= len(read.spans) <= SPANS and all(0 <= start < end <= len(text) for start, end in read.spans)
    assert read.rule.startswith("kind.") and 1 / len(KINDS) < read.score <= 1


def test_the_evidence_is_what_was_said() -> None:
    text = "我要举报，万福棋牌室聚众赌博"
    read = read_kind("", text)
    assert (read.kind, read.rule) == ("report", "kind.text_word")
    assert next(text[start:end] for start, end in read.spans) == "举报"


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("咨询新农合报销的问题", "consultation"),
        ("【投诉】云溪花园物业", "complaint"),
        ("关于增加18路班次的建议", "suggestion"),
        ("我要举报万福棋牌室", "report"),
        ("强烈投诉某健身房", "complaint"),
        ("对清源街道工作人员的表扬", "praise"),
        ("致市二院的感谢信", "praise"),
        ("紧急求助", "help"),
        ("关于万福公司偷税的举报信", "report"),
        ("举报电话是多少", None),
        ("投诉无门", None),
        ("咨询公司跑路", None),
        ("感谢社区，再提一条建议", None),
        ("路灯坏了", None),
        ("", None),
    ],
)
def test_what_a_title_calls_itself(title: str, kind: str | None) -> None:
    assert title_word(title) == kind


def test_the_titles_own_word_decides_and_leaves_no_place() -> None:
    read = read_kind("举报云溪花园", "七号楼的情况，详见附件")
    assert (read.kind, read.rule) == ("report", "kind.title_word")
    assert read_kind("关于云溪花园的建议", "七号楼的情况，详见附件").kind == "suggestion"


def test_the_titles_own_word_outweighs_the_words_of_another_kind() -> None:
    text = "物业乱收费，停车费涨价，投诉了没人管，服务态度差"
    assert read_kind("云溪花园物业", text).kind == "complaint"
    assert read_kind("举报云溪花园物业", text).kind == "report"


def test_a_title_alone_has_no_place_in_the_text() -> None:
    assert read_kind("噪音扰民没人管", "").kind == "complaint"
    assert read_kind("噪音扰民没人管", "").spans == ()


@pytest.mark.parametrize("text", ["", "你好", "您好！", "在吗？", "谢谢", "……", "13800000000", "\U0001f600"])
def test_nothing_to_go_by(text: str) -> None:
    read = read_kind("", text)
    assert (read.kind, read.spans, read.rule) == (MatterKind.OTHER, (), "kind.nothing")


def test_a_strange_question_is_still_one() -> None:
    assert read_kind("", "Where can I renew a residence permit?").kind == "consultation"


def test_only_the_beginning_is_read() -> None:
    text = "楼下烧烤店油烟扰民，没人管。" + "，" * TEXT
    assert read_kind("", text + "感谢信锦旗点赞表扬" * 50) == read_kind("", text)


@given(st.text(max_size=200), st.text(max_size=400))
def test_any_text_has_a_kind(title: str, text: str) -> None:
    read = read_kind(title, text)
    assert 0 < read.score <= 1 and all(start < end <= len(text) for start, end in read.spans)


def test_half_a_character_is_no_obstacle() -> None:
    assert read_kind("\ud800", "\ud83d楼下油烟扰民，没人管").kind == "complaint"


def test_a_word_is_in_one_group_only() -> None:
    often = [
        word
        for word, count in Counter(word for words in GROUPS.values() for word in words.split()).items()
        if count > 1
    ]
    assert not often


def test_each_weight_is_of_a_group_and_has_a_number_a_kind() -> None:
    places = {f"{group}.{place}" for group in GROUPS for place in ("title", "text", "close")}
    assert {name for name in WEIGHTS if not name.endswith(".shape")} <= places
    assert {len(row) for row in WEIGHTS.values()} == {len(KINDS)}


def test_most_of_our_own_messages_are_read_right() -> None:
    gold = {row["id"]: row for row in rows("gold.csv")}
    right: Counter[str] = Counter()
    for row in rows("messages.csv"):
        right[gold[row["id"]]["half"]] += read_kind(row["title"], row["text"]).kind == gold[row["id"]]["label"]
    assert right["a"] >= 108 and right["b"] >= 75


def test_our_own_messages_are_enough_of_each_kind() -> None:
    assert min(Counter(row["label"] for row in rows("gold.csv")).values()) >= 35
