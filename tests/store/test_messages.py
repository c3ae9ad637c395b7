from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from normalizer.model import Attachment, AttachmentKind, Envelope, Message, Notice, Outcome, Place
from store.errors import Superseded
from store.queue import work_row
from store.store import Store
from store.tables import MESSAGES, TRANSITIONS, WORK
from store.values import Stage
from tests.store.conftest import NOW, envelope, message, run, said_in, sender, to_digest, unpacked, unpacking, work_of

REDELIVERED = (Outcome.REDELIVERED,)
LATER = NOW + timedelta(seconds=1)


async def steps(store: Store) -> list[str]:
    return [row.step for row in await run(store, select(TRANSITIONS.c.step).order_by(TRANSITIONS.c.sequence))]


async def flags(store: Store, *envelopes: Envelope) -> list[str]:
    found = {row.envelope_id: row.flags for row in await run(store, select(MESSAGES.c.envelope_id, MESSAGES.c.flags))}
    return [found[one.id] for one in envelopes]


# -- the queue ---------------------------------------------------------------------------------------------------------


async def test_work_is_claimed_in_order_of_arrival_up_to_the_limit_without_what_is_under_way(store: Store) -> None:
    kept = [envelope() for _ in range(5)]
    for one in kept:
        await store.keep(one)
    first = await store.claim(Stage.UNPACK, NOW, 2)
    assert [work.subject for work in first] == [one.id for one in kept[:2]]
    rest = await store.claim(Stage.UNPACK, NOW, 10, [work.sequence for work in first])
    assert [work.subject for work in rest] == [one.id for one in kept[2:]]
    assert await store.claim(Stage.DIGEST, NOW, 10) == []


async def test_what_has_failed_is_not_due_before_its_time_and_what_has_not_is_due_at_once(store: Store) -> None:
    await store.keep(envelope(received_at=LATER))
    (work,) = await store.claim(Stage.UNPACK, NOW, 10)
    await store.postpone(work, "slow", NOW, LATER)
    assert await store.claim(Stage.UNPACK, NOW, 10) == []
    assert await store.claim(Stage.UNPACK, LATER, 10) == [replace(work, attempts=1)]


async def test_a_sender_has_one_message_digested_at_a_time_and_in_order(store: Store) -> None:
    await unpacked(store, message("first", "1"), message("second", "2"), message("other", "3", sender=sender("r-2")))
    lanes = await store.claim(Stage.DIGEST, NOW, 10)
    assert [(await store.message(work.subject)).message.text for work in lanes] == ["first", "other"]

    under_way = [work.sequence for work in lanes]
    assert await store.claim(Stage.DIGEST, NOW, 10, under_way) == [], "it waits for the one before, also under way"
    await store.postpone(lanes[0], "core_busy", NOW, LATER)
    assert await store.claim(Stage.DIGEST, NOW, 10, under_way[1:]) == [], "and also when that one was put off"

    await store.give_up(await work_of(store, lanes[0].subject, Stage.DIGEST), Outcome.FAILED, "bug", NOW)
    (work,) = await store.claim(Stage.DIGEST, NOW, 10, under_way[1:])
    assert (await store.message(work.subject)).message.text == "second"


async def test_envelopes_wait_for_nobody(store: Store) -> None:
    first, second = envelope(), envelope()
    await store.keep(first)
    await store.keep(second)
    await store.postpone(await work_of(store, first.id), "slow", NOW, LATER)
    assert [work.subject for work in await store.claim(Stage.UNPACK, NOW, 10)] == [second.id]


async def test_a_try_that_failed_is_counted_and_recorded(store: Store) -> None:
    one = envelope()
    await store.keep(one)
    work = await work_of(store, one.id)
    await store.postpone(work, "slow", NOW, LATER)
    assert await work_of(store, one.id) == replace(work, attempts=1)
    assert await steps(store) == ["retry"]
    with pytest.raises(Superseded):
        await store.postpone(work, "slow", NOW, LATER)
    assert await steps(store) == ["retry"]


