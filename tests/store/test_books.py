from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import Executable, delete, insert, select, update

from normalizer.model import Notice, Outcome
from store.books import SHOWN
from store.queue import work_row
from store.store import Store
from store.tables import ENVELOPES, EVENTS, MATTERS, MESSAGES, UNPACKED, WORK
from store.values import Books, Stage
from tests.store.conftest import (
    NOW,
    amended,
    due,
    envelope,
    filed,
    message,
    run,
    sender,
    to_digest,
    unpacked,
    unpacking,
    work_of,
)


async def busy_day(store: Store) -> None:
    """Something of everything."""
    matter = await filed(store, message("filed", sender=sender("resident-9")))
    await store.outbox().delivered((await due(store))[0], NOW)
    matter = await amended(store, matter)
    await store.outbox().parked((await due(store))[0], "refused", NOW)
    await amended(store, matter)
    await filed(store, message("filed too", sender=sender("resident-8")))
    await unpacked(store, message("filed", sender=sender("resident-9")))
    await store.unpack(await unpacking(store, parsed=Notice(reason="subscribe")))
    for outcome in (Outcome.MALFORMED, Outcome.FAILED):
        broken = envelope()
        await store.keep(broken)
        await store.give_up(await work_of(store, broken.id), outcome, "why", NOW)
    work, _ = await to_digest(store, message("fails", sender=sender("resident-7")))
    await store.give_up(work, Outcome.FAILED, "bug", NOW)
    await unpacked(store, *(message("pending", str(number), sender=sender("resident-6")) for number in range(2)))
    await store.keep(envelope())


async def test_a_busy_day_adds_up(store: Store) -> None:
    await busy_day(store)
    books = await store.reconcile()
    assert books == Books(
        envelopes=11,
        pending=1,
        unpacked=10,
        messages=8,
        held=0,
        outcomes=dict.fromkeys(Outcome, 0)
        | {"filed": 2, "attached": 2, "redelivered": 1, "notice": 1, "malformed": 1, "failed": 2},
        events={"owed": 4, "delivered": 1, "waiting": 2, "parked": 1},
    )
    assert books.balanced
    pending_messages = 2
    envelopes_with_an_outcome = 3
    assert sum(books.outcomes.values()) + pending_messages == books.messages + envelopes_with_an_outcome
    assert await store.pending() == books.pending + pending_messages
    assert await store.waiting_events() == 2


async def test_an_empty_store_adds_up(store: Store) -> None:
    books = await store.reconcile()
    assert books.balanced and books.envelopes == books.messages == books.events["owed"] == 0


async def test_it_adds_up_at_every_moment_while_nodes_work(nodes: tuple[Store, Store]) -> None:
    async def work() -> None:
        for number in range(10):
            await filed(nodes[0], message(sender=sender(f"resident-{number}")))

    working, looked = asyncio.create_task(work()), []
    while not working.done():
        looked.append(await nodes[1].reconcile())
    await working
    assert len({books.messages for books in looked}) > 2, "it was meant to be looked at in between"
    for books in looked:
        assert books.balanced and books.envelopes == books.unpacked + books.pending


# -- each equation, broken on purpose ----------------------------------------------------------------------------------


def queued(stage: Stage, subject: UUID) -> Executable:
    return insert(WORK).values(work_row(stage, subject, "letters", NOW))


def pending(stage: Stage) -> Executable:
    return select(WORK.c.subject).where(WORK.c.stage == stage)


def settled(outcome: Outcome) -> Executable:
    return select(MESSAGES.c.id).where(MESSAGES.c.outcome == outcome)


def without_outcome(messages: int) -> Executable:
    return select(UNPACKED.c.envelope_id).where(UNPACKED.c.messages == messages)


def in_lane(*, waits: bool) -> Executable:
    return select(WORK.c.subject).where(WORK.c.lane.is_not(None), WORK.c.waits == waits)


