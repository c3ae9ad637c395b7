"""He goes and comes back, or the other way round, and his deliveries are read in any order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from uuid_utils.compat import uuid7

from normalizer.model import Act, Contact, ContactType, Notice, Outcome, Verdict
from normalizer.reply import Limit, ReplyKind
from store.messages import Unpacking
from store.replies import queue_reply
from store.store import Store
from store.tables import UNREACHABLE, WINDOWS
from store.values import Draft, Filing, Way
from tests.store.conftest import NOW, message, run, to_digest, unpacking

CITIZEN = Contact(type=ContactType.WEIBO, value="900000001", assurance="verified")
OTHER = Contact(type=ContactType.WEIBO, value="900000002", assurance="verified")
LIMITS = {"message": Limit(48 * 3600), "mention": Limit(48 * 3600, 1)}


@pytest.mark.parametrize("read", ["together", "one by one, backwards"])
@pytest.mark.parametrize(
    ("steps", "shut"),
    [
        ("goes", 1),
        ("goes, writes", 0),
        ("goes, comes back", 0),
        ("goes, another writes", 1),
        ("writes, goes, mentions", 0),
    ],
)
async def test_who_has_come_back_is_written_to(store: Store, steps: str, shut: int, read: str) -> None:
    made = [await _made(store, number, step) for number, step in enumerate(steps.split(", "))]
    for some in [made] if read == "together" else [[one] for one in reversed(made)]:
        await store._unpack_many(some)
    assert len(await run(store, select(UNREACHABLE))) == shut


@pytest.mark.parametrize("steps", ["writes, goes", "goes, comes back, goes", "goes, writes, goes"])
async def test_who_has_gone_last_is_not(store: Store, steps: str) -> None:
    await store._unpack_many([await _made(store, number, step) for number, step in enumerate(steps.split(", "))])
    assert len(await run(store, select(UNREACHABLE))) == 1


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "the other way round"])
async def test_who_writes_in_the_second_in_which_he_goes_is_written_to(store: Store, turned: bool) -> None:
    """Providers count seconds: which of the two came first nobody knows, and whoever is gone is refused by them."""
    made = [await _notices(store, False, NOW, NOW), await _writes(store, NOW, NOW)]
    await _unpacks(store, *(reversed(made) if turned else made))
    assert not await _is_shut(store)


async def _made(store: Store, number: int, step: str) -> Unpacking:
    at = NOW + timedelta(seconds=number)
    if step in {"goes", "comes back"}:
        back = step == "comes back"
        said = Notice(
            reason=step.replace(" ", "_"),
            account="us",
            sender=CITIZEN,
            reachable=back,
            opens="message" if back else None,
        )
        ready = await unpacking(store, parsed=said, channel="chat", received_at=at)
    else:
        who = OTHER if step == "another writes" else CITIZEN
        opens = "mention" if step == "mentions" else "message"
        words = message(account="us", sender=who, opens=opens, text=f"第{number}件事")
        ready = await unpacking(store, words, channel="chat", received_at=at)
    return replace(ready, limits=LIMITS)


# -- Copies and what comes late ----------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)
DAYS = timedelta(days=4)


async def _writes(store: Store, sent_at: datetime | None, received_at: datetime) -> Unpacking:
    """The same words under the same id, however often they come."""
    words = message(account="us", sender=CITIZEN, provider_id="7", opens="mention", sent_at=sent_at)
    return replace(await unpacking(store, words, channel="chat", received_at=received_at), limits=LIMITS)


async def _notices(store: Store, reachable: bool, sent_at: datetime | None, received_at: datetime) -> Unpacking:
    said = Notice(reason="step", account="us", sender=CITIZEN, reachable=reachable, sent_at=sent_at)
    return replace(await unpacking(store, parsed=said, channel="chat", received_at=received_at), limits=LIMITS)


async def _unpacks(store: Store, *made: Unpacking) -> None:
    for one in made:
        await store._unpack_many([one])


async def _is_shut(store: Store) -> bool:
    return bool(await run(store, select(UNREACHABLE)))


@pytest.mark.parametrize("sent_at", [NOW, None], ids=["dated", "undated"])
async def test_a_copy_opens_neither_door_nor_window(store: Store, sent_at: datetime | None) -> None:
    await _unpacks(store, await _writes(store, sent_at, NOW), await _notices(store, False, None, NOW + HOUR))
    (before,) = await run(store, select(WINDOWS))
    await _unpacks(store, await _writes(store, sent_at, NOW + DAYS))
    assert await run(store, select(WINDOWS)) == [before] and await _is_shut(store)


async def test_what_was_sent_before_he_went_and_comes_late_opens_no_door(store: Store) -> None:
    await _unpacks(
        store, await _notices(store, False, NOW + HOUR, NOW + HOUR), await _writes(store, NOW, NOW + 2 * HOUR)
    )
    assert await _is_shut(store)
    (window,) = await run(store, select(WINDOWS))
    assert window.expires_at == NOW + timedelta(hours=48), "the provider counts from when he wrote"
    await _unpacks(store, await _notices(store, True, NOW, NOW + DAYS))
    assert await _is_shut(store), "so does a step without words"


async def test_the_last_time_that_he_went_counts(store: Store) -> None:
    goes = [await _notices(store, False, NOW + hours * HOUR, NOW + 9 * HOUR) for hours in (3, 1)]
    await _unpacks(store, *goes, await _writes(store, NOW + 2 * HOUR, NOW + 9 * HOUR))
    assert await _is_shut(store)
    await _unpacks(store, await _notices(store, True, NOW + 3 * HOUR, NOW + 9 * HOUR))
    assert not await _is_shut(store)


async def test_a_clock_that_runs_ahead_of_ours_opens_nothing_for_longer(store: Store) -> None:
    await _unpacks(store, await _writes(store, NOW + 5 * HOUR, NOW))
    (window,) = await run(store, select(WINDOWS))
    assert window.expires_at == NOW + timedelta(hours=48)


@pytest.mark.parametrize(("behind", "is_shut"), [(59, False), (61, True)])
async def test_whom_the_provider_refused_is_written_to_once_he_writes(
    store: Store, behind: float, is_shut: bool
) -> None:
    """Its clock may be a little behind ours."""
    await run_reply(store, NOW)
    assert await _is_shut(store)
    await _unpacks(store, await _writes(store, NOW - timedelta(seconds=behind), NOW + HOUR))
    assert await _is_shut(store) == is_shut


async def run_reply(store: Store, at: datetime) -> None:
    """A reply that the provider refuses, because he has blocked us."""
    way, box = Way("chat", "us", CITIZEN, "已修好"), store.replybox("chat")
    await store._database.write(
        lambda c: queue_reply(c, store._keyring, Draft(uuid7(), ReplyKind.RESULT, (way,), "zh"), at)
    )
    await asyncio.wait_for(box.lead.gained(), 30)
    (due,) = await box.take(LIMITS, at, 1)
    await box.refused(due, "blocked", at, unreachable=True)


NUMBER = Contact(type=ContactType.PHONE, value="+8613900000001", assurance="spoofable")


@pytest.mark.parametrize(("sent", "is_shut"), [(-HOUR, True), (HOUR, False)], ids=["before", "after"])
async def test_by_sms_the_word_for_no_more_messages_outlives_what_was_sent_before_it(
    store: Store, sent: timedelta, is_shut: bool
) -> None:
    for number, (act, at) in enumerate([(Act.OPTS_OUT, NOW), (Act.REPORTS, NOW + sent)]):
        words = message(account="us", sender=NUMBER, provider_id=str(number), sent_at=at)
        work, kept = await to_digest(store, words, channel="sms", received_at=NOW + (2 + number) * HOUR)
        verdict = Verdict(outcome=Outcome.ANSWERED, act=act, reason="test")
        await store.file_matter(work, kept, lambda *_, verdict=verdict: Filing(verdict, None, None), NOW)  # type: ignore[misc]
    assert await _is_shut(store) == is_shut
