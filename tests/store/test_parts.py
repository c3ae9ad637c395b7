"""Long messages in pieces: joined once, whatever comes in which order, and nobody waits for a piece but its own message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from normalizer.model import Attachment, AttachmentKind, KeptMessage, Message, Outcome, Part
from store.errors import Superseded
from store.parts import PATIENCE
from store.store import Store
from store.tables import MESSAGES, TRANSITIONS
from store.values import Stage, Work
from tests.store.conftest import NOW, lapse, message, new_matter, run, sender, unpacked

SECOND = timedelta(seconds=1)
OVER = NOW + PATIENCE
WORDS = ("小区", "路灯", "坏了", "三天", "了。")


def piece(
    number: int, total: int | None, *, reference: str = "7", provider_id: str | None = None, **more: Any
) -> Message:
    """One piece, named as a provider names it: an id of its own, the number in the whole, what they have in common."""
    given = {"group": reference, "part": Part(reference=reference, number=number, total=total)} | more
    return message(WORDS[number - 1], provider_id or f"{reference}.{number}", **given)


async def digest(store: Store, at: datetime = NOW, under_way: Sequence[int] = ()) -> list[KeptMessage]:
    """What the pipeline does with all that is due, one after the other; the messages it filed."""
    done = []
    while found := await store.claim(Stage.DIGEST, at, 1, under_way):
        for work in found:
            with contextlib.suppress(Superseded):  # joined to the one before
                kept = await whole(store, work, at)
                if kept is not None:
                    await store.file_matter(work, kept, new_matter(kept), at)
                    done.append(kept)
    return done


async def whole(store: Store, work: Work, at: datetime) -> KeptMessage | None:
    kept = await store.message(work.subject)
    if kept.message.part is None:
        return kept
    gathered = await store.gather(work, kept, at)
    return gathered and gathered.whole


async def outcomes(store: Store) -> dict[str, int]:
    books = await store.reconcile()
    assert books.balanced, books.offending
    return {name: count for name, count in books.outcomes.items() if count}


async def settled(store: Store) -> dict[str, tuple[str, UUID | None]]:
    """By words: the outcome, and the message that it is in."""
    columns = select(MESSAGES.c.content, MESSAGES.c.outcome, MESSAGES.c.first_id)
    return {row.content["text"]: (row.outcome, row.first_id) for row in await run(store, columns)}


ORDERS = [(1, 2), (2, 1), (2, 3, 1), (3, 1, 2), (4, 2, 1, 3), (5, 4, 3, 2, 1), (3, 1, 5, 2, 4)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_pieces_in_any_order_are_one_message(store: Store, order: tuple[int, ...]) -> None:
    for number in order[:-1]:
        await unpacked(store, piece(number, len(order)))
        assert await digest(store) == [], "it waits"
    await unpacked(store, piece(order[-1], len(order)))
    (kept,) = await digest(store)
    assert kept.message.text == "".join(WORDS[: len(order)])
    assert (kept.flags, kept.message.flags, kept.message.part) == ((), (), None)
    assert await outcomes(store) == {"filed": 1, "part": len(order) - 1}
    assert await store.pending() == 0
    assert {first for _, first in (await settled(store)).values()} == {None, kept.id}


async def test_pieces_in_one_delivery(store: Store) -> None:
    await unpacked(store, *(piece(number, 3) for number in (3, 1, 2)))
    (kept,) = await digest(store)
    assert kept.message.text == "小区路灯坏了"
    assert await outcomes(store) == {"filed": 1, "part": 2}


async def test_a_piece_that_came_twice_counts_once(store: Store) -> None:
    """Delivered again it is a redelivery; under another id it is a piece of the same number."""
    for one in (piece(1, 2), piece(1, 2), piece(1, 2, provider_id="another"), piece(2, 2)):
        await unpacked(store, one)
    (kept,) = await digest(store)
    assert kept.message.text == "小区路灯"
    assert await outcomes(store) == {"filed": 1, "part": 2, "redelivered": 1}


async def test_what_is_missing_is_waited_for_and_then_said(store: Store) -> None:
    await unpacked(store, piece(1, 3))
    await unpacked(store, piece(3, 3), received_at=NOW + 60 * SECOND)
    assert await digest(store) == await digest(store, OVER - SECOND) == []
    assert await outcomes(store) == {} and await store.pending() == 2
    (kept,) = await digest(store, OVER)
    assert (kept.message.text, kept.flags, kept.message.flags) == ("小区坏了", ("part_missing",), ("part_missing",))
    assert (await store.message(kept.id)).flags == ("part_missing",), "and written down"
    assert await outcomes(store) == {"filed": 1, "part": 1}
    assert await store.pending() == 0


async def test_nobody_told_how_many_there_are(store: Store) -> None:
    for number in (2, 1):
        await unpacked(store, piece(number, None))
    assert await digest(store) == []
    (kept,) = await digest(store, OVER)
    assert (kept.message.text, kept.flags) == ("小区路灯", ("part_missing",))


async def test_a_clock_that_was_put_back_holds_up_nothing(store: Store) -> None:
    await unpacked(store, piece(1, 2), received_at=NOW + timedelta(days=2))
    assert await digest(store, NOW + timedelta(days=2)) == []
    await unpacked(store, piece(2, 2))
    (kept,) = await digest(store)
    assert kept.message.text == "小区路灯"


async def test_the_senders_next_message_does_not_wait_for_his_pieces(store: Store) -> None:
    await unpacked(store, piece(1, 2))
    await unpacked(store, message("另一件事", "8"), piece(1, 2, reference="9"), message("第三件事", "10"))
    assert [kept.message.text for kept in await digest(store)] == ["另一件事", "第三件事"]
    await unpacked(store, piece(2, 2, reference="9"))
    await unpacked(store, piece(2, 2))
    assert [kept.message.text for kept in await digest(store)] == ["小区路灯", "小区路灯"]
    assert await outcomes(store) == {"filed": 4, "part": 2}


async def test_other_peoples_pieces_are_not_his(store: Store) -> None:
    await unpacked(store, piece(1, 2))
    await unpacked(store, piece(2, 2, sender=sender("resident-2")), piece(2, 2, account="another desk"))
    await unpacked(store, piece(2, 2, reference="8"))
    assert await digest(store) == []
    assert sorted(kept.message.text for kept in await digest(store, OVER)) == ["小区", "路灯", "路灯", "路灯"]


async def test_pictures_of_the_pieces_have_names_of_their_own(store: Store) -> None:
    picture = Attachment(id="0", kind=AttachmentKind.IMAGE, reference="media:1")
    await unpacked(store, *(piece(number, 2, attachments=(picture,)) for number in (1, 2)))
    (kept,) = await digest(store)
    assert [one.id for one in kept.message.attachments] == ["0", "1"]


async def test_a_late_piece_is_a_message_of_the_same_group(store: Store) -> None:
    await unpacked(store, piece(1, 2))
    assert await digest(store) == []
    assert len(await digest(store, OVER)) == 1
    await unpacked(store, piece(2, 2), received_at=OVER)
    assert await digest(store, OVER) == []
    (late,) = await digest(store, OVER + PATIENCE)
    assert (late.message.text, late.message.group, late.flags) == ("路灯", "7", ("part_missing",))


async def test_a_name_is_used_again(store: Store) -> None:
    """The pieces of last month's message are in it, and in no other."""
    for words in (("小区", "路灯"), ("电梯", "停运")):
        for number, text in enumerate(words, start=1):
            said = piece(number, 2, provider_id=text).model_copy(update={"text": text})
            await unpacked(store, said)
            found = await digest(store)
        assert [kept.message.text for kept in found] == ["".join(words)]
    assert await outcomes(store) == {"filed": 2, "part": 2}