def waiting(*, waits: bool) -> Executable:
    return select(EVENTS.c.id).where(EVENTS.c.state == "waiting", EVENTS.c.waits == waits)


#: What must be wrong elsewhere too, when a message or its place in a matter has gone.
CONSEQUENCES = {
    "envelope's messages are not as many as were unpacked": {
        "matter not opened by exactly one message",
        "redelivery of a message that is not there",
    },
    "message belongs to a matter that is not there": {"matter not opened by exactly one message"},
    "message neither settled nor pending": {"message waits in its lane for nobody"},
    "message waits in its lane for nobody": {"message waits in its lane for nobody"},
    "message does not wait for another of its lane": {"message does not wait for another of its lane"},
}
BREAKS = {
    "envelope neither unpacked nor pending": [
        (pending(Stage.UNPACK), lambda subject: delete(WORK).where(WORK.c.subject == subject)),
        (
            select(UNPACKED.c.envelope_id).where(UNPACKED.c.outcome == Outcome.NOTICE),
            lambda subject: delete(UNPACKED).where(UNPACKED.c.envelope_id == subject),
        ),
    ],
    "envelope unpacked and still pending": [
        (select(UNPACKED.c.envelope_id), lambda subject: queued(Stage.UNPACK, subject)),
    ],
    "envelope or message pending more than once": [
        (pending(Stage.UNPACK), lambda subject: queued(Stage.UNPACK, subject)),
        (pending(Stage.DIGEST), lambda subject: queued(Stage.DIGEST, subject)),
    ],
    "envelope's messages are not as many as were unpacked": [
        (without_outcome(1), lambda subject: delete(MESSAGES).where(MESSAGES.c.envelope_id == subject)),
        (
            without_outcome(1),
            lambda subject: update(UNPACKED).where(UNPACKED.c.envelope_id == subject).values(messages=2),
        ),
    ],
    "envelope without messages has no outcome, or one with messages has one": [
        (
            without_outcome(0),
            lambda subject: update(UNPACKED).where(UNPACKED.c.envelope_id == subject).values(outcome=None),
        ),
        (
            without_outcome(1),
            lambda subject: update(UNPACKED).where(UNPACKED.c.envelope_id == subject).values(outcome="notice"),
        ),
    ],
    "message neither settled nor pending": [
        (pending(Stage.DIGEST), lambda subject: delete(WORK).where(WORK.c.subject == subject)),
        (
            settled(Outcome.REDELIVERED),
            lambda subject: update(MESSAGES).where(MESSAGES.c.id == subject).values(outcome=None),
        ),
    ],
    "message settled and still pending": [
        (settled(Outcome.FILED), lambda subject: queued(Stage.DIGEST, subject)),
    ],
    "message belongs to a matter that is not there": [
        (
            settled(Outcome.FILED),
            lambda subject: update(MESSAGES).where(MESSAGES.c.id == subject).values(matter_id=UUID(int=7)),
        ),
        (
            settled(Outcome.ATTACHED),
            lambda subject: update(MESSAGES).where(MESSAGES.c.id == subject).values(matter_id=None),
        ),
    ],
    "redelivery of a message that is not there": [
        (
            settled(Outcome.REDELIVERED),
            lambda subject: update(MESSAGES).where(MESSAGES.c.id == subject).values(first_id=UUID(int=7)),
        ),
    ],
    "matter not opened by exactly one message": [
        (
            select(MESSAGES.c.matter_id).where(MESSAGES.c.outcome == Outcome.ATTACHED),
            lambda subject: update(MESSAGES).where(MESSAGES.c.matter_id == subject).values(outcome=Outcome.FILED),
        ),
    ],
    "message waits in its lane for nobody": [
        (in_lane(waits=False), lambda subject: update(WORK).where(WORK.c.subject == subject).values(waits=True)),
    ],
    "message does not wait for another of its lane": [
        (in_lane(waits=True), lambda subject: update(WORK).where(WORK.c.subject == subject).values(waits=False)),
    ],
    "event waits for nobody": [
        (
            waiting(waits=False),
            lambda subject: update(EVENTS).where(EVENTS.c.id == subject).values(waits=True),
        ),
        (
            waiting(waits=True),
            lambda subject: update(EVENTS).where(EVENTS.c.id != subject).values(state="delivered"),
        ),
    ],
    "event does not wait for the one before": [
        (waiting(waits=True), lambda subject: update(EVENTS).where(EVENTS.c.id == subject).values(waits=False)),
    ],
    "event in a state that is none": [
        (select(EVENTS.c.id), lambda subject: update(EVENTS).where(EVENTS.c.id == subject).values(state="lost")),
    ],
    "matter owes the core more or fewer events than were written": [
        (select(MATTERS.c.id), lambda subject: delete(EVENTS).where(EVENTS.c.matter_id == subject)),
        (select(MATTERS.c.id), lambda subject: update(MATTERS).where(MATTERS.c.id == subject).values(revision=9)),
    ],
}


