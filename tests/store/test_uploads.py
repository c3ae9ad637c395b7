"""Uploads, and a channel's newest envelopes."""

from __future__ import annotations

from datetime import timedelta

from store.media import Held
from store.store import Store
from store.uploads import Upload
from tests.store.conftest import NOW, envelope

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
