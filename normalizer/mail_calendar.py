"""Invitations in mail (RFC 5545, RFC 6047): what, when and where, as words of the mail."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from normalizer.clean import single_line

#: Characters of a calendar read, lines and events of it: the library takes its time with strange ones.
MAX_CALENDAR, MAX_CALENDAR_LINES, MAX_EVENTS = 64 * 1024, 2000, 5
#: Characters of one property shown.
_SHOWN = 500
_METHODS = {"REQUEST": "会议邀请", "CANCEL": "会议取消", "REPLY": "会议答复", "COUNTER": "会议改期建议"}


def invitation(text: str) -> list[str]:
    """A paragraph for each event; nothing where the calendar cannot be read, for it is an attachment as well."""
    from icalendar import Calendar  # noqa: PLC0415 - a tenth of a second that other mail need not wait for

    if len(text) > MAX_CALENDAR or text.count("\n") > MAX_CALENDAR_LINES or text.count("BEGIN:") > MAX_EVENTS * 10:
        return []
    try:
        calendar = Calendar.from_ical(_without_zones(text))
        head = _METHODS.get(str(calendar.get("METHOD", "")).upper(), "日历事件")
        return [_paragraph(head, event) for event in calendar.walk("VEVENT")[:MAX_EVENTS]]
    except Exception:  # noqa: BLE001 - whatever the library meets, the mail is read without it
        return []


def _without_zones(text: str) -> str:
    """Rules of time zones of its own could be reckoned for ever; the names of known zones are enough."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        mark = line.strip().upper()
        inside = inside or mark == "BEGIN:VTIMEZONE"
        if not inside:
            kept.append(line)
        inside = inside and mark != "END:VTIMEZONE"
    return "\r\n".join(kept)


def _paragraph(head: str, event: Any) -> str:
    shown = [("主题", _line(event.get("SUMMARY"))), ("时间", _times(event)), ("地点", _line(event.get("LOCATION")))]
    return "\n".join([f"[{head}]", *(f"{label}：{words}" for label, words in shown if words)])


def _times(event: Any) -> str:
    times = [_time(event[name].dt) for name in ("DTSTART", "DTEND") if name in event]
    return " – ".join(times)


def _time(value: date) -> str:
    """As the calendar says it, its zone with it."""
    if not isinstance(value, datetime):
        return value.isoformat()
    return f"{value:%Y-%m-%d %H:%M}" + (f" ({value.tzname()})" if value.tzname() else "")


def _line(value: Any) -> str:
    return single_line(str(value))[:_SHOWN] if value is not None else ""
