"""By when an answer is owed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile import load_profile
from normalizer.due import Holidays, due, national_holidays
from normalizer.model import Due, MatterKind
from normalizer.profile import LimitRule, Profile

ZONE = ZoneInfo("Asia/Shanghai")
WEIFANG = load_profile("weifang", Path())
#: Known for 2026 only: a Monday off, and the Sunday before it worked.
CALENDAR = Holidays(off=frozenset({date(2026, 6, 8)}), working=frozenset({date(2026, 6, 7)}), years=frozenset({2026}))


def ask(
    received: str, *limits: LimitRule, kind: MatterKind = MatterKind.COMPLAINT, platform: str | None = None
) -> Due | None:
    profile: Profile = WEIFANG.model_copy(update={"limits": limits}) if limits else WEIFANG
    return due(profile, kind, platform, datetime.fromisoformat(received).replace(tzinfo=ZONE), ZONE, CALENDAR)


def limit(days: int, name: str = "x", **more: object) -> LimitRule:
    return LimitRule.model_validate({"name": name, "working_days": days, "own": "试"} | more)


@pytest.mark.parametrize(
    ("received", "days", "last"),
    [
        ("2026-06-15T09:00", 1, "2026-06-16"),
        ("2026-06-15T09:00", 5, "2026-06-22"),
        ("2026-06-19T23:59:59", 1, "2026-06-22"),
        ("2026-06-20T00:00", 1, "2026-06-22"),
        ("2026-06-21T12:00", 5, "2026-06-26"),
        ("2026-06-05T12:00", 1, "2026-06-07"),
        ("2026-06-05T12:00", 2, "2026-06-09"),
        ("2026-06-08T12:00", 1, "2026-06-09"),
    ],
    ids=[
        "next day",
        "over a weekend",
        "Friday night",
        "Saturday",
        "Sunday",
        "worked Sunday",
        "Monday off",
        "received on a day off",
    ],
)
def test_working_days_are_counted_from_the_day_after(received: str, days: int, last: str) -> None:
    found = ask(received, limit(days))
    assert found is not None
    assert found.reply_by.isoformat() == f"{last}T23:59:59+08:00"


def test_the_day_is_the_city_s() -> None:
    late = datetime(2026, 6, 15, 16, 30, tzinfo=UTC)  # half past midnight on Tuesday
    found = due(WEIFANG, MatterKind.OTHER, None, late, ZONE, CALENDAR)
    assert found is not None
    assert found.reply_by.date() == date(2026, 6, 23)


@pytest.mark.parametrize(
    ("kind", "platform", "name"),
    [
        (MatterKind.COMPLAINT, None, "all"),
        (MatterKind.REPORT, None, "reports"),
        (MatterKind.REPORT, "12315", "consumers"),
        (MatterKind.CONSULTATION, "12315", "consumers"),
        (MatterKind.CONSULTATION, "12333", "all"),
    ],
)
def test_the_most_special_limit_counts(kind: MatterKind, platform: str | None, name: str) -> None:
    limits = (
        limit(5, "all"),
        limit(3, "reports", kinds=["report"]),
        limit(7, "consumers", platforms=["12315"]),
        limit(9, "later of equals"),
    )
    found = ask("2026-06-15T09:00", *limits, kind=kind, platform=platform)
    assert found is not None
    assert found.basis.startswith(f"{name}：")


def test_no_limit_owes_nothing() -> None:
    assert ask("2026-06-15T09:00", limit(3, kinds=["report"])) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"own": "试"}, "x：7个工作日（原文未作规定，系统设定：试）"),
        ({"own": None, "article": "第九条"}, f"x：7个工作日（《{WEIFANG.title}》第九条）"),
        (
            {"own": None, "article": "第九条", "extended_to": 30},
            f"x：7个工作日，经同意可延长至30个工作日（《{WEIFANG.title}》第九条）",
        ),
    ],
    ids=["own", "article", "extended"],
)
def test_the_basis_names_rule_and_article(rule: dict[str, object], words: str) -> None:
    found = ask("2026-06-15T09:00", limit(7, **rule))
    assert found is not None
    assert found.basis == words


def test_of_a_year_not_announced_only_weekends_are_off_and_the_basis_says_so() -> None:
    found = ask("2026-12-30T09:00", limit(3))
    assert found is not None
    assert found.reply_by.date() == date(2027, 1, 4)
    assert found.basis.endswith("；2027年节假日安排未知，仅扣除周末")


@pytest.mark.parametrize(
    ("day", "working"),
    [
        ("2026-02-16", False), ("2026-02-14", True), ("2026-10-01", False), ("2026-10-10", True),
        ("2026-10-11", False), ("2026-11-30", True),
    ],
    ids=["Spring Festival", "a Saturday worked for it", "National Day", "a Saturday worked for it too", "a Sunday", "a Monday"],
)  # fmt: skip
def test_the_national_calendar(day: str, working: bool) -> None:
    assert national_holidays().is_working(date.fromisoformat(day)) is working


@given(received=st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1)), days=st.integers(1, 365))  # noqa: DTZ001
def test_as_many_working_days_lie_between_as_are_allowed(received: datetime, days: int) -> None:
    found = ask(received.isoformat(), limit(days))
    assert found is not None
    gone = (found.reply_by.date() - received.date()).days
    worked = [CALENDAR.is_working(received.date() + timedelta(step)) for step in range(1, gone + 1)]
    assert sum(worked) == days
    assert worked[-1]
