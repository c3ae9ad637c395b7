from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from normalizer.model import Kept
from store.errors import StoreUnavailable
from store.group import MOST, GroupCommit
from store.store import Store
from store.values import Stage
from tests.store.conftest import NOW, count_writes, envelope


class Slow:
    """A commit that takes until it is let through, and refuses negative numbers."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.through = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        await self.through.wait()
        if self.fault:
            raise self.fault
        if min(items) < 0:
            raise UnicodeError("refused")
        return [LookupError(item) if item == 13 else item * 10 for item in items]


async def test_who_arrives_during_a_commit_shares_the_next_one() -> None:
    slow = Slow()
    group = GroupCommit(slow)
    first = group.add(1)
    await asyncio.sleep(0)
    later = [group.add(number) for number in (2, 3, 4)]
    slow.through.set()
    assert await asyncio.gather(first, *later) == [10, 20, 30, 40]
    assert slow.batches == [[1], [2, 3, 4]]


async def test_a_batch_is_bounded() -> None:
    slow = Slow()
    slow.through.set()
    group = GroupCommit(slow)
    numbers = range(100, 100 + 2 * MOST + 1)
    assert await asyncio.gather(*map(group.add, numbers)) == [number * 10 for number in numbers]
    assert [len(batch) for batch in slow.batches] == [MOST, MOST, 1]


async def test_one_refused_item_takes_no_neighbour_with_it() -> None:
    slow = Slow()
    slow.through.set()
    group = GroupCommit(slow)
    results = await asyncio.gather(*map(group.add, (1, -2, 3)), return_exceptions=True)
    assert results[::2] == [10, 30] and isinstance(results[1], UnicodeError)
    assert slow.batches == [[1, -2, 3], [1], [-2], [3]]


async def test_an_item_may_get_an_error_of_its_own() -> None:
    slow = Slow()
    slow.through.set()
    results = await asyncio.gather(*map(GroupCommit(slow).add, (12, 13, 14)), return_exceptions=True)
    assert results[::2] == [120, 140] and isinstance(results[1], LookupError)
    assert len(slow.batches) == 1


async def test_a_lost_database_is_told_to_each_and_not_asked_again_for_each() -> None:
    slow = Slow()
    slow.through.set()
    slow.fault = StoreUnavailable("down")
    group = GroupCommit(slow)
    results = await asyncio.gather(*map(group.add, (1, 2, 3)), return_exceptions=True)
    assert results == [slow.fault] * 3 and len(slow.batches) == 1
    slow.fault = None
    assert await group.add(4) == 40


async def test_a_waiter_who_hung_up_disturbs_nobody() -> None:
    slow = Slow()
    group = GroupCommit(slow)
    gone, stays = group.add(1), group.add(2)
    await asyncio.sleep(0)
    gone.cancel()
    slow.through.set()
    assert await stays == 20
    assert await group.add(3) == 30


async def test_closing_waits_for_what_is_under_way() -> None:
    slow = Slow()
    group = GroupCommit(slow)
    under_way = group.add(1)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    waiting = group.add(2)
    assert not closing.done()
    slow.through.set()
    await closing
    assert (under_way.result(), waiting.result()) == (10, 20)


async def test_two_hundred_deliveries_at_once_share_few_transactions_and_keep_their_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = count_writes(store, monkeypatch)
    envelopes = [envelope(str(number).encode()) for number in range(200)]
    assert await asyncio.gather(*map(store.keep, envelopes)) == [Kept(one.id) for one in envelopes]
    assert len(writes) <= 2
    queued = await store.claim(Stage.UNPACK, NOW, 1000)
    assert [work.subject for work in queued] == [one.id for one in envelopes]
    assert [work.sequence for work in queued] == sorted(work.sequence for work in queued)
