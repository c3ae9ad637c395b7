"""Flags count for a time, can be disputed and cleared, and whoever reads them or takes evidence away is written down."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from normalizer.model import HotlineMatter
from store.errors import IdentitySealed, NobodySuch
from store.flagbook import digest
from store.people import Word
from store.store import Store
from store.tables import MATTERS, TRANSITIONS
from tests.store.conftest import NOW, due, run
from tests.store.test_conduct import DAYS, THREAT, UNTIL, Judged, say
from tests.store.test_conduct import digest as filed_with

WORD = Word("Li Hua", "the caller asked for it", NOW + timedelta(days=1))
FLAGGED = Judged((THREAT,), review=True)


async def flagged(store: Store) -> HotlineMatter:
    await say(store, "invented words")
    assert await filed_with(store, FLAGGED) == "invented words filed"
    return (await store.matters())[-1]


async def steps(store: Store, *wanted: str) -> list[tuple[str, str, bytes]]:
    rows = await run(store, select(TRANSITIONS).where(TRANSITIONS.c.step.in_(wanted)).order_by(TRANSITIONS.c.sequence))
    return [(row.step, row.reason, row.words) for row in rows]


async def test_a_flag_counts_for_its_days(store: Store) -> None:
    matter = await flagged(store)
    (noticed,) = await store.flags().of(matter.caller_id, NOW + DAYS - timedelta(seconds=1))
    assert (noticed.kind, noticed.evidence, noticed.matter_id) == ("threat", THREAT.evidence, matter.matter_id)
    assert await store.flags().of(matter.caller_id, NOW + DAYS) == []
    await say(store, "x", "wang")
    await filed_with(store)
    assert await store.flags().of((await store.matters())[-1].caller_id, NOW) == [], "nobody else's"


async def test_a_disputed_flag_is_for_a_person_to_look_at(store: Store) -> None:
    matter = await flagged(store)
    assert await store.flags().appeal(matter.tracking_code, WORD) == 1
    (noticed,) = await store.flags().of(matter.caller_id, UNTIL)
    assert noticed.appealed_at == WORD.at
    with pytest.raises(NobodySuch):
        await store.flags().appeal(str(matter.matter_id), WORD)
    assert await steps(store, "conduct_appealed") == [("conduct_appealed", "Li Hua", b"the caller asked for it")]


async def test_a_cleared_flag_counts_no_more_and_the_core_is_told(store: Store) -> None:
    matter = await flagged(store)
    assert await store.flags().clear(matter.tracking_code, WORD) == 1
    assert await store.flags().of(matter.caller_id, UNTIL) == []
    now = await store.matter(matter.matter_id)
    assert now is not None and now.conduct.flags == () and now.conduct.disposition == "none"
    assert now.revision == matter.revision + 1
    books = await store.reconcile()
    assert books.balanced and books.events["owed"] == 2
    assert (await due(store))[0].payload["conduct"]["flags"] != []
    with pytest.raises(NobodySuch):
        await store.flags().clear(matter.tracking_code, WORD)
    with pytest.raises(NobodySuch, match="no evidence"):
        await store.flags().bundle(matter.tracking_code)


async def test_the_evidence_holds_words_times_and_digests(store: Store) -> None:
    matter = await flagged(store)
    await store.flags().note_export(matter.tracking_code, WORD)
    bundle = await store.flags().bundle(matter.tracking_code)
    assert "第三十四条" in bundle["article"]
    assert (bundle["counts"], bundle["flags"][0]["evidence"]) == ({"threat": 1, "messages": 1}, ["invented words"])
    (said,) = bundle["messages"]
    assert (said["text"], said["envelope_sha256"]) == ("invented words", hashlib.sha256(b"raw").hexdigest())
    assert [step["step"] for step in bundle["steps"]] == ["filed", "conduct_exported"]
    parts = {name: part for name, part in bundle.items() if name != "sha256"}
    assert bundle["sha256"] == {name: digest(part) for name, part in parts.items()}
    said["text"] = "other words"
    assert digest(bundle["messages"]) != bundle["sha256"]["messages"]


async def test_a_sealed_matter_is_not_taken_away(store: Store) -> None:
    matter = await flagged(store)
    await run(store, update(MATTERS).values(sealed_at=NOW))
    for act in (store.flags().bundle(matter.tracking_code), store.flags().note_export(matter.tracking_code, WORD)):
        with pytest.raises(IdentitySealed, match="gateway identity"):
            await act
    assert await steps(store, "conduct_exported") == []


async def test_who_reads_is_written_down_and_what_is_not_there_is_said(store: Store) -> None:
    matter = await flagged(store)
    await store.flags().note_reader(matter.caller_id, WORD)
    assert await steps(store, "conduct_read") == [("conduct_read", "Li Hua", b"the caller asked for it")]
    for act in (store.flags().note_reader(uuid4(), WORD), store.flags().clear("123", WORD)):
        with pytest.raises(NobodySuch):
            await act
