"""One sender's flood takes no places from the others: each gets a share of a claim, and nobody is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select, update

from store.store import Store
from store.tables import WORK
from store.values import Stage, Work
from tests.store.conftest import NOW, envelope, run

FLOODER, OTHER = b"flooder", b"other"


async def waiting(store: Store, *senders: tuple[bytes | None, int]) -> None:
    """Envelopes that seem to be of these senders, so many of each, in this order."""
    for mark, number in senders:
        for _ in range(number):
            kept = envelope()
            await store.keep(kept)
            await run(store, update(WORK).where(WORK.c.subject == kept.id).values(apparent=mark))


async def claimed(store: Store, limit: int, under_way: tuple[int, ...] = ()) -> tuple[list[Work], Counter[Any]]:
    found = await store.claim(Stage.UNPACK, NOW, limit, under_way)
    return found, Counter(work.apparent for work in found)


async def test_others_behind_a_flood_get_places_at_once(store: Store) -> None:
    await waiting(store, (FLOODER, 40), (OTHER, 2), (None, 2))
    _, first = await claimed(store, 16)
    assert first == {FLOODER: 2, OTHER: 2, None: 2} | {FLOODER: first[FLOODER]}
    assert first[FLOODER] <= 8, "half of the places stay for those who come next"


async def test_many_others_leave_him_an_eighth(store: Store) -> None:
    await waiting(store, (FLOODER, 40), *((bytes([n]), 1) for n in range(20)))
    _, first = await claimed(store, 16)
    assert sum(first.values()) <= 16 and 1 <= first[FLOODER] <= 2


async def test_alone_he_goes_on_in_order_and_all_of_it_is_done(store: Store) -> None:
    await waiting(store, (FLOODER, 40))
    done: list[int] = []
    while found := (await claimed(store, 16, tuple(done)))[0]:
        done += [work.sequence for work in found]
        assert len(found) <= 8
    assert done == sorted(done) and len(done) == 40


async def test_without_a_crowd_the_order_of_arrival_counts(store: Store) -> None:
    await waiting(store, (FLOODER, 2), (OTHER, 2), (None, 30))
    found, _ = await claimed(store, 16)
    in_order = [row.sequence for row in await run(store, select(WORK.c.sequence).order_by(WORK.c.sequence))]
    assert [work.sequence for work in found] == in_order[:16]
