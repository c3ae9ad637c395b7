"""The generator: from a seed to stories, the same for the same seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from random import Random

from gateway.stories import causes, persons
from gateway.stories.story import Story
from gateway.stories.teller import Teller

#: Over so long the stories begin.
SPAN = timedelta(days=40)
#: Every kind of story, and how many of it there are in a hundred.
KINDS: Mapping[str, tuple[int, Callable[[Teller], None]]] = {
    "ordinary": (25, persons.ordinary),
    "proven_by_number": (5, persons.proven_by_number),
    "proven_by_union": (4, persons.proven_by_union),
    "proven_by_operator": (3, persons.proven_by_operator),
    "not_proven": (5, persons.not_proven),
    "forged_number": (3, persons.forged_number),
    "family": (4, persons.family),
    "office": (3, persons.office),
    "recycled": (3, persons.recycled),
    "spoofed": (4, persons.spoofed),
    "wrong_join": (3, persons.wrong_join),
    "neighbours": (3, causes.neighbours),
    "few": (5, causes.few),
    "campaign": (1, causes.campaign),
    "asks_again": (8, causes.asks_again),
    "adds": (6, causes.adds),
    "long_after": (3, causes.long_after),
    "redelivered": (3, causes.redelivered),
    "often": (3, causes.often),
    "lookalikes": (4, causes.lookalikes),
    "chain": (2, causes.chain),
}


def stories(seed: int, n: int) -> Iterator[Story]:
    """``n`` stories, in the order in which they begin; the same for the same seed and ``n``."""
    rng = _random(seed)
    places = {common: itertools.count(rng.randrange(2_000)) for common in (False, True)}
    kinds, weights = zip(*((name, weight) for name, (weight, _) in KINDS.items()), strict=True)
    for number in range(n):
        kind = kinds[number] if number < len(kinds) else rng.choices(kinds, weights)[0]
        told = Teller(_random(rng.getrandbits(64)), number, SPAN * number / n, lambda common: next(places[common]))
        KINDS[kind][1](told)
        yield told.story(kind)


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same seed, the same stories
