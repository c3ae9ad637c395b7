"""By when an answer is owed: the city's limit in working days, counted on the state's calendar of days off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache

from chinese_calendar import constants  # type: ignore[import-untyped]  # it ships no types

from normalizer.model import Due, MatterKind
from normalizer.profile import LimitRule, Profile

_DAY = timedelta(days=1)
_SATURDAY = 5
#: The last moment of a day, in whole seconds.
_END = time(23, 59, 59)


@dataclass(frozen=True, slots=True)
class Holidays:
    """A calendar of days off."""

    #: On which nobody works, whatever day of the week.
    off: frozenset[date]
    #: Days of a weekend on which people work in exchange (调休).
    working: frozenset[date]
    #: Of which it knows; in others only the weekends are off.
    years: frozenset[int]

    def is_working(self, day: date) -> bool:
        """Whether a day is a working day."""
        return day in self.working or (day not in self.off and day.weekday() < _SATURDAY)


@cache
def national_holidays() -> Holidays:
    """The arrangement of the State Council (国务院办公厅节假日安排), as the packaged calendar has it."""
    off, working = frozenset(constants.holidays), frozenset(constants.workdays)
    return Holidays(off=off, working=working, years=frozenset(day.year for day in off))


def due(
    profile: Profile,
    kind: MatterKind,
    platform: str | None,
    received_at: datetime,
    zone: tzinfo,
    holidays: Holidays,
) -> Due | None:
    """The end of the last day on which the answer is in time, and the rule that says so; None where no rule does.

    ``platform`` is the linked platform's number. The day of receipt does not count (民法典第二百零一条).
    """
    limit = _limit(profile.limits, kind, platform)
    if limit is None:
        return None
    day = received_at.astimezone(zone).date()
    years = {day.year}
    left = limit.working_days
    while left:
        day += _DAY
        years.add(day.year)
        left -= holidays.is_working(day)
    basis = _basis(profile, limit) + _unknown(years - holidays.years)
    return Due(basis=basis, reply_by=datetime.combine(day, _END, zone))


def _limit(limits: Iterable[LimitRule], kind: MatterKind, platform: str | None) -> LimitRule | None:
    """The most special one that applies: to a platform's matters before a kind's, a kind's before all; then the first."""
    fitting = [
        rule
        for rule in limits
        if (not rule.kinds or kind in rule.kinds) and (not rule.platforms or platform in rule.platforms)
    ]
    return max(fitting, key=lambda rule: (bool(rule.platforms), bool(rule.kinds)), default=None)


def _basis(profile: Profile, limit: LimitRule) -> str:
    """The rule in words: its name, its days, whence it comes."""
    longest = f"，经同意可延长至{limit.extended_to}个工作日" if limit.extended_to else ""
    source = f"《{profile.title}》{limit.article}" if limit.article else f"原文未作规定，系统设定：{limit.own}"
    return f"{limit.name}：{limit.working_days}个工作日{longest}（{source}）"


def _unknown(years: Iterable[int]) -> str:
    """That only weekends were counted, where the days off are not announced yet."""
    named = "、".join(f"{year}年" for year in sorted(years))
    return f"；{named}节假日安排未知，仅扣除周末" if named else ""
