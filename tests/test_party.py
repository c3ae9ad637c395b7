"""The body that is spoken of and for whom the writer speaks: our own sentences, invented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.model import PartyType
from normalizer.party import speaks_for, target_unit

_OWN = Path(__file__).parent / "data" / "fields" / "bodies.jsonl"


@pytest.mark.parametrize(
    ("text", "name", "rule"),
    [
        pytest.param("被投诉单位：万通驾校，不退费", "万通驾校", "party.accused", id="labelled"),
        pytest.param("投诉翠湖小区物业乱收费", "翠湖小区物业", "party.blamed", id="blamed"),
        pytest.param("请问历下区教育局几点上班", "历下区教育局", "party.asked", id="asked"),
        pytest.param("龙山镇政府不作为", "龙山镇政府", "party.named", id="named"),
        pytest.param("尊敬的教育局领导：龙山小学乱收费", "龙山小学", "party.named", id="not the addressee"),
        pytest.param(
            "打电话给城西城管局反映过。投诉大明烧烤店", "大明烧烤店", "party.blamed", id="not whom he turned to"
        ),
        pytest.param("我司恒远电子有限公司报税，市税务局一直未办", "市税务局", "party.named", id="not his own"),
        pytest.param("我是恒远电子有限公司员工，公司拖欠工资", "恒远电子有限公司", "party.named", id="his employer"),
        pytest.param("和平路上的红太阳火锅店油烟扰民", "红太阳火锅店", "party.named", id="behind an address"),
        pytest.param("5号楼1楼红叶超市卖过期奶", "红叶超市", "party.named", id="behind a number"),
    ],
)
def test_the_body_complained_of_or_asked_about_is_the_target(text: str, name: str, rule: str) -> None:
    body = target_unit(text)
    assert body and (body.name, body.rule) == (name, rule)
    assert text[slice(*body.span)] == name


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("物业公司不管", id="no name"),
        pytest.param("翠湖小区对面的光明小学门口堵车", id="only a place"),
        pytest.param("12345热线没人接", id="the hotline"),
        pytest.param("支持政府工作", id="government in general"),
        pytest.param("外地孩子在市中区上小学要什么材料", id="going to school"),
        pytest.param("您好，尊敬的市教育局，孩子被打了", id="only the addressee"),
        pytest.param("老百姓相信政府没有错", id="no government by name"),
        pytest.param("", id="empty"),
    ],
)
def test_what_names_no_body_has_no_target(text: str) -> None:
    assert target_unit(text) is None


@pytest.mark.parametrize(
    ("text", "unit", "name", "kind", "told"),
    [
        pytest.param("我司申请退税", None, None, PartyType.LEGAL_PERSON, None, id="our firm"),
        pytest.param(
            "我公司（恒远电子有限公司）停电", None, None, PartyType.LEGAL_PERSON, "恒远电子有限公司", id="with its name"
        ),
        pytest.param("本企业咨询补贴", None, None, PartyType.LEGAL_PERSON, None, id="this enterprise"),
        pytest.param("我司停电", "恒远公司", None, PartyType.LEGAL_PERSON, "恒远公司", id="unit registered"),
        pytest.param("我们业主委员会想咨询", None, None, PartyType.ORGANISATION, None, id="owners' committee"),
        pytest.param("我是一名退休教师", None, None, PartyType.PERSON, None, id="a person"),
        pytest.param("本人是恒远公司员工", "恒远公司", None, PartyType.PERSON, None, id="words before the unit"),
        pytest.param("停电了", "恒远电子公司", None, PartyType.LEGAL_PERSON, "恒远电子公司", id="unit"),
        pytest.param("停电了", None, "泉水志愿者协会", PartyType.ORGANISATION, "泉水志愿者协会", id="name of a body"),
    ],
)
def test_for_whom_the_writer_stands(
    text: str, unit: str | None, name: str | None, kind: PartyType, told: str | None
) -> None:
    party = speaks_for(text, unit, name)
    assert party and party[:2] == (kind, told)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("路灯坏了", id="nothing"),
        pytest.param("我们公司拖欠工资", id="an employee against his firm"),
        pytest.param("我走了", id="no unit"),
        pytest.param("我们也能加入工会吗", id="a body he is not in"),
    ],
)
def test_what_is_not_told_is_not_guessed(text: str) -> None:
    assert speaks_for(text, None, "张三") is None


def test_our_own_bodies_and_parties_are_found() -> None:
    rows = [json.loads(line) for line in _OWN.read_text("utf-8").splitlines()]
    bodies = [(target_unit(text), target) for _, text, target, *_ in rows]
    parties = [(speaks_for(text, None, None), speaks[0]) for _, text, _, *speaks in rows if speaks]
    assert len(parties) >= 80
    assert sum((body and body.name) == target for body, target in bodies) / len(bodies) >= 0.95
    assert sum((party and party[0].value) == kind for party, kind in parties) / len(parties) >= 0.9


@given(st.text(alphabet="我司公市区局学校医院物业店的投诉请问在是大中小一二号楼（）：，本人协会政府", max_size=80))
def test_any_text_has_a_body_in_it_or_none(text: str) -> None:
    body = target_unit(text)
    assert body is None or text[slice(*body.span)] == body.name
    speaks_for(text, text, text)
