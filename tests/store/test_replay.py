from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from normalizer.model import Envelope, Notice, Outcome
from store.messages import Unpacking
from store.store import Store
from store.tables import MESSAGES, TRANSITIONS
from store.values import Replayable, Stage
from tests.store.conftest import (
    NOW,
    envelope,
    filed,
    message,
    new_matter,
    run,
    said_in,
    sender,
    to_digest,
    unpacked,
    unpacking,
    work_of,
)

ENDED = (Outcome.MALFORMED, Outcome.FAILED)


async def ended(store: Store, outcome: Outcome, **more: object) -> Envelope:
    """An envelope that could not be unpacked."""
    one = envelope(**more)
    await store.keep(one)
    await store.give_up(await work_of(store, one.id), outcome, "why", NOW)
    return one


@pytest.mark.parametrize("outcome", ENDED)
async def test_an_envelope_that_could_not_be_unpacked_is_queued_again(store: Store, outcome: Outcome) -> None:
    one = await ended(store, outcome)
    assert await store.requeue(one.id, NOW) == 1
    assert (await store.receipt(one.id)).state == "kept"
    work = await work_of(store, one.id)
    assert (work.attempts, work.lane) == (0, None)
    assert (await store.reconcile()).balanced
    assert await store.requeue(one.id, NOW) == 0, "it is in the queue already"

    await store.unpack(Unpacking(work, one, (message(),), NOW))
    assert await said_in(store, one.id) == (message(),)
    books = await store.reconcile()
    assert books.balanced and books.outcomes[outcome] == 0
    steps = await run(store, select(TRANSITIONS.c.step).order_by(TRANSITIONS.c.sequence))
    assert [row.step for row in steps] == [outcome, "replayed"]


async def test_messages_that_failed_are_queued_again_in_their_senders_line(store: Store) -> None:
    work, kept = await to_digest(store, message("failed", "1"))
    await store.give_up(work, Outcome.FAILED, "bug", NOW)
    await to_digest(store, message("next", "2"))
    assert await store.requeue(kept.envelope_id, NOW) == 1
    again = await work_of_waiting(store)
    assert again == ["next", "failed"] and (await store.reconcile()).balanced


async def work_of_waiting(store: Store) -> list[str]:
    """The texts of one sender's waiting messages, in the order in which they are digested."""
    texts = []
    while found := await store.claim(Stage.DIGEST, NOW, 10):
        (work,) = found
        kept = await store.message(work.subject)
        texts.append(kept.message.text)
        await store.file_matter(work, kept, new_matter(kept), NOW)
    return texts


async def test_only_what_failed_of_an_envelope_is_queued_again(store: Store) -> None:
    one = await unpacked(store, message("good", "1", sender=sender("1")), message("bad", "2", sender=sender("2")))
    good, bad = await store.claim(Stage.DIGEST, NOW, 10)
    kept = await store.message(good.subject)
    await store.file_matter(good, kept, new_matter(kept), NOW)
    await store.give_up(bad, Outcome.FAILED, "bug", NOW)
    assert await store.requeue(one.id, NOW) == 1
    assert [work.subject for work in await store.claim(Stage.DIGEST, NOW, 10)] == [bad.subject]
    outcomes = await run(store, select(MESSAGES.c.outcome).order_by(MESSAGES.c.position))
    assert [row.outcome for row in outcomes] == ["filed", None]


async def test_what_stands_is_not_queued_again(store: Store) -> None:
    notice = await unpacking(store, parsed=Notice(reason="subscribe"))
    await store.unpack(notice)
    first = await unpacked(store, message())
    copy = await unpacked(store, message())
    (work,) = await store.claim(Stage.DIGEST, NOW, 10)
    kept = await store.message(work.subject)
    await store.file_matter(work, kept, new_matter(kept), NOW)
    for one in (notice.envelope, first, copy):
        assert await store.requeue(one.id, NOW) == 0
    assert await store.pending() == 0


