from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event

from normalizer.model import Notice, Outcome
from store import dossiers
from store.dossiers import Dossier
from store.opening import open_store
from store.store import Store
from tests.store.conftest import (
    NOW,
    amendment,
    envelope,
    filed,
    message,
    new_matter,
    sender,
    sqlite_url,
    to_digest,
    unpacked,
    work_of,
)

ALL = tuple(Outcome)


async def read(
    store: Store, outcomes: tuple[str, ...] = ALL, *, limit: int = 100, most_bytes: int = 10**6, **more: object
) -> list[Dossier]:
    """All pages, one after the other."""
    found: list[Dossier] = []
    since, last = more.get("since"), None
    while page := await store.dossiers(outcomes, since, last, limit, most_bytes):
        assert len(page) <= limit
        found += page
        last = page[-1].envelope.id
    assert len(found) == await store.count_ended(outcomes, since)
    return found


async def opened_and_amended(store: Store) -> tuple[UUID, list[UUID]]:
    """A matter of two messages that came two days apart; its id and the envelopes'."""
    work, first = await to_digest(store, message("first", "1"), received_at=NOW - timedelta(days=2))
    matter = (await store.file_matter(work, first, new_matter(first), NOW)).matter
    work, second = await to_digest(store, message("second", "2"))
    said = matter.messages[0].model_copy(update={"message_id": second.id, "text": "second"})
    decide = amendment(matter, messages=(*matter.messages, said))
    await store.file_matter(work, second, decide, NOW)
    return matter.matter_id, [first.envelope_id, second.envelope_id]


def matters_at(found: list[Dossier]) -> dict[UUID, list[UUID]]:
    """By envelope, the matters in its dossier."""
    return {one.envelope.id: [file.id for file in one.matters] for one in found}


async def test_a_dossier_holds_the_envelope_and_all_that_was_made_of_it(store: Store) -> None:
    matter = await filed(store, message("路灯坏了"), body=b"raw bytes", query="a=b", context={"client": "city-app"})
    (one,) = await read(store)
    kept = one.envelope
    assert (kept.body, kept.query, kept.context, kept.channel) == (
        b"raw bytes",
        "a=b",
        {"client": "city-app"},
        "letters",
    )
    (piece,) = one.pieces
    assert (one.outcomes, piece.envelope_id, piece.position, piece.kind) == (("filed",), kept.id, 0, "letter")
    assert piece.content["text"] == "路灯坏了"
    (file,) = one.matters
    assert (file.id, file.pieces, file.envelopes) == (matter.matter_id, (piece,), {})
    assert file.document == matter.model_dump(mode="json")


async def test_envelopes_without_messages_or_matters_are_read_too(store: Store) -> None:
    notice = await unpacked(store, parsed=Notice(reason="subscribe"))
    first = await unpacked(store, message("same"))
    copy = await unpacked(store, message("same"))
    broken = envelope()
    await store.keep(broken)
    await store.give_up(await work_of(store, broken.id), Outcome.MALFORMED, "odd", NOW)
    await store.keep(envelope())  # in the queue: nothing was made of it yet
    found = {one.envelope.id: one.outcomes for one in await read(store)}
    assert found == {notice.id: ("notice",), copy.id: ("redelivered",), broken.id: ("malformed",)}
    assert first.id not in found
    assert await read(store, (Outcome.FILED,)) == []


async def test_a_matter_of_several_messages_stands_in_one_dossier_with_the_other_envelopes(store: Store) -> None:
    matter, (first, second) = await opened_and_amended(store)
    found = await read(store, limit=1)
    assert matters_at(found) == {first: [matter], second: []}
    (file,) = found[0].matters
    assert [piece.content["text"] for piece in file.pieces] == ["first", "second"]
    assert list(file.envelopes) == [second]


async def test_the_matter_of_a_selected_message_is_found_though_its_first_message_is_not_selected(store: Store) -> None:
    matter, (first, second) = await opened_and_amended(store)
    for found in (await read(store, (Outcome.ATTACHED,)), await read(store, since=NOW)):
        assert matters_at(found) == {second: [matter]}
        assert list(found[0].matters[0].envelopes) == [first]


async def test_an_envelope_of_several_messages_has_the_matters_of_all(store: Store) -> None:
    one = await unpacked(store, *(message(str(n), str(n), sender=sender(str(n))) for n in range(3)))
    for work in await store.claim("digest", NOW, 10):
        kept = await store.message(work.subject)
        await store.file_matter(work, kept, new_matter(kept), NOW)
    (found,) = await read(store)
    assert (found.envelope.id, found.outcomes) == (one.id, ("filed",) * 3)
    assert [file.document["content"] for file in found.matters] == [p.content["text"] for p in found.pieces]


@pytest.mark.parametrize(("most_bytes", "sizes"), [(350, [3, 3, 1]), (1, [1] * 7), (10**6, [4, 3])])
async def test_a_page_ends_at_its_limit_of_envelopes_or_bytes(store: Store, most_bytes: int, sizes: list[int]) -> None:
    made = [(await unpacked(store, parsed=Notice(reason="x"), body=bytes(80))).id for _ in range(7)]
    pages, last = [], None
    while page := await store.dossiers(ALL, None, last, 4, most_bytes):
        pages.append([one.envelope.id for one in page])
        last = pages[-1][-1]
    assert [len(page) for page in pages] == sizes
    assert [one for page in pages for one in page] == made


async def test_further_envelopes_too_large_to_be_held_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    matter, (first, second) = await opened_and_amended(store)
    monkeypatch.setattr(dossiers, "MOST_BYTES", 10)
    found = await read(store)
    assert matters_at(found) == {first: [matter], second: []}
    assert len(found[0].matters[0].pieces) == 2 and not found[0].matters[0].envelopes


async def test_a_page_is_found_by_its_id(tmp_path: Path, key_file: Path) -> None:
    """No page costs more than the last: SQLite starts behind the id, and sorts nothing."""

    def explained(connection: Connection) -> str:
        asked: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        dossiers.page(connection, ALL, NOW, UUID(int=1), 10, 10**6)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0][0]}", asked[0][1])
        return " ".join(row.detail for row in plan)

    store = await open_store(sqlite_url(tmp_path), key_file)
    plan = await store._database.read(explained)
    await store.close()
    assert "SEARCH envelopes USING INDEX" in plan and "TEMP B-TREE" not in plan
