"""What a message is compared by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer import fingerprint as module
from normalizer.fingerprint import (
    MOST_GRAMS,
    NAME,
    PLACE,
    TITLE,
    TITLE_TOPIC,
    VERSION,
    Fingerprint,
    fingerprint,
)
from normalizer.lexicon import TOPIC_NAMES
from normalizer.places import Kind, Scale, by_kind, excluding

LETTER = (
    "锦绣江南小区3栋楼下的老王烧烤每天营业到凌晨，油烟直接排到居民家里，窗户都不敢开，喝酒的人吵到两三点，"
    "投诉过物业和社区，都说管不了，请城管和环保部门来查一查，让我们睡个安稳觉。"
)


def named(made: Fingerprint) -> set[str]:
    """The topics of the title."""
    return {TOPIC_NAMES[topic & ~TITLE_TOPIC] for topic in made.topics if topic & TITLE_TOPIC}


def shared(a: Fingerprint, b: Fingerprint, mark: int = 0) -> int:
    """How many n-grams with that mark in the first stand in the second."""
    return int(np.isin(a.grams[(a.marks & mark) == mark], b.grams).sum())


# -- Its form ----------------------------------------------------------------------------------------------------------


@given(st.text(), st.text(), st.none() | st.text())
def test_any_text_gives_one_that_survives_packing(title: str, text: str, place: str | None) -> None:
    made = fingerprint(title, text, place)
    again = Fingerprint.unpack(made.pack())
    assert np.array_equal(again.grams, made.grams) and np.array_equal(again.marks, made.marks)
    assert (again.topics, again.areas, again.numbers, again.asks) == (made.topics, made.areas, made.numbers, made.asks)
    assert made.grams.dtype == again.grams.dtype == np.uint32 and made.marks.dtype == again.marks.dtype == np.uint8
    assert np.all(made.grams[1:] > made.grams[:-1]) and len(made.marks) == len(made.grams)


def test_of_another_version_or_cut_short_it_is_not_read() -> None:
    packed = fingerprint("路灯不亮", LETTER).pack()
    with pytest.raises(ValueError, match="version"):
        Fingerprint.unpack(bytes((VERSION + 1,)) + packed[1:])
    for cut in (0, 3, 6, len(packed) - 1):
        with pytest.raises(ValueError, match=r"version|short"):
            Fingerprint.unpack(packed[:cut])


def test_it_is_small_and_a_long_letter_gives_no_more_than_its_beginning() -> None:
    assert len(fingerprint("烧烤店油烟扰民", LETTER).pack()) <= 900
    signs = [chr(code) for code in range(0x4E00, 0x4E00 + 5_000)]
    long = fingerprint("烧烤店油烟扰民", "".join(signs))
    assert len(long.grams) == MOST_GRAMS and len(long.pack()) <= 1_400
    assert shared(fingerprint("", "".join(signs[:40])), long) > 60
    assert shared(fingerprint("", "".join(signs[-40:])), long) < 3


@pytest.mark.parametrize(
    "text", ["路" * 1_000, "一路" * 700, "甲乙小区" * 300, "a1b2 " * 300, "3号线" * 400, "A市B3区" * 200]
)
def test_odd_letters_are_read_too(text: str) -> None:
    assert Fingerprint.unpack(fingerprint(text, text).pack()).pack() == fingerprint(text, text).pack()


def test_no_word_of_it_stands_in_it() -> None:
    packed = fingerprint("锦绣江南油烟", LETTER).pack()
    for word in ("锦绣", "油烟", "老王"):
        for encoding in ("utf-8", "utf-16-le", "utf-32-le", "gb18030"):
            assert word.encode(encoding) not in packed


# -- What it tells -----------------------------------------------------------------------------------------------------


def test_swapped_and_single_wrong_characters_still_share() -> None:
    assert shared(fingerprint("财达通平台跑路", ""), fingerprint("达财通平台跑路", ""), NAME) >= 1
    assert shared(fingerprint("中茶城停工", ""), fingerprint("中葉城停工", ""), NAME | PLACE) == 1
    assert shared(fingerprint("中茶城停工", ""), fingerprint("", "中城"), PLACE) == 1
    assert shared(fingerprint("碧水城停工", ""), fingerprint("锦江苑停工", ""), NAME) == 0


def test_names_are_what_is_left_in_a_title_without_known_words() -> None:
    title, body = fingerprint("关于锦绣江南小区停车难的问题", ""), fingerprint("", "锦绣江南")
    assert shared(title, body, NAME) == shared(title, body, PLACE) == 5  # three pairs, two triples
    assert not shared(fingerprint("关于停车难的问题", ""), fingerprint("", "关于停车难的问题"), NAME)


def test_a_place_right_behind_the_title_counts_as_named_in_it() -> None:
    made = fingerprint("垃圾没人清", "锦绣江南小区的垃圾堆了三天。")
    assert shared(made, fingerprint("", "锦绣江南"), NAME) and not shared(made, fingerprint("", "锦绣江南"), TITLE)
    assert not shared(fingerprint("垃圾没人清", "。" * 80 + "锦绣江南小区"), fingerprint("", "锦绣江南"), NAME)


def test_a_bus_route_is_no_road() -> None:
    assert not (fingerprint("松岭26路早班太少", "").marks & PLACE).any()
    assert (fingerprint("松岭路太窄", "").marks & PLACE).any()


def test_unknown_words_have_no_topic() -> None:
    for start in range(0x5000, 0x9000, 500):
        assert fingerprint("", "".join(chr(code) for code in range(start, start + 500))).topics == b""


def test_a_place_told_by_itself_counts_like_the_text() -> None:
    assert shared(fingerprint("垃圾没人清", "", "锦绣江南小区"), fingerprint("锦绣江南小区", ""), PLACE)


@pytest.mark.parametrize(
    ("title", "topics"),
    [
        ("小区停车位不够", {"parking"}),
        ("楼下烧烤油烟大", {"cooking fumes"}),
        ("自来水发黄", {"water supply", "water quality"}),
        ("路灯不亮", {"street light"}),
        ("红绿灯不亮", {"traffic light"}),
        ("你好", set()),
    ],
)
def test_topics_of_a_title(title: str, topics: set[str]) -> None:
    assert named(fingerprint(title, "")) == topics


@pytest.mark.parametrize(
    ("title", "kind", "values"),
    [
        ("地铁3号线太挤", Kind.LINE, {3}),
        ("三号线太挤", Kind.LINE, {3}),
        ("一二号线换乘", Kind.LINE, {1, 2}),
        ("1、2号线换乘", Kind.LINE, {1, 2}),
        ("十二号线", Kind.LINE, {12}),
        ("204路公交", Kind.ROUTE, {204}),
        ("凤凰城二期交房", Kind.PHASE, {2}),
        ("16栋电梯", Kind.BUILDING, {16}),
        ("十六号楼电梯", Kind.BUILDING, {16}),
        ("五组修路", Kind.GROUP, {5}),
        ("2025年物业费", Kind.YEAR, {2025}),
        ("1998年的旧账", Kind.YEAR, set()),
    ],
)
def test_numbers_of_a_title(title: str, kind: Kind, values: set[int]) -> None:
    assert by_kind(fingerprint(title, "").numbers, of_title=True).get(kind, set()) == values
    assert not by_kind(fingerprint("", title).numbers, of_title=True)


@pytest.mark.parametrize(
    ("one", "other", "scale", "apart"),
    [
        ("济南市历下区", "济南市市中区", Scale.COUNTY, True),
        ("历下区", "济南市历下区", Scale.COUNTY, False),
        ("A市a3区路灯", "B市路灯", Scale.CITY, True),
        ("a3区路灯", "A市路灯", Scale.CITY, False),
        ("黄河镇路灯", "泉沟镇路灯", Scale.TOWN, True),
        ("阳光小区", "城市社区", Scale.COUNTY, False),
    ],
)
def test_areas(one: str, other: str, scale: Scale, apart: bool) -> None:
    a, b = (by_kind(fingerprint(title.casefold(), "").areas) for title in (one, other))
    assert excluding(a, b, scale) is apart


def test_a_title_that_asks() -> None:
    assert fingerprint("请问医保怎么报销", "").asks and not fingerprint("路灯不亮", "请问谁管").asks


def test_bounds_of_a_letter_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ", 10)
    assert shared(fingerprint("", "。" * 10 + "锦绣江南"), fingerprint("", "锦绣江南")) == 0