async def test_nodes_that_replay_at_once_queue_each_piece_once(nodes: tuple[Store, Store]) -> None:
    for number in range(10):
        said = [message(provider_id=f"{number}-{part}", sender=sender(str(part))) for part in range(3)]
        one = await unpacked(nodes[0], *said)
        other = await ended(nodes[0], Outcome.FAILED)
        for work in await nodes[0].claim(Stage.DIGEST, NOW, 10):
            await nodes[0].give_up(work, Outcome.FAILED, "bug", NOW)
        for subject, pieces in ((one, 3), (other, 1)):
            queued = await asyncio.gather(*(node.requeue(subject.id, NOW) for node in nodes))
            assert sorted(queued) == [0, pieces]
        assert (await nodes[0].reconcile()).offending == []
        for stage in Stage:
            for work in await nodes[0].claim(stage, NOW, 10):
                await nodes[0].give_up(work, Outcome.FAILED, "bug", NOW)


async def test_envelopes_are_found_by_what_became_of_them(store: Store) -> None:
    malformed = await ended(store, Outcome.MALFORMED, channel="app")
    failed = await ended(store, Outcome.FAILED)
    mixed = await unpacked(store, message("good", "1", sender=sender("1")), message("bad", "2", sender=sender("2")))
    good, bad = await store.claim(Stage.DIGEST, NOW, 10)
    kept = await store.message(good.subject)
    await store.file_matter(good, kept, new_matter(kept), NOW)
    await store.give_up(bad, Outcome.FAILED, "bug", NOW)
    await filed(store, message(provider_id="3"))
    await store.keep(envelope())

    assert await store.replayable(ENDED) == [
        Replayable(malformed.id, "app", ("malformed",)),
        Replayable(failed.id, "letters", ("failed",)),
        Replayable(mixed.id, "letters", ("filed", "failed")),
    ]
    assert [found.envelope_id for found in await store.replayable((Outcome.MALFORMED,))] == [malformed.id]
    assert len(await store.replayable((Outcome.FILED,))) == 2


async def test_envelopes_are_found_page_by_page_and_from_a_time_on(store: Store) -> None:
    times = [NOW - timedelta(days=2), *[NOW] * 4]
    made = [(await ended(store, Outcome.FAILED, received_at=at)).id for at in times]
    first = [found.envelope_id for found in await store.replayable(ENDED, limit=2)]
    second = [found.envelope_id for found in await store.replayable(ENDED, after=first[-1], limit=2)]
    last = [found.envelope_id for found in await store.replayable(ENDED, after=second[-1], limit=2)]
    assert [*first, *second, *last] == made
    assert [found.envelope_id for found in await store.replayable(ENDED, since=NOW)] == made[1:]


async def test_a_notice_is_queued_again_only_when_asked_for(store: Store) -> None:
    one = await unpacked(store, parsed=Notice(reason="unknown_type"))
    assert await store.requeue(one.id, NOW) == 0
    assert await store.requeue(one.id, NOW, (Outcome.NOTICE,)) == 1
    assert (await store.reconcile()).pending == 1


async def test_a_replay_and_an_unpacking_of_the_same_senders_do_not_lock_each_other_out(
    nodes: tuple[Store, Store],
) -> None:
    senders = [sender(str(number)) for number in range(50)]
    for number in range(3):
        failed = await unpacked(nodes[0], *(message(f"{number} fails", "1", sender=one) for one in senders))
        for work in await nodes[0].claim(Stage.DIGEST, NOW, 50):
            await nodes[0].give_up(work, Outcome.FAILED, "bug", NOW)
        ready = await unpacking(nodes[1], *(message(f"{number} waits", "2", sender=one) for one in reversed(senders)))
        assert await asyncio.gather(nodes[0].requeue(failed.id, NOW), nodes[1].unpack(ready)) == [50, ()]
        assert (await nodes[0].reconcile()).offending == []
        for _ in range(2):
            for work in await nodes[0].claim(Stage.DIGEST, NOW, 50):
                await nodes[0].give_up(work, Outcome.FAILED, "bug", NOW)
        assert await nodes[0].pending() == 0
