"""Live emergencies told from past, feared, denied, quoted and general ones: our own sentences, invented."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.clean import clean
from normalizer.crisis import crisis
from normalizer.emergency import alarm
from normalizer.emergency_model import THRESHOLD, score
from normalizer.emergency_words import EVENTS
from normalizer.sentences import READ, fold

DATA = Path(__file__).parent / "data" / "emergency"
LINES = ("110", "119", "120", "122")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("家里着火了", "119", "fire"),
        ("楼道里煤气味特别大，敲对门没人应", "119", "gas"),
        ("墙倒了压住人了，石桥村口", "119", "collapse"),
        ("有人掉河里了，在青龙桥下面", "119", "drowning"),
        ("电梯卡在5楼和6楼中间，我带着孩子在里面出不来", "119", "trapped"),
        ("有人要跳楼，在财富中心楼顶", "119", "jumper"),
        ("化工厂那边爆炸了，玻璃都震碎了", "119", "explosion"),
        ("有人抢劫，在建设路", "110", "crime"),
        ("有个男的拿刀在街上砍人", "110", "crime"),
        ("隔壁打起来了，听到女的一直在喊救命", "110", "violence"),
        ("我女儿不见了，五岁，穿红衣服，刚刚还在商场里", "110", "missing"),
        ("我妈正在给骗子转账，我拦不住她", "110", "fraud"),
        ("我爸晕倒了，叫不醒", "120", "illness"),
        ("有人触电了，倒在地上不动", "120", "injury"),
        ("我爷爷摔倒了，头上流了好多血，止不住", "120", "injury"),
        ("撞车了，在环城路", "122", "traffic"),
        ("肇事跑了！灰色面包车撞了人就跑", "122", "traffic"),
        ("There is a fire in my building, please send help", "119", "fire"),
        ("隔離屋著火了，好大煙，快啲嚟", "119", "fire"),
    ],
)
def test_what_is_happening_goes_to_its_service(text: str, line: str, what: str) -> None:
    found = alarm(text)
    assert found is not None and (found.line, found.what) == (line, what)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("去年我们小区着过火，消防车进不来", id="past"),
        pytest.param("上周电梯困人，关了四十分钟，物业也不道歉", id="past week"),
        pytest.param("没有着火，是邻居烧烤的烟", id="denied"),
        pytest.param("查过了，燃气没有泄漏，但表不走字", id="denied within"),
        pytest.param("没有煤气泄漏，快来抄表", id="denied before"),
        pytest.param("万一着火了，消防车根本开不进来", id="supposed"),
        pytest.param("小孩容易掉进河里，请装护栏", id="feared"),
        pytest.param("楼上乱扔烟头，差点着火", id="nearly"),
        pytest.param("听说昨天开发区那边爆炸了，是真的吗", id="hearsay"),
        pytest.param("消防通道被占，请处理", id="general"),
        pytest.param("隔壁工厂天天冒黑烟，污染严重，请环保局查处", id="chimney"),
        pytest.param("物业费涨得要命，跟抢劫一样", id="figurative"),
        pytest.param("电动车上楼充电，着火了谁负责", id="asked"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_not_happening_is_no_alarm(text: str) -> None:
    assert alarm(text) is None


def test_a_cry_in_the_middle_of_a_letter_is_found_and_a_past_fire_in_one_is_not() -> None:
    greeting = "尊敬的领导您好！我住在梧桐里社区7栋2单元，一直很支持社区的工作，" * 5
    live = f"{greeting}刚才开门一看，三楼那户人家已经着火了，烟特别大，老人没下来，请马上派消防车过来！"
    past = f"{greeting}去年三楼那户人家着火了，烟特别大，老人没下来，是邻居喊的救命，消防车半天进不来。"
    found = alarm(live)
    assert found is not None and found.line == "119" and "火" in live[slice(*found.span)]
    assert alarm(past) is None


def test_further_services_are_named() -> None:
    crash, jump = alarm("两车相撞起火了，有人受伤，血流不止，快来"), alarm("楼顶上站着个小伙子要往下跳")
    assert crash is not None and crash.line == "119" and {"122", "120"} <= set(crash.also)
    assert jump is not None and jump.line == "119" and "110" in jump.also


def test_the_rule_and_the_words_are_named() -> None:
    found = alarm("你好，楼下电瓶车烧起来了")
    assert found is not None and found.rule == "emergency.fire.now"
    assert "你好，楼下电瓶车烧起来了"[slice(*found.span)] == "楼下电瓶车烧起来"


def test_several_clues_tell_an_emergency_without_its_name() -> None:
    found = alarm("老伴突然说不出话了，嘴角流口水，右手也不会动")
    assert found is not None and found.line == "120"
    assert alarm("老伴右手不好") is None


def test_our_own_messages_are_recognised() -> None:
    """The promised share per line, and next to no counterpart taken for one."""
    with (DATA / "messages.csv").open(encoding="utf-8", newline="") as rows:
        texts = {row["id"]: (row["title"], row["text"]) for row in csv.DictReader(rows)}
    total, right = Counter[str](), Counter[str]()
    with (DATA / "gold.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            title, text = texts[row["id"]]
            found = alarm(title) or alarm(text)
            total[row["label"]] += 1
            right[row["label"]] += (found.line if found else "0") == row["label"]
    for path in DATA.glob("round_*.csv"):
        with path.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                found = alarm(row["text"])
                total[row["label"]] += 1
                right[row["label"]] += (found.line if found else "0") == row["label"]
    assert all(total[line] >= 200 for line in LINES) and total["0"] >= 700
    assert all(right[line] / total[line] >= 0.95 for line in LINES)
    assert right["0"] / total["0"] >= 0.98


def test_everyday_pieces_of_a_chat_are_left_alone() -> None:
    """None of those that the model learned from, and of those kept apart next to none."""
    total, flagged = Counter[str](), list[tuple[str, str]]()
    with (DATA / "everyday.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            text = clean(row["text"])
            total[row["part"]] += 1
            if alarm(text) or crisis(text):
                flagged.append((row["part"], text))
    assert total["trained"] >= 1_500 and total["kept"] >= 750
    assert [text for part, text in flagged if part == "trained"] == []
    assert len(flagged) <= 0.005 * total["kept"], flagged


@pytest.mark.parametrize(
    "text",
    [
        "着火了",
        "救命",
        "救命啊！",
        "触电了",
        "煤气泄漏",
        "孩子掉河里了",
        "打架了",
        "塌了",
        "撞车了",
        "我爸晕倒了",
        "进贼了",
        "家暴",
    ],
)
def test_the_tersest_cries_are_found_by_rule(text: str) -> None:
    assert alarm(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "刚才忘了说",
        "我在家",
        "我怀孕了",
        "我在地铁上丢了一把伞",
        "倒了一棵小树，挡住人行道了",
        "煤气灶打不着火",
        "掉了",
        "救命，这表怎么填",
    ],
)
def test_the_tersest_ordinary_pieces_are_none(text: str) -> None:
    assert alarm(text) is None and crisis(text) is None


def test_short_messages_that_no_rule_knows_are_read() -> None:
    """Words that stand in no list: the model tells them, and for whom they are."""
    text = "娃儿翻到栏杆那边去了，手快抓不牢，下头是水泥地"
    found = alarm(text)
    assert found is not None and text[slice(*found.span)]
    assert score(fold(text)) > THRESHOLD > score(fold("请问居住证到期了在哪里续签，需要带什么材料"))


def test_the_whole_message_settles_the_service() -> None:
    found = alarm("捅马蜂窝让蜂子蛰了满头，现在站不稳")
    assert found is not None and found.line == "120" and "110" in found.also


def test_a_passage_of_a_letter_without_a_cry_is_found() -> None:
    greeting = "尊敬的领导您好！我住在梧桐里社区，一直很支持社区的工作，这些年小区的变化我们都看在眼里。" * 3
    told = "我丈夫被他们按在地上打，头上都是血，有一个人手里拿着铁棍，玻璃门已经碎了。"
    letter = f"{greeting}{told}地址是城南商业街二十七号。"
    found = alarm(letter)
    assert found is not None and found.line == "110" and letter[slice(*found.span)] in letter
    assert alarm(greeting + "路口的护栏断了一截，请尽快修好。") is None


def test_folding_keeps_every_place() -> None:
    assert fold("HELP 著火") == "help 着火"
    assert len(fold("İ着火了")) == len("İ着火了")
    assert len(fold("火" * 2 * READ)) == READ


def test_each_kind_is_named_once() -> None:
    names = [(event.what, event.anchors) for event in EVENTS]
    assert len(set(names)) == len(names)


@given(st.text(max_size=300) | st.text("着火了撞人刀，。我在没有正现血 死", max_size=300))
def test_any_text_gives_a_result(text: str) -> None:
    found = alarm(clean(text))
    assert found is None or 0 <= found.span[0] < found.span[1] <= len(clean(text))
