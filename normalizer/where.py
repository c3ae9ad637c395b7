"""Where a matter is: the most specific address in the words, and the division it names (GB/T 2260). Pure, by rule.

A name's end gives it away (泉城路, 翠湖小区); its beginning is the end of the name before it, or of a word that is part of
none. One automaton finds the ends, those words and the names of the country's divisions in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ahocorasick_rs import AhoCorasick, MatchKind

from normalizer.divisions import division, names
from normalizer.where_words import (
    AND,
    AT_END,
    BEFORE_ROAD,
    BESIDE,
    BODY,
    BY_ROAD,
    COMMON,
    COMMON_ROADS,
    CROSSES,
    IS_BODY,
    LEAD,
    LENGTHS,
    LETTERS,
    LINE,
    NEAR,
    NOT_AT_NUMBER,
    NUMBERS,
    RULES,
    SOFT,
    WEIGHTS,
    WITHOUT_NAME,
    WORDS,
    ZONES,
    Part,
)

__all__ = ["READ", "Part", "Where", "division", "where"]

#: Characters read: a letter says early where it is about.
READ = 2_000


#: Looked up once: a member of an enumeration is asked for by name at every use otherwise.
_DIVISION, _TOWN, _VILLAGE, _ROAD = Part.DIVISION, Part.TOWN, Part.VILLAGE, Part.ROAD
_STATION, _BUILDING = Part.STATION, Part.BUILDING


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the words."""

    text: str
    #: The words.
    span: tuple[int, int]
    #: Where they stand.
    rule: str
    #: How it was found: place.address, place.crossing, place.metro, place.road, place.estate, ….


@dataclass(slots=True)
class _Chain:
    """Parts of one address, in a row."""

    start: int
    end: int
    part: Part
    weight: float
    rule: str
    closed: bool = False
    """What stands beside it is told: what follows is another place."""


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """The words in one automaton: first those that end a name, then those to pass over, then those of addresses."""

    automaton: AhoCorasick
    parts: tuple[Part, ...]
    stops: int
    kept: int
    divisions: int


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    """The words, and the part of each."""
    parts = {word: part for part, words in WORDS.items() for word in words.split(" ") if word} | {" ": Part.STOP}
    country = dict.fromkeys((*(name for name in names() if len(name) > 2), *ZONES))
    words = [*sorted(parts, key=lambda word: parts[word]), *(name for name in country if name not in parts)]
    stops, kept = (sum(part <= limit for part in parts.values()) for limit in (Part.STOP, Part.KEEP))
    automaton = AhoCorasick(words, matchkind=MatchKind.LeftmostLongest)
    return _Lexicon(automaton, tuple(parts.get(word, _DIVISION) for word in words), stops, kept, len(parts))


def where(text: str) -> Where | None:
    """The most specific address in a cleaned text; of two as specific the first (Weifang article 11: the specific address)."""
    head = text[:READ]
    best = max(_chains(head), key=lambda chain: chain.weight, default=None)
    if best is None or best.weight < 0.5:
        return None
    words = head[best.start : best.end]
    if words[-1] in "）)" and "（" not in words and "(" not in words:
        words = words[:-1]
    return Where(text=words, span=(best.start, best.start + len(words)), rule=best.rule)


def _chains(text: str) -> list[_Chain]:
    """The addresses in a text."""
    lexicon = _lexicon()
    kept, parts = lexicon.kept, lexicon.parts
    matches = lexicon.automaton.find_matches_as_indexes(text)
    chains = list[_Chain]()
    reached = 0
    for place in [place for place, match in enumerate(matches) if match[0] >= kept]:
        index, start, end = matches[place]
        if start < reached or _is_none(text, start, end) or _within_name(text, matches, place, lexicon):
            continue
        bound = max(reached, _stopped(text, matches, place, lexicon))
        if bound < start or index >= lexicon.divisions:
            found = _part(text, parts[index], start, end, bound)
        else:
            goes_on = start == reached > 0 and not chains[-1].closed
            found = _goes_on(text, parts[index], start, end) if goes_on else None
        if found:
            reached = found.end
            _join(text, chains, found)
    return chains


def _is_none(text: str, start: int, end: int) -> bool:
    """Whether it is certainly no end: 大学 of 大学生, 市 behind Chinese signs, 号 without a figure."""
    if end - start > 1:
        return text.startswith("学生", end - 1)
    sign, before = text[start], text[start - 1 : start]
    if sign in "市区县":
        return not before.isascii() or not before
    return sign in "号座栋幢" and not before.isalnum()


def _within_name(text: str, matches: list[tuple[int, int, int]], place: int, lexicon: _Lexicon) -> bool:
    """Whether an end is part of the name of a road or town behind it: 水屯路, 学院街道."""
    index, _, end = matches[place]
    if place + 1 == len(matches) or matches[place + 1][1] != end or not BEFORE_ROAD[lexicon.parts[index]]:
        return False
    road = lexicon.parts[matches[place + 1][0]]
    return (road is _ROAD or road is _TOWN) and text[end : end + 2] not in BY_ROAD


