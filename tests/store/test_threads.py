"""Threads and answering by ourselves: tokens that cannot be made up, reports by any mailbox, once a day on any node."""

from __future__ import annotations

import asyncio
import base64
import os
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import select

from normalizer.model import Assurance, Contact, ContactType, Message, Notice, Past, Report
from normalizer.reply import ReplyKind, Sent
from store.keys import Keyring
from store.replies import queue_reply
from store.store import Store
from store.tables import REPLIES, TRANSITIONS
from store.tokens import CHARACTERS, reply_named, reply_of, token_of
from store.values import Draft, Filing, Way
from store.windows import first_since
from tests.store.conftest import NOW, filed, new_matter, run, to_digest, unpacked
from tests.store.test_replies import box_of, one_taken, queue, states

HIS = Contact(type=ContactType.MAIL, value="Zhang@example.net", assurance=Assurance.SPOOFABLE)


def keyring(matching: bytes = b"m" * 32, active: int = 1) -> Keyring:
    return Keyring({1: b"1" * 32, 2: b"2" * 32}, active, matching)


def by_mail(to: Contact = HIS, channel: str = "post", **more: object) -> Draft:
    return Draft(uuid_utils.compat.uuid7(), ReplyKind.RESULT, (Way(channel, "mayor@x.cn", to, "修好了"),), "zh", **more)  # type: ignore[arg-type]


def letter(text: str = "还有", sender: Contact = HIS, **more: object) -> Message:
    given = {
        "key_space": "mail",
        "account": "mayor@x.cn",
        "sender": sender,
        "provider_id": f"<{uuid_utils.compat.uuid7()}@x>",
    }
    return Message.model_validate(given | {"text": text} | more)  # fmt: skip


# -- Tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_is_known_again_and_nothing_else_is() -> None:
    ring, reply_id = keyring(), uuid_utils.compat.uuid7()
    token = token_of(ring, reply_id)
    assert len(token) == CHARACTERS and token == token.lower() and token.isalnum()
    assert reply_of(ring, token) == reply_of(ring, token.upper()) == reply_id
    assert reply_named(ring, f"<{token}@example.gov.cn>") == reply_id
    for place, letter in enumerate(token):
        other = "a" if letter != "a" else "b"
        assert reply_of(ring, token[:place] + other + token[place + 1 :]) is None
    for odd in ("", token[1:], token + "a", "1" * 48, "市" * 48, "a" * 48, "=" * 48, token[:-1] + "="):
        assert reply_of(ring, odd) is None
    guessed = base64.b32encode(reply_id.bytes + os.urandom(14)).decode()
    assert reply_of(ring, guessed) is None


def test_a_token_outlives_the_rotation_of_sealing_keys_and_is_no_other_citys() -> None:
    reply_id = uuid_utils.compat.uuid7()
    token = token_of(keyring(active=1), reply_id)
    assert reply_of(keyring(active=2), token) == reply_id
    assert reply_of(keyring(matching=b"o" * 32), token) is None


async def test_what_is_sent_bears_its_token_and_the_same_at_every_try(store: Store) -> None:
    await queue(store, by_mail())
    due = await one_taken(store, "post")
    assert reply_of(store._keyring, due.outgoing.token) == due.outgoing.id and store.genuine(due.outgoing.token)
    await (await box_of(store, "post")).put_off(due, "connect", NOW, NOW)
    assert (await one_taken(store, "post")).outgoing.token == due.outgoing.token


# -- Where a mail belongs ----------------------------------------------------------------------------------------------


async def past_of(store: Store, said: Message) -> Past:
    """What is recalled for it; it becomes a matter of its own."""
    work, kept = await to_digest(store, said)
    seen: list[Past] = []
    await store.file_matter(work, kept, new_matter(kept, seen), NOW)
    return seen[0]


async def answered(store: Store, to: Contact = HIS) -> tuple[UUID, str]:
    """A matter of whoever wrote first, and the Message-ID of what we wrote about it."""
    matter = await filed(store, letter("路灯不亮", to))
    draft = by_mail(to, matter_id=matter.matter_id)
    await queue(store, draft)
    return matter.matter_id, f"<{token_of(store._keyring, draft.id)}@x.cn>"


@pytest.mark.parametrize("sure", list(Assurance))
async def test_our_reply_leads_whoever_it_was_written_to_to_his_matter(store: Store, sure: Assurance) -> None:
    matter_id, named = await answered(store)
    his = HIS.model_copy(update={"value": "zhang@example.net", "assurance": sure})
    past = await past_of(store, letter(sender=his, thread=("<x@y>", named, "<z@y>")))
    assert past.named is not None and past.named.matter_id == matter_id and past.handed_on is None


async def test_anybody_else_only_to_where_his_words_are_added(store: Store) -> None:
    matter_id, named = await answered(store)
    other = HIS.model_copy(update={"value": "li@example.net"})
    past = await past_of(store, letter(sender=other, thread=(named,)))
    assert past.named is None and past.handed_on == matter_id


async def test_the_nearest_counts_and_his_own_before_anothers(store: Store) -> None:
    other = HIS.model_copy(update={"value": "li@example.net"})
    (first, one), (second, two), (_, theirs) = [await answered(store, to) for to in (HIS, HIS, other)]
    for thread, found in (((one, two), second), ((two, one), first), ((one, theirs), first)):
        past = await past_of(store, letter(thread=thread))
        assert past.named is not None and past.named.matter_id == found


