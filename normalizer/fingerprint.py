"""What a message is compared by: hashes of its n-grams and of what it names. No text stands in it.

Neighbouring characters are hashed without their order, so that a name whose characters were swapped (甲乙网, 乙甲网)
still shares them; in the name of a place the first and the third of three are hashed too, so that one with a wrong
character in the middle (中茶城, 中葉城) still shares some. A run of Latin letters and digits counts as one character.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from normalizer.lexicon import (
    ENDS,
    EVERYDAY,
    FOREIGN,
    IS_RUN,
    NO_GRAM,
    NO_NAME,
    OF_EVERY_LETTER,
    OWN_ENDING,
    RUN,
    UNIT,
    constant,
    kinds,
    known,
)
from normalizer.places import areas, numbers

Hashes = NDArray[np.uint32]
Marks = NDArray[np.uint8]

#: Of the way a fingerprint is made: two are compared only if they were made the same way.
VERSION = 1
#: Bits of a hash; the upper eight of a packed one hold its marks.
BITS = 24
#: Marks of an n-gram: it stands in the title; in a name there or right behind it; in the name of a place.
TITLE, NAME, PLACE = 1, 2, 4
#: Characters read of the title, of a place told by itself, of the text; n-grams kept of them, the first ones.
READ_TITLE, READ_PLACE, READ = 200, 200, 1_500
MOST_GRAMS = 300
#: Characters behind the title in which places count as names of it; in which places are looked for at all; and topics.
NAMES_READ, PLACES_READ, TOPICS_READ = 60, 300, 500
#: A letter is first read so far behind the title, and further only if that gives too few n-grams.
READ_FIRST = 600
#: Of a topic, that the title speaks of it.
TITLE_TOPIC = 0x80
#: Latin letters and digits, and Chinese figures before what they count. Its first character tells where to look: an
#: alternative at the beginning would be tried at each character of the letter.
_RUN = re.compile(
    "([0-9a-z一二三四五六七八九十百千两]"
    "(?:(?<=[0-9a-z])[0-9a-z]*(?:\\.[0-9]+)?|[一二三四五六七八九十百千两]*+(?=[米元天年月日点个户号层次分时岁])))"
)
_ASKS = re.compile("咨询|请问|询问|如何|怎么办|能否|是否|可以吗")
#: Tables for bytes. What a pair or triple is: its topic; whether it is none; whether it is in a list; of every letter.
_TOPIC = bytes(max(known % ENDS - 1, 0) for known in range(256))
_NO_TOPIC = bytes(known for known in range(256) if not 0 < known % ENDS < EVERYDAY)
_KNOWN = bytes(known % ENDS > 0 for known in range(256))
_IDLE = bytes(known % ENDS == OF_EVERY_LETTER for known in range(256))
#: Beside the marks, that it is an n-gram; all of them; tables for bytes: whether it is one, and its marks.
_TOLD, _ALL = 8, 15
_IS_TOLD, _MARKED = bytes(mark > 0 for mark in range(256)), bytes(mark & ~_TOLD for mark in range(256))
#: A 1 for each character of the longest letter.
_ONES = int.from_bytes(b"\1" * (READ_TITLE + READ_PLACE + READ + 4), "little")
_MARKS, _GRAM = constant(32 - BITS), constant(-1 << 32 - BITS & 0xFFFFFFFF)
_IS_MARK = np.array(TITLE | NAME | PLACE, np.uint8)
_MIX, _MIX_DIFFERING, _SPREAD, _HALF = map(constant, (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 15))
_GRAM_BEFORE_PLACE = np.array(32, np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What a message is compared by."""

    #: Its n-grams, sorted, each once: for finding candidates and for comparing. A hash of ``BITS`` bits, below it where it
    #: stands: ``TITLE``, ``NAME``, ``PLACE``.
    marked: Hashes
    #: Numbers of its topics (``lexicon.TOPIC_NAMES``), with ``TITLE_TOPIC`` where the title speaks of them.
    topics: bytes
    #: Cities, districts, towns (``places.areas``).
    areas: tuple[int, ...]
    #: Lines, phases, buildings, years (``places.numbers``).
    numbers: tuple[int, ...]
    #: The title asks something.
    asks: bool

    @property
    def grams(self) -> Hashes:
        """The hashes alone."""
        return self.marked >> _MARKS

    @property
    def marks(self) -> Marks:
        """For each where it stands."""
        return self.marked.astype(np.uint8) & _IS_MARK

    def pack(self) -> bytes:
        """The version, how many there are of each, then one byte a topic, three an area or number, four an n-gram."""
        counts = (len(self.topics), len(self.areas), len(self.numbers), int(self.asks))
        facts = b"".join(fact.to_bytes(3, "little") for fact in (*self.areas, *self.numbers))
        return bytes((VERSION, *counts)) + self.topics + facts + self.marked.astype("<u4", copy=False).tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Fingerprint:
        """The inverse of ``pack``. Raises ValueError: made in another way, or cut short."""
        if len(data) < 5 or data[0] != VERSION:
            raise ValueError("no fingerprint of this version")
        topics, named, counted, asks = data[1:5]
        facts = 5 + topics
        grams = facts + 3 * (named + counted)
        if len(data) < grams or (len(data) - grams) % 4:
            raise ValueError("a fingerprint is cut short")
        found = _facts(data[facts:grams])
        marked = np.frombuffer(data, "<u4", offset=grams).astype(np.uint32, copy=False)
        return cls(marked, data[5:facts], found[:named], found[named:], bool(asks))


