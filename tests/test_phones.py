"""Numbers in a citizen's words. All of them are fictional."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer.phones import SEARCHED, Phone, phones

MOBILE = "+8613800138000"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("13800138000", [MOBILE]),
        ("我的电话是13800138000，谢谢", [MOBILE]),
        ("手机号：138-0013-8000。", [MOBILE]),
        ("138 0013 8000", [MOBILE]),
        ("+86 138 0013 8000", [MOBILE]),
        ("8613800138000", [MOBILE]),
        ("１３８００１３８０００", [MOBILE]),
        ("＋８６－１３８００１３８０００", [MOBILE]),
        ("微信号13800138000", [MOBILE]),
        ("phone no. 13800138000", [MOBILE]),
        ("0531-66600000", ["+8653166600000"]),
        ("（0531）66600000", ["+8653166600000"]),
        ("０５３１－６６６０００００", ["+8653166600000"]),
        ("86-531-66600000", ["+8653166600000"]),
        ("+852 2123 4567", ["+85221234567"]),
        ("13800138000、13900139000", [MOBILE, "+8613900139000"]),
        ("13800138000/13900139000", [MOBILE, "+8613900139000"]),
        ("邮编250001 13800138000", [MOBILE]),
    ],
)
def test_found(text: str, values: list[str]) -> None:
    assert [phone.value for phone in phones(text)] == values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "路灯坏了",
        "请拨12345、110、119、95588、10086",
        "4008123456或800-810-1234",
        "66600000",
        "2019-08-19 08:30到2020-08-19 09:30",
        "2019年8月19日至2020年9月30日",
        "20190819083000",
        "文件2017010112",
        "370102198001011234",
        "37010219800101123X",
        "6222021234567890",
        "6222 0212 3456 7890 123",
        "订单号13800138000",
        "订单号：13800138000",
        "快递单号 13800138000",
        "工单编号为13800138000",
        "身份证13800138000",
        "order no. 13800138000",
        "A13800138000",
        "138001380001",
        "3.14159265358",
        "1380013八000",
    ],
)
def test_not_a_number_to_call_back(text: str) -> None:
    assert phones(text) == []


def test_offsets_are_the_texts_own() -> None:
    text = "电话😀１３８００１３８０００或0531-66600000。"
    assert phones(text) == [Phone(MOBILE, 3, 14), Phone("+8653166600000", 15, 28)]
    assert [text[phone.start : phone.end] for phone in phones(text)] == ["１３８００１３８０００", "0531-66600000"]


def test_a_number_without_country_belongs_to_the_region() -> None:
    assert [phone.value for phone in phones("6612 3456", region="HK")] == ["+85266123456"]


@settings(deadline=None)
@given(st.text(st.sampled_from("路，。\n:"), max_size=20), st.text(st.sampled_from("路，。\n:"), max_size=20))
def test_found_wherever_it_stands(before: str, behind: str) -> None:
    assert phones(f"{before}13800138000{behind}") == [Phone(MOBILE, len(before), len(before) + 11)]


@settings(deadline=None)
@given(st.text(st.one_of(st.sampled_from("0123456789０１-+( "), st.characters())))
def test_any_text_is_read(text: str) -> None:
    for phone in phones(text):
        assert phone.value[0] == "+" and phone.value[1:].isdigit() and 0 <= phone.start < phone.end <= len(text)


def test_only_the_beginning_of_a_long_text_is_searched() -> None:
    assert phones("路" * (SEARCHED - 11) + "13800138000") != []
    assert phones("路" * SEARCHED + "13800138000") == []


@pytest.mark.parametrize("piece", ["1", "1 ", "138-", "13800138000 ", "(0", "+86", "0531-6660000 ", "12/34/5678901 "])
def test_a_megabyte_of_digits_does_not_stop_the_gateway(piece: str) -> None:
    started = time.process_time()
    phones(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 2