async def test_the_whole_that_was_not_filed_stays_whole(store: Store) -> None:
    """The node ended between the two steps: nothing is joined twice, waited for or said to be missing."""
    for number in (1, 2):
        await unpacked(store, piece(number, 2))
        (work,) = await store.claim(Stage.DIGEST, NOW, 1)
        kept = await whole(store, work, NOW)
    assert kept is not None
    await store.postpone(work, "crash", NOW, NOW)
    (again,) = await digest(store)
    assert (again.id, again.message.text, again.flags) == (kept.id, "小区路灯", ())
    assert await outcomes(store) == {"filed": 1, "part": 1}


async def test_a_late_piece_does_not_take_apart_what_waits_to_be_filed(store: Store) -> None:
    """What was put together without it, and could not be filed yet, is nobody's piece any more."""
    await unpacked(store, piece(1, 2))
    assert await digest(store) == []
    (work,) = await store.claim(Stage.DIGEST, OVER, 1)
    assert await whole(store, work, OVER) is not None
    await store.postpone(work, "slow", OVER, OVER + 2 * PATIENCE)
    await unpacked(store, piece(2, 2), received_at=OVER)
    assert await digest(store, OVER) == []
    (late,) = await digest(store, OVER + PATIENCE)
    (first,) = await digest(store, OVER + 2 * PATIENCE)
    assert (first.id, first.message.text, late.message.text) == (work.subject, "小区", "路灯")
    assert await outcomes(store) == {"filed": 2}


