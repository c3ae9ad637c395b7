"""Who wrote this lately? A table of rings: for every n-gram the newest messages that held it, in bounded space and time.

A gram leads to one ring, which it may share with others; a slot of it holds a message's position and the rest of the gram,
by which those of others are told apart. The table grows ring by ring with the messages (linear hashing, Litwin 1980): a ring
is split in two by one more bit of the grams in it. Nothing is ever moved at once or rebuilt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from normalizer.fingerprint import BITS, Hashes
from normalizer.lexicon import constant

#: Slots of a ring, and rings for so many messages.
SLOTS, RINGS, MESSAGES = 32, 9, 2
#: Bits of a slot that are a position; above them stand the upper bits of the gram, whose lower bits are the ring.
POSITION_BITS = 20
REST_BITS = 32 - POSITION_BITS
#: Positions come round after this one; 0 stands for none, and the message there, one in a million, is not found.
ROUND = (1 << POSITION_BITS) - 1
#: Rings of an empty table, at least as many as the bits can name that stand in no slot; and rings split at a time.
LEAST, STEP = 1 << 16, 1 << 10
_FIRST, _ROUND = constant(1), constant(ROUND)
_ONE, _LAST = np.array(1, np.uint8), np.array(SLOTS - 1, np.uint8)
_UPPER, _UPPERMOST = constant(BITS - REST_BITS), constant(POSITION_BITS)


class Rings:
    """Takes messages by position, one after the other, and finds the positions again by grams."""

    def __init__(self, most: int) -> None:
        """Room for ``most`` messages; memory is used as they come. Raises ValueError: above a million (``ROUND``)."""
        if not 0 < most < ROUND:
            raise ValueError(f"an index holds 1 to {ROUND - 1} messages")
        self._room = max(LEAST, most * RINGS // MESSAGES)
        self._slots = np.zeros((self._room, SLOTS), np.uint32)  # the system gives pages of it when they are written to
        self._flat = self._slots.reshape(-1)
        self._turns = np.zeros(self._room, np.uint8)
        self._size = LEAST

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self._size * (SLOTS * self._slots.itemsize + self._turns.itemsize)

    def grow(self, messages: int) -> None:
        """Make room for so many messages."""
        while self._size < min(self._room, messages * RINGS // MESSAGES):
            self._split(min(self._size + STEP, self._room, 2 * self._half))

    def add(self, position: int, grams: Hashes) -> None:
        """The message at this position has these grams."""
        rings = self._rings(grams)
        turns = self._turns.take(rings)
        places = rings * SLOTS
        places += turns
        self._flat[places] = _rest(grams) | np.uint32(position & ROUND)
        turns += _ONE
        turns &= _LAST
        self._turns[rings] = turns

    def look(self, grams: Hashes, first: int) -> tuple[NDArray[np.intp], NDArray[np.uint32]]:
        """The newest messages of each gram: which of the grams led there, and how far from ``first`` the message is.

        What is further from it than the newest message is older than ``first``.
        """
        slots = self._slots.take(self._rings(grams), axis=0)
        slots ^= _rest(grams)[:, None]  # where the rest is the same, the position is left
        slots -= _FIRST  # and what was empty is the greatest
        places = (slots < _ROUND).reshape(-1).nonzero()[0]
        away = slots.reshape(-1).take(places)
        away -= np.uint32((first - 1) & ROUND)
        away &= _ROUND
        return places // SLOTS, away

    @property
    def _half(self) -> int:
        """The greatest power of two that is not above the size: from there on rings are halves of earlier ones."""
        return 1 << (self._size.bit_length() - 1)

    def _rings(self, grams: Hashes) -> NDArray[np.intp]:
        half = self._half
        rings = (grams & np.uint32(2 * half - 1)).astype(np.intp)
        rings -= half * (rings >= self._size)
        return rings

    def _split(self, end: int) -> None:
        """Up to ring ``end``; of the two rings of each split, the slots that became empty are the next to be filled."""
        half = self._half
        new, old = slice(self._size, end), slice(self._size - half, end - half)
        order = (self._turns[old, None] + np.arange(SLOTS)) % SLOTS
        slots = np.take_along_axis(self._slots[old], order, 1)
        upper = slots & np.uint32(half << (32 - BITS)) != 0
        for rings, theirs in ((old, ~upper), (new, upper)):
            kept = slots * theirs
            self._slots[rings] = np.take_along_axis(kept, np.argsort(kept != 0, axis=1, kind="stable"), 1)
            self._turns[rings] = 0
        self._size = end


def _rest(grams: Hashes) -> Hashes:
    rest: Hashes = grams >> _UPPER
    rest <<= _UPPERMOST
    return rest
