"""The time that a citizen speaks of, by the clock of his message: our own sentences, invented."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.when import occurred

_OWN = Path(__file__).parent / "data" / "fields" / "times.jsonl"
_CITY = ZoneInfo("Asia/Shanghai")
#: A Thursday.
_WRITTEN = datetime(2026, 11, 26, 16, 20, tzinfo=_CITY)


@pytest.mark.parametrize(
    ("text", "at", "precision"),
    [
        pytest.param("昨晚10点停电", "2026-11-25 22:00", "hour", id="last night"),
        pytest.param("昨晚1点还在打桩", "2026-11-26 01:00", "hour", id="last night after midnight"),
        pytest.param("昨天凌晨2点卸货", "2026-11-25 02:00", "hour", id="small hours of yesterday"),
        pytest.param("今天上午停电", "2026-11-26 09:00", "hour", id="part of a day"),
        pytest.param("11月20日下午3点半", "2026-11-20 15:30", "minute", id="date and hour"),
        pytest.param("12月25日打架", "2025-12-25 00:00", "day", id="the latest past"),
        pytest.param("二〇二六年九月三日签的协议", "2026-09-03 00:00", "day", id="in Chinese figures"),
        pytest.param("上周三来过", "2026-11-18 00:00", "day", id="weekday of last week"),
        pytest.param("周五就停水了", "2026-11-20 00:00", "day", id="weekday, the latest past"),
        pytest.param("上个月涨价", "2026-10-01 00:00", "month", id="last month"),
        pytest.param("从去年10月起没发工资", "2025-10-01 00:00", "month", id="month of last year"),
        pytest.param("刚才撞车了", "2026-11-26 16:20", "minute", id="just now"),
        pytest.param("刚才10分钟前灯灭了", "2026-11-26 16:10", "minute", id="just now, ten minutes ago"),
        pytest.param("11.20日下午3点半停电", "2026-11-20 15:30", "minute", id="a date with a point"),
        pytest.param("半小时前有人翻墙", "2026-11-26 15:50", "minute", id="half an hour ago"),
        pytest.param("一个半小时前", "2026-11-26 14:50", "hour", id="an hour and a half ago"),
        pytest.param("今天3点在路口被撞", "2026-11-26 15:00", "hour", id="three o'clock is in the afternoon"),
        pytest.param("凌晨三四点有人砸门", "2026-11-26 03:00", "hour", id="about three or four"),
        pytest.param("2018年5月买的房，昨天发现漏水", "2026-11-25 00:00", "day", id="an aside before the event"),
        pytest.param("2018年5月买的房", "2018-05-01 00:00", "month", id="nothing but an aside"),
    ],
)
def test_a_time_is_read_by_the_clock_of_the_message(text: str, at: str, precision: str) -> None:
    found = occurred(text, _WRITTEN, _CITY)
    assert found and (found.at.strftime("%Y-%m-%d %H:%M"), found.precision) == (at, precision)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("月底前修好", id="deadline"),
        pytest.param("请在11月20日前答复", id="deadline with a date"),
        pytest.param("根据国发〔2020〕53号", id="number of a document"),
        pytest.param("按2009年规定", id="year of a rule"),
        pytest.param("《条例》自2023年1月1日起施行", id="date of a rule"),
        pytest.param("每天早上7点放音乐", id="habit"),
        pytest.param("晚上10点到早上6点禁止施工", id="hours"),
        pytest.param("12月1日要停水", id="plan"),
        pytest.param("原定6月30日交房", id="plan that is past"),
        pytest.param("明天早上8点停电", id="tomorrow"),
        pytest.param("我1965年3月出生", id="birth"),
        pytest.param("20号楼漏水", id="number of a house"),
        pytest.param("周一至周五都堵", id="working days"),
        pytest.param("2月30日交的钱", id="no day"),
        pytest.param("十三五月初的规划", id="no number"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_event_has_no_time(text: str) -> None:
    assert occurred(text, _WRITTEN, _CITY) is None


def test_the_clock_is_the_citys_whatever_the_message_is_stamped_in() -> None:
    found = occurred("今天凌晨1点打架", datetime(2026, 11, 25, 20, 0, tzinfo=UTC), _CITY)
    assert found and found.at == datetime(2026, 11, 26, 1, 0, tzinfo=_CITY)


def test_our_own_times_are_read() -> None:
    rows = [json.loads(line) for line in _OWN.read_text("utf-8").splitlines()]
    right = 0
    for _, text, written, _, at, precision in rows:
        found = occurred(text, datetime.fromisoformat(written).replace(tzinfo=_CITY), _CITY)
        right += (found and (found.at.strftime("%Y-%m-%dT%H:%M"), found.precision)) == (at and (at, precision))
    assert len(rows) >= 120
    assert right / len(rows) >= 0.93


@given(
    st.text(
        alphabet="0123456789一二三四五六七八九十两廿〇零元几末初年月日号点半分前昨今上周天晚早午去:-/. 刚才小时个",
        max_size=60,
    )
)
def test_any_text_has_a_time_before_the_message_or_none(text: str) -> None:
    found = occurred(text, _WRITTEN, _CITY)
    assert found is None or (found.at <= _WRITTEN + timedelta(days=1) and found.at.tzinfo is not None)
