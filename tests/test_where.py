"""The place in a citizen's words and the division it names: our own sentences, invented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.where import READ, division, where

_OWN = Path(__file__).parent / "data" / "fields" / "places.jsonl"


@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        pytest.param("历下区泉城路180号3号楼2单元停水", "历下区泉城路180号3号楼2单元", "place.address", id="address"),
        pytest.param("我住在翠湖小区5号楼东侧，垃圾没人清", "翠湖小区5号楼东侧", "place.address", id="beside"),
        pytest.param("花园路与二环东路交叉口红灯坏了", "花园路与二环东路交叉口", "place.crossing", id="crossing"),
        pytest.param("地铁2号线八涧站C口电梯停了", "地铁2号线八涧站C口", "place.metro", id="underground"),
        pytest.param("锦绣江南3栋402漏水", "锦绣江南3栋402", "place.address", id="only a building shows the name"),
        pytest.param("水屯路路灯不亮", "水屯路", "place.road", id="road with a village in its name"),
        pytest.param("望和路6号楼着火", "望和路6号楼", "place.address", id="road with a stop word in its name"),
        pytest.param("A3区洋槐街道莲香园小区停电", "A3区洋槐街道莲香园小区", "place.estate", id="letters for names"),
        pytest.param("李家村村口桥断了", "李家村村口", "place.village", id="village"),
        pytest.param("历下区停水了", "历下区", "place.division", id="district alone"),
    ],
)
def test_the_most_specific_address_is_the_place(text: str, place: str, rule: str) -> None:
    found = where(text)
    assert found and (found.text, found.rule) == (place, rule)
    assert text[slice(*found.span)] == place


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("小区里太吵了", id="bare estate"),
        pytest.param("马路上全是坑，村里没人管", id="bare road and village"),
        pytest.param("医保卡丢了怎么补办", id="no place"),
        pytest.param("K56路公交车甩站", id="bus route"),
        pytest.param("济南市什么时候供暖", id="city alone"),
        pytest.param("3月9号交的钱，工号1024号", id="dates and staff numbers"),
        pytest.param("司机不走导航绕路还多收钱", id="a detour"),
        pytest.param("昨晚在阳台站了一个小时", id="stood somewhere"),
        pytest.param("附近没有5G基站", id="a mast"),
        pytest.param("接线员003号说会回电话", id="an operator's number"),
        pytest.param("", id="empty"),
    ],
)
def test_what_names_no_place_has_none(text: str) -> None:
    assert where(text) is None


def test_a_late_place_is_not_read() -> None:
    assert where("。" * READ + "泉城路180号") is None


@pytest.mark.parametrize(
    ("place", "city", "code"),
    [
        pytest.param("历下区", "370100", "370102", id="own district"),
        pytest.param("山东省潍坊市奎文区", "370100", "370705", id="another city in full"),
        pytest.param("济南历下区", "370100", "370102", id="city without its ending"),
        pytest.param("鼓楼区", "320100", "320106", id="name of many cities, one of them ours"),
        pytest.param("鼓楼区", "370100", None, id="name of many cities, none of them ours"),
        pytest.param("江苏省南京市鼓楼区", "370100", "320106", id="name of many cities, city told"),
        pytest.param("浦东新区", "370100", "310115", id="only one in the country"),
        pytest.param("朝阳区建国路", "110000", "110105", id="municipality"),
        pytest.param("章丘明水街道", "370100", "370114", id="own district without its ending"),
        pytest.param("章丘路12号", "370100", None, id="road called like a district"),
        pytest.param("历下区与市中区交界", "370100", None, id="two districts"),
        pytest.param("济南市泉城路", "370100", "370100", id="city alone"),
        pytest.param("江苏省", "370100", "320000", id="province alone"),
        pytest.param("济南市奎文区", "370100", None, id="district of another city"),
        pytest.param("单县", "370100", None, id="two signs, not ours"),
        pytest.param("菏泽市单县", "370100", "371722", id="two signs, city told"),
        pytest.param("莱芜区凤城街道", "370100", "370116", id="district made in 2019"),
        pytest.param("开平市场", "370100", None, id="market"),
        pytest.param("", "370100", None, id="empty"),
    ],
)
def test_the_finest_division_named_has_its_code(place: str, city: str, code: str | None) -> None:
    assert division(place, city) == code


def test_most_of_our_own_places_are_found_as_written() -> None:
    rows = [json.loads(line) for line in _OWN.read_text("utf-8").splitlines()]
    found = [(where(text), place, code, city) for _, text, city, place, code in rows]
    assert len(rows) >= 120
    assert sum((one and one.text) == place for one, place, _, _ in found) / len(rows) >= 0.85
    assert sum((division(one.text, city) if one else None) == code for one, _, code, city in found) / len(rows) >= 0.95


@given(st.text(alphabet="历下区市县泉城路街号楼栋0123456789小村镇站地铁与和的在A-（）#,。 \n", max_size=120))
def test_any_text_has_a_place_in_it_or_none(text: str) -> None:
    found = where(text)
    assert found is None or (text[slice(*found.span)] == found.text and found.text.strip())
    division(text, "370100")
