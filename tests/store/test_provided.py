from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from normalizer.model import Contact, Envelope, Message, Notice, Outcome
from store import provided
from store.provided import Provided
from store.store import Store
from tests.store.conftest import NOW, SENDER, envelope, message, sender, unpacked, work_of


def named(said: Message, **other: object) -> Provided:
    given = {name: getattr(said, name) for name in ("key_space", "account", "sender", "provider_id")}
    return Provided(**given | other)


async def test_a_message_is_known_by_its_providers_id_and_all_that_goes_with_it(store: Store) -> None:
    said = message("路灯坏了", "SM1")
    await unpacked(store, said)
    await unpacked(store, said)  # redelivered
    spoofed = Contact(type=SENDER.type, value=SENDER.value, assurance="spoofable")
    asked = [
        named(said),
        named(said, sender=spoofed),  # how sure we are of it is not part of the name
        named(said, provider_id="SM2"),
        named(said, key_space="other"),
        named(said, account="other"),
        named(said, sender=sender("other")),
    ]
    assert await store.known(asked) == [True, True, False, False, False, False]
    assert await store.known([asked[2], asked[0], asked[0]]) == [False, True, True]


async def test_a_message_without_an_id_is_not_taken_for_another(store: Store) -> None:
    await unpacked(store, message("路灯坏了", None))
    assert await store.known([named(message("路灯坏了", "None"))]) == [False]


async def everything(store: Store, **options: object) -> list[UUID]:
    found: list[Envelope] = []
    while page := await store.deliveries("letters", NOW, found[-1].id if found else None, **options):
        found += page
    return [one.id for one in found]


async def test_deliveries_of_a_channel_from_a_time_on(store: Store) -> None:
    await unpacked(store, message(provider_id="old"), received_at=NOW - timedelta(seconds=1))
    await unpacked(store, message(provider_id="other"), channel="app")
    said = await unpacked(store, message(provider_id="new"))
    notice = await unpacked(store, parsed=Notice(reason="opt_out"))
    odd, queued = envelope(), envelope()
    for one in (odd, queued):
        await store.keep(one)
    await store.give_up(await work_of(store, odd.id), Outcome.MALFORMED, "odd", NOW)
    assert await everything(store) == [said.id, notice.id, odd.id, queued.id]
    assert await everything(store, empty=True) == [notice.id, odd.id, queued.id]


@pytest.mark.parametrize(("most", "size"), [((2, 10**6), 2), ((100, 350), 3), ((100, 1), 1)])
async def test_deliveries_come_in_pages_of_so_many_and_so_large(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: tuple[int, int], size: int
) -> None:
    monkeypatch.setattr(provided, "PAGE", most[0])
    monkeypatch.setattr(provided, "PAGE_BYTES", most[1])
    made = [envelope(bytes(80)) for _ in range(5)]
    for one in made:
        await store.keep(one)
    first = await store.deliveries("letters", NOW)
    assert len(first) == size and first[0].body == bytes(80)
    assert await everything(store) == [one.id for one in made]
