"""Uploads, and a channel's newest envelopes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from normalizer.model import Outcome
from store.media import Held
from store.store import Store
from store.tables import FILES, UPLOADS
from store.uploads import Upload
from tests.store.conftest import NOW, envelope, message, run, to_digest, work_of
from tests.store.test_media import PICTURE, with_files

HELD = Held("a" * 64, 12, "image/png", "灯.png")


async def test_an_upload_is_its_clients_own_and_its_content_is_kept_once(store: Store) -> None:
    uploads = store.uploads()
    for number in ("u1", "u2"):
        await uploads.add(Upload(number, "app", "city", HELD), NOW)
    assert [await uploads.find("app", "city", number) for number in ("u1", "u2")] == [HELD, HELD]
    for whose in (("app", "other", "u1"), ("partner", "city", "u1"), ("app", "city", "u3")):
        assert await uploads.find(*whose) is None


async def test_the_newest_of_a_channel_come_first_and_only_those_of_the_time(store: Store) -> None:
    days = [3, 2, 1, 0]
    kept = [envelope(channel="reports", received_at=NOW - timedelta(days=ago)) for ago in days]
    for one in (*kept, envelope(channel="letters")):
        await store.keep(one)
    found = await store.recent("reports", NOW - timedelta(days=2), NOW - timedelta(days=1), 10)
    assert [one.id for one in found] == [kept[2].id, kept[1].id]
    assert [one.id for one in await store.recent("reports", NOW - timedelta(days=9), NOW, 1)] == [kept[3].id]


# -- What no message has named -----------------------------------------------------------------------------------------

BEFORE = NOW + timedelta(days=1)


async def uploaded(store: Store, *numbers: str, sha256: str = "a" * 64, at: datetime = NOW) -> None:
    for number in numbers:
        await store.uploads().add(Upload(number, "letters", "city", replace(HELD, sha256=sha256)), at)


async def swept(store: Store) -> list[str]:
    unnamed = await store.uploads().unnamed(BEFORE)
    for sha256 in unnamed:
        await store.uploads().forget(sha256, BEFORE)
    return unnamed


async def left(store: Store) -> tuple[list[str], list[str]]:
    """Uploads and files."""
    names = [row.id for row in await run(store, select(UPLOADS.c.id).order_by(UPLOADS.c.id))]
    return names, [row.sha256 for row in await run(store, select(FILES.c.sha256).order_by(FILES.c.sha256))]


async def test_what_nobody_names_is_forgotten_with_its_file_and_what_is_new_is_not(store: Store) -> None:
    await uploaded(store, "u1", "u2")
    await uploaded(store, "u3", sha256="b" * 64, at=BEFORE)
    assert await swept(store) == ["a" * 64]
    assert await left(store) == (["u3"], ["b" * 64])


async def test_a_content_that_was_uploaded_again_lately_stays_whole(store: Store) -> None:
    await uploaded(store, "u1")
    await uploaded(store, "u2", at=BEFORE)
    assert await swept(store) == []
    assert await left(store) == (["u1", "u2"], ["a" * 64])


async def test_a_file_that_a_message_has_stays_also_when_another_upload_brought_it(store: Store) -> None:
    await uploaded(store, "u1", sha256=HELD.sha256)
    await with_files(store, PICTURE)
    box = store.mediabox("letters")
    await asyncio.wait_for(box.lead.gained(), 30)
    assert await swept(store) == [], "it is still to be fetched"
    (file,) = await box.due(NOW, 10)
    await box.fetched(file, HELD, NOW)
    assert await swept(store) == []
    await uploaded(store, "u2", sha256="c" * 64)
    assert await swept(store) == ["c" * 64]
    assert await left(store) == (["u1"], [HELD.sha256])


@pytest.mark.parametrize("what", ["unread", "unfiled", "failed to be read", "unreadable", "failed to be filed"])
async def test_nothing_goes_while_what_came_after_it_may_still_name_it(store: Store, what: str) -> None:
    await uploaded(store, "u1", at=NOW - timedelta(seconds=1))
    await uploaded(store, "u2", sha256="b" * 64, at=NOW + timedelta(seconds=1))
    if what in {"unread", "failed to be read", "unreadable"}:
        kept = envelope()
        await store.keep(kept)
        if what != "unread":
            outcome = Outcome.MALFORMED if what == "unreadable" else Outcome.FAILED
            await store.give_up(await work_of(store, kept.id), outcome, "test", NOW)
    else:
        work, _ = await to_digest(store, message())
        if what == "failed to be filed":
            await store.give_up(work, Outcome.FAILED, "test", NOW)
    assert await swept(store) == ["b" * 64], "what was uploaded after it, it cannot have named"
    assert await left(store) == (["u1"], ["a" * 64])


async def test_what_comes_to_be_needed_while_it_is_swept_is_not_forgotten(store: Store) -> None:
    await uploaded(store, "u1")
    (sha256,) = await store.uploads().unnamed(BEFORE)
    await uploaded(store, "u2", at=BEFORE)
    await store.uploads().forget(sha256, BEFORE)
    assert await left(store) == (["u1", "u2"], ["a" * 64])