def _stopped(text: str, matches: list[tuple[int, int, int]], place: int, lexicon: _Lexicon) -> int:
    """Where the last word before a sign ends that is part of no name."""
    sign = matches[place][1]
    for index, start, end in reversed(matches[max(0, place - 8) : place]):
        if index < lexicon.stops and not (end == sign and text[start:end] in SOFT):
            return end
    return 0


def _goes_on(text: str, part: Part, start: int, end: int) -> _Chain | None:
    """A word without a name of its own behind a part of an address: 槐村社区, 恒隆广场地铁站."""
    if WITHOUT_NAME[part] or (part is _ROAD and end - start > 1):
        return _completed(text, _Chain(start, end, part, 0.5, RULES[part]))
    return None


def _part(text: str, part: Part, sign: int, end: int, bound: int) -> _Chain | None:
    """One part of an address, its numbers and what stands beside it; None where the end belongs to no name."""
    start = _begins(text, part, sign, end, bound)
    if start is None:
        return None
    rule = RULES[part]
    if part is _STATION:
        start, rule = _line(text, start, end)
    weight = WEIGHTS[part]
    if part is _STATION and rule != "place.metro" and end - sign == 1:
        weight = 1
    elif part is _DIVISION and text[end - 1] in "市省州盟":
        weight = 0.3
    if IS_BODY[part] and (body := BODY.match(text, end)):
        return _Chain(start, body.end(), part, 0, rule)
    return _completed(text, _Chain(start, end, part, weight, rule))


def _completed(text: str, chain: _Chain) -> _Chain:
    """A part of an address with its numbers and what stands beside it."""
    if chain.part is not _DIVISION and (numbers := NUMBERS.match(text, chain.end)):
        chain.end, chain.weight = numbers.end(), chain.weight + 1.5 + min(len(numbers[0]), 8) / 8
        chain.rule = chain.rule if chain.part is _STATION else "place.address"
    if beside := BESIDE.match(text, chain.end):
        chain.end, chain.weight = beside.end(), chain.weight + 0.5
        chain.closed = beside[0].endswith(NEAR)
    return chain


def _begins(text: str, part: Part, sign: int, end: int, bound: int) -> int | None:
    """Where the name begins that ends at a sign; None where there is no name."""
    if part is _DIVISION:
        return _lettered(text, sign, end, bound)
    longest, otherwise = LENGTHS[part]
    start = max(bound, sign - longest)
    if start > bound:
        start = sign - otherwise
    if sign - start > 2 and (lead := LEAD.match(text, start, sign)):
        start = lead.end()
    if part is _BUILDING:
        return _before_figure(text, start, sign)
    name = text[start:sign]
    least = 1 if part is _VILLAGE or part is _TOWN or name.isascii() else 2
    if part is _ROAD and text[sign] in "国省县高":
        return start
    common = COMMON_ROADS if part is _ROAD else COMMON
    return None if len(name) < least or common.match(name) else start


def _lettered(text: str, sign: int, end: int, bound: int) -> int | None:
    """The beginning of a division: of its name, or of the letters that published letters have for it (A市, A3区)."""
    if end - sign > 1:
        return sign
    letters = LETTERS.search(text, max(bound, sign - 3), sign)
    told = letters and (letters.start() == bound or text[sign] != "区" or sign - letters.start() > 1)
    return letters.start() if letters and told else None


def _before_figure(text: str, start: int, sign: int) -> int | None:
    """The beginning of a name that only the number of a building shows: 锦绣江南3栋."""
    figure = AT_END.search(text[start:sign])
    if figure is None or figure.start() < 2:
        return None
    name = text[start : start + figure.start()]
    return None if COMMON.match(name) or NOT_AT_NUMBER.search(name) else start


def _line(text: str, start: int, end: int) -> tuple[int, str]:
    """A station of the underground has its line before it."""
    line = LINE.search(text[max(0, start - 10) : start])
    if line or "号线" in text[start:end] or "地铁" in text[start:end]:
        return start - len(line[0]) if line else start, "place.metro"
    return start, RULES[_STATION]


def _join(text: str, chains: list[_Chain], found: _Chain) -> None:
    """Put a part behind the address before it, where it goes on; otherwise it begins one."""
    last = chains[-1] if chains and not chains[-1].closed else None
    gap = text[last.end : found.start] if last and found.start - last.end < 2 else None
    if last and gap is not None and found.weight and (not gap or (gap in " ，," and last.part <= _TOWN)):
        last.weight += found.weight
        last.rule = found.rule
    elif last and gap in AND and last.part is found.part is _ROAD and _crosses(text, found):
        last.weight += found.weight + 1
        last.rule = "place.crossing"
    else:
        chains.append(found)
        return
    last.end, last.part, last.closed = found.end, found.part, found.closed


def _crosses(text: str, road: _Chain) -> bool:
    """Whether it is said of a road that it meets the one before it."""
    return bool(CROSSES.search(text[road.start : road.end + 4]))
