"""Sealed matters in the store: nothing leaves in the clear any more, whatever had been written before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from normalizer.model import HotlineMatter, Link, Message
from store.errors import IdentitySealed
from store.people import Word
from store.regroup import Halves, _as_sealed
from store.sealing import LATE
from store.store import Store
from store.tables import EVENTS, MATTERS
from tests.masking import NAME, seen
from tests.store.conftest import AT_LAST, NOW, amended, due, message, new_matter, run, sender, to_digest

TELLING: dict[str, Any] = {"title": f"{NAME}举报", "content": f"我叫{NAME}，举报东湖饭店"}


async def filed(store: Store, said: Message | None = None, **fields: Any) -> HotlineMatter:
    """A matter that was opened by one message, with these fields."""
    work, kept = await to_digest(store, said or message(provider_id=str(uuid4())))
    matter = (await store.file_matter(work, kept, new_matter(kept, **fields), NOW)).matter
    assert matter is not None
    return matter


async def payloads(store: Store) -> list[dict[str, Any]]:
    """What goes to the core now; all of it is delivered."""
    found = []
    while going := await due(store, AT_LAST):
        for event in going:
            assert event.payload is not None
            found.append(event.payload)
            await store.outbox().delivered(event, NOW)
    return found


async def test_what_is_sealed_from_the_first_leaves_sealed_and_says_so(store: Store) -> None:
    matter = await filed(store, confidential=True, **TELLING)
    (told,) = await payloads(store)
    assert told["caller_id"] != str(matter.caller_id) and told["party"]["contacts"] == []
    assert seen(str(told).encode(), (NAME, "resident-1")) == []
    assert told["sealed_at"] is not None and told["previously_disclosed"] is False
    kept = await store.matter(matter.matter_id)
    assert kept is not None and (kept.title, kept.party.contacts) == (TELLING["title"], matter.party.contacts)


async def test_what_waits_when_the_matter_is_sealed_leaves_sealed(store: Store) -> None:
    first = await filed(store, **TELLING)
    await amended(store, first, confidential=True)
    told = await payloads(store)
    assert [one["confidential"] for one in told] == [True, True]
    assert seen(str(told).encode(), (NAME, "resident-1")) == []
    assert told[0]["caller_id"] == told[1]["caller_id"] != str(first.caller_id)


async def test_what_had_left_is_told_of(store: Store) -> None:
    first = await filed(store, **TELLING)
    (clear,) = await payloads(store)
    assert NAME in clear["title"] and clear["sealed_at"] is None
    second = await amended(store, first, confidential=True)
    await amended(store, second)
    assert [one["previously_disclosed"] for one in await payloads(store)] == [True, True]


async def test_what_was_tried_may_have_been_read(store: Store) -> None:
    first = await filed(store, **TELLING)
    (event,) = await due(store)
    await store.outbox().postponed(event, "timeout", NOW, NOW + timedelta(hours=1))
    await amended(store, first, confidential=True)
    assert {one["previously_disclosed"] for one in await payloads(store)} == {True}


async def test_what_was_never_due_has_not_left(store: Store) -> None:
    first = await filed(store, **TELLING)
    later = NOW + LATE + timedelta(seconds=1)
    await run(store, update(EVENTS).where(EVENTS.c.matter_id == first.matter_id).values(not_before=later))
    await amended(store, first, confidential=True)
    assert {one["previously_disclosed"] for one in await payloads(store)} == {False}


async def test_two_sealed_matters_of_one_caller_have_nothing_in_common(store: Store) -> None:
    one, other = await filed(store, confidential=True), await filed(store, confidential=True)
    assert one.caller_id == other.caller_id
    told = await payloads(store)
    assert told[0]["caller_id"] != told[1]["caller_id"]


async def test_an_open_matter_does_not_lead_to_a_sealed_one_of_the_same_caller(store: Store) -> None:
    sealed = await filed(store, confidential=True)
    link = Link(id=sealed.matter_id, score=1, reason="the same", decided_by="rule")
    last = sealed.received_at
    await amended(store, await filed(store), same_matter_of=link, follows=link, last_contact_at=last)
    *_, told = await payloads(store)
    assert (told["same_matter_of"], told["follows"], told["last_contact_at"]) == (None, None, None)
    plain = await filed(store, message(provider_id="x", sender=sender("other")))
    between = link.model_copy(update={"id": plain.matter_id})
    await amended(store, await filed(store), same_matter_of=between)
    *_, told = await payloads(store)
    assert told["same_matter_of"]["id"] == str(plain.matter_id), "others stay"


async def test_the_document_of_a_store_that_is_older_is_sealed_all_the_same(store: Store) -> None:
    matter = await filed(store, confidential=True, **TELLING)
    await run(store, update(MATTERS).where(MATTERS.c.id == matter.matter_id).values(sealed_at=None))
    (told,) = await payloads(store)
    assert seen(str(told).encode(), (NAME, "resident-1")) == []


@pytest.mark.parametrize("reveal", [False, True])
async def test_nobody_finds_the_caller_by_a_sealed_matter_alone(store: Store, reveal: bool) -> None:
    matter = await filed(store, confidential=True)
    for name in (matter.tracking_code, str(matter.matter_id)):
        with pytest.raises(IdentitySealed, match="two persons can open it"):
            await (store.people().reveal(name, Word("Li", "why", NOW)) if reveal else store.people().sheet(name))


async def test_other_clients_get_what_leaves_and_his_own_app_the_whole(store: Store) -> None:
    matter = await filed(store, confidential=True, **TELLING)
    client = ("letters", "desk")
    told = await store.matter(matter.matter_id, *client)
    assert told is not None and told.party.contacts == () and NAME not in told.title
    channel = matter.channel.model_copy(update={"kind": "app"})
    own = await amended(store, matter, channel=channel)
    told = await store.matter(matter.matter_id, *client)
    assert told is not None and told.party.contacts == own.party.contacts


async def test_an_export_holds_the_masked_words_and_an_alias(store: Store) -> None:
    said = message(f"我叫{NAME}，举报东湖饭店", provider_id="9", quoted=NAME)
    matter: HotlineMatter = await filed(store, said, confidential=True)
    links = store.links()
    (written,) = await links.texts([matter.messages[0].message_id], "Li", "to measure", NOW)
    assert NAME not in written.kept.message.text and written.kept.message.quoted == ""
    assert written.caller_id != matter.caller_id
    folder = await links.folder(matter.matter_id, NOW)
    assert NAME not in folder.matter.title


async def test_a_matter_cut_in_two_stays_sealed_in_both(store: Store) -> None:
    whole = await filed(store, confidential=True)
    open_ = whole.model_copy(update={"confidential": False})
    halves = _as_sealed(whole, Halves(open_, open_))
    assert halves.stays.confidential and halves.leaves.confidential
    assert _as_sealed(open_, Halves(open_, open_)) == Halves(open_, open_)


async def test_a_join_is_not_told_of_a_sealed_matter(store: Store) -> None:
    """Its event would come in the same moment as those of his other matters."""
    sealed, open_ = await filed(store, confidential=True), await filed(store)
    other = await filed(store, message(provider_id="x", sender=sender("other")))
    await payloads(store)
    await store.people().join(str(other.caller_id), open_.tracking_code, Word("Li", "why", NOW))
    told = {one["matter_id"] for one in await payloads(store)}
    assert told and str(sealed.matter_id) not in told
    assert (await store.reconcile()).balanced


async def test_no_list_puts_a_sealed_matter_beside_another_of_his(store: Store) -> None:
    sealed, open_, third = await filed(store), await filed(store), await filed(store)
    links = store.links()
    await links.join(open_.matter_id, sealed.matter_id, "Li", "the same", NOW)
    await links.join(third.matter_id, open_.matter_id, "Li", "the same", NOW)
    assert len(await links.labelled()) == 2 and len((await links.folder(open_.matter_id, NOW)).said) == 2
    await amended(store, sealed, confidential=True)
    assert len(await links.labelled()) == 1
    (said,) = (await links.folder(open_.matter_id, NOW)).said
    assert said.subject == third.matter_id
    assert (await links.folder(sealed.matter_id, NOW)).said == ()
