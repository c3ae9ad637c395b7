"""When it happened: the first time in the words that is not still to come, by the clock of the message. Pure, by rule.

Plans (原定6月30日交房), deadlines (月底前), what happens again and again (每天早上7点) and the dates of laws are no events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal

from normalizer.when_words import (
    ASIDE,
    BEGINS,
    DEADLINE,
    FIGURES,
    HOURS,
    OPEN,
    PLANNED,
    RANGE,
    RECURS,
    RULE,
    STILL,
    TIME,
)

Precision = Literal["minute", "hour", "day", "month"]

#: Characters read.
READ = 2_000
#: Times looked at: the event is told among the first.
_MOST = 24


#: Of another day: 明天早上8点.
_OTHER_DAY = ("明年", "后年", "来年", "快", "明天", "明日", "后天", "次日", "第二天", "当天")
#: Of no day, or of a paper: 每年11月15日, 第379号2003年4月27日.
_NOT_THIS = ("每", "每年", "每个", "下个", "下", "号", "》", "》（", "》(", "令")
#: Of the letter itself: 今天在此留信.
_WRITING = ("在此", "写信", "来信", "特此", "特向", "致电")


@dataclass(frozen=True, slots=True)
class When:
    """A time in the words."""

    at: datetime
    #: Its beginning, as exactly as it is told; of a part of the day the usual hour.
    span: tuple[int, int]
    #: The words.
    rule: str
    #: time.date, time.day (昨晚10点), time.week, time.ago or time.clock.
    precision: Precision
    #: How exactly it is told; a week is told no more exactly than a month.


@dataclass(frozen=True, slots=True)
class _Clock:
    """By what a time is read."""

    now: datetime
    #: When it was written, in the zone of the city.

    def midnight(self, day: date) -> datetime:
        """The beginning of a day."""
        return datetime.combine(day, time(), tzinfo=self.now.tzinfo)


def occurred(text: str, written: datetime, zone: tzinfo) -> When | None:
    """The time that a cleaned text speaks of: the first that is past, an aside (when a flat was bought) only if there is no other.

    ``written`` is the time of the message; a day without a year is the latest that is past.
    """
    clock = _Clock(written.astimezone(zone))
    aside: When | None = None
    for found, rest in _times(text[:READ], clock):
        if not ASIDE.match(rest):
            return found
        aside = aside or found
    return aside


def _times(text: str, clock: _Clock) -> Iterator[tuple[When, str]]:
    """The times told as past, each with the words behind it."""
    end = tried = 0
    for begin in BEGINS.finditer(text):
        if begin.start() < end or tried == _MOST:
            continue
        match = TIME.match(text, begin.start())
        if match is None:
            continue
        tried, end = tried + 1, match.end()
        before, rest = text[max(0, match.start() - 14) : match.start()], text[end : end + 24]
        if not _told_otherwise(match, before, rest) and (found := _read(match, clock, rest)):
            yield found, rest


def _told_otherwise(match: re.Match[str], before: str, rest: str) -> bool:
    """Whether it is a deadline, a plan, a habit, or the date of a rule or a birth."""
    if PLANNED.search(before) or RULE.match(rest) or before.endswith(_OTHER_DAY):
        return True
    if match["ago"] or match["now"]:
        return False
    if match["period_only"]:
        return bool(RECURS.search(before)) or rest.startswith(OPEN)
    if match["relative"] and (before.endswith("的") or rest.startswith(_WRITING)):
        return True
    range_of_days = match["weekday"] and not match["weeks"] and before.endswith(RANGE)
    return bool(range_of_days or DEADLINE.match(rest)) or before.endswith(_NOT_THIS)


def _read(match: re.Match[str], clock: _Clock, rest: str) -> When | None:
    """The time that a match tells; None where it is none, or still to come."""
    try:
        found = _ago(match, clock) or _of_day(match, clock)
    except (ValueError, OverflowError):
        return None
    if found is None or found.at > clock.now or found.at.year < 1970:
        return None
    near_plan = match["year"] is None and (match["m3"] or match["d5"]) and clock.now - found.at > timedelta(days=300)
    return None if near_plan and STILL.match(rest) else found


def _ago(match: re.Match[str], clock: _Clock) -> When | None:
    """半小时前, 三天前, 刚才."""
    if match["now"]:
        return When(clock.now, match.span(), "time.ago", "minute")
    if not match["ago"]:
        return None
    unit, many = match["unit"], _many(match)
    if unit in {"小时", "钟头", "分钟"}:
        at = clock.now - timedelta(minutes=many * (1 if unit == "分钟" else 60))
        return When(at, match.span(), "time.ago", "minute" if unit == "分钟" or many < 1 else "hour")
    if unit in {"月", "年"} and many >= 1:
        months = int(many) * (12 if unit == "年" else 1)
        return When(clock.midnight(_months_before(clock.now.date(), months)), match.span(), "time.ago", "month")
    days = many * {"天": 1, "日": 1, "月": 30, "年": 365}.get(unit, 7)
    at = clock.midnight(clock.now.date() - timedelta(days=int(days)))
    return When(at, match.span(), "time.ago", "day" if days < 60 else "month")


def _many(match: re.Match[str]) -> float:
    """How many hours, days, …: 一个半."""
    said = match["ago"]
    if said in {"半", "一个半"}:
        return 0.5 if said == "半" else 1.5
    return _number(said) + (0.5 if match["half"] or match["over"] else 0)


def _of_day(match: re.Match[str], clock: _Clock) -> When | None:
    """A day or a month, the part of the day, the hour."""
    if match["period_only"]:
        today = When(clock.midnight(clock.now.date()), match.span(), "time.clock", "day")
        found = _at_hour(today, match, match["period_only"], "x_", clock)
        return found if found.at <= clock.now else replace(found, at=found.at - timedelta(days=1))
    day = _date(match, clock) or _relative(match, clock)
    if day is None or day.precision == "month":
        return day
    period = match["period"] or _inside(match["relative"] or "")
    return _at_hour(day, match, period, "", clock) if period or match["hour"] else day


def _inside(relative: str) -> str:
    """The part of the day within a word: 昨晚."""
    return relative[-1] if relative[-1:] in {"晚", "夜", "早", "晨"} else ""


def _at_hour(day: When, match: re.Match[str], period: str, prefix: str, clock: _Clock) -> When:
    """A day with the hour told."""
    usual, earliest = next((hours for name, hours in HOURS.items() if name in period), (0, 0)) if period else (0, 0)
    said = match[prefix + "hour"]
    if said is None:
        at = day.at + timedelta(hours=usual)
        if at > clock.now >= day.at + timedelta(hours=earliest):
            at = clock.now
        return replace(day, at=at, precision="hour")
    minute = _minute(match, prefix)
    hour = _hour(_number(said), period, late=(match["relative"] or "")[-1:] in {"晚", "夜"})
    at = day.at + timedelta(hours=hour, minutes=minute or 0)
    if not period and 1 <= hour <= 6 and at + timedelta(hours=12) <= clock.now and match[prefix + "colon"] is None:
        at += timedelta(hours=12)
    return replace(day, at=at, precision="hour" if minute is None else "minute")


def _hour(said: int, period: str, *, late: bool) -> int:
    """The hour of the day, 24 and more on the next one: 下午3点, 晚上12点, 昨晚1点."""
    if said > 24:
        raise ValueError(said)
    if "凌晨" in period or "早" in period or "晨" in period or "上午" in period:
        return said % 24 + (24 if late and said < 6 else 0) if said != 12 or "凌晨" not in period else 24 if late else 0
    if "夜" in period or "晚" in period:
        return said + 12 if 5 <= said <= 12 else said + 24 if said < 5 else said
    if ("下午" in period or "午后" in period) and said < 12:
        return said + 12
    return said + 12 if "中午" in period and said < 4 else said


def _minute(match: re.Match[str], prefix: str) -> int | None:
    """The minute, where it is told."""
    if match[prefix + "part"]:
        return {"半": 30, "一刻": 15, "三刻": 45}[match[prefix + "part"]]
    said = match[prefix + "minute"] or match[prefix + "bare"] or match[prefix + "colon"]
    return _number(said) if said else None


def _date(match: re.Match[str], clock: _Clock) -> When | None:
    """A date of the calendar: of a year that is told, or the latest past."""
    today = clock.now.date()
    month = match["m1"] or match["m2"] or match["m3"] or match["m4"]
    day = match["d1"] or match["d2"] or match["d3"] or match["d4"] or match["d5"] or match["d6"]
    precision: Precision = "day" if day else "month"
    if month:
        year = _year(match["year"], today) if match["year"] else today.year
        at = date(year, _number(month), _number(day) if day else 1)
        if not match["year"] and at > today:
            at = at.replace(year=year - 1)
    elif match["lastmonth"] or match["d5"]:
        said = match["lastmonth"] or ""
        at = _months_before(today, 2 if said.startswith("上上") else 1 if said.startswith("上") else 0)
        at = at.replace(day=_number(day) if day else 1)
        if match["d5"] and at > today:
            at = _months_before(today, 1).replace(day=_number(day))
    else:
        return None
    return When(clock.midnight(at), match.span(), "time.date", precision)


def _relative(match: re.Match[str], clock: _Clock) -> When | None:
    """昨天, 上周三, 上周."""
    today = clock.now.date()
    if said := match["relative"]:
        back = 3 if said.startswith("大") else {"前": 2, "昨": 1}.get(said[0], 0)
        return When(clock.midnight(today - timedelta(days=back)), match.span(), "time.day", "day")
    monday = today - timedelta(days=today.weekday())
    if match["weekday"]:
        weekday = "一二三四五六日".find(match["weekday"].replace("天", "日").replace("末", "六"))
        weekday = weekday if weekday >= 0 else int(match["weekday"]) - 1
        said = match["weeks"] or ""
        at = monday + timedelta(days=weekday - 7 * (2 if said.startswith("上上") else said.startswith("上")))
        at -= timedelta(days=7 * (not said and at > today))
        return When(clock.midnight(at), match.span(), "time.week", "day")
    weeks = 2 if match["lastweek"].startswith("上上") else 1
    return When(clock.midnight(monday - timedelta(days=7 * weeks)), match.span(), "time.week", "month")


def _months_before(day: date, months: int) -> date:
    """The first of the month so many months ago."""
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def _year(said: str, today: date) -> int:
    """The year that is told: 去年, 2026, 25年, 二〇二六."""
    if said[0] in "今去前上":
        return today.year - {"今": 0, "去": 1, "前": 2, "上": 1}[said[0]]
    digits = int("".join(str(FIGURES.get(sign, sign)) for sign in said))
    return digits + 2000 if digits < 100 else digits


def _number(said: str) -> int:
    """A number of the calendar: 11, 十一, 廿三; the first of 三四点."""
    if said.isdecimal() or said == "元":
        return int(said.replace("元", "1"))
    tens, ten, ones = said.replace("廿", "二十").rpartition("十")
    if len(tens) > 1 or (ten and len(ones) > 1):
        raise ValueError(said)
    return (FIGURES[tens] if tens else 1) * 10 * bool(ten) + (FIGURES[ones[0]] if ones else 0)
