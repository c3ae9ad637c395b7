"""A line that says what a message is about."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer.title import LONGEST_SUBJECT, NO_WORDS, title

LAMP = "楼下的路灯坏了，三天没人修。请尽快处理。"
LAMP_TITLE = ("楼下的路灯坏了，三天没人修", "title.first_sentence")


@pytest.mark.parametrize(
    ("given_title", "shown"),
    [
        ("路灯不亮", "路灯不亮"),
        ("投诉", "投诉"),
        ("Re: 路灯不亮", "路灯不亮"),
        ("RE: Fwd: 回复：答复: 路灯不亮", "路灯不亮"),
        ("Re[2]: 路灯不亮", "路灯不亮"),
        ("转发：路灯不亮", "路灯不亮"),
        (" 路灯\r\n 不亮\x00 ", "路灯 不亮"),
        ("无标题音乐厅扰民", "无标题音乐厅扰民"),
        ("Regarding the lamp", "Regarding the lamp"),
    ],
)
def test_a_subject_that_says_something_stands(given_title: str, shown: str) -> None:
    assert title(given_title, LAMP) == (shown, "title.subject")


@pytest.mark.parametrize(
    "given_title",
    [
        None,
        "",
        " \n",
        "Re:",
        "RE: Fwd: ",
        "转发",
        "回复：",
        "(无主题)",
        "<无主题>",
        "无标题",
        "【没有标题】",
        "(no subject)",
        "Untitled",
        "？？？",
        "12345",
        "您好",
        "尊敬的市长：",
        "https://example.org/a",
    ],
)
def test_a_subject_that_says_nothing_gives_way(given_title: str | None) -> None:
    assert title(given_title, LAMP) == LAMP_TITLE


@pytest.mark.parametrize(
    "opening",
    [
        "您好！",
        "你好，",
        "各位领导好 ",
        "领导好，",
        "尊敬的市长：您好！",
        "尊敬的张市长：\n　　您好！\n　　",
        "尊敬的市委、市政府领导：\n你们好，",
        "王局长您好，",
        "胡书记∶",
        "市教育局的领导们：大家好！",
        "尊敬的自来水公司：",
        "请问，",
        "请问领导，",
        "您好，我想咨询一下，",
        "打扰了，",
        "首先，",
        "1.",
        "（1）",
        "一、",
        "https://example.org/a ",
        "12345热线，你好：",
        "有关部门领导，",
    ],
)
@pytest.mark.parametrize(
    "matter",
    ["我家楼下的路灯坏了", "请问公交12路为何停运", "投诉局长不作为", "感谢工作人员修好路灯", "关于市长信箱的建议"],
)
def test_openings_are_left_out(opening: str, matter: str) -> None:
    assert title(None, f"{opening}{matter}已经三天了。") == (f"{matter}已经三天了", "title.first_sentence")


@pytest.mark.parametrize("opening", ["尊敬的各位领导您好", "尊敬的局长你好", "各位领导好", "您好"])
@pytest.mark.parametrize("matter", ["我家楼下的路灯坏了", "请问公交12路为何停运"])
def test_an_opening_without_a_stop_is_left_out_before_i_and_please(opening: str, matter: str) -> None:
    assert title(None, f"{opening}{matter}已经三天了。") == (f"{matter}已经三天了", "title.first_sentence")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Dear Mayor,\n\nThe street lamp is broken. Please mend it.", "The street lamp is broken"),
        ("Hello! No. 5 bus stop is dirty", "No. 5 bus stop is dirty"),
        ("To whom it may concern: my visa expired", "my visa expired"),
        ("停水了！已经三天了。没人管。", "停水了！已经三天了。没人管"),
        ("投诉局长，他不办事。", "投诉局长，他不办事"),
        ("我要举报教育局领导", "我要举报教育局领导"),
        ("感谢城管局的工作人员，路灯修好了", "感谢城管局的工作人员，路灯修好了"),
        ("领导好不容易来一次", "领导好不容易来一次"),
        ("路灯坏了.我们报修了很多次.没有人来", "路灯坏了.我们报修了很多次"),
        ("水", "水"),
        ("您好", "您好"),
        ("尊敬的市长：\n您好！", "尊敬的市长： 您好"),
        ("？？？", "？？？"),
        ("https://example.org/a", "https://example.org/a"),
    ],
)
def test_first_sentence(text: str, shown: str) -> None:
    assert title(None, text)[0].rstrip("！") == shown


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    text = "三号楼前面的路灯从上个月开始就不亮了，晚上老人出门非常不方便，已经有人摔倒，希望有关部门尽快修理"
    assert title(None, text)[0] == "三号楼前面的路灯从上个月开始就不亮了，晚上老人出门非常不方便，已经有人摔倒…"
    assert title(None, text, limit=30)[0] == "三号楼前面的路灯从上个月开始就不亮了…"


def test_a_long_clause_is_cut_inside() -> None:
    assert title(None, "路" * 41)[0] == "路" * 39 + "…"
    assert title(None, "路" * 40)[0] == "路" * 40


def test_a_line_of_commas_is_cut_too() -> None:
    assert title(None, "，" * 41)[0] == "，" * 39 + "…"


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    assert title(None, "，" * 3990 + "楼下的路灯")[0] == "楼下的路灯"
    assert title(None, "，" * 4000 + "楼下的路灯")[0] == "，" * 39 + "…"


def test_a_cut_leaves_no_dangling_joiner() -> None:
    shown = title(None, "楼" * 37 + "👨\u200d👩\u200d👧")[0]
    assert shown == "楼" * 37 + "👨…"


def test_a_long_subject_is_cut() -> None:
    assert title("路" * 1000, "")[0] == "路" * (LONGEST_SUBJECT - 1) + "…"


def test_a_greeting_is_a_title_where_nothing_else_is() -> None:
    assert title("您好", "") == ("您好", "title.subject")


@pytest.mark.parametrize(("given_title", "text"), [(None, ""), ("Re:", " \n"), ("(无主题)", "\u200b")])
def test_no_words(given_title: str | None, text: str) -> None:
    assert title(given_title, text) == (NO_WORDS, "title.none")


@settings(deadline=None)
@given(
    st.none() | st.text(st.characters()),
    st.text(st.one_of(st.sampled_from("尊敬的领导您好，。！\n.a路灯"), st.characters()), max_size=120),
)
def test_any_text_has_a_title_of_one_line(given_title: str | None, text: str) -> None:
    shown, rule = title(given_title, text)
    assert shown.strip() and "\n" not in shown and len(shown) <= (LONGEST_SUBJECT if rule == "title.subject" else 40)


@pytest.mark.parametrize("piece", ["领导", "尊敬的", "，", "a.", "1.\n", "您", "好", "市", "：\n", "Dear ", "Re:"])
def test_a_megabyte_has_a_title_soon(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    title(text, text)
    assert time.process_time() - started < 1