async def test_two_nodes_at_once_join_once(nodes: tuple[Store, Store]) -> None:
    """One has the last piece while the other's patience is over: one carries, the other finds its piece gone."""
    one, other = nodes
    await unpacked(one, piece(1, 2))
    assert await digest(one) == []
    (waited,) = await other.claim(Stage.DIGEST, OVER, 1)
    await unpacked(one, piece(2, 2))
    (arrived,) = await one.claim(Stage.DIGEST, OVER, 1, [waited.sequence])
    found = await asyncio.gather(whole(one, arrived, OVER), whole(other, waited, OVER), return_exceptions=True)
    carriers = [kept for kept in found if isinstance(kept, KeptMessage)]
    lost = [error for error in found if isinstance(error, BaseException)]
    assert len(carriers) == 1 and [type(error) for error in lost] == [Superseded]
    (kept,) = carriers
    assert kept.message.text == "小区路灯"
    node, work = (one, arrived) if kept.id == arrived.subject else (other, waited)
    await node.file_matter(work, kept, new_matter(kept), OVER)
    assert await outcomes(one) == {"filed": 1, "part": 1}


async def test_a_piece_held_by_a_node_that_died_is_joined_all_the_same(
    nodes: tuple[Store, Store], by_hand: None
) -> None:
    one, other = nodes
    await unpacked(one, piece(1, 2))
    assert await digest(one) == []
    (held,) = await other.claim(Stage.DIGEST, OVER, 1)
    if other is not one:
        await lapse(other)
    await unpacked(one, piece(2, 2))
    (work,) = await one.claim(Stage.DIGEST, OVER, 1, [held.sequence])
    kept = await whole(one, work, OVER)
    assert kept is not None and kept.message.text == "小区路灯"
    await one.file_matter(work, kept, new_matter(kept), OVER)
    assert await outcomes(one) == {"filed": 1, "part": 1}


async def test_each_step_is_recorded(store: Store) -> None:
    for number in (1, 2):
        await unpacked(store, piece(number, 2))
        await digest(store)
    rows = await run(store, select(TRANSITIONS.c.step, TRANSITIONS.c.reason).order_by(TRANSITIONS.c.sequence))
    assert [tuple(row) for row in rows] == [
        ("waits_for_parts", None),
        (Outcome.PART, "joined"),
        (Outcome.FILED, "nothing like it"),
    ]