@pytest.mark.parametrize("outcome", [Outcome.MALFORMED, Outcome.FAILED])
async def test_giving_up_settles_the_envelope(store: Store, outcome: Outcome) -> None:
    one = envelope()
    await store.keep(one)
    work = await work_of(store, one.id)
    assert await store.give_up(work, outcome, "xml", NOW) == "letters"
    assert (await store.receipt(one.id)).state == outcome
    assert (await store.reconcile()).outcomes[outcome] == 1
    assert await store.pending() == 0
    with pytest.raises(Superseded):
        await store.give_up(work, outcome, "xml", NOW)
    assert await steps(store) == [outcome]


async def test_giving_up_settles_the_message(store: Store) -> None:
    work, kept = await to_digest(store, message())
    assert await store.give_up(work, Outcome.FAILED, "bug", NOW) == "letters"
    assert (await store.receipt(kept.envelope_id)).state == Outcome.FAILED
    books = await store.reconcile()
    assert books.balanced and books.outcomes["failed"] == books.messages == 1
    with pytest.raises(Superseded):
        await store.give_up(work, Outcome.FAILED, "bug", NOW)


# -- from envelope to messages -----------------------------------------------------------------------------------------


async def test_a_message_comes_back_as_it_was_read(store: Store) -> None:
    said = message(
        "路灯坏了 😀",
        sent_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        title="路灯",
        attachments=(Attachment(id="0", kind=AttachmentKind.IMAGE, file_name="灯.jpg", reference="media-1"),),
        place=Place(text="解放路 1 号", longitude=117.0, latitude=36.65),
        name="张三",
        contacts=(sender("zhang@example.com"),),
        flags=("charset_guessed",),
    )
    one = await unpacked(store, said, flags=("stale_clock",))
    (work,) = await store.claim(Stage.DIGEST, NOW, 10)
    kept = await store.message(work.subject)
    assert (kept.message, kept.envelope_id, kept.channel, kept.kind) == (said, one.id, "letters", "letter")
    assert kept.received_at == one.received_at
    assert kept.flags == ("stale_clock", "charset_guessed")
    assert await said_in(store, one.id) == (said,)


async def test_an_envelope_may_hold_several_messages_in_order(store: Store) -> None:
    said = [message(str(number), str(number)) for number in range(5)]
    one = await unpacked(store, *said)
    assert await said_in(store, one.id) == tuple(said)
    books = await store.reconcile()
    assert books.balanced and (books.unpacked, books.messages, books.pending) == (1, 5, 0)


async def test_a_notice_settles_its_envelope(store: Store) -> None:
    ready = await unpacking(store, parsed=Notice(reason="subscribe"))
    assert await store.unpack(ready) == (Outcome.NOTICE,)
    assert (await store.receipt(ready.envelope.id)).state == Outcome.NOTICE
    assert await steps(store) == ["notice"]
    assert await store.pending() == 0 and (await store.reconcile()).balanced


async def test_a_redelivery_is_kept_as_a_copy_that_names_the_first(store: Store) -> None:
    first = await unpacked(store, message())
    again = await unpacking(store, message())
    assert await store.unpack(again) == REDELIVERED
    rows = await run(store, select(MESSAGES).order_by(MESSAGES.c.sender_position))
    assert [row.envelope_id for row in rows] == [first.id, again.envelope.id]
    assert (rows[1].first_id, rows[1].identity) == (rows[0].id, None)
    assert rows[0].first_id is None and rows[0].outcome is None
    assert await steps(store) == ["redelivered"]
    assert await store.pending() == 1, "a copy is not digested"
    assert (await store.reconcile()).balanced


async def test_a_hundred_redeliveries_all_name_the_first(nodes: tuple[Store, Store]) -> None:
    ready = [await unpacking(nodes[index % 2], message()) for index in range(100)]
    results = await asyncio.gather(*(nodes[index % 2].unpack(one) for index, one in enumerate(ready)))
    assert sorted(results) == [(), *[REDELIVERED] * 99]
    rows = await run(nodes[0], select(MESSAGES))
    (first,) = [row for row in rows if row.identity is not None]
    assert {row.first_id for row in rows if row is not first} == {first.id}
    assert len(await nodes[0].claim(Stage.DIGEST, NOW, 1000)) == await nodes[0].pending() == 1


