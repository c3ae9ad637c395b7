"""What an operator decides: it is a link with his name, the core is told, and nothing is lost by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.linking import Asked, decide
from gateway.rules import CityRules
from normalizer.model import Attachment, AttachmentKind, HotlineMatter, Level, Outcome, Place
from store.regroup import Refused
from store.store import Store
from store.tables import LINKS, MATTERS, MESSAGES
from tests.counter import Counter, events, matter_of
from tests.store.conftest import NOW, key_file, opened, postgresql, postgresql_url, run, store, url
from tests.test_linking import DUST, LAMP, LAMP_MORE, OTHER

__all__ = ["key_file", "opened", "postgresql", "postgresql_url", "store", "url"]

LATER = NOW + timedelta(days=5)


@pytest.fixture
def counter(store: Store) -> Counter:
    return Counter(store)


async def says(store: Store, act: str, matter: HotlineMatter, other: Any = None, *messages: Any) -> str:
    asked = Asked.model_validate(
        {
            "act": act,
            "matter": matter.tracking_code,
            "other": other and str(other),
            "messages": messages,
            "by": "op-7",
            "reason": "read both",
        },
        strict=False,
    )
    return await decide(store, asked, LATER, CityRules("jinan", "370100", "Asia/Shanghai"))


#: What the city and the clock have done to a matter, which splitting it does not take back.
PASSED = {"revision", "contacts_30d", "last_contact_at", "matters_30d", "unanswered_prior", "confidential"}


async def test_a_wrong_join_is_undone_and_the_matter_is_as_it_was(counter: Counter, store: Store) -> None:
    before = await matter_of(store, await counter.tell(LAMP))
    picture = Attachment(id="0", kind=AttachmentKind.IMAGE, reference="https://a.example/1")
    wrong = await counter.tell(
        LAMP_MORE,
        days=2,
        attachments=(picture,),
        name="王芳",
        unit="某公司",
        place=Place(text="别处"),
        confidential=True,
    )
    assert wrong.verdict.outcome is Outcome.ATTACHED and wrong.matter is not None
    moved = wrong.matter.messages[1].message_id
    said = await says(store, "split", before, None, moved)

    after = await matter_of(store, wrong)
    assert after.model_dump(exclude=PASSED) == before.model_dump(exclude=PASSED), "nothing of the other is left in it"
    assert after.confidential, "both halves stay sealed (decision 23)"
    (new,) = [one for one in await store.matters() if one.matter_id != before.matter_id]
    assert new.tracking_code in said and new.content == LAMP_MORE and new.caller_id == before.caller_id
    assert (new.party.name, new.party.unit, new.confidential) == ("王芳", "某公司", True)
    assert [one.message_id for one in new.messages] == [moved] and len(new.attachments) == 1
    rows = await run(store, select(LINKS).where(LINKS.c.subject == moved).order_by(LINKS.c.sequence))
    assert [(row.kind, row.object, row.level, row.decided_by) for row in rows] == [
        ("belongs", before.matter_id, "link", "rule"),
        ("belongs", before.matter_id, "apart", "op-7"),
        ("belongs", new.matter_id, "link", "op-7"),
    ]
    assert rows[1].why["reason"] == "read both"
    assert [event.type for event in await events(store, new.matter_id)] == ["hotline.matter.filed.v1"]
    assert (await store.reconcile()).balanced


async def test_what_an_operator_has_put_elsewhere_stays_there_when_it_is_read_again(
    counter: Counter, store: Store
) -> None:
    first = await matter_of(store, await counter.tell(LAMP))
    wrong = await counter.tell(LAMP_MORE, days=2)
    assert wrong.matter is not None
    moved = wrong.matter.messages[1].message_id
    await says(store, "split", first, None, moved)
    # as a replay finds it: not settled, and in the queue
    kept = await store.message(moved)
    new = next(one for one in await store.matters() if one.matter_id != first.matter_id)
    await run(store, update(MESSAGES).where(MESSAGES.c.id == moved).values(outcome=None, matter_id=None))
    seen = await _seen(counter, kept)
    assert seen.placed is not None
    assert (seen.placed.matter_id, seen.placed.operator) == (new.matter_id, "op-7")
    assert all(text.apart for text in seen.alike if text.matter.matter_id == first.matter_id)


async def _seen(counter: Counter, kept: Any) -> Any:
    """The past that the message's decision would be shown."""
    from gateway.looking import Looking  # noqa: PLC0415 - only here
    from normalizer.normalize import normalize  # noqa: PLC0415
    from store.matters import recalled  # noqa: PLC0415
    from store.past import Reading  # noqa: PLC0415
    from store.persons import Person  # noqa: PLC0415

    assert counter.lookout is not None
    sight, _ = await Looking(counter.settings, counter.lookout).look(normalize(kept.message, kept.id), kept)
    caller = select(MATTERS.c.caller_id).order_by(MATTERS.c.filed_at).limit(1)
    ((caller_id,),) = await run(counter.store, caller)
    person = Person(caller_id, caller_id, (caller_id,))
    keyring = counter.store._keyring
    return await counter.store._database.read(
        lambda connection: recalled(connection, keyring, Reading(kept, (), sight), person)
    )


