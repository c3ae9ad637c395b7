"""The index of what was written lately: for a message, the earlier ones that share rare n-grams with it.

Held in memory by every node, made from the store's log of fingerprints; no text is in it, and none can be read from it. What
a search costs does not depend on how many messages there are. Older generations of messages are dropped whole.
"""

from __future__ import annotations

from array import array
from collections import deque
from datetime import UTC, datetime, timedelta
from math import log2
from struct import Struct
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from dedupe.counts import Counts
from dedupe.rings import Rings
from normalizer.fingerprint import NAME, PLACE, TITLE, Fingerprint, Hashes, starts
from normalizer.lexicon import constant

#: N-grams of a message that are written and looked up: those of the title and of names of places, then those with the least
#: hashes, which others that have them choose too. They find .963 of the labelled pairs of bench/, 128 by hash alone .938.
MOST_GRAMS = 96
#: Messages of a generation, unless the index holds fewer than eight of them.
GENERATION = 4096
#: A gram in more than this share of the messages leads nowhere, unless these are very few.
COMMON, FEW = 0.01, 64
#: Where there are fewer messages than this, n-grams count as rare as if there were so many: an incident may be all there is.
SMALL = 1000
#: What is found shares at least this part of what the message has in common with any, and as much as so many n-grams of the
#: rarest.
LEAST_SHARE, LEAST_RARE = 0.07, 3.0
#: Weights are whole numbers of this part of a bit, so that they are sorted together with the positions.
PART, WEIGHT_BITS = 1 / 16, 10
#: Before a packed fingerprint: time, number and message.
HEAD = Struct("<dq16s")
_TIME = Struct("<d")


class Entry(NamedTuple):
    """One message in the index."""

    #: Of its row in the store's log.
    number: int
    message_id: UUID
    #: When it came.
    at: datetime
    fingerprint: Fingerprint


class Found(NamedTuple):
    """An earlier message that shares rare n-grams."""

    entry: Entry
    #: How rare the shared n-grams are together, in bits: one that stands in one of 1,024 messages counts 10.
    weight: float


class Index:
    """What was written within ``window``, the newest ``most`` messages of it. Also tells how common n-grams are."""

    def __init__(self, window: timedelta, most: int = 1_000_000) -> None:
        """Raises ValueError: ``most`` above a million (``dedupe.rings.ROUND``)."""
        self.window, self._most = window, most
        self._rings, self._counts = Rings(most), Counts()
        self._size = max(1, min(GENERATION, most // 8))
        self._generations: deque[Generation] = deque([Generation(1)])
        self._next = 1
        self._newest = datetime.min.replace(tzinfo=UTC)

    def __len__(self) -> int:
        return self._next - self._first

    @property
    def total(self) -> int:
        """Messages in it."""
        return len(self)

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self._rings.nbytes + self._counts.nbytes + sum(one.nbytes for one in self._generations)

    def of(self, grams: Hashes) -> NDArray[np.floating | np.integer]:
        """In how many of the messages each n-gram is, about; more than that where some share a counter."""
        return self._counts.of(grams, len(self))

    def add(self, entry: Entry) -> None:
        """Take a message in; they come in about the order in which they were written."""
        if len(self._generations[-1]) == self._size:
            self._generations.append(Generation(self._next))
        self._generations[-1].add(entry)
        grams = entry.fingerprint.grams
        self._rings.grow(len(self) + 1)
        self._rings.add(self._next, _telling(entry.fingerprint))
        self._counts.add(grams, len(self) + 1)
        self._next += 1
        self._newest = max(self._newest, entry.at)
        while len(self._generations) > 1 and self._is_over(self._generations[0]):
            self._generations.popleft()

    def find(self, fingerprint: Fingerprint, at: datetime, most: int = 20) -> list[Found]:
        """The messages within the window of ``at`` that share most, those first that share more."""
        places, weights = self._sharing(_telling(fingerprint))
        now, window, found = at.timestamp(), self.window.total_seconds(), list[Found]()
        for best in np.argsort(weights)[::-1].tolist():
            number, place = divmod(int(places[best]), self._size)
            generation = self._generations[number]
            if abs(now - generation.time(place)) <= window:
                found.append(Found(generation.entry(place), float(weights[best]) * PART))
                if len(found) == most:
                    break
        return found

    @property
    def _first(self) -> int:
        return self._generations[0].first

    def _is_over(self, generation: Generation) -> bool:
        return len(self) - len(generation) >= self._most or self._newest - generation.newest > self.window

    def _sharing(self, grams: Hashes) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Messages that share enough, by their place from the oldest on, and the weight of what they share."""
        total, rarest = len(self), log2(max(len(self), SMALL))
        frequencies = self.of(grams)
        telling = ((frequencies > 0) & (frequencies <= max(FEW, COMMON * total))).nonzero()[0]
        rarity = rarest - np.log2(np.maximum(frequencies.take(telling), 1))
        floor = max(LEAST_SHARE * float(rarity.sum()), LEAST_RARE * rarest) / PART
        gram, away = self._rings.look(grams.take(telling), self._first)
        # One number each, place before weight: sorting brings together what belongs to one message.
        away <<= _WEIGHT
        away |= (rarity * (1 / PART)).astype(np.uint32).take(gram)
        away.sort()
        places = away >> _WEIGHT
        begins = starts(places)
        if not len(begins):
            return places, places
        away &= _WEIGHTS
        sums, places = np.add.reduceat(away, begins), places.take(begins)
        enough = ((sums >= floor) & (places < total)).nonzero()[0]
        return places.take(enough), sums.take(enough)


_WEIGHT, _WEIGHTS = constant(WEIGHT_BITS), constant((1 << WEIGHT_BITS) - 1)
_ANY_MARK = constant(TITLE | NAME | PLACE)


def _telling(made: Fingerprint) -> Hashes:
    """What a message is found by."""
    grams = made.grams
    if len(grams) <= MOST_GRAMS:
        return grams
    marked = (made.marked & _ANY_MARK).astype(bool)
    named = grams[marked][:MOST_GRAMS]
    return np.concatenate([named, grams[~marked][: MOST_GRAMS - len(named)]])


class Generation:
    """Messages that came one after the other, as compactly as they can stand."""

    def __init__(self, first: int) -> None:
        #: Position of its first message.
        self.first = first
        self.newest = datetime.min.replace(tzinfo=UTC)
        self._records = bytearray()
        #: Where each record begins, and the last one ends.
        self._bounds = array("L", [0])

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return len(self._records) + len(self._bounds) * self._bounds.itemsize

    def add(self, entry: Entry) -> None:
        """The next message."""
        self._records += HEAD.pack(entry.at.timestamp(), entry.number, entry.message_id.bytes)
        self._records += entry.fingerprint.pack()
        self._bounds.append(len(self._records))
        self.newest = max(self.newest, entry.at)

    def time(self, place: int) -> float:
        """When a message came, seconds since the epoch."""
        at: float = _TIME.unpack_from(self._records, self._bounds[place])[0]
        return at

    def entry(self, place: int) -> Entry:
        """A message as it was added."""
        begin, end = self._bounds[place], self._bounds[place + 1]
        at, number, message_id = HEAD.unpack_from(self._records, begin)
        made = Fingerprint.unpack(bytes(memoryview(self._records)[begin + HEAD.size : end]))
        return Entry(number, UUID(bytes=message_id), datetime.fromtimestamp(at, UTC), made)