async def test_nodes_that_race_with_the_same_message_make_one_new_and_one_redelivered(
    nodes: tuple[Store, Store],
) -> None:
    for number in range(10):
        said = message(provider_id=f"race-{number}")
        ready = [await unpacking(node, said) for node in nodes]
        results = await asyncio.gather(*(node.unpack(one) for node, one in zip(nodes, ready, strict=True)))
        assert sorted(results) == [(), REDELIVERED]
    assert (await nodes[0].reconcile()).outcomes["redelivered"] == 10


async def test_the_same_message_twice_in_one_envelope_counts_once(store: Store) -> None:
    ready = await unpacking(store, message(), message())
    assert await store.unpack(ready) == REDELIVERED
    books = await store.reconcile()
    assert books.balanced and (books.messages, books.outcomes["redelivered"], await store.pending()) == (2, 1, 1)


@pytest.mark.parametrize(
    "other",
    [
        message(key_space="app"),
        message(account="desk-2"),
        message(sender=sender("resident-2")),
        message(provider_id="2"),
        message(provider_id=None),
        message("other words"),
    ],
    ids=["key space", "account", "sender", "id", "no id", "body"],
)
async def test_what_differs_in_any_part_of_the_identity_is_another_message(store: Store, other: Message) -> None:
    await unpacked(store, message())
    assert await store.unpack(await unpacking(store, other)) == ()
    assert await store.pending() == 2


async def test_channels_that_share_a_key_space_see_one_message(store: Store) -> None:
    await unpacked(store, message(), channel="smtp")
    assert await store.unpack(await unpacking(store, message(), channel="imap")) == REDELIVERED


async def test_without_an_id_the_same_words_at_another_time_are_another_message(store: Store) -> None:
    def said(at: datetime) -> Message:
        return message(provider_id=None, sent_at=at)

    await unpacked(store, said(NOW))
    assert await store.unpack(await unpacking(store, said(LATER))) == ()
    assert await store.unpack(await unpacking(store, said(NOW))) == REDELIVERED


async def test_an_id_that_comes_with_another_body_is_another_message_and_flagged(store: Store) -> None:
    first = await unpacked(store, message("one"))
    second = await unpacked(store, message("two", flags=("charset_guessed",)))
    again = await unpacked(store, message("one"))
    unrelated = await unpacked(store, message("one", provider_id="2"))
    nameless = [await unpacked(store, message(words, provider_id=None)) for words in ("one", "two")]
    assert await flags(store, first, second) == ["", "charset_guessed id_reused"]
    assert await flags(store, again, unrelated, *nameless) == [""] * 4
    (work,) = await store.claim(Stage.DIGEST, NOW, 10)
    assert (await store.message(work.subject)).message.text == "one"
    assert (await store.reconcile()).balanced


async def test_one_id_with_two_bodies_in_one_delivery_is_flagged(store: Store) -> None:
    await unpacked(store, message("one"), message("two"))
    assert {row.flags for row in await run(store, select(MESSAGES.c.flags))} == {"id_reused"}


@pytest.mark.parametrize("said", ["the same", "read otherwise by a later program"])
async def test_unpacking_an_address_again_changes_nothing(store: Store, said: str) -> None:
    ready = await unpacking(store, message("the same"))
    await store.unpack(ready)
    before = await run(store, select(MESSAGES))
    await run(store, insert(WORK).values(work_row(Stage.UNPACK, ready.envelope.id, "letters", NOW)))
    work = await work_of(store, ready.envelope.id)
    assert await store.unpack(replace(ready, work=work, parsed=(message(said),))) == ()
    assert await run(store, select(MESSAGES)) == before
    assert await store.pending() == 1 and (await store.reconcile()).balanced


# -- several at once ---------------------------------------------------------------------------------------------------


async def test_work_done_by_somebody_else_is_superseded_and_its_neighbours_go_through(
    nodes: tuple[Store, Store],
) -> None:
    ready = [await unpacking(nodes[number % 2], message(provider_id=str(number))) for number in range(3)]
    await nodes[1].unpack(ready[1])
    results = await asyncio.gather(*map(nodes[0].unpack, ready), return_exceptions=True)
    assert results[::2] == [(), ()] and isinstance(results[1], Superseded)
    with pytest.raises(Superseded):
        await nodes[0].unpack(ready[1])
    books = await nodes[0].reconcile()
    assert books.balanced and (books.unpacked, books.messages) == (3, 3)


