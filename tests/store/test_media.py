"""Files to be fetched: queued with their message, ended once, shown in the matter."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from normalizer.model import Attachment, AttachmentKind, HotlineMatter
from store.errors import Superseded
from store.media import Held
from store.store import Store
from store.values import Filing
from tests.store.conftest import NOW, amendment, message, new_matter, to_digest

PICTURE = Attachment(id="0", kind=AttachmentKind.IMAGE, reference="media:one")
SECOND = Attachment(id="1", kind=AttachmentKind.VOICE, reference="media:two")
HELD = Held("a" * 64, 1234, "image/png")


async def with_files(store: Store, *attachments: Attachment, settles: float = 0, **more: Any) -> HotlineMatter:
    """A matter whose message holds these; its event settles for so many seconds."""
    work, kept = await to_digest(store, message(attachments=attachments, provider_id="files", **more))
    shown = tuple(one.model_copy(update={"reference": None, "message_id": kept.id}) for one in attachments)
    plain = new_matter(kept, attachments=shown)

    def decide(*args: Any) -> Filing:
        filing = plain(*args)
        until = NOW + timedelta(seconds=settles) if settles else None
        return Filing(filing.verdict, filing.matter, filing.event_type, (), attachments, until)

    found = (await store.file_matter(work, kept, decide, NOW)).matter
    assert found is not None
    return found


async def lead(store: Store) -> None:
    await asyncio.wait_for(store.mediabox("letters").lead.gained(), 30)


async def matter_of(store: Store) -> HotlineMatter:
    (found,) = await store.matters()
    return found


async def test_a_fetched_file_is_shown_in_the_matter_and_told(store: Store) -> None:
    await with_files(store, PICTURE, SECOND)
    await lead(store)
    box = store.mediabox("letters")
    first, second = sorted(await box.due(NOW, 10), key=lambda file: file.attachment_id)
    assert (first.reference, second.reference) == ("media:one", "media:two")
    await box.fetched(second, Held("b" * 64, 7, "audio/amr"), NOW)
    matter = await matter_of(store)
    assert [one.availability for one in matter.attachments] == ["referenced", "held"]
    assert (matter.attachments[1].sha256, matter.attachments[1].media_type) == ("b" * 64, "audio/amr")
    assert matter.revision == 2
    assert [file.id for file in await box.due(NOW, 10)] == [first.id]
    books = await store.reconcile()
    assert books.balanced and books.events["owed"] == 2


async def test_a_file_fetched_while_the_event_settles_goes_out_with_it(store: Store) -> None:
    await with_files(store, PICTURE, settles=60)
    await lead(store)
    box = store.mediabox("letters")
    (file,) = await box.due(NOW, 10)
    await box.fetched(file, HELD, NOW + timedelta(seconds=5))
    matter = await matter_of(store)
    assert (matter.revision, matter.attachments[0].availability) == (1, "held")
    assert await store.outbox().due(NOW + timedelta(seconds=59), 10) == []
    (event,) = await store.outbox().due(NOW + timedelta(seconds=60), 10)
    assert event.payload is not None and event.payload["attachments"][0]["sha256"] == HELD.sha256
    assert (await store.reconcile()).balanced


async def test_a_missing_file_stays_visible(store: Store) -> None:
    await with_files(store, PICTURE)
    await lead(store)
    box = store.mediabox("letters")
    (file,) = await box.due(NOW, 10)
    await box.missing(file, "gone", NOW)
    assert (await matter_of(store)).attachments[0].availability == "missing"
    assert await box.due(NOW, 10) == [] and await store.outward(NOW) == 0
    with pytest.raises(Superseded):
        await box.fetched(file, HELD, NOW)


async def test_what_failed_is_due_again_later_and_at_once_when_the_clock_was_put_back(store: Store) -> None:
    await with_files(store, PICTURE)
    await lead(store)
    box = store.mediabox("letters")
    (file,) = await box.due(NOW, 10)
    await box.put_off(file, "timeout", NOW, NOW + timedelta(minutes=5))
    assert await box.due(NOW + timedelta(minutes=4), 10) == []
    (again,) = await box.due(NOW + timedelta(minutes=5), 10)
    assert again.attempts == 1
    assert len(await box.due(NOW - timedelta(hours=1), 10)) == 1


async def test_the_files_of_a_later_message_find_their_place(store: Store) -> None:
    first = await with_files(store, PICTURE)
    work, kept = await to_digest(
        store, message(provider_id="more", attachments=(SECOND.model_copy(update={"id": "0"}),))
    )
    later = SECOND.model_copy(update={"reference": None, "message_id": kept.id})
    decide = amendment(first, attachments=(*first.attachments, later))

    def with_media(*args: Any) -> Filing:
        filing = decide(*args)
        return Filing(filing.verdict, filing.matter, filing.event_type, (), kept.message.attachments)

    await store.file_matter(work, kept, with_media, NOW)
    await lead(store)
    box = store.mediabox("letters")
    for file in await box.due(NOW, 10):
        if file.message_id == kept.id:
            await box.fetched(file, HELD, NOW)
    assert [one.availability for one in (await matter_of(store)).attachments] == ["referenced", "held"]


async def test_who_does_not_lead_writes_nothing(store: Store) -> None:
    await with_files(store, PICTURE)
    box = store.mediabox("letters")
    (file,) = await box.due(NOW, 10)
    with pytest.raises(Superseded):
        await box.fetched(file, HELD, NOW)
    assert (await matter_of(store)).attachments[0].availability == "referenced"