async def test_messages_that_are_not_its_own_or_opened_it_cannot_be_split_off(counter: Counter, store: Store) -> None:
    first = await matter_of(store, await counter.tell(LAMP))
    other = await matter_of(store, await counter.tell(OTHER))
    for messages in ((), (other.messages[0].message_id,), (first.messages[0].message_id,)):
        with pytest.raises(Refused):
            await says(store, "split", first, None, *messages)
    assert len(await store.matters()) == 2 and (await store.reconcile()).balanced


async def test_two_matters_are_joined_by_a_link_and_both_stay(counter: Counter, store: Store) -> None:
    first, second = [await matter_of(store, await counter.tell(text, days=n)) for n, text in enumerate((LAMP, OTHER))]
    await says(store, "join", second, first.tracking_code)
    joined = await store.matter(second.matter_id)
    assert joined is not None and joined.same_matter_of is not None
    link = joined.same_matter_of
    assert (link.id, link.decided_by, link.reason, link.level) == (first.matter_id, "op-7", "read both", Level.LINK)
    assert [event.type for event in await events(store, second.matter_id)] == ["hotline.matter.filed.v1"]
    assert (await store.reconcile()).events["owed"] == 3
    with pytest.raises(Refused, match="later"):
        await says(store, "join", first, second.tracking_code)

    await says(store, "unlink", second, first.matter_id)
    alone = await store.matter(second.matter_id)
    assert alone is not None and alone.same_matter_of is None
    with pytest.raises(Refused, match="no such link"):
        await says(store, "unlink", second, first.matter_id)
    assert (await store.reconcile()).balanced


async def test_members_are_taken_out_and_put_in_by_hand(counter: Counter, store: Store) -> None:
    first, second = [
        await matter_of(store, await counter.tell(text, f"neighbour {n}", days=n / 10))
        for n, text in enumerate(DUST[:2])
    ]
    stranger = await matter_of(store, await counter.tell(OTHER, "somebody", days=0.3))
    speaks = await store.matter(first.matter_id)
    assert speaks is not None and speaks.incident_id is not None
    incident = speaks.incident_id.id

    await says(store, "join_incident", stranger, incident)
    assert await counted(store, second, LATER) == (3, 3)
    with pytest.raises(Refused, match="already"):
        await says(store, "join_incident", stranger, incident)
    await says(store, "unlink", stranger, incident)
    assert await counted(store, second, LATER) == (2, 2)

    await says(store, "unlink", first, incident)  # it spoke for the incident: now the other does
    left, alone = await store.matter(second.matter_id), await store.matter(first.matter_id)
    assert left is not None and left.incident is not None and alone is not None
    assert (left.incident.citizens, left.incident.title) == (1, left.title)
    assert (alone.incident_id, alone.incident) == (None, None)
    assert (await store.reconcile()).balanced


async def test_an_incident_is_begun_by_hand(counter: Counter, store: Store) -> None:
    first, second = [
        await matter_of(store, await counter.tell(text, who, days=n))
        for n, (text, who) in enumerate(((LAMP, "li"), (OTHER, "wang")))
    ]
    await says(store, "join_incident", second, first.tracking_code)
    assert await counted(store, first, LATER) == (2, 2)
    both = [await store.matter(one.matter_id) for one in (first, second)]
    assert both[0] and both[1] and both[0].incident_id and both[1].incident_id
    assert both[0].incident_id.id == both[1].incident_id.id and both[1].incident_id.decided_by == "op-7"


async def counted(store: Store, matter: HotlineMatter, at: Any) -> tuple[int, int]:
    """Citizens and matters of its incident."""
    folder = await store.links().folder(matter.matter_id, at)
    assert folder.incident is not None
    return folder.incident.citizens, folder.incident.matters


async def test_decisions_are_pairs_to_measure_on(counter: Counter, store: Store) -> None:
    first, second = [await matter_of(store, await counter.tell(text, days=n)) for n, text in enumerate((LAMP, OTHER))]
    await says(store, "join", second, first.tracking_code)
    more = await counter.tell(LAMP_MORE, days=2)
    assert more.matter is not None
    moved = more.matter.messages[-1].message_id
    await says(store, "split", first, None, moved)
    pairs = {frozenset((one.one, one.other)): one.together for one in await store.links().labelled()}
    opened_by = {one.matter_id: one.messages[0].message_id for one in (first, second)}
    assert pairs == {
        frozenset((opened_by[first.matter_id], opened_by[second.matter_id])): True,
        frozenset((moved, opened_by[first.matter_id])): False,
    }