@lru_cache(4096)
def _facts(packed: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(packed[at : at + 3], "little") for at in range(0, len(packed), 3))


def fingerprint(title: str, text: str, place: str | None = None) -> Fingerprint:
    """Make the fingerprint of a message from its words in the form for matching; total: any text gives one.

    ``place``: where the citizen says it is, when he was asked for it.
    """
    heading = title[:READ_TITLE].replace("\n", " ")
    words = f"{(place or '')[:READ_PLACE]}\n{text[:READ]}"
    signs = _shortened(f"{heading}\n{words}\n\n")
    first = signs.index("\n") + READ_FIRST
    letter = _Letter(signs[:first])
    marked, more = letter.grams()
    if not more and len(signs) > first:
        marked, _ = _Letter(signs).grams()
    asks = bool(_ASKS.search(heading))
    return Fingerprint(marked, letter.topics(), areas(heading, words), numbers(heading, words), asks)


class _Letter:
    """A message as numbers: its characters, its pairs and triples of neighbours, each by its place.

    What holds of some of them is one long number with a byte for each, 1 or 0, the lowest for the first. Shifted right by
    eight bits, it tells of each what held of the next one. So a whole letter takes one step.
    """

    def __init__(self, words: str) -> None:
        self._title = words.index("\n")
        self._signs = np.frombuffer(words.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)
        self._kinds = int.from_bytes(kinds(self._signs).tobytes(), "little")
        pairs, self._triples = known(self._signs)
        self._pairs = pairs.tobytes()

    def topics(self) -> bytes:
        """Of the title, marked, and of the first words."""
        begins, end = self._title, self._title + TOPICS_READ
        titled = set(self._pairs[:begins].translate(_TOPIC, _NO_TOPIC))
        told = set(self._pairs[begins:end].translate(_TOPIC, _NO_TOPIC))
        for at, word in self._triples.items():
            if at < end and word < EVERYDAY:
                (titled if at < begins else told).add(word - 1)
        return bytes(sorted(told - titled)) + bytes([topic | TITLE_TOPIC for topic in sorted(titled)])

    def grams(self) -> tuple[Hashes, bool]:
        """Pairs and triples of characters, as ``Fingerprint.marked``; whether more are left out."""
        rows, size = self._rows(), len(self._signs) - 3
        at = np.frombuffer(rows.translate(_IS_TOLD), bool).nonzero()[0]
        marked = self._hashes().take(at)
        marked &= _GRAM
        marked |= np.frombuffer(rows.translate(_MARKED, b"\0"), np.uint8)
        found = _once(marked)
        if more := len(found) > MOST_GRAMS:
            found = _once(_first(marked, at % size * 3 + at // size))
        return found, more

    def _hashes(self) -> Hashes:
        """Mixed from what does not depend on the order of the characters; the hash is in the upper bits."""
        first, second, third = self._signs[:-3], self._signs[1:-2], self._signs[2:-1]
        mixed, differing = np.empty((3, len(first)), np.uint32), np.empty((3, len(first)), np.uint32)
        for rows, combine in ((mixed, np.add), (differing, np.bitwise_xor)):
            combine(first, second, rows[0])
            combine(rows[0], third, rows[1])
            combine(first, third, rows[2])
        mixed *= _MIX
        differing *= _MIX_DIFFERING
        mixed ^= differing
        mixed ^= mixed >> _HALF
        mixed *= _SPREAD
        return mixed

    def _rows(self) -> bytes:
        """The marks of pairs, of triples, of the first and third of three, by where they begin; 0: it is no n-gram."""
        covered = self._covered()
        inside, around = self._places(covered)
        untold = self._of(NO_GRAM)
        untold |= untold >> 8 | int.from_bytes(self._pairs.translate(_IDLE), "little")
        pairs, known = _ONES & ~untold, covered | covered >> 8
        rows = (
            (pairs, inside & inside >> 8, known),
            (pairs & pairs >> 8, inside & inside >> 16, known | covered >> 16),
            (around, around, 0),
        )
        size = len(self._signs) - 3
        title, near = _first_ones(self._title), _first_ones(self._title + NAMES_READ)
        marked, within = _ONES * _TOLD | title * TITLE, (1 << 8 * size) - 1
        marks = [marked | placed * PLACE | (placed & near | title & ~known) * NAME for _, placed, known in rows]
        found = [told * _ALL & mark & within for (told, _, _), mark in zip(rows, marks, strict=True)]
        return b"".join([row.to_bytes(size, "little") for row in found])

    def _covered(self) -> int:
        """The characters of a known word, of an area, of a figure with what it counts: of no name."""
        listed = int.from_bytes(self._pairs.translate(_KNOWN), "little")
        covered = self._of(NO_NAME) | listed | listed << 8
        for at in self._triples:
            covered |= 0x010101 << 8 * at
        runs = self._of(IS_RUN)
        covered |= runs << 8 & self._of(UNIT)
        return covered & ~runs | runs & (covered | self._of(FOREIGN)) >> 8

    def _places(self, covered: int) -> tuple[int, int]:
        """The characters of the names of places: two to four before what they end in; and where three of one begin."""
        ends = (self._kinds | int.from_bytes(self._pairs, "little")) >> 7 & _first_ones(self._title + PLACES_READ)
        ends &= ~((covered | self._of(IS_RUN)) << 8 | covered << 16 | 0x0101)
        third = ends >> 24 & ~covered
        fourth = third >> 8 & ~covered
        return ends >> 8 | ends >> 16 | third | fourth, third | fourth | (ends & self._of(OWN_ENDING)) >> 16

    def _of(self, kind: int) -> int:
        """The characters of that kind."""
        return self._kinds >> kind.bit_length() - 1 & _ONES


def _first_ones(characters: int) -> int:
    """So many of the first characters."""
    return _ONES & (1 << 8 * characters) - 1


def _shortened(words: str) -> str:
    """Each run of Latin letters and digits as one character."""
    parts = _RUN.split(words)
    parts[1::2] = map(_sign, parts[1::2])
    return "".join(parts)


def _sign(run: str) -> str:
    return chr(RUN + zlib.crc32(run.encode()) % 0xFFF0)


def _once(marked: Hashes) -> Hashes:
    """Sorted, each hash once, with the marks of all its places."""
    found = np.sort(marked)
    return np.bitwise_or.reduceat(found, starts(found >> _MARKS)) if len(found) else found


def starts(grams: NDArray[np.integer]) -> NDArray[np.intp]:
    """Where another one begins."""
    begins = np.empty(len(grams), bool)
    begins[:1] = True
    np.not_equal(grams[1:], grams[:-1], begins[1:])
    return begins.nonzero()[0]


def _first(marked: Hashes, order: NDArray[np.intp]) -> Hashes:
    """Those before the next hash that would be one too many; ``order``: where each stands in the letter."""
    ordered = (marked >> _MARKS).astype(np.uint64) << _GRAM_BEFORE_PLACE | order.astype(np.uint64)
    ordered.sort()
    first = ordered.take(starts(ordered >> _GRAM_BEFORE_PLACE)).astype(np.uint32)
    kept: Hashes = marked[order < np.partition(first, MOST_GRAMS)[MOST_GRAMS]]
    return kept