@pytest.mark.parametrize(
    ("sentence", "victims", "fault"),
    [(sentence, *how) for sentence, ways in BREAKS.items() for how in ways],
    ids=[f"{sentence}-{number}" for sentence, ways in BREAKS.items() for number in range(len(ways))],
)
async def test_each_way_to_be_wrong_names_the_row(
    store: Store, sentence: str, victims: Executable, fault: object
) -> None:
    await busy_day(store)
    ((victim,), *_) = await run(store, victims)
    await run(store, fault(victim))
    books = await store.reconcile()
    assert not books.balanced
    assert f"{victim}: {sentence}" in books.offending
    others = {line.split(": ", 1)[1] for line in books.offending if not line.startswith(str(victim))}
    assert others <= CONSEQUENCES.get(sentence, set()), "nobody else is accused"


async def test_the_first_offending_rows_are_enough(store: Store) -> None:
    for _ in range(SHOWN + 5):
        await store.keep(envelope())
    await run(store, delete(WORK))
    assert len((await store.reconcile()).offending) == SHOWN


async def test_since_counts_what_came_from_then_on(store: Store) -> None:
    await filed(store, message(sender=sender("resident-2")), received_at=NOW - timedelta(days=2))
    await store.keep(envelope())
    books = await store.reconcile(NOW)
    assert books.balanced and (books.envelopes, books.pending, books.messages) == (1, 1, 0)
    assert (await store.reconcile(NOW - timedelta(days=3))).envelopes == 2
    await run(store, update(ENVELOPES).values(received_at=NOW - timedelta(days=2)))
    await run(store, delete(WORK))
    assert (await store.reconcile(NOW)).balanced and not (await store.reconcile()).balanced


# -- receipts ----------------------------------------------------------------------------------------------------------


async def test_a_receipt_tells_what_became_of_an_envelope(store: Store) -> None:
    one = envelope(context={"client": "desk"})
    await store.keep(one)
    receipt = await store.receipt(one.id)
    assert (receipt.receipt, receipt.channel, receipt.client, receipt.state) == (one.id, "letters", "desk", "kept")
    assert receipt.matter_id is receipt.tracking_code is None


async def test_a_receipt_of_an_envelope_without_client_names_none(store: Store) -> None:
    one = await unpacked(store, message())
    receipt = await store.receipt(one.id)
    assert (receipt.client, receipt.state) == (None, "kept")


async def test_a_receipt_of_several_messages_tells_of_the_first(store: Store) -> None:
    one = await unpacked(store, message("one", "1"), message("two", "2", sender=sender("resident-2")))
    second = (await store.claim(Stage.DIGEST, NOW, 10))[1]
    await store.give_up(second, Outcome.FAILED, "bug", NOW)
    assert (await store.receipt(one.id)).state == "kept"


async def test_nobody_has_a_receipt_for_what_was_not_kept(store: Store) -> None:
    assert await store.receipt(uuid_utils.compat.uuid7()) is None
