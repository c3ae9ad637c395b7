"""Are place, time, body and several matters found right? Run: python -m bench.quality_fields.

On sets of our own (tests/data/fields, invented): part 1 was written before the rules; 2, 3 and 4 each after the rules of that
day and without a look at them, and the rules were mended by what they showed. Parts 6 to 12 ask for bodies only; at first sight .89, .88, .86, .96, .91, .92, .91
right. Each line: the part, the text, what it is read by, what is right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from normalizer.party import speaks_for, target_unit
from normalizer.several import several
from normalizer.when import occurred
from normalizer.where import division, where

OWN = Path(__file__).resolve().parent.parent / "tests" / "data" / "fields"
CITY = ZoneInfo("Asia/Shanghai")
_WRITTEN = datetime(2026, 11, 26, 16, 20, tzinfo=CITY)
#: A letter of the median length, 230 characters, invented.
LETTER = (
    "尊敬的领导您好，我是历下区翠湖小区5号楼的业主，小区东门外的红太阳烧烤店从今年9月起每天营业到凌晨两点，油烟和噪音非常大，"
    "昨晚11点半还在路边摆桌子喝酒划拳，孩子马上要中考，老人有心脏病，根本没有办法休息。我们多次找翠湖小区物业和街道办反映，"
    "物业说管不了，街道办让找城管局，城管局来看过一次以后就没有下文。另外店里的泔水直接倒进雨水井，夏天臭气熏天，我们白天上班很累，晚上又睡不好，身体都要垮了。"
    "恳请有关部门尽快处理，还我们一个安静的生活环境，谢谢，盼复。"
)


@dataclass(frozen=True, slots=True)
class Row:
    """How well one field is found."""

    field: str
    half: int
    right: int
    asked: int
    told: int
    """How many of the texts tell it."""
    missed: int
    wrong: int
    """Found otherwise than told, or where none is told."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds for the letter, the least of many rounds."""

    field: str
    micros: float


@dataclass(frozen=True, slots=True)
class Fields:
    """All figures."""

    rows: list[Row]
    costs: list[Cost]


def cases(name: str) -> list[list[Any]]:
    """The lines of a set."""
    return [json.loads(line) for line in (OWN / f"{name}.jsonl").read_text("utf-8").splitlines()]


def answers() -> Iterator[tuple[str, int, str, Any, Any]]:
    """Field, half, text, what is right and what is found, of every case."""
    for half, text, city, place, code in cases("places"):
        found = where(text)
        yield "place", half, text, place, found and found.text
        yield (
            "place, nearly",
            half,
            text,
            place,
            place if found and _nearly(place, found.text) else found and found.text,
        )
        yield "division", half, text, code, division(found.text, city) if found else None
    for half, text, written, words, at, precision in cases("times"):
        when = occurred(text, datetime.fromisoformat(written).replace(tzinfo=CITY), CITY)
        yield "time", half, text, at and [at, precision], when and [when.at.strftime("%Y-%m-%dT%H:%M"), when.precision]
        if words != "":
            yield "time in words", half, text, words, when and text[slice(*when.span)]
    for half, text, target, *speaks in cases("bodies"):
        body, party = target_unit(text), speaks_for(text, None, None)
        yield "unit", half, text, target, body and body.name
        if speaks:
            yield "party", half, text, speaks[0], party and party[0].value
            yield "party's unit", half, text, speaks[1], party and party[1]
    for half, text, parts in cases("several"):
        matters = several(text)
        yield "several", half, text, parts or None, len(matters.spans) if matters else None


def _nearly(place: str | None, found: str) -> bool:
    """Whether most of the words are the same: 6号楼前 and 6号楼."""
    if not place or not (place in found or found in place):
        return False
    return min(len(place), len(found)) / max(len(place), len(found)) >= 0.6


def measure() -> Fields:
    """The figures of every field, by halves, and what each costs."""
    tally = dict[tuple[str, int], list[int]]()
    for field, half, _, right, found in answers():
        counts = tally.setdefault((field, half), [0, 0, 0, 0, 0])
        counts[0] += right == found
        counts[1] += 1
        counts[2] += right is not None
        counts[3] += right is not None and found is None
        counts[4] += found is not None and right != found
    rows = [Row(field, half, *counts) for (field, half), counts in sorted(tally.items())]
    return Fields(rows, [Cost(name, _micros(once)) for name, once in _timed().items()])


def _timed() -> dict[str, Callable[[], object]]:
    return {
        "place": lambda: where(LETTER),
        "division": lambda: division("历下区翠湖小区5号楼", "370100"),
        "time": lambda: occurred(LETTER, _WRITTEN, CITY),
        "unit": lambda: target_unit(LETTER),
        "party": lambda: speaks_for(LETTER, None, None),
        "several": lambda: several(LETTER),
    }


def _micros(once: Callable[[], object], rounds: int = 200, each: int = 10) -> float:
    """The least of several rounds: others use the machine too."""
    once()
    least = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(each):
            once()
        least = min(least, (time.perf_counter() - start) / each)
    return round(least * 1e6, 1)


def show(found: Fields, console: Console) -> None:
    """Print the figures."""
    table = Table("field", "part", "right", "of", "told", "missed", "wrong", box=SIMPLE)
    for row in found.rows:
        table.add_row(
            row.field,
            str(row.half),
            f"{row.right / row.asked:.1%}",
            *map(str, (row.asked, row.told, row.missed, row.wrong)),
        )
    console.print(table)
    costs = Table("field", "us a letter", box=SIMPLE)
    for cost in found.costs:
        costs.add_row(cost.field, f"{cost.micros:.1f}")
    costs.add_row("all", f"{sum(cost.micros for cost in found.costs):.1f}")
    console.print(costs)


if __name__ == "__main__":
    show(measure(), Console(width=120))
