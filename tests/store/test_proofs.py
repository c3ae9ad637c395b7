"""What contacts show to be theirs, and whom it joins: each evidence, and each lookalike."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import uuid_utils.compat
from sqlalchemy import select, update

from normalizer.model import Assurance, Contact, ContactType, HotlineMatter, Past, Proof
from store.errors import Superseded
from store.people import Word
from store.proofs import FROZEN, LASTS, RENEWED
from store.store import Store
from store.tables import JOINS, MATTERS, PROOFS, THINGS
from tests.store.conftest import NOW, message, new_matter, run, to_digest
from tests.store.test_persons import persons

NUMBER, UNIONID = "+8613800138000", "o6_bmasdasdsad6_2sgVt7hMZOPfL"
DAY = timedelta(days=1)
VERIFIED, ASSERTED, SPOOFABLE = Assurance.VERIFIED, Assurance.ASSERTED, Assurance.SPOOFABLE
WORD = Word("Li Hua", "asked both", NOW)

on_a_file = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def contact(kind: str, value: str = "one", assurance: Assurance = VERIFIED) -> Contact:
    return Contact(type=ContactType(kind), value=value, assurance=assurance)


APP, WECHAT, MAIL, WEIBO = (contact(kind) for kind in ("app", "wechat", "mail", "weibo"))


def phone(at: datetime = NOW, evidence: str = "app_login", number: str = NUMBER) -> Proof:
    return Proof.model_validate({"kind": "phone", "value": number, "evidence": evidence, "at": at})


def unionid(value: str = UNIONID, evidence: str = "app_login") -> Proof:
    return Proof.model_validate({"kind": "unionid", "value": value, "evidence": evidence})


async def writes(
    store: Store, who: Contact, *proofs: Proof, at: datetime = NOW, seen: list[Past] | None = None, **more: Any
) -> HotlineMatter:
    """Somebody writes, and shows this by it."""
    said = message(provider_id=str(uuid4()), sender=who, proofs=proofs, **more)
    work, kept = await to_digest(store, said, received_at=at)
    return (await store.file_matter(work, kept, new_matter(kept, seen), at)).matter


async def are_one(store: Store, *matters: HotlineMatter) -> bool:
    found = await persons(store)
    rows = await run(store, select(MATTERS.c.caller_id).where(MATTERS.c.id.in_([one.matter_id for one in matters])))
    return len({found[row.caller_id] for row in rows}) == 1


async def ends(store: Store) -> list[str | None]:
    """What became of each proof, in order of writing."""
    return [row.ended for row in await run(store, select(PROOFS.c.ended).order_by(PROOFS.c.id))]


# -- Evidence ----------------------------------------------------------------------------------------------------------


async def test_the_same_unionid_is_the_same_person(store: Store) -> None:
    first = await writes(store, WECHAT, unionid(evidence="provider"))
    seen: list[Past] = []
    second = await writes(store, APP, unionid(), seen=seen)
    assert await are_one(store, first, second)
    assert [one.matter_id for one in seen[0].matters] == [first.matter_id], "with the very message that shows it"
    (join,) = await run(store, select(JOINS))
    assert (join.evidence, join.decided_by, join.reason) == (
        "unionid",
        "rule",
        "both are the same WeChat user (unionid)",
    )
    assert join.at == NOW and join.undone_at is None
    assert (await store.reconcile()).balanced


async def test_the_same_number_confirmed_on_two_kinds_of_account_is_the_same_person(store: Store) -> None:
    first = await writes(store, APP, phone())
    second = await writes(store, WECHAT, phone(NOW + DAY, "code"), at=NOW + DAY)
    assert await are_one(store, first, second)
    assert [row.evidence for row in await run(store, select(JOINS.c.evidence))] == ["code"]


@on_a_file
async def test_who_writes_from_a_number_that_cannot_be_forged_shows_it(store: Store) -> None:
    first = await writes(store, contact("phone", NUMBER))
    assert await are_one(store, first, await writes(store, APP, phone()))


@on_a_file
async def test_three_kinds_of_account_are_one_person(store: Store) -> None:
    first, second = await writes(store, APP, phone(), unionid()), await writes(store, MAIL, phone(evidence="code"))
    third = await writes(store, WECHAT, unionid(evidence="provider"))
    assert await are_one(store, first, second, third)


# -- Lookalikes --------------------------------------------------------------------------------------------------------

LOOKALIKES = {
    "a number that the citizen states": (MAIL, {"contacts": (contact("phone", NUMBER, ASSERTED),)}),
    "a number that an operator wrote down": (contact("phone", NUMBER, ASSERTED), {}),
    "a caller id": (contact("phone", NUMBER, SPOOFABLE), {}),
    "a number in a text": (MAIL, {"text": f"我的手机是{NUMBER}，路灯坏了"}),
    "a verified contact of some message without a proof": (MAIL, {"contacts": (contact("phone", NUMBER),)}),
    "the same name": (MAIL, {"name": "张三"}),
}


@on_a_file
@pytest.mark.parametrize(("who", "more"), LOOKALIKES.values(), ids=LOOKALIKES.keys())
async def test_what_only_looks_like_evidence_joins_nobody(store: Store, who: Contact, more: dict[str, Any]) -> None:
    first = await writes(store, APP, phone(), name="张三")
    seen: list[Past] = []
    second = await writes(store, who, seen=seen, **more)
    assert not await are_one(store, first, second)
    assert seen[0].matters == () and not await run(store, select(JOINS))


@on_a_file
async def test_a_number_that_an_operator_wrote_down_is_not_its_owner(store: Store) -> None:
    first, owner = await writes(store, APP, phone()), await writes(store, contact("phone", NUMBER))
    seen: list[Past] = []
    written_down = await writes(store, contact("phone", NUMBER, ASSERTED), seen=seen)
    assert await are_one(store, first, owner) and not await are_one(store, first, written_down)
    assert seen[0].matters == ()


@on_a_file
async def test_a_spoofed_address_is_not_whom_it_claims_to_be(store: Store) -> None:
    first = await writes(store, MAIL, phone(evidence="code"))
    spoofed = await writes(store, contact("mail", assurance=SPOOFABLE))
    await writes(store, APP, phone())
    assert not await are_one(store, first, spoofed)


@on_a_file
async def test_another_unionid_or_number_is_another_person(store: Store) -> None:
    first = await writes(store, APP, phone(), unionid())
    second = await writes(store, WECHAT, phone(number="+8613800138001"), unionid(UNIONID.lower()))
    assert not await are_one(store, first, second)


# -- Numbers that are not one person's ---------------------------------------------------------------------------------


async def test_a_family_shares_a_number(store: Store) -> None:
    """Two accounts of the same app: it joins nobody any more, and what it joined is undone with the reason."""
    mother, chat = await writes(store, APP, phone()), await writes(store, WECHAT, phone(evidence="code"))
    assert await are_one(store, mother, chat)
    son = await writes(store, contact("app", "two"), phone(NOW + DAY), at=NOW + DAY)
    assert not await are_one(store, mother, chat) and not await are_one(store, mother, son)
    (join,) = await run(store, select(JOINS))
    assert (join.undone_by, join.undone_reason) == ("rule", "several persons have confirmed this telephone number")
    assert await ends(store) == ["shared"] * 3
    later = await writes(store, WEIBO, phone(NOW + 2 * DAY, "code"), at=NOW + 2 * DAY)
    assert not await are_one(store, mother, later)
    assert (await store.reconcile()).balanced


@on_a_file
async def test_an_office_shares_a_number(store: Store) -> None:
    staff = [await writes(store, contact("app", f"user-{n}"), phone(NOW + n * DAY), at=NOW + n * DAY) for n in range(6)]
    assert len(set((await persons(store)).values())) == len(staff)
    assert not [row for row in await run(store, select(JOINS)) if row.undone_at is None]


@on_a_file
async def test_a_shared_number_joins_whom_an_operator_joins(store: Store) -> None:
    """What an operator has joined is one person, who may have two accounts of a kind."""
    first, second = await writes(store, APP), await writes(store, contact("app", "two"))
    await store.people().join(first.tracking_code, second.tracking_code, WORD)
    for matter_of in (APP, contact("app", "two")):
        await writes(store, matter_of, phone())
    chat = await writes(store, WECHAT, phone(evidence="code"))
    assert await are_one(store, first, second, chat)
    assert [row.shared_at for row in await run(store, select(THINGS.c.shared_at))] == [None]


async def test_a_recycled_number_is_its_new_owners(store: Store) -> None:
    """The first owner stays joined with what he showed in his time, and the new owner sees nothing of it."""
    before = [await writes(store, APP, phone()), await writes(store, MAIL, phone(NOW + DAY, "code"), at=NOW + DAY)]
    later = NOW + DAY + FROZEN
    seen: list[Past] = []
    after = [await writes(store, contact("app", "two"), phone(later), at=later, seen=seen)]
    after.append(await writes(store, WECHAT, phone(later + DAY, "code"), at=later + DAY))
    assert await are_one(store, *before) and await are_one(store, *after)
    assert not await are_one(store, before[0], after[0])
    assert (seen[0].matters, seen[0].contacts_30d) == ((), 0)
    assert await ends(store) == ["proven_later", "proven_later", None, None]


@on_a_file
async def test_a_proof_that_comes_late_is_no_newer_for_it(store: Store) -> None:
    new = await writes(store, WECHAT, phone(NOW, "code"))
    old = await writes(store, APP, phone(NOW - FROZEN))
    assert not await are_one(store, new, old)
    assert await ends(store) == [None, "proven_later"]


@on_a_file
@pytest.mark.parametrize("age", [LASTS, LASTS + DAY])
async def test_a_proof_counts_for_a_year(store: Store, age: timedelta) -> None:
    first = await writes(store, APP, phone(NOW - age))
    second = await writes(store, MAIL, phone(NOW - age + DAY, "code"))
    assert await are_one(store, first, second) is (age <= LASTS)


@on_a_file
async def test_a_clock_that_runs_ahead_is_not_believed(store: Store) -> None:
    await writes(store, APP, phone(NOW + 300 * DAY))
    assert [row.shown_at for row in await run(store, select(PROOFS.c.shown_at))] == [NOW]


@on_a_file
async def test_who_confirms_his_number_again_keeps_it(store: Store) -> None:
    first = await writes(store, APP, phone())
    again = NOW + FROZEN + DAY
    await writes(store, APP, phone(again), at=again)
    chat = await writes(store, WECHAT, phone(again + DAY, "code"), at=again + DAY)
    assert await are_one(store, first, chat)
    assert await ends(store) == ["renewed", None, None]


@on_a_file
async def test_an_app_that_says_with_every_message_just_now_is_written_down_once_a_month(store: Store) -> None:
    for days in (0, 1, 29, 30, 31):
        await writes(store, APP, phone(NOW + days * DAY), unionid(), at=NOW + days * DAY)
    written = await run(store, select(PROOFS.c.shown_at, PROOFS.c.ended).order_by(PROOFS.c.id))
    assert sorted((row.shown_at - NOW, row.ended) for row in written if row.ended) == [(0 * DAY, "renewed")]
    assert sorted(row.shown_at - NOW for row in written if not row.ended) == [0 * DAY, RENEWED]


@on_a_file
async def test_an_account_that_another_wechat_user_logs_in_to_is_his_from_then_on(store: Store) -> None:
    first, account = await writes(store, WECHAT, unionid()), await writes(store, APP, unionid())
    other = contact("wechat", "two")
    second = await writes(store, other, unionid("o6_another_unionid_of_somebody"))
    await writes(store, APP, unionid("o6_another_unionid_of_somebody"))
    assert await are_one(store, account, second) and not await are_one(store, account, first)
    await writes(store, APP, unionid())
    assert await are_one(store, account, first) and not await are_one(store, account, second)


@on_a_file
async def test_what_an_operator_has_parted_no_rule_joins_again(store: Store) -> None:
    first, second = await writes(store, APP, phone()), await writes(store, MAIL, phone(evidence="code"))
    (join,) = await run(store, select(JOINS.c.id))
    await store.people().undo(join.id, WORD)
    later = NOW + 40 * DAY
    await writes(store, APP, phone(later), at=later)
    assert not await are_one(store, first, second)


# -- What an operator sees ---------------------------------------------------------------------------------------------


@on_a_file
async def test_a_number_in_a_text_is_a_hint(store: Store) -> None:
    owner = await writes(store, APP, phone())
    writer = await writes(store, MAIL)
    document = (await run(store, select(MATTERS.c.document).where(MATTERS.c.id == writer.matter_id)))[0].document
    document["party"]["contact_phone"] = NUMBER
    await run(store, update(MATTERS).where(MATTERS.c.id == writer.matter_id).values(document=document))
    (hint,) = (await store.people().sheet(writer.tracking_code)).hints
    assert (hint.value, hint.caller_id) == (NUMBER, owner.caller_id)
    assert (await store.people().sheet(owner.tracking_code)).hints == ()


async def test_a_sheet_says_what_he_has_shown(store: Store) -> None:
    first = await writes(store, APP, phone())
    second = await writes(store, WECHAT, phone(evidence="code"), unionid(evidence="provider"))
    sheet = await store.people().sheet(str(second.matter_id))
    assert sheet.person_id == first.caller_id and len(sheet.callers) == 2
    assert {one for _, one in sheet.contacts} == {APP, WECHAT}
    shown = {(one.kind, one.value, one.evidence, one.decided_by) for one in sheet.proofs}
    assert shown == {
        ("phone", NUMBER, "app_login", "rule"),
        ("phone", NUMBER, "code", "rule"),
        ("unionid", UNIONID, "provider", "rule"),
    }
    assert [one.evidence for one in sheet.joins] == ["code"]


# -- Races -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_two_nodes_are_shown_the_same_at_once(nodes: tuple[Store, Store]) -> None:
    """Neither sees the other's proof before it is committed: the thing's own row makes one come after the other."""
    for number in range(6):
        shown = unionid(f"o6_unionid_number_{number}")
        pairs = [
            (node, await to_digest(node, message(provider_id=str(uuid4()), sender=who, proofs=(shown,))))
            for node, who in zip(nodes, (contact("app", f"u{number}"), contact("wechat", f"u{number}")), strict=True)
        ]

        async def file(node: Store, work: Any, kept: Any) -> HotlineMatter:
            while True:
                try:
                    return (await node.file_matter(work, kept, new_matter(kept), NOW)).matter
                except Superseded:
                    continue

        matters = await asyncio.gather(*(file(node, *ready) for node, ready in pairs))
        assert await are_one(nodes[0], *matters)
    assert (await nodes[0].reconcile()).balanced


def test_ids_of_persons_are_in_order_of_their_making() -> None:
    """The oldest stands for a person because UUIDv7 sorts by time (RFC 9562 section 5.7)."""
    made: list[UUID] = [uuid_utils.compat.uuid7() for _ in range(100)]
    assert made == sorted(made)
