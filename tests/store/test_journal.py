"""The journal: one file per process that takes deliveries in order, survives restarts, and is emptied without loss."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from normalizer.model import Binding, Envelope, Kept
from store import keys
from store.envelopes import Delivery, StateWrite
from store.errors import BindingReused, KeyFileError, StoreUnavailable
from store.journal import BATCH, BATCH_BYTES, LARGE, Journal, open_journal
from store.keys import Keyring
from tests.disks import fill, small_disk
from tests.store.conftest import NOW, envelope

Journals = Callable[..., Awaitable[Journal]]

__all__ = ["small_disk"]


@pytest.fixture
def keyring(key_file: Path) -> Keyring:
    return keys.load_or_create(key_file, fresh=True)


@pytest.fixture
async def journals(tmp_path: Path, keyring: Keyring) -> AsyncIterator[Journals]:
    """Opens journals of one folder; closes what is still open at the end."""
    async with AsyncExitStack() as stack:

        async def open_(folder: Path = tmp_path / "journal", keyring: Keyring = keyring) -> Journal:
            journal = await open_journal(folder, keyring, NOW)
            stack.push_async_callback(journal.close)
            return journal

        yield open_


async def keep(journal: Journal, *envelopes: Envelope) -> list[Kept | Exception]:
    return list(await journal.keep([Delivery(one) for one in envelopes]))


async def emptied(journal: Journal) -> list[UUID]:
    """The ids in the order in which they leave."""
    left: list[UUID] = []
    while batch := await journal.batch():
        left += [moved.envelope.id for moved in batch]
        await journal.forget(batch)
    return left


def bound(key: str, body: bytes = b"raw") -> Envelope:
    return envelope(body, binding=Binding(key, hashlib.sha256(body).digest()))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock" and "db-" not in path.name)


async def test_what_was_kept_leaves_in_order_of_arrival_also_after_a_restart(journals: Journals) -> None:
    journal = await journals()
    sent = [envelope(f"{n}".encode()) for n in range(BATCH + 5)]
    sent.reverse()  # ids are no order
    for start in range(0, len(sent), 100):
        await keep(journal, *sent[start : start + 100])
    assert await journal.count() == len(sent)
    await journal.close()
    journal = await journals()
    first = await journal.batch()
    assert [moved.envelope for moved in first] == sent[:BATCH]  # byte for byte
    assert await emptied(journal) == [one.id for one in sent]
    assert await journal.count() == 0


async def test_a_batch_is_bounded_in_bytes_and_one_larger_than_that_goes_alone(journals: Journals) -> None:
    journal, half = await journals(), bytes(BATCH_BYTES // 2)
    sent = [envelope(body) for body in (half[:-100], half[:-100], half, half + half, b"small", b"small")]
    await keep(journal, *sent)
    sizes = []
    while batch := await journal.batch():
        sizes.append(len(batch))
        await journal.forget(batch)
    assert sizes == [2, 1, 1, 2]


async def test_a_key_stands_for_its_first_body_until_the_database_answers_for_it(journals: Journals) -> None:
    journal = await journals()
    first, again, other = bound("k", b"one"), bound("k", b"one"), bound("k", b"two")
    assert await keep(journal, first) == [Kept(first.id)]
    await journal.close()
    journal = await journals()
    kept, refused = await keep(journal, again, other)
    assert kept == Kept(first.id, again=True) and isinstance(refused, BindingReused)
    assert await emptied(journal) == [first.id, again.id]
    assert await keep(journal, bound("k", b"one")) == [Kept(first.id, again=True)]  # forgotten only when all is moved
    await journal.forget_bindings()
    assert await keep(journal, other) == [Kept(other.id)]


async def test_what_moves_a_cursor_stays_with_its_source(journals: Journals) -> None:
    journal, plain = await journals(), envelope()
    refused, kept = await journal.keep([Delivery(envelope(), StateWrite("poll", "offset", None, "8")), Delivery(plain)])
    assert isinstance(refused, StoreUnavailable) and kept == Kept(plain.id)
    assert await emptied(journal) == [plain.id]


async def test_a_row_that_cannot_be_read_is_put_aside_and_the_others_leave(journals: Journals) -> None:
    journal = await journals()
    sent = [envelope(f"{n}".encode()) for n in range(5)]
    await keep(journal, *sent)
    await journal.close()
    with contextlib.closing(sqlite3.connect(journal.path)) as raw, raw:
        raw.execute("UPDATE envelopes SET body = zeroblob(40) WHERE id = ?", [sent[2].id.hex])
    journal = await journals()
    with capture_logs() as logs:
        assert await emptied(journal) == [one.id for one in sent if one is not sent[2]]
    assert [(entry["event"], entry["envelope_id"]) for entry in logs] == [("journal_unreadable", str(sent[2].id))]
    assert await journal.count() == 1  # for a person


# -- files -------------------------------------------------------------------------------------------------------------


async def test_each_process_has_a_file_of_its_own_and_takes_along_what_another_left(
    journals: Journals, tmp_path: Path
) -> None:
    first, second, third = [await journals() for _ in range(3)]
    assert files(tmp_path / "journal") == ["journal-1.db", "journal-2.db", "journal-3.db"]
    left, mine, held = [bound(str(n)) for n in range(3)], envelope(), envelope()
    await keep(first, mine)
    await keep(second, *left)
    await keep(third, held)
    await first.close()
    await second.close()
    next_one = await journals()
    batch = await next_one.batch()
    assert [moved.envelope.id for moved in batch] == [mine.id, *(one.id for one in left)]
    assert len({moved.key for moved in batch if moved.key}) == 3  # with their bindings
    assert await emptied(await journals()) == []  # the file that was emptied
    assert await emptied(third) == [held.id]  # in use: nobody else's


def spoil_head(path: Path) -> None:
    path.write_bytes(b"not a database" + path.read_bytes()[14:])


def spoil_pages(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    for page in range(4096, len(raw), 4096):
        raw[page : page + 2000] = bytes(2000)
    path.write_bytes(raw)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("spoil", [spoil_head, spoil_pages, cut_short])
@pytest.mark.parametrize("mine", [True, False], ids=["own", "left by another"])
async def test_a_damaged_file_is_put_aside_whole_and_said(
    journals: Journals, tmp_path: Path, spoil: Callable[[Path], None], mine: bool
) -> None:
    other = await journals()
    journal = other if mine else await journals()
    await keep(journal, *[envelope(bytes(500)) for _ in range(50)])
    await journal.close()
    await other.close()
    spoil(journal.path)
    spoiled = journal.path.read_bytes()
    with capture_logs() as logs:
        again = await journals()
    assert again.path == other.path and await emptied(again) == []
    (said,) = [entry for entry in logs if entry["event"] == "journal_damaged"]
    assert (tmp_path / "journal" / said["put_aside"]).read_bytes() == spoiled
    assert await keep(again, one := envelope()) == [Kept(one.id)]


async def test_what_stands_only_in_the_wal_of_a_damaged_file_is_put_aside_with_it(
    journals: Journals, tmp_path: Path
) -> None:
    """A killed process leaves its last deliveries there."""
    await (await journals()).close()
    journal, last = await journals(), envelope(b"last words")
    await keep(journal, last)
    folder = tmp_path / "journal"
    head, wal = (folder / "journal-1.db").read_bytes(), (folder / "journal-1.db-wal").read_bytes()
    assert last.id.hex.encode() in wal and last.id.hex.encode() not in head
    await journal.close()
    (folder / "journal-1.db").write_bytes(b"not a database" + head[14:])
    (folder / "journal-1.db-wal").write_bytes(wal)
    await journals()
    assert [path.name for path in folder.glob("*damaged*") if last.id.hex.encode() in path.read_bytes()]


async def test_another_key_file_is_refused(journals: Journals, tmp_path: Path) -> None:
    journal = await journals()
    await journal.close()
    other = keys.load_or_create(tmp_path / "other.json", fresh=True)
    with pytest.raises(KeyFileError, match="does not belong"):
        await journals(keyring=other)
    assert await keep(await journals(), envelope())  # nothing was changed by that


# -- space -------------------------------------------------------------------------------------------------------------


async def test_a_full_disk_keeps_nothing_and_takes_up_again(journals: Journals, small_disk: Path) -> None:
    journal = await journals(small_disk / "journal")
    before = envelope()
    await keep(journal, before)
    filler = fill(small_disk)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await keep(journal, envelope(bytes(100_000)))
    with pytest.raises(StoreUnavailable):
        await journal.keep([Delivery(envelope(bytes(300_000)))])
    filler.unlink()
    await journal.probe()
    after = envelope(bytes(100_000))
    assert await keep(journal, after) == [Kept(after.id)]
    assert await emptied(journal) == [before.id, after.id]


async def test_a_large_journal_gives_its_space_back_once_it_is_empty(journals: Journals, tmp_path: Path) -> None:
    def used() -> int:
        return sum(path.stat().st_size for path in (tmp_path / "journal").iterdir())

    journal = await journals()
    for _ in range(5):
        await keep(journal, *[envelope(bytes(1024 * 1024)) for _ in range(5)])
    assert used() > LARGE
    await emptied(journal)
    await journal.shrink()
    assert used() < 1024 * 1024
    kept = used()
    await journal.shrink()  # a small one is left as it is
    assert used() == kept
