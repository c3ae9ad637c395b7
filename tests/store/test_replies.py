"""Replies: at most once in effect, in order, on the first way that works, within the windows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import select

from normalizer.model import Contact, ContactType, HotlineMatter, Notice, Report
from normalizer.reply import Limit, Outgoing, ReplyKind, ReplyState, Sent
from store import replies
from store.doors import recipient, shut
from store.errors import Superseded
from store.replies import Post, queue_reply
from store.replybox import ReplyBox
from store.riding import AGAIN, RODE, reply_id
from store.store import Store
from store.tables import REPLIES, UNREACHABLE, WINDOWS
from store.values import Draft, DueReply, Filing, Way
from store.windows import open_window
from tests.store.conftest import (
    NOW,
    Open,
    beat,
    lapse,
    message,
    new_matter,
    run,
    sender,
    to_digest,
    unpacked,
    unpacking,
)

LATER = NOW + timedelta(seconds=30)
CITIZEN = Contact(type=ContactType.TELEGRAM, value="900000001", assurance="verified")
NEUTRAL = "您的诉求有新的答复"

#: Where nothing is written that the two databases spell differently.
on_a_file = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def way(channel: str = "chat", to: str = "900000001", text: str = "已修好", **more: Any) -> Way:
    return Way(channel, "bot", CITIZEN.model_copy(update={"value": to}), text, **more)


def draft(*ways: Way, **more: Any) -> Draft:
    return Draft(uuid_utils.compat.uuid7(), ReplyKind.RESULT, ways or (way(),), "zh", "2611230000000014", **more)


async def queue(store: Store, one: Draft, wait: float = 0) -> ReplyState:
    return await store._database.write(lambda c: queue_reply(c, store._keyring, one, NOW, wait))


async def box_of(store: Store, channel: str = "chat") -> ReplyBox:
    box = store.replybox(channel)
    await asyncio.wait_for(box.lead.gained(), 30)
    return box


async def taken(store: Store, channel: str = "chat", at: Any = NOW, **more: Any) -> list[DueReply]:
    return await (await box_of(store, channel)).take(more.pop("limits", {}), at, 10, **more)


async def one_taken(store: Store, channel: str = "chat", at: Any = NOW, **more: Any) -> DueReply:
    (found,) = await taken(store, channel, at, **more)
    return found


async def states(store: Store) -> list[tuple[str, str | None]]:
    """State and reason of all replies, in their order."""
    rows = await run(store, select(REPLIES.c.state, REPLIES.c.reason).order_by(REPLIES.c.id))
    assert (await store.reconcile()).balanced
    return [tuple(row) for row in rows]


async def state(store: Store) -> tuple[str, str | None]:
    (found,) = await states(store)
    return found


async def report(store: Store, provider_id: str, told: str = "delivered", reason: str | None = None) -> None:
    notice = Notice(reason="receipt", reports=(Report(provider_id=provider_id, state=told, reason=reason),))
    await store.unpack(await unpacking(store, parsed=notice, channel="chat"))


# -- once --------------------------------------------------------------------------------------------------------------


async def test_a_reply_is_queued_once_and_sent_once(store: Store) -> None:
    one = draft()
    assert [await queue(store, one), await queue(store, one)] == ["queued", "queued"]
    due = await one_taken(store)
    assert (due.outgoing.id, due.outgoing.text, due.outgoing.to, due.attempts) == (one.id, "已修好", CITIZEN, 0)
    assert await state(store) == ("sending", None) and await store.outward(NOW) == 1
    assert await taken(store, under_way=[one.id]) == [], "it is on its way"
    await (await box_of(store)).sent(due, Sent("provider-1"), NOW)
    assert await state(store) == ("sent", None) and await store.outward(NOW) == 0
    assert await queue(store, one) == "sent" and await taken(store) == []


@on_a_file
async def test_a_word_of_delivery_with_the_answer(store: Store) -> None:
    await queue(store, draft())
    await (await box_of(store)).sent(await one_taken(store), Sent("provider-1", delivered=True), NOW)
    assert await state(store) == ("delivered", None)


async def test_the_same_reply_of_a_core_that_repeats_itself_at_once(nodes: tuple[Store, Store]) -> None:
    one = draft()
    found = await asyncio.gather(*(queue(node, one) for _ in range(25) for node in nodes))
    assert set(found) == {"queued"} and await state(nodes[0]) == ("queued", None)


async def test_what_surely_did_not_go_out_is_tried_again_when_it_is_time(store: Store) -> None:
    await queue(store, draft())
    due = await one_taken(store)
    await (await box_of(store)).put_off(due, "busy", NOW, LATER)
    assert await taken(store, at=NOW + timedelta(seconds=29)) == []
    assert (await one_taken(store, at=LATER)).attempts == 1


@on_a_file
async def test_a_clock_that_was_put_back_holds_up_nothing(store: Store) -> None:
    await queue(store, draft())
    ahead = NOW + timedelta(days=300)
    await (await box_of(store)).put_off(await one_taken(store), "busy", ahead, ahead + timedelta(seconds=30))
    assert len(await taken(store, at=LATER)) == 1


async def test_what_may_have_gone_out_is_never_sent_again(store: Store) -> None:
    await queue(store, draft(way(), way("sms")))
    await (await box_of(store)).uncertain(await one_taken(store), "timeout", NOW)
    assert await state(store) == ("unknown", "timeout")
    assert await taken(store, at=LATER) == await taken(store, "sms", LATER) == []


async def test_a_node_that_dies_while_sending_leaves_it_unknown(opened: Open) -> None:
    dying = await opened()
    await queue(dying, draft())
    await one_taken(dying)
    await dying.close()
    heir = await opened()
    assert await taken(heir) == [] and await state(heir) == ("unknown", "interrupted")


async def test_what_was_begun_and_not_written_is_unknown_on_the_same_node(store: Store) -> None:
    await queue(store, draft())
    due = await one_taken(store)
    assert await taken(store) == [] and await state(store) == ("unknown", "interrupted")
    with pytest.raises(Superseded):
        await (await box_of(store)).sent(due, Sent("late"), NOW)


async def test_a_node_that_lost_the_lead_writes_nothing(trio: list[Store], by_hand: None) -> None:
    old, new, _ = trio
    for _ in range(3):
        await queue(old, draft())
    lost = old.replybox("chat")
    await beat(old)
    due = await one_taken(old)
    other = new.replybox("chat")
    lead = other.lead
    await beat(new)
    with pytest.raises(Superseded):
        await other.take({}, NOW, 10)
    await lapse(old)
    await beat(new)
    assert lead.held
    for write in (
        lost.take({}, NOW, 10),
        lost.sent(due, Sent("x"), NOW),
        lost.put_off(due, "busy", NOW, LATER),
        lost.refused(due, "blocked", NOW),
        lost.uncertain(due, "timeout", NOW),
    ):
        with pytest.raises(Superseded):
            await write
    assert [one.outgoing.id == due.outgoing.id for one in await other.take({}, NOW, 10)] == [False]
    assert (await states(new))[0] == ("unknown", "interrupted")


# -- order -------------------------------------------------------------------------------------------------------------


async def test_one_recipient_gets_his_replies_one_after_the_other(store: Store) -> None:
    first, second = draft(), draft()
    stranger = draft(way(to="900000002"))
    for one in (first, second, stranger):
        await queue(store, one)
    box = await box_of(store)
    due = await taken(store)
    assert [one.outgoing.id for one in due] == [first.id, stranger.id]
    assert await taken(store, under_way=[one.outgoing.id for one in due]) == []
    await box.put_off(due[0], "busy", NOW, LATER)
    assert await taken(store, under_way=[stranger.id]) == [], "the second does not overtake the first"
    await box.sent(await one_taken(store, at=LATER, under_way=[stranger.id]), Sent(), LATER)
    assert (await one_taken(store, at=LATER, under_way=[stranger.id])).outgoing.id == second.id


@on_a_file
async def test_nobody_waits_for_another_channel(store: Store) -> None:
    await queue(store, draft())
    await queue(store, draft(way("sms")))
    assert len(await taken(store)) == len(await taken(store, "sms")) == 1


# -- ways --------------------------------------------------------------------------------------------------------------


async def test_refused_it_goes_the_next_way_with_that_ways_words(store: Store) -> None:
    one = draft(way(), way("sms", "+8613800138000", NEUTRAL, answers="call-7"))
    await queue(store, one)
    await (await box_of(store)).refused(await one_taken(store), "window_closed", NOW)
    assert await state(store) == ("queued", "window_closed") and await taken(store) == []
    due = await one_taken(store, "sms")
    assert (due.outgoing.id, due.outgoing.text, due.attempts) == (one.id, NEUTRAL, 0)
    assert (due.outgoing.to.value, due.outgoing.answers) == ("+8613800138000", "call-7")
    assert due.outgoing.tracking_code == one.tracking_code
    await (await box_of(store, "sms")).refused(due, "no_number", NOW)
    assert await state(store) == ("failed", "no_number")


@on_a_file
async def test_without_a_way_it_failed_from_the_start(store: Store) -> None:
    one = Draft(uuid_utils.compat.uuid7(), ReplyKind.RESULT, (), "zh")
    assert [await queue(store, one), await queue(store, one)] == ["failed", "failed"]
    assert await state(store) == ("failed", "no_way")


async def test_who_blocked_us_is_not_written_to_there(store: Store) -> None:
    await queue(store, draft(way(), way("sms")))
    await (await box_of(store)).refused(await one_taken(store), "blocked", NOW, unreachable=True)
    await queue(store, draft())
    assert await taken(store) == []
    assert await states(store) == [("queued", "blocked"), ("failed", "blocked")]
    assert len(await taken(store, "sms")) == 1, "only there"


@on_a_file
async def test_who_wants_no_messages_is_told_of_danger_all_the_same(store: Store) -> None:
    whose = recipient(store._keyring, "chat", "bot", CITIZEN)
    await store._database.write(lambda c: shut(c, whose, "opted_out", NOW))
    await queue(store, draft())
    assert await taken(store) == []
    warning = replace(draft(), kind=ReplyKind.WARNING)
    await queue(store, warning)
    assert [due.outgoing.id for due in await taken(store)] == [warning.id]


@on_a_file
@pytest.mark.parametrize("step", ["message", "notice"])
async def test_who_comes_back_may_be_written_to(store: Store, step: str) -> None:
    whose = recipient(store._keyring, "chat", "bot", CITIZEN)
    await store._database.write(lambda c: shut(c, whose, "blocked", NOW))
    if step == "notice":
        back = Notice(reason="unblocked", account="bot", sender=CITIZEN, reachable=True)
        await store.unpack(await unpacking(store, parsed=back, channel="chat"))
    else:
        await unpacked(store, message(account="bot", sender=CITIZEN), channel="chat")
    await queue(store, draft())
    assert len(await taken(store)) == 1 and await run(store, select(UNREACHABLE)) == []


@on_a_file
async def test_a_notice_shuts_the_door_and_says_why(store: Store) -> None:
    gone = Notice(reason="unsubscribed", account="bot", sender=CITIZEN, reachable=False)
    await store.unpack(await unpacking(store, parsed=gone, channel="chat"))
    await queue(store, draft())
    assert await taken(store) == [] and await state(store) == ("failed", "unsubscribed")


# -- reports -----------------------------------------------------------------------------------------------------------


@on_a_file
@pytest.mark.parametrize(
    ("told", "reason", "expected"),
    [
        ("delivered", None, ("delivered", None)),
        ("failed", "expired", ("queued", "expired")),
        ("failed", None, ("queued", "undelivered")),
    ],
)
@pytest.mark.parametrize("when", ["after", "before"])
async def test_the_providers_word_counts_also_where_it_is_faster_than_ours(
    store: Store, told: str, reason: str | None, expected: tuple[str, str | None], when: str
) -> None:
    await queue(store, draft(way(), way("sms")))
    due, box = await one_taken(store), await box_of(store)
    if when == "before":
        await report(store, "p-1", told, reason)
        assert await state(store) == ("sending", None)
    await box.sent(due, Sent("p-1"), NOW)
    if when == "after":
        await report(store, "p-1", told, reason)
    assert await state(store) == expected
    assert len(await taken(store, "sms")) == (told == "failed")


async def test_a_report_settles_what_was_unknown_and_nothing_else(store: Store) -> None:
    await queue(store, draft(way(), way("sms")))
    box = await box_of(store)
    await box.sent(await one_taken(store), Sent("p-1"), NOW)
    for number in range(3):
        await report(store, "p-1", "delivered")
        await report(store, "p-1", "failed")
        await report(store, f"of another {number}", "failed")
    assert await state(store) == ("delivered", None), "a later word does not take it back"


async def test_a_provider_that_gives_an_id_twice_stops_nobody(store: Store) -> None:
    box = await box_of(store)
    for _ in range(2):
        await queue(store, draft())
        await box.sent(await one_taken(store), Sent("same"), NOW)
    await report(store, "same")
    assert await states(store) == [("sent", None), ("delivered", None)]


# -- windows -----------------------------------------------------------------------------------------------------------

LIMITS: Mapping[str, Limit] = {"message": Limit(100, 2), "menu": Limit(60, 1), "free": Limit(1000)}


async def opens(store: Store, name: str, ago: float = 0) -> None:
    whose = recipient(store._keyring, "chat", "bot", CITIZEN)
    since = NOW - timedelta(seconds=ago)
    await store._database.write(lambda c: open_window(c, whose, name, LIMITS[name], since))


async def windows(store: Store) -> dict[str, int | None]:
    return {row.name: row.remaining for row in await run(store, select(WINDOWS))}


async def used(store: Store, at: Any = NOW) -> str | None:
    """Queue a reply and send it; the window it went in."""
    await queue(store, draft())
    due = await one_taken(store, at=at, limits=LIMITS)
    await (await box_of(store)).sent(due, Sent(), at)
    return due.outgoing.window


async def test_the_window_that_closes_first_is_used_up_first(store: Store) -> None:
    for name in LIMITS:
        await opens(store, name)
    assert [await used(store) for _ in range(5)] == ["menu", "message", "message", "free", "free"]
    assert await windows(store) == {"menu": 0, "message": 0, "free": None}


@on_a_file
async def test_a_window_closes(store: Store) -> None:
    await opens(store, "message", ago=99)
    assert await used(store, NOW) == "message"
    assert await used(store, NOW + timedelta(seconds=2)) is None


async def test_a_step_opens_it_anew_and_an_older_one_that_comes_late_does_not_shorten_it(store: Store) -> None:
    await opens(store, "message", ago=50)
    assert await used(store) == "message"
    await opens(store, "message", ago=90)
    assert await windows(store) == {"message": 1}
    await opens(store, "message")
    assert await windows(store) == {"message": 2}
    assert await used(store, NOW + timedelta(seconds=60)) == "message"


@on_a_file
@pytest.mark.parametrize("how", ["put off", "refused"])
async def test_what_did_not_go_out_has_used_nothing(store: Store, how: str) -> None:
    await opens(store, "message")
    await queue(store, draft(way(), way("sms")))
    due, box = await one_taken(store, limits=LIMITS), await box_of(store)
    assert await windows(store) == {"message": 1}
    if how == "refused":
        await box.refused(due, "no", NOW)
    else:
        await box.put_off(due, "busy", NOW, LATER)
    assert await windows(store) == {"message": 2}


async def test_a_window_that_was_opened_anew_meanwhile_gets_nothing_back(store: Store) -> None:
    await opens(store, "message", ago=50)
    await queue(store, draft())
    due = await one_taken(store, limits=LIMITS)
    await opens(store, "message")
    await (await box_of(store)).put_off(due, "busy", NOW, LATER)
    assert await windows(store) == {"message": 2}


@on_a_file
async def test_what_may_have_gone_out_has_used_its_place(store: Store) -> None:
    await opens(store, "message")
    await queue(store, draft())
    await (await box_of(store)).uncertain(await one_taken(store, limits=LIMITS), "timeout", NOW)
    assert await windows(store) == {"message": 1}


@on_a_file
async def test_a_message_opens_the_window_that_it_names(store: Store) -> None:
    ready = await unpacking(store, message(account="bot", sender=CITIZEN, opens="message"), channel="chat")
    ready = type(ready)(ready.work, ready.envelope, ready.parsed, ready.at, LIMITS)
    await store.unpack(ready)
    assert await used(store) == "message"


# -- riding ------------------------------------------------------------------------------------------------------------


async def answered(store: Store, **more: Any) -> tuple[UUID, HotlineMatter]:
    """An envelope whose message was filed, and its acknowledgement queued."""
    said = message(account="bot", sender=CITIZEN, **more)
    work, kept = await to_digest(store, said, channel="chat")
    compose = new_matter(kept)

    def decide(*past: Any) -> Filing:
        filing = compose(*past)
        reply = Draft(reply_id(kept.id), ReplyKind.ACKNOWLEDGEMENT, (way(text="已收到"),), "zh")
        return Filing(filing.verdict, filing.matter, filing.event_type, (reply,))

    filing = await store.file_matter(work, kept, decide, NOW, ride_seconds=4)
    assert filing.matter is not None
    return kept.envelope_id, filing.matter


async def test_a_reply_is_left_to_the_acknowledgement_for_a_while(store: Store) -> None:
    envelope_id, _ = await answered(store)
    assert await taken(store, at=NOW + timedelta(seconds=3)) == []
    rode = await store.ride("chat", envelope_id, NOW)
    assert isinstance(rode, Outgoing) and rode.text == "已收到"
    assert await state(store) == ("sent", RODE) and await taken(store, at=LATER) == []


async def test_it_rides_again_on_a_redelivery_for_a_short_while(store: Store) -> None:
    envelope_id, _ = await answered(store, provider_id="7")
    again = await unpacked(store, message(account="bot", sender=CITIZEN, provider_id="7"), channel="chat")
    rides = [
        await store.ride("chat", one, NOW + after)
        for one, after in [
            (envelope_id, timedelta(0)),
            (envelope_id, timedelta(seconds=5)),
            (again.id, AGAIN - timedelta(seconds=1)),
            (again.id, AGAIN),
        ]
    ]
    assert [ride is not None for ride in rides] == [True, True, True, False]


async def test_what_has_gone_out_by_itself_does_not_ride(store: Store) -> None:
    envelope_id, _ = await answered(store)
    late = NOW + timedelta(seconds=5)
    due = await one_taken(store, at=late)
    assert await store.ride("chat", envelope_id, late) is None
    await (await box_of(store)).put_off(due, "busy", late, late)
    assert await store.ride("chat", envelope_id, late) is None, "a try may have been half out"
    assert await store.ride("other", envelope_id, late) is None


async def test_what_has_just_gone_out_with_an_acknowledgement_is_not_begun(store: Store) -> None:
    """PostgreSQL: it is found queued, and rides before it is marked ``sending``."""
    envelope_id, _ = await answered(store)
    await opens(store, "message")
    (row,) = await run(store, select(REPLIES))
    assert await store.ride("chat", envelope_id, NOW) is not None
    post = Post(store._keyring, "chat", store._membership.id)
    begun = await store._database.write(lambda c: replies._begin(c, post, row, LIMITS, NOW))
    assert begun is None and await state(store) == ("sent", RODE) and await windows(store) == {"message": 2}


@on_a_file
async def test_nothing_rides_where_there_is_nothing(store: Store) -> None:
    silent = await unpacked(store, message(sender=sender("silent")), channel="chat")
    assert await store.ride("chat", silent.id, NOW) is None
    assert await store.ride("chat", uuid_utils.compat.uuid7(), NOW) is None
