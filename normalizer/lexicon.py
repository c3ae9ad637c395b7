"""The words of ``topics`` and ``words`` as tables of numbers: a whole letter is looked up in a few steps."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from normalizer.topics import PROBLEMS, SETTINGS
from normalizer.words import COMMON, IDLE, NAME_ENDING_SIGNS, PARTICLES, PLACE_ENDING_SIGNS, PLACE_ENDINGS

Signs = NDArray[np.uint32]
Bytes = NDArray[np.uint8]

#: The topics by their numbers.
TOPIC_NAMES = (*PROBLEMS, *SETTINGS)
#: What a pair or triple is: in no list; a topic, its number plus one; everyday; of every letter.
UNKNOWN, EVERYDAY, OF_EVERY_LETTER = 0, 126, 127
#: With any of them: ends the name of a place, or stands behind one.
ENDS = 128
#: A run of Latin letters and digits is one sign from here on (private use, Unicode section 23.5).
RUN = 0xF0000
#: Kinds of signs: in no n-gram; in no name, or ends that of an area; follows a figure; not Chinese; ends the name of a
#: place and belongs to it; is a run; ends the name of a place (the bit of ``ENDS``).
NO_GRAM, NO_NAME, UNIT, FOREIGN, OWN_ENDING, IS_RUN = (1 << bit for bit in range(6))
ENDING = ENDS

_UNITS = "米年月日点栋幢号元万亿个户米期楼条次天层岁时分多余张份名位平组所家间件种类项届班级度块千百双"


def constant(value: int) -> Signs:
    """A number for arrays of signs; numpy takes half as long with it as with a scalar of its own."""
    return np.array(value, np.uint32)


def kinds(signs: Signs) -> Bytes:
    """The kinds of each sign, as bits."""
    return _KINDS.take(signs)


def known(signs: Signs) -> tuple[Bytes, dict[int, int]]:
    """Look up what stands at each place: the pair there, and ``ENDS``; and of the triples there those in a list."""
    pairs = signs[:-2] * _FIRST ^ (signs * _SECOND)[1:-1]
    return _PAIRS.of(pairs), _TRIPLES.among(pairs ^ (signs * _THIRD)[2:])


_FIRST, _SECOND, _THIRD = map(constant, (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D))


def _hashes(words: dict[str, int]) -> Signs:
    """Of words of one length. Another pair may have a word's hash: so does one in two million."""
    signs = np.array([[ord(sign) for sign in word] for word in words], np.uint32)
    hashes: Signs = np.bitwise_xor.reduce(signs * np.array([_FIRST, _SECOND, _THIRD])[: signs.shape[1]], axis=1)
    return hashes


class _Table:
    """Words by a hash of their signs, each in a slot of its own: for letters in which many of them stand.

    The lower bits of a hash are its group, the upper ones its slot; each group's slots are moved (by exclusive or) to
    where no other word is. In a slot stand the lower bits, above the value: so one look tells whether the word is there
    and what it is. Twenty kilobytes, which stay in the processor's cache.
    """

    _SLOTS = 12
    _SLOT, _REST, _EMPTY = map(constant, (32 - _SLOTS, _SLOTS, 256))

    def __init__(self, words: dict[str, int]) -> None:
        hashes = _hashes(words)
        # With more groups fewer words are in each: some number of them soon gives each word its slot.
        moves = next(filter(None, (self._moved(hashes.tolist(), 1 << bits) for bits in range(10, 32 - self._SLOTS))))
        self._group, self._moves = constant(len(moves) - 1), np.array(moves, np.uint32)
        self._slots = np.full(1 << self._SLOTS, self._EMPTY, np.uint32)
        self._slots[self._slots_of(hashes)] = hashes << self._REST | np.array(list(words.values()), np.uint32)

    def of(self, hashes: Signs) -> Bytes:
        """The value of each, ``UNKNOWN`` (256 as a byte) of what is no word."""
        found = self._slots.take(self._slots_of(hashes))
        found ^= hashes << self._REST
        return np.minimum(found, self._EMPTY, out=found).astype(np.uint8)

    def _slots_of(self, hashes: Signs) -> Signs:
        slots = self._moves.take(hashes & self._group)
        slots ^= hashes >> self._SLOT
        return slots

    def _moved(self, hashes: list[int], count: int) -> list[int] | None:
        """How each of so many groups is moved, the largest first; None: some word finds no slot."""
        groups: list[list[int]] = [[] for _ in range(count)]
        for number in hashes:
            groups[number & count - 1].append(number >> 32 - self._SLOTS)
        taken, moves = set[int](), [0] * count
        for group in sorted(range(count), key=lambda group: -len(groups[group])):
            slots = groups[group]
            free = (move for move in range(1 << self._SLOTS) if taken.isdisjoint(slot ^ move for slot in slots))
            move = next(free, None)
            if move is None or len(set(slots)) < len(slots):
                return None
            moves[group] = move
            taken.update(slot ^ move for slot in slots)
        return moves


class _Sieve:
    """Words by a hash of their signs: for letters in which few of them stand. What may be one is looked up by itself."""

    _BITS = 15
    _CELL = constant(32 - _BITS)

    def __init__(self, words: dict[str, int]) -> None:
        hashes = _hashes(words)
        self._values = dict(zip(hashes.tolist(), words.values(), strict=True))
        self._perhaps = np.zeros(1 << self._BITS, bool)
        self._perhaps[hashes >> self._CELL] = True

    def among(self, hashes: Signs) -> dict[int, int]:
        """The value of each that is a word, by its place."""
        at = self._perhaps.take(hashes >> self._CELL).nonzero()[0]
        found = zip(at.tolist(), hashes.take(at).tolist(), strict=True)
        return {place: self._values[hash_] for place, hash_ in found if hash_ in self._values}


def _words(length: int) -> dict[str, int]:
    """Every word of so many characters with its number; one in two lists belongs to the topic."""
    found = dict.fromkeys(COMMON.split(), EVERYDAY) | dict.fromkeys(IDLE.split(), OF_EVERY_LETTER)
    for number, words in enumerate((*PROBLEMS.values(), *SETTINGS.values()), 1):
        found |= dict.fromkeys(words.split(), number)
    found |= {word: found.get(word, UNKNOWN) | ENDS for word in PLACE_ENDINGS.split()}
    return {word: number for word, number in found.items() if len(word) == length}


def _kinds() -> Bytes:
    table = np.full(sys.maxunicode + 1, FOREIGN, np.uint8)
    table[0x3400:0xA000] = 0
    table[RUN:] |= IS_RUN
    table[[code for code in range(0x10000) if not chr(code).isalnum()]] |= NO_GRAM | NO_NAME
    marked = (
        (PARTICLES, NO_GRAM | NO_NAME),
        ("省市区县镇乡村", NO_NAME),
        (_UNITS, UNIT),
        (PLACE_ENDING_SIGNS, ENDING),
        (NAME_ENDING_SIGNS, OWN_ENDING),
    )
    for signs, kind in marked:
        table[[ord(sign) for sign in signs]] |= kind
    return table


_KINDS = _kinds()
_PAIRS, _TRIPLES = _Table(_words(2)), _Sieve(_words(3))
