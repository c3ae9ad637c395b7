"""Drawing pairs that people are to label: as many of every tenth of the score, of one sender and of different ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from gateway.measure_pairs import Judged

#: Parts of the score, 0 to 1.
_PARTS = 10


@dataclass(slots=True)
class Draw:
    """At most ``most`` pairs of all that are shown to it; the same at every run."""

    most: int
    #: By whether one person wrote both, and the part of the score.
    _kept: dict[tuple[bool, int], list[Judged]] = field(default_factory=dict)
    _seen: dict[tuple[bool, int], int] = field(default_factory=dict)
    _dice: random.Random = field(default_factory=lambda: random.Random(12345))  # noqa: S311 - a sample, no secret

    def add(self, one: Judged) -> None:
        """Show it a pair; each of a part has the same chance (Vitter 1985, algorithm R)."""
        part = (one.own, min(int(one.score * _PARTS), _PARTS - 1))
        pool = self._kept.setdefault(part, [])
        self._seen[part] = self._seen.get(part, 0) + 1
        place = self._dice.randrange(self._seen[part])
        if len(pool) < self.most:
            pool.append(one)
        elif place < self.most:
            pool[place] = one

    def drawn(self) -> list[Judged]:
        """The pairs, in no order; where a part has too few, the others give more."""
        pools = [self._dice.sample(pool, len(pool)) for _, pool in sorted(self._kept.items())]
        turns = chain.from_iterable(zip_longest(*pools))
        drawn = [one for one in turns if one is not None][: self.most]
        return self._dice.sample(drawn, len(drawn))
