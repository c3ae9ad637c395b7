"""A code by SMS, given back on the account that asked for it: what it joins, and what guessing or pestering comes to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from gateway.filing import Fresh, Habits, decide
from normalizer.ids import derived
from normalizer.model import Act, Assurance, Contact, Outcome
from normalizer.normalize import normalize
from normalizer.reply import ReplyKind
from store.codes import A_DAY, AN_HOUR, COUNTS, TRIES
from store.store import Store
from store.tables import CODES, JOINS, PROOFS, REPLIES
from store.values import Filing
from tests.store.conftest import NOW, TRACKING_CODES, message, run, to_digest
from tests.store.test_proofs import APP, MAIL, NUMBER, WECHAT, are_one, contact, ends, phone, writes

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HABITS = Habits(answers=True, codes_by="sms")
ASKED, WRONG, RIGHT, IMPOSSIBLE = "如该号码", "验证码不正确", "您的手机号码已确认", "此处暂不能"

on_a_file = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


async def says(
    store: Store,
    text: str,
    who: Contact = WECHAT,
    after: timedelta = timedelta(0),
    habits: Habits = HABITS,
    **more: Any,
) -> Filing:
    """A message through everything that decides."""
    at = NOW + after
    work, kept = await to_digest(store, message(text, provider_id=str(uuid4()), sender=who, **more), received_at=at)
    fresh = Fresh(derived(kept.id, "matter"), next(TRACKING_CODES))
    fields = normalize(kept.message, kept.id)
    return await store.file_matter(
        work, kept, lambda caller_id, past, open_: decide(kept, fields, fresh, habits, caller_id, past, open_), at
    )


async def answered(store: Store, *args: Any, **more: Any) -> str:
    filing = await says(store, *args, **more)
    assert (filing.verdict.outcome, filing.verdict.act) == (Outcome.ANSWERED, Act.PROVES)
    (reply,) = filing.replies
    return reply.ways[0].text


async def sent(store: Store) -> list[tuple[str, str]]:
    """Number and code of each SMS, in order."""
    rows = await run(
        store, select(REPLIES.c.content).where(REPLIES.c.kind == str(ReplyKind.CODE)).order_by(REPLIES.c.id)
    )
    found = [row.content["outgoing"] for row in rows]
    return [(one["to"]["value"], "".join(filter(str.isdigit, one["text"]))[:6]) for one in found]


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_a_code_that_is_given_back_joins_who_shows_the_number(store: Store) -> None:
    first = await writes(store, APP, phone())
    asking = await writes(store, WECHAT)
    assert (await answered(store, "绑定手机 138 0013 8000")).startswith(ASKED)
    ((number, code),) = await sent(store)
    assert number == NUMBER and not await are_one(store, first, asking)
    assert (await answered(store, f"验证码：{code}", after=MINUTE)).startswith(RIGHT)
    assert await are_one(store, first, asking)
    assert [row.evidence for row in await run(store, select(JOINS.c.evidence))] == ["code"]
    (row,) = await run(store, select(CODES))
    assert code.encode() not in row.code_mark and row.phone == NUMBER
    assert (await store.reconcile()).balanced


async def test_two_accounts_by_codes_of_their_own(store: Store) -> None:
    first, second = await writes(store, WECHAT), await writes(store, MAIL)
    await answered(store, "绑定13800138000")
    await answered(store, (await sent(store))[0][1])
    later = AN_HOUR + MINUTE
    await answered(store, "BIND +86 138-0013-8000", MAIL, later)
    await answered(store, (await sent(store))[1][1], MAIL, later + MINUTE)
    assert await are_one(store, first, second)


@on_a_file
async def test_unknown_wrong_spent_and_late_codes_are_answered_alike(store: Store) -> None:
    first = await writes(store, APP, phone())
    asking = await writes(store, WECHAT)
    await answered(store, "绑定 13800138000")
    ((_, code),) = await sent(store)
    said = {await answered(store, other_than(code), after=SECOND)}
    said.add(await answered(store, code, after=COUNTS + SECOND))
    assert len(said) == 1 and said.pop().startswith(WRONG)
    assert not await are_one(store, first, asking) and len(await ends(store)) == 1


@on_a_file
async def test_a_code_counts_once(store: Store) -> None:
    await answered(store, "绑定 13800138000")
    ((_, code),) = await sent(store)
    assert (await answered(store, code)).startswith(RIGHT)
    assert (await answered(store, code, after=SECOND)).startswith(WRONG)
    assert len(await run(store, select(PROOFS))) == 1


@on_a_file
@pytest.mark.parametrize("tries", [TRIES - 1, TRIES])
async def test_after_five_wrong_tries_the_right_one_does_not_count(store: Store, tries: int) -> None:
    await answered(store, "绑定 13800138000")
    ((_, code),) = await sent(store)
    for _ in range(tries):
        assert (await answered(store, other_than(code))).startswith(WRONG)
    assert (await answered(store, code)).startswith(RIGHT if tries < TRIES else WRONG)


@on_a_file
async def test_a_code_counts_only_where_it_was_asked_for(store: Store) -> None:
    """Somebody else who has read it - the owner of the number, tricked - can do nothing with it."""
    await answered(store, "绑定 13800138000")
    ((_, code),) = await sent(store)
    thief = await says(store, code, contact("wechat", "thief"))
    assert thief.verdict.outcome is Outcome.FILED
    assert not await run(store, select(PROOFS))


@on_a_file
async def test_a_number_has_one_code_an_hour_whoever_asks(store: Store) -> None:
    for who in ("one", "two", "three"):
        assert (await answered(store, "绑定 13800138000", contact("wechat", who))).startswith(ASKED)
    assert len(await sent(store)) == 1
    await answered(store, "绑定 13800138000", contact("wechat", "two"), AN_HOUR)
    assert len(await sent(store)) == 2


@on_a_file
async def test_a_contact_has_five_codes_a_day(store: Store) -> None:
    for number in range(A_DAY + 2):
        assert (await answered(store, f"绑定 1380013800{number}", after=number * MINUTE)).startswith(ASKED)
    assert len(await sent(store)) == A_DAY
    await answered(store, "绑定 13800138009", after=timedelta(days=1))
    assert len(await sent(store)) == A_DAY + 1


@on_a_file
async def test_a_mail_is_answered_in_every_step_though_else_once_a_day(store: Store) -> None:
    await answered(store, "绑定 13800138000", MAIL)
    ((_, code),) = await sent(store)
    await answered(store, other_than(code), MAIL)
    await answered(store, code, MAIL)
    rows = await run(store, select(REPLIES.c.id).where(REPLIES.c.kind == str(ReplyKind.BINDING)))
    assert len(rows) == 3


IMPOSSIBLES = {
    "no channel for SMS": (WECHAT, Habits(answers=True)),
    "a mail that anybody can have written": (contact("mail", assurance=Assurance.SPOOFABLE), HABITS),
}


@on_a_file
@pytest.mark.parametrize(("who", "habits"), IMPOSSIBLES.values(), ids=IMPOSSIBLES.keys())
async def test_where_it_cannot_be_done_the_answer_says_so(store: Store, who: Contact, habits: Habits) -> None:
    assert (await answered(store, "绑定 13800138000", who, habits=habits)).startswith(IMPOSSIBLE)
    assert not await sent(store) and not await run(store, select(CODES))


@on_a_file
async def test_a_spoofed_mail_gives_back_no_code_of_its_owner(store: Store) -> None:
    await answered(store, "绑定 13800138000", MAIL)
    ((_, code),) = await sent(store)
    assert (await says(store, code, contact("mail", assurance=Assurance.SPOOFABLE))).verdict.outcome is Outcome.FILED
    assert (await answered(store, code, MAIL)).startswith(RIGHT)


@on_a_file
async def test_an_account_that_is_not_answered_asks_for_nothing(store: Store) -> None:
    filing = await says(store, "绑定 13800138000", habits=Habits(codes_by="sms"))
    assert (filing.verdict.act, filing.replies, await sent(store)) == (Act.PROVES, (), [])


@on_a_file
@pytest.mark.parametrize("text", ["123456", "验证码 123456"])
async def test_six_digits_of_somebody_who_was_sent_no_code_are_words_like_any_other(store: Store, text: str) -> None:
    assert (await says(store, text)).verdict.outcome is Outcome.FILED
    await says(store, "绑定 13800138000")
    assert (await says(store, text, after=timedelta(hours=2))).verdict.act is not Act.PROVES


@on_a_file
async def test_by_sms_nobody_is_bound(store: Store) -> None:
    filing = await says(store, "绑定 13800138000", contact("phone", "+8613900139000"))
    assert filing.verdict.act is not Act.PROVES and not await sent(store)


@on_a_file
async def test_who_writes_english_is_answered_so(store: Store) -> None:
    filing = await says(store, "please bind my phone number +44 20 7946 0958")
    assert filing.replies[0].ways[0].text.startswith("If this number can be linked")
    assert (await sent(store))[0][0] == "+442079460958"
