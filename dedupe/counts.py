"""How common is this? A table that counts in how many of the latest messages each n-gram is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from normalizer.fingerprint import BITS, Hashes

#: Counters a message; and of a new table at least and at most, one for each possible n-gram.
CELLS, LEAST, MOST = 16, 1 << 20, 1 << BITS
#: Messages counted before a new table begins, at least.
TERM = 1 << 14


class Counts:
    """Two tables: one counts, the other is of before. When the one has half of all messages, the other is forgotten."""

    def __init__(self) -> None:
        self._now = np.zeros(LEAST, np.uint16)
        self._before = np.zeros(1, np.uint16)
        self._counted = self._counted_before = 0

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self._now.nbytes + self._before.nbytes

    def add(self, grams: Hashes, total: int) -> None:
        """One more message, of ``total``."""
        if self._counted >= max(TERM, total // 2):
            self._before, self._counted_before = self._now, self._counted
            self._now, self._counted = np.zeros(_cells(total), np.uint16), 0
        cells = (grams & np.uint32(len(self._now) - 1)).astype(np.intp)
        known = self._now[cells]
        self._now[cells] = known + (known < np.iinfo(np.uint16).max)
        self._counted += 1

    def of(self, grams: Hashes, total: int) -> NDArray[np.floating | np.integer]:
        """In how many of ``total`` messages each gram is; more than that where several share a counter."""
        now, before = self._now, self._before  # another thread may begin a new table
        found: NDArray[np.uint32] = now.take(grams & np.uint32(len(now) - 1)).astype(np.uint32)
        if not self._counted_before:
            return found
        found += before.take(grams & np.uint32(len(before) - 1))
        return found * (total / (self._counted + self._counted_before))


def _cells(total: int) -> int:
    return int(min(MOST, max(LEAST, 1 << (total * CELLS - 1).bit_length() - 1)))
