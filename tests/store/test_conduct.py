"""What is held waits beside its sender's lane, in order, for a time; danger lets all of it go on; a person may refuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from normalizer.heard import NOTHING, Judged, Recent
from normalizer.model import Act, HotlineMatter, KeptMessage, Outcome, Past, Urgency, Verdict
from normalizer.model.matter import Flag
from store.conduct import SetAside
from store.errors import NobodySuch
from store.people import Word
from store.store import Store
from store.tables import FLAGS, HOLDS, MATTERS, MESSAGES, TRANSITIONS
from store.values import Filing, Judge, OpenFile, Stage, Work
from tests.store.conftest import NOW, Open, message, new_matter, run, sender, unpacked

THREAT = Flag(kind="threat", score=0.95, evidence=("invented words",))
UNTIL = NOW + timedelta(hours=1)
GRAVE = Judged((THREAT,), until=UNTIL, review=True)
DANGER = Judged(immediate=True)
DAYS = timedelta(days=90)
WORD = Word("Li Hua", "a joke among friends", NOW)


def judging(found: Judged) -> Judge:
    return Judge(lambda _recent, _past, _filing: found, DAYS)


async def say(store: Store, text: str, who: str = "li", **more: Any) -> UUID:
    """A message that waits to be digested; its id."""
    envelope = await unpacked(store, message(text, str(uuid4()), sender=sender(who)), **more)
    ((message_id,),) = await run(store, select(MESSAGES.c.id).where(MESSAGES.c.envelope_id == envelope.id))
    return message_id


async def next_work(store: Store, at: Any = NOW) -> Work | None:
    """What may be digested now."""
    found = await store.claim(Stage.DIGEST, at, 1)
    return found[0] if found else None


async def digest(store: Store, found: Judged = NOTHING, at: Any = NOW, **more: Any) -> str | None:
    """Digest the next message as the pipeline does; its words and what became of it, None when there is none."""
    work = await next_work(store, at)
    if work is None:
        return None
    kept = await store.message(work.subject)
    try:
        await store.file_matter(work, kept, new_matter(kept, **more), at, judge=judging(found))
    except SetAside as aside:
        await store.set_aside(work, kept, aside, at)
        return f"{kept.message.text} aside"
    return f"{kept.message.text} filed"


async def held(store: Store) -> list[UUID]:
    books = await store.reconcile()
    assert books.balanced, books.offending
    found = [one.message_id for one in await store.holds().held()]
    assert books.held == len(found)
    return found


async def ends(store: Store) -> list[tuple[str, str | None]]:
    rows = await run(store, select(HOLDS.c.ended, HOLDS.c.decided_by).order_by(HOLDS.c.message_id))
    return [(row.ended, row.decided_by) for row in rows]


async def test_a_held_message_waits_for_its_time_and_goes_on_with_its_flags(store: Store) -> None:
    first = await say(store, "a")
    assert await digest(store, GRAVE) == "a aside"
    assert await held(store) == [first]
    assert await digest(store, GRAVE, UNTIL - timedelta(seconds=1)) is None
    assert await digest(store, GRAVE, UNTIL) == "a filed"
    assert await held(store) == [] and await ends(store) == [("expired", None)]
    (matter,) = await store.matters()
    assert (matter.conduct.flags, matter.conduct.disposition) == ((THREAT,), "review")
    (flag,) = await run(store, select(FLAGS))
    assert (flag.message_id, flag.caller_id, flag.matter_id) == (first, matter.caller_id, matter.matter_id)
    assert (flag.kind, flag.evidence, flag.expires_at) == ("threat", ["invented words"], NOW + DAYS)
    steps = await run(store, select(TRANSITIONS.c.step, TRANSITIONS.c.reason).order_by(TRANSITIONS.c.sequence))
    assert ("held", "threat 0.95") in [tuple(row) for row in steps]
    assert ("hold_over", "expired") in [tuple(row) for row in steps]


async def test_a_message_for_which_nothing_is_noticed_leaves_nothing(store: Store) -> None:
    await say(store, "a")
    assert await digest(store) == "a filed"
    assert await run(store, select(FLAGS)) == await run(store, select(HOLDS)) == []
    (matter,) = await store.matters()
    assert matter.conduct.disposition == "none"


async def test_others_flow_and_his_own_wait_in_their_order(store: Store) -> None:
    ids = [await say(store, text) for text in "ab"]
    await say(store, "x", "wang")
    assert await digest(store, GRAVE) == "a aside"
    assert await digest(store) == "b aside"
    assert await digest(store) == "x filed"
    late = await say(store, "c")
    assert await digest(store) == "c aside"
    assert await held(store) == [*ids, late]
    assert [await digest(store, at=UNTIL) for _ in range(4)] == ["a filed", "b filed", "c filed", None]
    assert await held(store) == []
    await say(store, "d")
    assert await digest(store) == "d filed"


async def test_what_waits_behind_may_itself_be_held_when_its_turn_comes(store: Store) -> None:
    await say(store, "a")
    await say(store, "b", received_at=NOW + timedelta(minutes=5))
    assert [await digest(store, GRAVE), await digest(store)] == ["a aside", "b aside"]
    assert await digest(store, at=UNTIL) == "a filed"
    later = Judged((THREAT,), until=UNTIL + timedelta(minutes=5), review=True)
    assert await digest(store, later, UNTIL) == "b aside"
    assert await digest(store, later, UNTIL) is None and len(await held(store)) == 1
    assert await digest(store, later, UNTIL + timedelta(minutes=5)) == "b filed"


async def test_danger_lets_what_is_held_go_on_before_it_in_order(store: Store) -> None:
    await say(store, "a")
    await say(store, "b")
    assert [await digest(store, GRAVE), await digest(store)] == ["a aside", "b aside"]
    await say(store, "fire")
    await say(store, "c")
    assert await digest(store, DANGER) == "fire aside"
    assert await held(store) == [] and {how for how, _ in await ends(store)} == {"danger"}
    assert [await digest(store, GRAVE) for _ in range(2)] == ["a filed", "b filed"], "nothing is held twice"
    assert [await digest(store, DANGER), await digest(store), await digest(store)] == ["fire filed", "c filed", None]


async def test_danger_does_not_wait_for_a_flood(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.conduct.BEFORE_DANGER", 2)
    for text in "abc":
        await say(store, text)
    assert await digest(store, GRAVE) == "a aside"
    assert [await digest(store) for _ in range(2)] == ["b aside", "c aside"]
    await say(store, "fire")
    await say(store, "d")
    assert await digest(store, DANGER) == "fire filed"
    assert await held(store) == []
    assert [await digest(store, GRAVE) for _ in range(3)] == ["a filed", "b filed", "c filed"]
    assert [await digest(store), await digest(store)] == ["d filed", None]


async def test_danger_itself_is_never_held(store: Store) -> None:
    await say(store, "fire")
    assert await digest(store, Judged((THREAT,), immediate=True), urgency=Urgency.IMMEDIATE) == "fire filed"
    (matter,) = await store.matters()
    assert (matter.conduct.flags, matter.conduct.disposition) == ((THREAT,), "none")


async def test_whoever_finds_the_held_one_gone_goes_on_at_once(store: Store) -> None:
    await say(store, "a")
    await say(store, "b")
    assert await digest(store, GRAVE) == "a aside"
    late = await next_work(store)
    assert late is not None
    kept = await store.message(late.subject)
    assert await digest(store, at=UNTIL) == "a filed"
    await store.set_aside(late, kept, SetAside(None), UNTIL)
    assert (await store.reconcile()).balanced
    assert [await digest(store, at=UNTIL), await digest(store, at=UNTIL)] == ["b filed", None]


async def test_a_hold_outlives_the_process_and_any_node_takes_it_up(opened: Open, url: str) -> None:
    first = await opened()
    await say(first, "a")
    await say(first, "b")
    assert [await digest(first, GRAVE), await digest(first)] == ["a aside", "b aside"]
    await first.close()
    second = await opened()
    assert len(await held(second)) == 2 and await next_work(second) is None
    other = second if url.startswith("sqlite") else await opened()
    assert [await digest(other, at=UNTIL), await digest(second, at=UNTIL)] == ["a filed", "b filed"]


# -- an operator's word ------------------------------------------------------------------------------------------------


async def test_an_operator_lets_one_go_on_or_all_of_a_sender(store: Store) -> None:
    first, second, third = [await say(store, text) for text in "abc"]
    assert [await digest(store, GRAVE), *[await digest(store) for _ in range(2)]] == ["a aside", "b aside", "c aside"]
    assert await store.holds().release(first, WORD) == 1
    assert await held(store) == [second, third]
    assert await digest(store, GRAVE) == "a filed", "what a person has let go is not held again"
    assert await digest(store, GRAVE) == "b aside"
    assert await store.holds().release(third, WORD, every=True) == 2
    assert [await digest(store, GRAVE), await digest(store, GRAVE)] == ["b filed", "c filed"]
    assert set(await ends(store)) == {("released", "Li Hua")}
    steps = await run(store, select(TRANSITIONS).where(TRANSITIONS.c.step == "released"))
    assert {(row.reason, row.words) for row in steps} == {("Li Hua", b"a joke among friends")}


async def test_only_an_operator_refuses_and_it_is_kept_with_his_name(store: Store) -> None:
    first, second = [await say(store, text) for text in "ab"]
    assert [await digest(store, GRAVE), await digest(store)] == ["a aside", "b aside"]
    assert await store.holds().refuse(first, WORD, DAYS) == ["letters"]
    assert await held(store) == [second]
    (row,) = await run(store, select(MESSAGES).where(MESSAGES.c.id == first))
    assert (row.outcome, row.reason) == ("refused", "refused by Li Hua")
    assert (await store.reconcile()).outcomes["refused"] == 1
    (flag,) = await run(store, select(FLAGS))
    assert (flag.message_id, flag.kind, flag.matter_id) == (first, "threat", None)
    assert [await digest(store), await digest(store)] == ["b filed", None], "the rest of the sender's goes on"


async def test_all_of_a_sender_is_refused_at_once_while_a_node_works_on_it(store: Store) -> None:
    ids = [await say(store, text) for text in "abc"]
    assert [await digest(store, GRAVE), *[await digest(store) for _ in range(2)]] == ["a aside", "b aside", "c aside"]
    working = await next_work(store, UNTIL)
    assert working is not None
    assert len(await store.holds().refuse(ids[1], WORD, DAYS, every=True)) == 3
    kept = await store.message(working.subject)
    with pytest.raises(Exception, match="work"):
        await store.file_matter(working, kept, new_matter(kept), UNTIL, judge=judging(Judged()))
    assert await held(store) == [] and await store.pending() == 0
    await say(store, "d")
    assert await digest(store) == "d filed"


async def test_reading_is_kept_and_what_is_not_held_is_nobodys_to_decide(store: Store) -> None:
    first = await say(store, "a")
    for act in (store.holds().release, store.holds().read):
        with pytest.raises(NobodySuch, match="gateway held list"):
            await act(first, WORD)
    await digest(store, GRAVE)
    assert (await store.holds().read(first, WORD)).message.text == "a"
    (step,) = await run(store, select(TRANSITIONS).where(TRANSITIONS.c.step == "read"))
    assert (step.subject, step.reason, step.words) == (first, "Li Hua", b"a joke among friends")
    await digest(store, at=UNTIL)
    with pytest.raises(NobodySuch):
        await store.holds().refuse(first, WORD, DAYS)


# -- what is recalled --------------------------------------------------------------------------------------------------


async def recalled(store: Store, text: str, minutes: float, outcome: Outcome = Outcome.FILED, **more: Any) -> Recent:
    """What the judge of a message is told of how its writer has been writing."""
    seen: list[Recent] = []
    await say(store, text, received_at=NOW + timedelta(minutes=minutes), **more)
    work = await next_work(store)
    assert work is not None
    kept = await store.message(work.subject)

    def note(recent: Recent, _past: Past, _filing: Filing) -> Judged:
        seen.append(recent)
        return Judged()

    decide = new_matter(kept) if outcome is Outcome.FILED else chase((await store.matters())[0], kept)
    await store.file_matter(work, kept, decide, kept.received_at, judge=Judge(note, DAYS))
    return seen[0]


def chase(matter: HotlineMatter, kept: KeptMessage) -> Any:
    del kept
    more = matter.model_copy(update={"revision": matter.revision + 1})
    verdict = Verdict(outcome=Outcome.CHASED, act=Act.CHASES, matter_id=matter.matter_id, reason="asks again")

    def decide(_caller: UUID, _past: Past, _open: OpenFile) -> Filing:
        return Filing(verdict, more, "matter.chased")

    return decide


async def test_the_last_hour_of_the_same_person_is_recalled_with_equal_marks_for_equal_words(store: Store) -> None:
    assert (await recalled(store, "路灯坏了", 0)).messages == ()
    await say(store, "路灯坏了", "wang", received_at=NOW + timedelta(minutes=1))
    await digest(store)
    second = await recalled(store, "路灯 坏了", 30)
    third = await recalled(store, "路灯坏了", 59)
    assert len(second.messages) == 1, "nobody else's"
    assert [one.words == third.words for one in third.messages] == [False, True]
    assert third.messages[0].outcome is Outcome.FILED and third.messages[0].channel == "letters"
    assert len((await recalled(store, "x", 61)).messages) == 2, "the first is older than an hour"


async def test_only_chases_after_an_answer_are_repeats(store: Store) -> None:
    await recalled(store, "路灯坏了", 0)
    assert (await recalled(store, "催", 1, Outcome.CHASED)).repeats == 0
    assert (await recalled(store, "催", 2, Outcome.CHASED)).repeats == 0, "nothing is answered: it is a right"
    await run(store, update(MATTERS).values(answered_at=NOW + timedelta(minutes=3)))
    assert (await recalled(store, "催", 4, Outcome.CHASED)).repeats == 0
    assert (await recalled(store, "催", 5, Outcome.CHASED)).repeats == 1
    assert (await recalled(store, "催", 6, Outcome.CHASED)).repeats == 2
