"""What is new in a message: our own letters, invented."""

from __future__ import annotations

import pytest

from dedupe.novelty import REST_SHARE, novelty
from tests.test_likeness import EMPTY, made

KNOWN = made(
    "翠湖雅苑停水", "我们翠湖雅苑小区已经三天没有水了，什么时候来水？老人小孩都没法做饭洗澡，请自来水公司尽快处理。"
)


@pytest.mark.parametrize(
    "text",
    [
        "翠湖雅苑停水的事怎么还没人管",
        "上次反映的翠湖雅苑停水问题还没解决，请尽快处理！",
        "催办",
        "请问进展如何，什么时候能来水",
        "",
    ],
)
def test_asking_again_brings_nothing_new(text: str) -> None:
    assert novelty(made("", text), [KNOWN], EMPTY).nothing


@pytest.mark.parametrize(
    "text",
    [
        "昨天物业说水泵房的电表被锁，供电所要求先交清欠费八万元才恢复",
        "翠湖雅苑停水是因为东门的主管道爆裂，抢修队说要等配件，二次供水的水泵也烧坏了",
        "翠湖雅苑12栋也停水了",
    ],
)
def test_a_cause_or_another_building_is_new(text: str) -> None:
    found = novelty(made("", text), [KNOWN], EMPTY)
    assert not found.nothing and 0 < found.share <= 1
    assert novelty(made("", text), [KNOWN, made("", text)], EMPTY).nothing


def test_to_nobody_known_everything_is_new() -> None:
    assert novelty(KNOWN, [], EMPTY).share == 1


# -- In short messages, whose words are read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "我上星期反映的历下区姚家街道翠湖雅苑断水的问题，还是没人联系我，到底归谁管",
        "历下区姚家街道翠湖雅苑断水的事投诉过两次了，石沉大海，真让人心寒。请尽快办理，谢谢！",
    ],
)
def test_other_words_for_asking_again_are_nothing_new(text: str) -> None:
    assert not novelty(made("", text), [KNOWN], EMPTY).nothing, "by its n-grams alone it is"
    assert novelty(made("", text), [KNOWN], EMPTY, text).nothing


@pytest.mark.parametrize(
    "text",
    [
        "我上星期反映的翠湖雅苑停水的问题还没人处理，今早有位老人提水摔断了腿",
        "翠湖雅苑停水的事反映过了，昨晚配电房也冒烟了",
        "之前投诉的翠湖雅苑停水，12栋也没水了",
    ],
)
def test_a_new_fact_in_few_words_is_new(text: str) -> None:
    assert not novelty(made("", text), [KNOWN], EMPTY, text).nothing


def test_little_is_new_only_to_who_speaks_of_an_earlier_letter() -> None:
    bare, said = "保安打人", "上次反映的停水的事，保安打人"
    assert novelty(made("", bare), [KNOWN], EMPTY, bare).nothing
    assert not novelty(made("", said), [KNOWN], EMPTY, said).nothing


def test_two_clauses_of_news_are_new_although_half_only_says_what_it_is_about() -> None:
    known = made("路灯坏了", "景苑花园5号楼前的路灯坏了半个月，晚上老人出门看不清路，请派人来修。")
    text = "景苑花园5号楼前的路灯还没有修，昨天晚上我母亲在台阶上摔断了手腕，住进了中心医院。"
    found = novelty(made("", text), [known], EMPTY, text)
    assert not found.nothing and found.share < REST_SHARE


def test_a_long_letter_is_judged_as_a_whole() -> None:
    text = "我上星期反映的停水的问题还没人处理。" + "翠湖雅苑小区已经三天没有水了，请自来水公司尽快处理。" * 8
    assert novelty(made("", text), [KNOWN], EMPTY, text) == novelty(made("", text), [KNOWN], EMPTY)
