"""Several callers are one person, on an operator's word: joined, undone, raced for, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, update

from normalizer.model import Act, Assurance, Contact, ContactType, HotlineMatter, Outcome, Past, Verdict
from normalizer.reply import ReplyKind
from store.errors import NobodySuch, Superseded
from store.opening import open_store
from store.people import Word, masked
from store.persons import Join, components, lock_persons, persons_of
from store.persons import join as write_join
from store.store import Store
from store.tables import CALLERS, EVENTS, JOINS, MATTERS, MESSAGES, TRANSITIONS
from store.updates import Reach
from store.values import Draft, Filing, Stage
from tests.store.conftest import (
    NOW,
    Open,
    amended,
    filed,
    message,
    new_matter,
    run,
    sender,
    sqlite_url,
    to_digest,
    unpacked,
    work_of,
)
from tests.store.test_updates import tell
from tests.store.test_updates import update as told

WORD = Word("Li Hua", "he said so at the counter", NOW)
MAIL = Contact(type=ContactType.MAIL, value="citizen@example.com", assurance=Assurance.VERIFIED)

on_a_file = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


async def writes(store: Store, who: Contact | str, seen: list[Past] | None = None, **more: Any) -> HotlineMatter:
    """Somebody opens a matter."""
    contact = sender(who) if isinstance(who, str) else who
    said = message(provider_id=str(uuid4()), sender=contact, **more)
    work, kept = await to_digest(store, said)
    return (await store.file_matter(work, kept, new_matter(kept, seen), NOW)).matter


async def caller(store: Store, matter: HotlineMatter) -> UUID:
    """Who wrote it, whoever he is."""
    return (await run(store, select(MATTERS.c.caller_id).where(MATTERS.c.id == matter.matter_id)))[0].caller_id


async def join(store: Store, one: HotlineMatter, other: HotlineMatter) -> UUID:
    return await store.people().join(str(await caller(store, one)), str(await caller(store, other)), WORD)


async def document(store: Store, matter: HotlineMatter) -> HotlineMatter:
    found = await store.matter(matter.matter_id)
    assert found is not None
    return found


async def test_a_repeat_on_another_channel_is_recognised_once_they_are_joined(store: Store) -> None:
    first = await writes(store, "a")
    other = await writes(store, MAIL)
    await join(store, first, other)
    seen: list[Past] = []
    third = await writes(store, MAIL, seen)
    past = seen[0]
    assert {one.matter_id for one in past.matters} == {first.matter_id, other.matter_id}
    assert (past.contacts_30d, past.matters_30d, past.caller_id) == (2, 2, first.caller_id)
    assert third.caller_id == first.caller_id
    assert await caller(store, third) == await caller(store, other), "the row keeps who wrote"
    assert (await store.reconcile()).balanced


async def test_before_they_are_joined_neither_sees_the_other(store: Store) -> None:
    await writes(store, "a")
    seen: list[Past] = []
    await writes(store, MAIL, seen)
    assert (seen[0].matters, seen[0].contacts_30d) == ((), 0)


async def test_his_matter_is_opened_by_the_other_contact_and_named_by_it(store: Store) -> None:
    first, other = await writes(store, "a"), await writes(store, MAIL)
    await join(store, first, other)
    opened: list[HotlineMatter | None] = []
    said = message(provider_id="x", sender=MAIL, in_reply_to=str(first.matter_id))
    work, kept = await to_digest(store, said)

    def decide(caller_id: UUID, past: Past, open_file: Any) -> Filing:
        assert past.named is not None and past.named.matter_id == first.matter_id
        opened.append(open_file(first.matter_id))
        return Filing(Verdict(outcome=Outcome.ANSWERED, act=Act.ASKS, reason="asks"), None, None)

    await store.file_matter(work, kept, decide, NOW)
    assert opened[0] is not None and opened[0].caller_id == first.caller_id


async def test_the_core_is_told_of_open_matters_of_whoever_became_another(store: Store) -> None:
    first, other = await writes(store, "a"), await writes(store, MAIL)
    closed = await writes(store, MAIL)
    await run(store, update(MATTERS).where(MATTERS.c.id == closed.matter_id).values(closed_at=NOW))
    old = await writes(store, MAIL)
    long_ago = {"filed_at": NOW - timedelta(days=31)}
    await run(store, update(MATTERS).where(MATTERS.c.id == old.matter_id).values(long_ago))
    join_id = await join(store, first, other)
    moved = await document(store, other)
    assert (moved.caller_id, moved.revision) == (first.caller_id, 2)
    assert [(await document(store, one)).revision for one in (first, closed, old)] == [1, 1, 1]
    events = select(EVENTS.c.type).where(EVENTS.c.matter_id == other.matter_id, EVENTS.c.sequence == 2)
    assert [row.type for row in await run(store, events)] == ["hotline.matter.amended.v1"]
    assert await store.people().undo(join_id, WORD)
    assert ((await document(store, other)).caller_id, (await document(store, other)).revision) == (other.caller_id, 3)
    assert (await store.reconcile()).balanced


async def test_an_old_document_is_his_too_when_it_is_opened(store: Store) -> None:
    first, other = await writes(store, "a"), await writes(store, MAIL)
    await run(store, update(MATTERS).values(filed_at=NOW - timedelta(days=90)))
    await join(store, first, other)
    found: list[HotlineMatter] = []
    work, kept = await to_digest(store, message(provider_id="x", sender=sender("a")))

    def decide(caller_id: UUID, past: Past, open_file: Any) -> Filing:
        found.append(open_file(other.matter_id))
        assert found[0].caller_id == caller_id
        return Filing(Verdict(outcome=Outcome.ANSWERED, act=Act.ASKS, reason="asks"), None, None)

    await store.file_matter(work, kept, decide, NOW)
    assert found


async def test_the_core_can_reach_him_wherever_he_is(store: Store) -> None:
    first, other = await writes(store, "a"), await writes(store, MAIL)
    await join(store, first, other)
    reached: list[Reach] = []

    def compose(matter: HotlineMatter, reach: Reach, update_id: UUID) -> Draft:
        reached.append(reach)
        return Draft(update_id, ReplyKind.RESULT, (), "zh", matter.tracking_code, matter.matter_id, update_id)

    await tell(store, told(first), compose)
    assert [word.message.sender for word in reached[0].spoken] == [sender("a")]
    assert [word.message.sender for word in reached[0].elsewhere] == [MAIL]
    assert set(reached[0].verified) == {sender("a"), MAIL}


async def test_a_join_is_undone_once_and_says_who_when_and_why(store: Store) -> None:
    first, other = await writes(store, "a"), await writes(store, MAIL)
    join_id = await join(store, first, other)
    people = store.people()
    assert await people.undo(join_id, Word("Wang Wei", "it was his brother", NOW + timedelta(days=1)))
    assert not await people.undo(join_id, WORD)
    (kept,) = (await people.sheet(str(await caller(store, other)))).joins
    assert (kept.decided_by, kept.reason, kept.at) == ("Li Hua", WORD.reason, NOW)
    assert (kept.undone_by, kept.undone_reason) == ("Wang Wei", "it was his brother")
    assert kept.undone_at == NOW + timedelta(days=1)
    steps = await run(store, select(TRANSITIONS.c.step).where(TRANSITIONS.c.step.in_(("joined", "join_undone"))))
    assert sorted(row.step for row in steps) == ["join_undone", "join_undone", "joined", "joined"]


async def test_what_is_nobody_is_said(store: Store) -> None:
    first = await writes(store, "a")
    people, mine = store.people(), str(await caller(store, first))
    for one, other in ((mine, str(uuid4())), ("1234", mine), (mine, mine), (mine, first.tracking_code)):
        with pytest.raises(NobodySuch):
            await people.join(one, other, WORD)
    with pytest.raises(NobodySuch):
        await people.undo(uuid4(), WORD)


@on_a_file
async def test_a_reader_of_contacts_is_written_down(store: Store) -> None:
    first = await writes(store, MAIL)
    sheet = await store.people().reveal(first.tracking_code, WORD)
    assert [contact for _, contact in sheet.contacts] == [MAIL]
    read = await run(store, select(TRANSITIONS).where(TRANSITIONS.c.step == "revealed"))
    assert [(row.subject, row.reason, row.words) for row in read] == [(sheet.person_id, "Li Hua", WORD.reason.encode())]


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("phone", "+8613800138000", "+86138****8000"),
        ("phone", "+861380", "***"),
        ("mail", "zhang@example.com", "z***@example.com"),
        ("wechat", "o6_bmjr42xyz", "o6***yz"),
        ("app", "resident", "***"),
    ],
)
def test_a_contact_is_shown_so_that_one_tells_it_from_another(kind: str, value: str, shown: str) -> None:
    assert masked(kind, value) == shown


# -- Any order of joins and undos --------------------------------------------------------------------------------------


CALLERS_MADE = 7
pairs = st.tuples(st.integers(0, CALLERS_MADE - 1), st.integers(0, CALLERS_MADE - 1)).filter(lambda p: p[0] != p[1])
steps = st.lists(st.one_of(pairs, st.integers(0, 30)), max_size=25)


@given(st.lists(pairs, max_size=15))
def test_components_are_what_hangs_together(found: list[tuple[int, int]]) -> None:
    ids = [UUID(int=number) for number in range(CALLERS_MADE)]
    got = components(ids, [(ids[one], ids[other]) for one, other in found])
    for one in range(CALLERS_MADE):
        reach, edge = {one}, {one}
        while edge:
            edge = {b for pair in found for a, b in (pair, pair[::-1]) if a in edge} - reach
            reach |= edge
        assert got[ids[one]] == ids[min(reach)]


@settings(max_examples=15, deadline=None)
@given(steps)
async def test_joins_and_undos_in_any_order_leave_what_still_stands(taken: list[Any]) -> None:
    """A number undoes the join of that place, modulo. At the end all is undone, and everything is as it was."""
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(sqlite_url(Path(folder)), Path(folder) / "keys.json")
        try:
            await _take(store, taken)
        finally:
            await store.close()


async def _take(store: Store, taken: list[Any]) -> None:
    matters = [await writes(store, f"resident-{number}") for number in range(CALLERS_MADE)]
    ids = [await caller(store, matter) for matter in matters]
    before, counted = await persons(store), await counts(store)
    joins: list[tuple[UUID, UUID, UUID]] = []
    undone: set[UUID] = set()
    for step in taken:
        if isinstance(step, tuple):
            one, other = ids[step[0]], ids[step[1]]
            joins.append((await store.people().join(str(one), str(other), WORD), one, other))
        elif joins:
            chosen = joins[step % len(joins)][0]
            assert await store.people().undo(chosen, WORD) == (chosen not in undone)
            undone.add(chosen)
        standing = [(one, other) for join_id, one, other in joins if join_id not in undone]
        now = components(ids, standing)
        assert await persons(store) == now
        assert [(await document(store, matter)).caller_id for matter in matters] == [now[one] for one in ids]
    for join_id, *_ in joins:
        await store.people().undo(join_id, WORD)
    assert (await persons(store), await counts(store)) == (before, counted)
    ends = [(await document(store, matter)).model_copy(update={"revision": 1}) for matter in matters]
    assert ends == matters
    assert (await store.reconcile()).balanced


async def persons(store: Store) -> dict[UUID, UUID]:
    return await store._database.read(
        lambda connection: persons_of(connection, connection.execute(select(CALLERS.c.id)).scalars().all())
    )


async def counts(store: Store) -> list[Sequence[Any]]:
    """Messages and matters of each caller."""
    found = []
    for table in (MESSAGES, MATTERS):
        rows = select(table.c.caller_id, func.count()).group_by(table.c.caller_id).order_by(table.c.caller_id)
        found.append([tuple(row) for row in await run(store, rows)])
    return found


# -- Races, on a real PostgreSQL ---------------------------------------------------------------------------------------


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
on_a_server = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


@on_a_server
async def test_two_nodes_that_join_the_same_pair_at_once(nodes: tuple[Store, Store]) -> None:
    one, other = nodes
    for number in range(5):
        first, second = await writes(one, f"a{number}"), await writes(one, f"b{number}")
        # from both ends: without an order of the locks they would wait for each other
        ends = [str(await caller(one, matter)) for matter in (first, second)]
        done = await asyncio.gather(
            one.people().join(*ends, WORD), other.people().join(*reversed(ends), WORD), return_exceptions=True
        )
        assert all(isinstance(result, UUID | Superseded) for result in done), done
        assert sum(isinstance(result, UUID) for result in done) >= 1
        assert (await document(one, second)).caller_id == first.caller_id
    assert (await one.reconcile()).balanced


@on_a_server
async def test_a_message_that_is_filed_while_its_caller_is_joined(nodes: tuple[Store, Store]) -> None:
    """Filing waits for the join, sees that he is another now, and is done again; nothing is written of the first try."""
    one, other = nodes
    first, second = await writes(one, "a"), await writes(one, "b")
    ids = [await caller(one, matter) for matter in (first, second)]
    seen: list[Past] = []
    work, kept = await to_digest(other, message(provider_id="late", sender=sender("b")))
    locked, loop = asyncio.Event(), asyncio.get_running_loop()

    joined = Join(uuid4(), ids[0], ids[1], "operator", "Li Hua", "said so")

    def transaction(connection: Connection) -> None:
        lock_persons(connection, persons_of(connection, ids))
        loop.call_soon(locked.set)
        while not connection.exec_driver_sql(WAITING).scalar():  # the other, for the lock
            connection.exec_driver_sql("SELECT pg_sleep(0.01)")
        write_join(connection, ("core",), joined, NOW)

    task = asyncio.create_task(one._database.write(transaction))
    await asyncio.wait_for(locked.wait(), 10)
    with pytest.raises(Superseded):
        await other.file_matter(work, kept, new_matter(kept, seen), NOW)
    await task
    assert not seen
    filing = await other.file_matter(work, kept, new_matter(kept, seen), NOW)
    assert filing.matter is not None and filing.matter.caller_id == first.caller_id
    assert {one.matter_id for one in seen[0].matters} == {first.matter_id, second.matter_id}
    assert (await one.reconcile()).balanced


@on_a_server
async def test_many_messages_while_their_callers_are_joined_and_parted(nodes: tuple[Store, Store]) -> None:
    one, other = nodes
    first, second = await writes(one, "a"), await writes(one, "b")
    ends = [str(await caller(one, matter)) for matter in (first, second)]

    claiming = asyncio.Lock()  # a claim passes over what another claim is just taking

    async def file(who: str) -> None:
        for number in range(6):
            async with claiming:
                came = await unpacked(one, message(provider_id=f"{who}{number}", sender=sender(who)))
            (row,) = await run(one, select(MESSAGES.c.id).where(MESSAGES.c.envelope_id == came.id))
            done = False
            while not done:
                async with claiming:
                    work, kept = await work_of(one, row.id, Stage.DIGEST), await one.message(row.id)
                with contextlib.suppress(Superseded):
                    await one.file_matter(work, kept, new_matter(kept), NOW)
                    done = True

    async def back_and_forth() -> None:
        for _ in range(4):
            with contextlib.suppress(Superseded):
                await other.people().undo(await other.people().join(*ends, WORD), WORD)

    await asyncio.gather(back_and_forth(), file("a"), file("b"))
    for row in await run(one, select(JOINS.c.id).where(JOINS.c.undone_at.is_(None))):
        await other.people().undo(row.id, WORD)
    for name, matter in zip("ab", (first, second), strict=True):
        seen: list[Past] = []
        await writes(one, name, seen)
        assert (seen[0].contacts_30d, seen[0].matters_30d, seen[0].caller_id) == (7, 7, matter.caller_id)
    assert (await one.reconcile()).balanced


async def test_amending_goes_on_under_the_new_person(opened: Open) -> None:
    store = await opened()
    matter = await filed(store)
    other = await writes(store, MAIL)
    await join(store, other, matter)
    assert (await amended(store, await document(store, matter), content="更多")).revision == 2