async def test_the_same_work_twice_in_one_batch_is_done_once(store: Store) -> None:
    ready = await unpacking(store, parsed=Notice(reason="subscribe"))
    results = await asyncio.gather(store.unpack(ready), store.unpack(ready), return_exceptions=True)
    assert results[0] == (Outcome.NOTICE,) and isinstance(results[1], Superseded)
    assert await steps(store) == ["notice"]


async def test_nodes_that_race_for_the_same_work_in_another_order_share_it_between_them(
    nodes: tuple[Store, Store],
) -> None:
    ready = [
        await unpacking(nodes[0], message(provider_id=str(number), sender=sender(str(number % 7))))
        for number in range(60)
    ]
    forward = [nodes[0].unpack(one) for one in ready]
    backward = [nodes[1].unpack(one) for one in reversed(ready)]
    results = await asyncio.gather(*forward, *backward, return_exceptions=True)
    assert [result for result in results if isinstance(result, tuple)] == [()] * 60
    assert sum(isinstance(result, Superseded) for result in results) == 60
    books = await nodes[0].reconcile()
    assert books.balanced and books.messages == 60


async def test_nodes_with_the_same_senders_in_another_order_do_not_lock_each_other_out(
    nodes: tuple[Store, Store],
) -> None:
    senders = [sender(str(number)) for number in range(50)]
    forward = await unpacking(nodes[0], *(message("forward", "1", sender=one) for one in senders))
    backward = await unpacking(nodes[1], *(message("backward", "2", sender=one) for one in reversed(senders)))
    assert await asyncio.gather(nodes[0].unpack(forward), nodes[1].unpack(backward)) == [(), ()]


async def test_one_refused_envelope_takes_no_neighbour_with_it(store: Store) -> None:
    ready = [await unpacking(store, message(provider_id=str(number))) for number in range(3)]
    ready[1] = replace(ready[1], at=NOW.replace(tzinfo=None))
    results = await asyncio.gather(*map(store.unpack, ready), return_exceptions=True)
    assert results[::2] == [(), ()] and isinstance(results[1], Exception)
    assert (await store.reconcile()).unpacked == 2
    assert await work_of(store, ready[1].envelope.id) == ready[1].work, "what failed stays queued"


async def test_a_senders_messages_are_numbered_without_gaps_in_the_order_of_the_queue(
    nodes: tuple[Store, Store],
) -> None:
    senders = [sender(str(number)) for number in range(3)]
    ready = [
        await unpacking(nodes[number % 2], *(message(provider_id=f"{number}-{part}", sender=one) for part in range(2)))
        for number in range(20)
        for one in senders
    ]
    await asyncio.gather(*(nodes[index // 3 % 2].unpack(one) for index, one in enumerate(ready)))
    queued = (
        select(WORK.c.lane, MESSAGES.c.sender_position)
        .join(MESSAGES, MESSAGES.c.id == WORK.c.subject)
        .order_by(WORK.c.sequence)
    )
    places: dict[bytes, list[int]] = {}
    for lane, place in await run(nodes[0], queued):
        places.setdefault(lane, []).append(place)
    assert list(places.values()) == [list(range(1, 41))] * 3


async def test_redelivered_copies_have_a_place_in_the_order_too(store: Store) -> None:
    for _ in range(3):
        await unpacked(store, message())
    rows = await run(store, select(MESSAGES.c.sender_position).order_by(MESSAGES.c.envelope_id))
    assert [row.sender_position for row in rows] == [1, 2, 3]


async def test_a_message_without_id_and_time_is_never_taken_for_one_before(store: Store) -> None:
    """The same words next month are a citizen asking again, not the same delivery."""
    for _ in range(2):
        await unpacked(store, message(provider_id=None, sent_at=None))
    books = await store.reconcile()
    assert (books.messages, books.outcomes[Outcome.REDELIVERED]) == (2, 0)
    assert await store.pending() == 2


async def test_a_message_without_id_is_known_by_its_time(store: Store) -> None:
    for _ in range(2):
        await unpacked(store, message(provider_id=None, sent_at=NOW))
    assert (await store.reconcile()).outcomes[Outcome.REDELIVERED] == 1
