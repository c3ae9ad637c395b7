"""What the core tells: kept once per key, the state of the matter, and what its citizen does then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import select

from dedupe.relation import Asked, relation
from normalizer.cues import read_cues
from normalizer.matter import Said, amend
from normalizer.model import Act, Binding, ContactType, HotlineMatter, Past, Status
from normalizer.normalize import normalize
from normalizer.reply import ReplyKind
from store.errors import BindingReused
from store.store import Store
from store.tables import BINDINGS, MATTERS, REPLIES, UPDATES
from store.updates import LastWord, Reach, Told, Update, reply_id
from store.values import Draft, Filing, OpenFile, Way
from tests.store.conftest import NOW, SENDER, filed, message, new_matter, run, sender, to_digest

LATER = NOW + timedelta(hours=1)

#: Where nothing is written that the two databases spell differently.
on_a_file = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def update(
    matter: HotlineMatter | UUID, kind: str = "result", key: str = "k", body: bytes = b"", **content: Any
) -> Update:
    matter_id = matter if isinstance(matter, UUID) else matter.matter_id
    told = {"type": kind, "text": "已修好", "case_number": None} | content
    binding = Binding(f"core\n{key}", matter_id.bytes + (body or repr(sorted(told.items())).encode()))
    return Update(uuid_utils.compat.uuid7(), matter_id, ReplyKind(kind), "core", binding, LATER, told)


def compose(matter: HotlineMatter, reach: Reach, update_id: UUID) -> Draft:
    ways = tuple(Way(word.channel, word.message.account, word.message.sender, "已修好") for word in reach.spoken)
    return Draft(reply_id(update_id), ReplyKind.RESULT, ways, "zh", matter.tracking_code, matter.matter_id, update_id)


def nobody(matter: HotlineMatter, _reach: Reach, update_id: UUID) -> Draft:
    return compose(matter, Reach(()), update_id)


async def tell(store: Store, told: Update, composing: Any = compose) -> Told | None:
    return await store.tell(told, composing)


async def steps(store: Store) -> dict[str, Any]:
    """What is set in the state of the only matter."""
    columns = ("answered_at", "closed_at", "withdrawn_at", "evaluated_at", "asked", "asked_at", "asks", "case_number")
    (row,) = await run(store, select(*(MATTERS.c[name] for name in columns)))
    return {name: getattr(row, name) for name in columns if getattr(row, name) is not None}


async def count(store: Store, table: Any) -> int:
    return len(await run(store, select(table)))


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_get_the_same_answer(store: Store) -> None:
    matter = await filed(store)
    first = await tell(store, update(matter))
    again = await tell(store, update(matter))
    assert first is not None and first == again and first.reply_state == "queued"
    assert (await count(store, UPDATES), await count(store, REPLIES)) == (1, 1)


@on_a_file
@pytest.mark.parametrize(
    ("content", "composing", "state"),
    [({}, compose, "queued"), ({"text": ""}, compose, "sent"), ({}, nobody, "failed")],
    ids=["told", "nothing to tell", "nobody to be told"],
)
async def test_the_first_answer_is_given_again_whatever_has_become_of_the_reply(
    store: Store, content: dict[str, Any], composing: Any, state: str
) -> None:
    matter = await filed(store)
    first = await tell(store, update(matter, "accepted", **content), composing)
    await store._database.write(lambda c: c.execute(REPLIES.update().values(state="failed", settled_at=LATER)))
    assert first == await tell(store, update(matter, "accepted", **content), composing)
    assert first is not None and first.reply_state == state


async def test_another_body_under_the_key_is_refused(store: Store) -> None:
    matter, other = await filed(store), await filed(store, message(sender=sender("other")))
    await tell(store, update(matter))
    for wrong in (update(matter, body=b"other"), update(other)):
        with pytest.raises(BindingReused):
            await tell(store, wrong)
    assert await count(store, UPDATES) == 1
    assert await tell(store, update(matter, key="k2", body=b"other")) is not None


async def test_a_matter_that_does_not_exist_leaves_the_key_free(store: Store) -> None:
    missing = uuid_utils.compat.uuid7()
    assert await tell(store, update(missing)) is None
    assert (await count(store, BINDINGS), await count(store, UPDATES)) == (0, 0)
    work, kept = await to_digest(store, message())
    await store.file_matter(work, kept, new_matter(kept, matter_id=missing), NOW)
    told = await tell(store, update(missing))
    assert told is not None and told.reply_state == "queued"


async def test_a_core_that_repeats_itself_100_times_at_once_tells_once(nodes: tuple[Store, Store]) -> None:
    matter = await filed(nodes[0])
    found = await asyncio.gather(*(tell(nodes[number % 2], update(matter)) for number in range(100)))
    assert len(set(found)) == 1 and found[0] is not None
    assert (await count(nodes[0], UPDATES), await count(nodes[0], REPLIES)) == (1, 1)


@pytest.mark.parametrize(
    ("second", "replies"),
    [({}, 1), ({"text": "换了灯头"}, 2), ({"unit": "城管局"}, 2), ({"kind": "progress"}, 2)],
    ids=["the same", "other words", "other unit", "other type"],
)
async def test_the_same_words_under_another_key_are_kept_and_told_once(
    store: Store, second: dict[str, Any], replies: int
) -> None:
    matter = await filed(store)
    first = await tell(store, update(matter, key="1"))
    found, repeated = [await tell(store, update(matter, key="2", **second)) for _ in range(2)]
    assert first is not None and found is not None and first.update_id != found.update_id
    assert found == repeated and found.reply_state == first.reply_state == "queued"
    assert (await count(store, UPDATES), await count(store, REPLIES)) == (2, replies)
    await tell(store, update(matter, key="3", **second))
    assert await count(store, REPLIES) == replies


@on_a_file
async def test_the_same_words_are_told_again_after_another_word_or_a_day(store: Store) -> None:
    matter = await filed(store)
    told = update(matter, "question", "1", text="哪一根灯杆？")
    await tell(store, told)
    await said(store, "北门第三根", LATER + timedelta(minutes=1))
    for number, hours, replies in [(2, 1, 2), (3, 2, 2), (4, 26, 3)]:
        at = LATER + timedelta(hours=hours)
        await tell(store, replace(update(matter, "question", str(number), text="哪一根灯杆？"), at=at))
        assert await count(store, REPLIES) == replies
    await tell(store, replace(update(matter, "progress", "5", text="在修"), at=LATER + timedelta(hours=27)))
    await tell(
        store, replace(told, id=uuid_utils.compat.uuid7(), binding=Binding("6", b"6"), at=LATER + timedelta(hours=28))
    )
    assert await count(store, REPLIES) == 5


@on_a_file
async def test_a_repetition_of_what_reached_nobody_says_so(store: Store) -> None:
    matter = await filed(store)
    for key in ("1", "2", "2"):
        told = await tell(store, update(matter, key=key), nobody)
        assert told is not None and told.reply_state == "failed"


async def test_two_bodies_under_one_key_at_once(nodes: tuple[Store, Store]) -> None:
    matter = await filed(nodes[0])
    told = [tell(nodes[n % 2], update(matter, body=bytes([65 + n % 2]))) for n in range(20)]
    found = await asyncio.gather(*told, return_exceptions=True)
    assert sum(isinstance(one, BindingReused) for one in found) == 10 and await count(nodes[0], REPLIES) == 1


async def test_what_the_core_told_is_read_in_its_order(store: Store) -> None:
    matter = await filed(store)
    await tell(store, update(matter, "accepted", "1", text="", case_number="2026-117"))
    await tell(store, update(matter, "result", "2", unit="城管局"))
    notes = await store.updates_of(matter.matter_id)
    assert [(note["type"], note["reply_state"], note["unit"]) for note in notes] == [
        ("accepted", None, None),
        ("result", "queued", "城管局"),
    ]
    assert (await steps(store))["case_number"] == "2026-117"


async def test_the_way_back_is_how_he_last_spoke(store: Store) -> None:
    seen: list[tuple[LastWord, ...]] = []

    def composing(matter: HotlineMatter, reach: Reach, update_id: UUID) -> Draft:
        seen.append(reach.spoken)
        return compose(matter, reach, update_id)

    citizen = SENDER.model_copy(update={"type": ContactType.TELEGRAM})  # whose name means the same on every account
    matter = await filed(store, message(sender=citizen))
    for minutes, account in [(1, "desk-2"), (2, "desk")]:
        at = NOW + timedelta(minutes=minutes)
        await said(store, "还有一盏", at, account=account, sender=citizen, in_reply_to=str(matter.matter_id))
    await tell(store, update(matter), composing)
    assert [word.message.account for word in seen[0]] == ["desk", "desk-2"]


# -- steps, and what the citizen does then -----------------------------------------------------------------------------


async def said(store: Store, text: str, at: Any = LATER, **more: Any) -> tuple[Act, Filing]:
    """A further message of the citizen, judged and written as the pipeline does."""
    spoken = message(text, provider_id=str(uuid_utils.compat.uuid7()), **more)
    work, kept = await to_digest(store, spoken, received_at=at)
    fields = normalize(kept.message, kept.id)

    def decide(_caller_id: UUID, past: Past, open_file: OpenFile) -> Filing:
        verdict = relation(Asked(kept, read_cues(text), past))
        assert verdict.matter_id is not None, verdict.reason
        matter = open_file(verdict.matter_id)
        assert matter is not None
        return Filing(verdict, amend(matter, kept, fields, Said(verdict.act, verdict.answers, verdict.score)), "x")

    filing = await store.file_matter(work, kept, decide, at)
    assert (await store.reconcile()).balanced
    return filing.verdict.act, filing


async def test_a_question_is_answered_by_the_next_message(store: Store) -> None:
    matter = await filed(store)
    question = await tell(store, update(matter, "question", text="哪一根灯杆？"))
    assert question is not None
    assert await steps(store) == {"asked": question.update_id, "asked_at": LATER, "asks": "question"}
    act, filing = await said(store, "北门第三根")
    assert (act, filing.verdict.answers) == (Act.ANSWERS, question.update_id) and await steps(store) == {}
    assert filing.matter is not None and "北门第三根" in filing.matter.content


@on_a_file
async def test_an_answer_may_name_the_question(store: Store) -> None:
    matter = await filed(store)
    question = await tell(store, update(matter, "question"))
    assert question is not None
    _, filing = await said(store, "北门", in_reply_to=str(question.update_id))
    assert filing.verdict.answers == question.update_id and await steps(store) == {}


@on_a_file
@pytest.mark.parametrize("kind", ["result", "closed", "not_accepted"])
async def test_what_is_done_asks_nothing_any_more(store: Store, kind: str) -> None:
    matter = await filed(store)
    await tell(store, update(matter, "question", "1"))
    await tell(store, update(matter, kind, "2"))
    assert set(await steps(store)) == {"answered_at" if kind == "result" else "closed_at"}
    found = await store.matter(matter.matter_id)
    assert found is not None and found.status is (Status.FILED if kind == "result" else Status.CLOSED)


async def test_a_closed_matter_may_still_be_asked_about_by_a_return_visit(store: Store) -> None:
    matter = await filed(store)
    visit = await tell(store, update(matter, "return_visit", "1"))
    await tell(store, update(matter, "closed", "2"))
    assert visit is not None and (await steps(store))["asked"] == visit.update_id
    act, filing = await said(store, "5分")
    assert (act, filing.verdict.score, filing.verdict.answers) == (Act.EVALUATES, 5, visit.update_id)
    assert set(await steps(store)) == {"closed_at", "evaluated_at"}


@on_a_file
@pytest.mark.parametrize(
    ("told", "text", "act", "left"),
    [
        ("result", "满意", Act.EVALUATES, {"answered_at", "evaluated_at"}),
        ("result", "不满意，根本没有修好", Act.OBJECTS, set()),
        ("closed", "情况不属实", Act.OBJECTS, set()),
        ("accepted", "怎么还没处理？", Act.CHASES, set()),
        ("progress", "撤回", Act.WITHDRAWS, {"withdrawn_at"}),
        ("return_visit", "修好了，谢谢", Act.EVALUATES, {"evaluated_at"}),
    ],
)
async def test_what_he_does_changes_the_state_of_the_matter(
    store: Store, told: str, text: str, act: Act, left: set[str]
) -> None:
    matter = await filed(store)
    await tell(store, update(matter, told))
    assert (await said(store, text))[0] is act
    assert set(await steps(store)) == left


async def test_to_whom_it_may_go_is_in_the_books_by_mark_only(store: Store) -> None:
    """The address is sealed; what stands open is a mark of it."""
    matter = await filed(store)
    await tell(store, update(matter))
    (row,) = await run(store, select(REPLIES.c.recipient, REPLIES.c.channel))
    assert SENDER.value.encode() not in row.recipient and len(row.recipient) >= 16