@pytest.mark.parametrize(("sure", "found"), [(Assurance.SPOOFABLE, True), (Assurance.VERIFIED, False)])
async def test_his_own_mail_leads_only_the_very_same_contact(store: Store, sure: Assurance, found: bool) -> None:
    matter = await filed(store, letter("路灯不亮", provider_id="<first@x>"))
    claims = HIS.model_copy(update={"assurance": sure})
    past = await past_of(store, letter(sender=claims, thread=("<first@x>",)))
    assert (past.named is not None and past.named.matter_id == matter.matter_id) == found and past.handed_on is None


async def test_a_reply_about_nothing_leads_nowhere(store: Store) -> None:
    draft = by_mail()
    await queue(store, draft)
    past = await past_of(store, letter(thread=(f"<{token_of(store._keyring, draft.id)}@x.cn>",)))
    assert past.named is None and past.handed_on is None


# -- Reports -----------------------------------------------------------------------------------------------------------


async def reports(store: Store, named: str, channel: str = "post", state: str = "failed") -> None:
    told = Report(provider_id=named, state=state, reason="no_such_mailbox" if state == "failed" else None)
    await unpacked(store, parsed=Notice(reason="delivery_report", reports=(told,)), channel=channel)


@pytest.mark.parametrize("channel", ["post", "another mailbox"])
async def test_a_report_is_heard_by_whichever_mailbox_it_comes(store: Store, channel: str) -> None:
    await queue(store, by_mail())
    due = await one_taken(store, "post")
    named = f"<{due.outgoing.token}@x.cn>"
    await (await box_of(store, "post")).sent(due, Sent(named), NOW)
    await reports(store, named, channel)
    assert await states(store) == [("failed", "no_such_mailbox")]


async def test_a_report_that_is_faster_than_our_own_word_is_heard_by_another_mailbox_too(store: Store) -> None:
    await queue(store, by_mail())
    due = await one_taken(store, "post")
    named = f"<{due.outgoing.token}@x.cn>"
    await reports(store, named, "another mailbox")
    await (await box_of(store, "post")).sent(due, Sent(named), NOW)
    assert await states(store) == [("failed", "no_such_mailbox")]


async def test_a_report_settles_what_nobody_knew(store: Store) -> None:
    await queue(store, by_mail())
    due = await one_taken(store, "post")
    await (await box_of(store, "post")).uncertain(due, "cut", NOW)
    await reports(store, f"<{due.outgoing.token}@x.cn>", state="delivered")
    assert await states(store) == [("delivered", None)]


async def test_a_bounced_mail_goes_the_next_way_and_its_bounce_then_means_nothing(store: Store) -> None:
    by_phone = Way("sms", "", Contact(type=ContactType.PHONE, value="+8613800138000", assurance="verified"), "修好了")
    await queue(store, Draft(uuid_utils.compat.uuid7(), ReplyKind.RESULT, (*by_mail().ways, by_phone), "zh"))
    due = await one_taken(store, "post")
    named = f"<{due.outgoing.token}@x.cn>"
    await (await box_of(store, "post")).sent(due, Sent(named), NOW)
    await reports(store, named)
    other = await one_taken(store, "sms")
    await (await box_of(store, "sms")).uncertain(other, "cut", NOW)
    await reports(store, named)
    assert await states(store) == [("unknown", "cut")]


# -- Once a day --------------------------------------------------------------------------------------------------------


async def test_of_two_nodes_at_once_one_is_the_first(nodes: tuple[Store, Store]) -> None:
    day = timedelta(days=1)

    async def first(store: Store, at: object) -> bool:
        return await store._database.write(lambda c: first_since(c, b"whose", "answered", at, at + day))

    for start, winners in ((NOW, 1), (NOW + day - timedelta(seconds=1), 0), (NOW + day, 1)):
        found = await asyncio.gather(*(first(nodes[turn % 2], start) for turn in range(20)))
        assert sum(found) == winners


async def test_an_address_is_answered_once_a_day_however_sure_it_is(nodes: tuple[Store, Store]) -> None:
    """As sure and as unsure it is two callers, whom two nodes lock apart."""

    async def writes(store: Store, sure: Assurance, value: str) -> None:
        sender = HIS.model_copy(update={"assurance": sure, "value": value})
        work, kept = await to_digest(store, letter(sender=sender))
        decided = new_matter(kept)

        def decide(*known: object) -> Filing:
            filing = decided(*known)  # type: ignore[arg-type]
            return Filing(filing.verdict, filing.matter, filing.event_type, (by_mail(sender),))

        await store.file_matter(work, kept, decide, NOW)

    await writes(nodes[0], Assurance.SPOOFABLE, "zhang@example.net")
    await writes(nodes[1], Assurance.VERIFIED, "Zhang@example.net")
    assert len(await run(nodes[0], select(REPLIES))) == 1
    withheld = select(TRANSITIONS.c.reason).where(TRANSITIONS.c.step == "reply_withheld")
    assert [row.reason for row in await run(nodes[0], withheld)] == ["one_a_day"]


async def test_danger_is_warned_of_however_often(store: Store) -> None:
    for number in range(2):
        work, kept = await to_digest(store, letter(text=f"第{number}次"))
        decided = new_matter(kept)

        def decide(*known: object, decided: Any = decided) -> Filing:
            filing = decided(*known)
            warning = replace(by_mail(HIS), kind=ReplyKind.WARNING)
            return Filing(filing.verdict, filing.matter, filing.event_type, (warning,))

        await store.file_matter(work, kept, decide, NOW)
    assert len(await run(store, select(REPLIES))) == 2


async def test_the_cores_word_is_not_counted(store: Store) -> None:
    for _ in range(3):
        await store._database.write(lambda c: queue_reply(c, store._keyring, by_mail(), NOW))
    assert len(await run(store, select(REPLIES))) == 3
