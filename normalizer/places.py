"""What tells two matters apart by rule: the areas that a letter names, and the numbers of lines, phases, buildings."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache

#: Characters behind the title in which areas and numbers are looked for: later ones are told as an aside.
AREAS_READ, NUMBERS_READ = 200, 400
#: Of each at most.
MOST = 24


class Scale(IntEnum):
    """How large an area is."""

    CITY = 0
    COUNTY = 1
    """A district or county: 区, 县."""
    TOWN = 2
    """A town or street office: 镇, 乡, 街道."""


class Kind(IntEnum):
    """What a number counts."""

    LINE = 1
    """Of the underground: 3号线."""
    ROUTE = 2
    """Of a bus: 204路."""
    PHASE = 3
    """Of an estate: 二期."""
    BUILDING = 4
    """16栋."""
    GROUP = 5
    """Of a village: 五组."""
    YEAR = 6
    """2026年."""


#: Bits of a fact: what it is, whether the title says it, and which one.
_VALUE = 17
IN_TITLE = 1 << _VALUE
_SHIFT = _VALUE + 1

_KINDS = {
    "号线": Kind.LINE,
    "路": Kind.ROUTE,
    "期": Kind.PHASE,
    "栋": Kind.BUILDING,
    "幢": Kind.BUILDING,
    "号楼": Kind.BUILDING,
    "组": Kind.GROUP,
    "年": Kind.YEAR,
}
#: What a number counts, and before it the number. Patterns begin with one set of characters: so they are found fastest.
_COUNTED = re.compile("[路期栋幢组年号](?<=[0-9一二三四五六七八九十].)(?:(?<!号)|[线楼])")
_NUMBER = re.compile("(?:[0-9]{1,5}|[一二三四五六七八九十]{1,3})\\Z")
#: The one before, of two in a row: 1、2号线; a line may end between them.
_AND = re.compile("([0-9]{1,4})[、,和与及-]\n?\\Z")
_MAY_BE_AND = "、,和与及-\n"
_NUMERALS = {sign: value for value, sign in enumerate("零一二三四五六七八九十")}
_SCALES = {"市": Scale.CITY, "区": Scale.COUNTY, "县": Scale.COUNTY} | dict.fromkeys(("镇", "乡", "街道"), Scale.TOWN)
#: Letters for the names, as published letters have them: A市, A3区.
_LETTERS = re.compile("([a-z])([0-9]{0,2})$")
#: No character of a name before 市, 区, 县 and the like: 小区, 城市, 本县, 在镇.
_NO_NAME = (
    "[小社地辖园校片城景学发置郊新院库街厂本我全各超都门夜上楼股菜省该县安两住功商营业战乡到在的了是和与及有为从对]"
)
#: Two that are no name either: 居民区, 贫困县.
_NO_NAMES = "(?<!居民.)(?<!生活.)(?<!办公.)(?<!服务.)(?<!度假.)(?<!施工.)(?<!保护.)(?<!贫困.)"
#: Behind letters, or behind two characters of a name.
_AREA_END = re.compile(
    f"[市区县镇乡街](?:(?<=[a-z0-9\n].)|(?<!{_NO_NAME}.)(?<!{_NO_NAME}..){_NO_NAMES}(?<=[\u4e00-\u9fff]{{2}}.))(?:(?<!街)|道)"
)


def areas(heading: str, words: str) -> tuple[int, ...]:
    """The areas that a message names, as numbers: what scale, whether in the title, and a hash of the name."""
    read, title, found = f"{heading}\n{words[:AREAS_READ]}", len(heading), set[int]()
    for match in _AREA_END.finditer(read):
        at = match.start()
        where = IN_TITLE if at < title else 0
        if not read[at - 1].isascii():
            found.add(_fact(_SCALES[match[0]], where, _hashed(read[at - 2 : at])))
        elif letters := _LETTERS.search(read, max(at - 3, 0), at):
            found.update([fact | where for fact in _lettered(*letters.groups())])
    return tuple(sorted(found)[:MOST])


def numbers(heading: str, words: str) -> tuple[int, ...]:
    """The lines, routes, phases, buildings, groups and years that a message names, as numbers."""
    read, title, found = f"{heading}\n{words[:NUMBERS_READ]}", len(heading), set[int]()
    for match in _COUNTED.finditer(read):
        end, kind = match.start(), _KINDS[match[0]]
        for number in _NUMBER.finditer(read, max(end - 5, 0), end):
            at, values = number.start(), _values(number[0])
            if at and read[at - 1] in _MAY_BE_AND and (before := _AND.search(read, max(at - 5, 0), at)):
                values |= _values(before[1])
            where = IN_TITLE if at < title else 0
            found.update(
                [_fact(kind, where, value) for value in values if kind is not Kind.YEAR or 2000 <= value < 2100]
            )
    return tuple(sorted(found)[:MOST])


@lru_cache(4096)
def by_kind(facts: tuple[int, ...], *, of_title: bool = False) -> Mapping[int, frozenset[int]]:
    """Which ones of each scale or kind are among the facts; only those of the title, if asked."""
    found: dict[int, set[int]] = {}
    for fact in facts:
        if fact & IN_TITLE or not of_title:
            found.setdefault(fact >> _SHIFT, set()).add(fact & (IN_TITLE - 1))
    return {kind: frozenset(values) for kind, values in found.items()}


def excluding(a: Mapping[int, frozenset[int]], b: Mapping[int, frozenset[int]], kind: Scale | Kind) -> bool:
    """Whether both name some of that scale or kind, and none in common."""
    return kind in a and kind in b and a[kind].isdisjoint(b[kind])


@lru_cache(1024)
def _lettered(city: str, county: str) -> tuple[int, ...]:
    """The areas that letters stand for: a3 is 3 of a."""
    of_city = _fact(Scale.CITY, 0, _hashed(city))
    return (of_city, _fact(Scale.COUNTY, 0, _hashed(city + county))) if county else (of_city,)


def _fact(what: Scale | Kind, where: int, value: int) -> int:
    return what << _SHIFT | where | value


@lru_cache(4096)
def _hashed(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "replace")) & (IN_TITLE - 1)


@lru_cache(1024)
def _values(digits: str) -> frozenset[int]:
    """Read 12 or 十二; 一二 are two: 一二号线."""
    if digits.isascii():
        return frozenset((int(digits),))
    tens, ten, ones = digits.partition("十")
    if not ten:
        return frozenset(_NUMERALS[sign] for sign in digits)
    return frozenset((10 * _NUMERALS.get(tens, 1) + _NUMERALS.get(ones, 0),))
