"""The reserve: nothing new is taken before the disk is quite full, and all goes on by itself once there is space."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from store.errors import StoreUnavailable
from store.opening import Standby, open_store
from store.reserve import Reserve
from store.store import Store
from tests.disks import fill, small_disk
from tests.store.conftest import NOW, envelope, filed, message, new_matter, sqlite_url, to_digest

__all__ = ["small_disk"]

MEGABYTE = 1024 * 1024
#: Of the small disk, which has 16: a twentieth is the most.
SIZE = 16 * MEGABYTE // 20


def held(disk: Path) -> int:
    found = disk / ".reserve"
    return found.stat().st_size if found.exists() else 0


@pytest.mark.parametrize(("wanted", "size"), [(SIZE // 2, SIZE // 2), (100 * MEGABYTE, SIZE)])
def test_it_holds_what_was_asked_for_and_a_twentieth_of_the_disk_at_most(
    small_disk: Path, wanted: int, size: int
) -> None:
    reserve = Reserve(small_disk, wanted)
    reserve.look()
    assert (reserve.low, held(small_disk)) == (False, size)


def test_it_is_given_up_when_the_disk_is_full_and_made_again_with_room_for_two(small_disk: Path) -> None:
    reserve = Reserve(small_disk, SIZE)
    reserve.look()
    steps = [
        # free beside the reserve or without it, low then, held then
        (SIZE + MEGABYTE, False, SIZE),
        (SIZE - 8192, True, 0),  # what was held is free now
        (2 * SIZE - 8192, True, 0),
        (2 * SIZE + 8192, False, SIZE),
        (SIZE - 8192, True, 0),
        (8 * MEGABYTE, False, SIZE),
    ]
    with capture_logs() as logs:
        for free, low, size in steps:
            filler = fill(small_disk, leave=free)
            for _ in range(3):
                reserve.look()
            assert (reserve.low, held(small_disk)) == (low, size), free
            filler.unlink()
    assert [entry["event"] for entry in logs] == ["disk_full", "disk_has_space"] * 2


def test_a_reserve_of_another_size_is_made_anew_or_not_at_all(small_disk: Path) -> None:
    Reserve(small_disk, SIZE // 2).look()
    fill(small_disk, leave=SIZE)
    larger = Reserve(small_disk, SIZE)
    larger.look()
    assert (larger.low, held(small_disk)) == (True, 0)


def test_no_disk_to_look_at_is_a_full_one(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "gone", SIZE)
    with capture_logs() as logs:
        reserve.look()
    assert reserve.low and [entry["event"] for entry in logs] == ["disk_unreadable"]
    (tmp_path / "gone").mkdir()
    reserve.look()
    assert not reserve.low


@pytest.fixture
async def store(small_disk: Path, key_file: Path) -> AsyncIterator[Store]:
    found = await open_store(sqlite_url(small_disk), key_file, standby=Standby(small_disk / "journal", SIZE))
    yield found
    await found.close()


async def test_on_a_full_disk_nothing_is_taken_but_what_is_ours_is_worked_on_and_all_resumes(
    store: Store, small_disk: Path
) -> None:
    work, kept = await to_digest(store, message())
    filler = fill(small_disk, leave=64 * 1024)
    await full(store, True)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await store.keep(envelope())
    await store.file_matter(work, kept, new_matter(kept), NOW)  # by the space that was kept back
    filler.unlink()
    loop = asyncio.get_running_loop()
    freed = loop.time()
    await full(store, False)
    assert loop.time() - freed < 3
    await filed(store)
    books = await store.reconcile()
    assert (books.envelopes, books.outcomes["filed"], books.offending) == (2, 2, [])


async def full(store: Store, expected: bool) -> None:
    async with asyncio.timeout(10):
        while store.full is not expected:
            await asyncio.sleep(0.02)


async def test_without_a_reserve_a_full_disk_is_still_only_a_refusal(small_disk: Path, key_file: Path) -> None:
    store = await open_store(sqlite_url(small_disk), key_file, standby=Standby(small_disk / "journal"))
    assert held(small_disk) == 0
    filler = fill(small_disk)
    with pytest.raises(StoreUnavailable):
        await store.keep(envelope(bytes(300_000)))
    filler.unlink()
    await store.keep(envelope(bytes(300_000)))
    assert len(await store.envelopes()) == 1
    await store.close()


async def test_the_log_of_a_small_disk_is_folded_before_it_fills_the_disk(tmp_path: Path, small_disk: Path) -> None:
    store = await open_store(sqlite_url(small_disk), tmp_path / "keys.json")
    try:
        for _ in range(60):  # each commit writes its pages anew: together several times the disk
            await asyncio.gather(*(store.keep(envelope(body=bytes(4096))) for _ in range(30)))
            size = sum(file.stat().st_size for file in small_disk.iterdir() if file.name.endswith("-wal"))
            assert size < 6 * MEGABYTE
    finally:
        await store.close()
