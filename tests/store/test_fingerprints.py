from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import select, update

from normalizer.fingerprint import VERSION, Fingerprint, fingerprint
from normalizer.model import KeptMessage
from store import fingerprints as module
from store.fingerprints import Fingerprints, Logged, write_fingerprint
from store.store import Store
from store.tables import FINGERPRINTS, MESSAGES
from tests.store.conftest import NOW, filed, message, run

LONG_AGO = datetime(2000, 1, 1, tzinfo=NOW.tzinfo)
CANARY = "金丝雀小区三号楼的井盖"
MADE = fingerprint("井盖", CANARY)


async def write(store: Store, made: Fingerprint = MADE, at: datetime = NOW, message_id: UUID | None = None) -> UUID:
    chosen = message_id or uuid_utils.compat.uuid7()
    await store._database.write(lambda connection: write_fingerprint(connection, chosen, UUID(int=1), at, made))
    return chosen


async def everything(log: Fingerprints, after: int = 0, missed: tuple[int, ...] = ()) -> list[Logged]:
    return await log.after(after, missed, 1000)


async def whole(store: Store, text: str = "路灯坏了") -> KeptMessage:
    """A message that was filed, without a fingerprint."""
    matter = await filed(store, message(text, str(uuid_utils.compat.uuid7())))
    return await store.message(matter.messages[0].message_id)


# -- the log -----------------------------------------------------------------------------------------------------------


async def test_what_is_written_is_read_in_order(store: Store) -> None:
    log = store.fingerprints()
    written = [await write(store, at=NOW + timedelta(hours=number)) for number in range(5)]
    rows = await everything(log)
    assert [row.message_id for row in rows] == written
    assert (rows[2].received_at, rows[2].version) == (NOW + timedelta(hours=2), VERSION)
    assert await whose(store, rows[2]) == UUID(int=1)
    assert Fingerprint.unpack(rows[2].prints).pack() == MADE.pack()
    assert await log.newest() == rows[-1].number
    assert [row.message_id for row in await log.after(rows[1].number, (), 2)] == written[2:4]


async def test_a_message_has_one_row(store: Store) -> None:
    first = await write(store)
    await write(store, fingerprint("另", "别的"), message_id=first)
    (row,) = await everything(store.fingerprints())
    assert row.prints == MADE.pack()


async def test_a_page_for_a_window_leaves_out_what_is_older_or_of_another_version(store: Store) -> None:
    log = store.fingerprints()
    old, wanted, other, later = [await write(store, at=NOW + timedelta(days=days)) for days in (-20, 0, 0, 1)]
    await run(store, update(FINGERPRINTS).where(FINGERPRINTS.c.message_id == other).values(version=VERSION + 1))
    newest = await log.newest()
    since = NOW - timedelta(days=14)
    assert [row.message_id for row in await log.between(0, newest, since, 10)] == [wanted, later]
    assert [row.message_id for row in await log.between(0, newest - 1, since, 10)] == [wanted]
    assert [row.message_id for row in await log.between(0, newest, since, 1)] == [wanted]
    assert old != wanted


async def test_a_number_that_comes_late_is_missing_until_it_is_there(trio: list[Store]) -> None:
    store = trio[0]
    log = store.fingerprints()
    await write(store)
    late = uuid_utils.compat.uuid7()
    async with trio[1]._database._engine.begin() as slow:
        await slow.run_sync(lambda connection: write_fingerprint(connection, late, UUID(int=1), NOW, MADE))
        quick = await write(store)
        seen = [row.message_id for row in await everything(log)]
        assert quick in seen and late not in seen
        newest = await log.newest()
        (missed,) = await log.missing(newest, 100)
        assert missed == newest - 1
    assert [row.message_id for row in await log.after(newest, (missed,), 10)] == [late]


async def test_nothing_of_a_text_is_in_any_file(store: Store, tmp_path: Path) -> None:
    await write(store)
    for file in tmp_path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert MADE.pack() not in content and MADE.grams.tobytes() not in content
        for code in ("utf-8", "utf-16-le", "utf-32-le", "gb18030"):
            assert CANARY.encode(code) not in content and CANARY[:4].encode(code) not in content


async def test_a_row_is_small(store: Store) -> None:
    await write(store, fingerprint("题目", "".join(chr(0x4E00 + number * 7) for number in range(250))))
    (row,) = await run(store, select(FINGERPRINTS))
    assert len(row.prints) + 100 < 1500


# -- rebuilding --------------------------------------------------------------------------------------------------------


async def test_messages_without_a_fingerprint_of_this_version_are_named_page_by_page(store: Store) -> None:
    log, kept = store.fingerprints(), [await whole(store) for _ in range(5)]
    await write(store, message_id=kept[0].id)
    await write(store, message_id=kept[1].id)
    await run(store, update(FINGERPRINTS).where(FINGERPRINTS.c.message_id == kept[1].id).values(version=VERSION + 1))
    await run(store, update(MESSAGES).where(MESSAGES.c.id == kept[2].id).values(outcome="failed"))
    await run(store, update(MESSAGES).where(MESSAGES.c.id == kept[3].id).values(received_at=LONG_AGO))
    lacking = [one.id for one in await log.lacking(NOW - timedelta(days=1), None, 10)]
    assert lacking == [kept[1].id, kept[4].id]
    assert [one.id for one in await log.lacking(LONG_AGO, None, 2)] == sorted([kept[1].id, kept[3].id])
    assert [one.id for one in await log.lacking(LONG_AGO, kept[3].id, 2)] == [kept[4].id]
    state = await log.state(NOW - timedelta(days=1))
    assert (state.versions, state.messages, state.lacking) == ({VERSION: 1, VERSION + 1: 1}, 3, 2)
    assert (state.oldest, state.newest) == (NOW, NOW) and state.size > 0


async def test_what_is_made_anew_comes_under_a_new_number(store: Store) -> None:
    log, kept = store.fingerprints(), await whole(store)
    await write(store, message_id=kept.id)
    before = await log.newest()
    assert await log.replace([(kept, fingerprint("新", "新的"))]) == 1
    (row,) = await everything(log)
    assert row.number > before and row.message_id == kept.id and row.prints == fingerprint("新", "新的").pack()
    assert (await whose(store, row), row.received_at) == (await caller_of(store, kept.id), kept.received_at)
    assert await log.lacking(LONG_AGO, None, 10) == []
    assert await log.replace([]) == 0


async def whose(store: Store, row: Logged) -> UUID:
    (found,) = await run(store, select(FINGERPRINTS.c.caller_id).where(FINGERPRINTS.c.number == row.number))
    return found.caller_id


async def caller_of(store: Store, message_id: UUID) -> UUID:
    (row,) = await run(store, select(MESSAGES.c.caller_id).where(MESSAGES.c.id == message_id))
    return row.caller_id


# -- forgetting --------------------------------------------------------------------------------------------------------


async def test_old_rows_go_some_at_a_time_and_a_late_one_when_it_is_the_oldest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    log = store.fingerprints()
    for days in (0, 1, 2, 20, 3):
        await write(store, at=NOW + timedelta(days=days))
    before = NOW + timedelta(days=10)
    assert [await log.forget(before) for _ in range(3)] == [2, 1, 1]
    assert [row.received_at for row in await everything(log)] == [NOW + timedelta(days=20)]
    assert await log.forget(before) == 0


async def test_a_number_is_given_once(store: Store) -> None:
    log = store.fingerprints()
    await write(store)
    newest = await log.newest()
    while await log.forget(NOW + timedelta(days=1)):
        pass
    await write(store)
    assert await log.newest() > newest
