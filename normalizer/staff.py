"""Complaints about the hotline's own people, which they must not get to see themselves. Pure, by rule."""

from __future__ import annotations

import re

from normalizer.model import Frozen

#: Characters looked at: who complains says so early.
_READ = 4_000
_BLAME = "投诉|批评|举报|控告"
_STAFF = (
    "话务员|话务人员|接线员|接线人员|接话员|接听员|"
    "(?:12345|热线)(?:平台|热线|中心|的|，|,){0,2}(?:工作人员|客服|坐席|座席|受理员)"
)
#: 投诉……话务员, in one clause and either order; 投诉工号1001, where no other employer's is named.
_COMPLAINT = re.compile(
    rf"(?:{_BLAME})[^，,。；;！？!?\n]{{0,15}}?(?:{_STAFF})"
    rf"|(?:{_STAFF})[^。！？!?\n]{{0,30}}?(?:{_BLAME})(?:她|他|其|这|该|[，,。；;！!\n]|$)"
    rf"|(?:{_BLAME})(?:一下|你们|贵热线|贵中心|12345|热线|的){{0,3}}工号[^\w]{{0,2}}[A-Za-z]?[0-9]{{2,10}}"
)
_NUMBER = re.compile(r"工号(?:是|为|[^\w]){0,2}([A-Za-z]?[0-9]{2,10})(?![0-9])")


class Staff(Frozen):
    """What a text says against the hotline's people."""

    span: tuple[int, int]
    """The words that say so."""
    numbers: tuple[str, ...] = ()
    """Staff numbers (工号) in the text."""


def against_staff(text: str) -> Staff | None:
    """The complaint about the hotline's own people in a cleaned text; None where there is none."""
    head = text[:_READ]
    found = _COMPLAINT.search(head)
    return Staff(span=found.span(), numbers=staff_numbers(head)) if found else None


def staff_numbers(text: str) -> tuple[str, ...]:
    """Staff numbers (工号) in the words, in their order."""
    return tuple(dict.fromkeys(_NUMBER.findall(text[:_READ])))
