from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from normalizer.model import Assurance, Contact, ContactType, HotlineMatter, Message, Outcome, Past, PastMatter
from store.errors import Superseded
from store.past import HISTORY
from store.store import Store
from store.tables import CALLERS, CONTACTS, EVENTS, MATTERS, MESSAGES, TRANSITIONS
from store.values import Filing, OpenFile, Stage, Work
from tests.store.conftest import (
    NOW,
    amended,
    amendment,
    filed,
    message,
    new_matter,
    run,
    sender,
    to_digest,
    unpacked,
    work_of,
)

PHONE = Contact(type=ContactType.PHONE, value="+8613800138000", assurance=Assurance.VERIFIED)
MAIL = Contact(type=ContactType.MAIL, value="zhang@example.com", assurance=Assurance.VERIFIED)


async def counts(store: Store) -> dict[str, int]:
    """Rows in every table that filing writes."""
    tables = (CALLERS, CONTACTS, MATTERS, EVENTS, TRANSITIONS)
    return {table.name: (await run(store, select(func.count()).select_from(table)))[0][0] for table in tables}


async def seen(store: Store, said: Message, **more: object) -> Past:
    """The past that a message's decision is shown; the message opens a matter."""
    pasts: list[Past] = []
    work, kept = await to_digest(store, said, **more)
    await store.file_matter(work, kept, new_matter(kept, pasts), kept.received_at)
    return pasts[0]


# -- one transaction ---------------------------------------------------------------------------------------------------


async def test_filing_writes_matter_outcome_and_event_together(store: Store) -> None:
    work, kept = await to_digest(store, message())
    filing = await store.file_matter(work, kept, new_matter(kept), NOW)
    assert await store.matter(filing.matter.matter_id) == filing.matter
    assert await store.matters() == [filing.matter]
    receipt = await store.receipt(kept.envelope_id)
    assert (receipt.state, receipt.matter_id, receipt.tracking_code) == (
        "filed",
        filing.matter.matter_id,
        filing.matter.tracking_code,
    )
    (event,) = await store.outbox().due(NOW, 10)
    assert (event.matter_id, event.sequence, event.type) == (filing.matter.matter_id, 1, "matter.filed")
    assert HotlineMatter.model_validate(event.payload) == filing.matter
    assert await counts(store) == {"callers": 1, "contacts": 1, "matters": 1, "events": 1, "transitions": 1}
    assert await store.pending() == 0 and (await store.reconcile()).balanced


async def test_a_decision_that_raises_leaves_nothing(store: Store) -> None:
    work, kept = await to_digest(store, message())

    def decide(_caller_id: UUID, _past: Past, _open_file: OpenFile) -> Filing:
        raise LookupError("a bug in a rule")

    with pytest.raises(LookupError):
        await store.file_matter(work, kept, decide, NOW)
    assert set((await counts(store)).values()) == {0}
    assert await work_of(store, kept.id, Stage.DIGEST) == work
    (row,) = await run(store, select(MESSAGES.c.outcome, MESSAGES.c.caller_id, MESSAGES.c.matter_id))
    assert tuple(row) == (None, None, None)
    assert (await store.reconcile()).balanced


async def test_a_tracking_code_given_out_already_leaves_nothing(store: Store) -> None:
    first = await filed(store)
    before = await counts(store)
    work, kept = await to_digest(store, message())
    with pytest.raises(IntegrityError):
        await store.file_matter(work, kept, new_matter(kept, tracking_code=first.tracking_code), NOW)
    assert await counts(store) == before and await store.pending() == 1


async def test_the_same_work_is_filed_once(nodes: tuple[Store, Store]) -> None:
    for number in range(10):
        work, kept = await to_digest(nodes[0], message(provider_id=f"race-{number}"))
        filings = (node.file_matter(work, kept, new_matter(kept), NOW) for node in nodes)
        results = await asyncio.gather(*filings, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Filing", "Superseded"]
    assert len(await nodes[0].matters()) == 10


async def test_an_amendment_adds_to_the_matter(store: Store) -> None:
    first = await filed(store)
    work, kept = await to_digest(store, message())
    await store.file_matter(work, kept, amendment(first, content="more"), NOW)
    second = await store.matter(first.matter_id)
    assert (second.revision, second.content) == (2, "more")
    receipt = await store.receipt(kept.envelope_id)
    assert (receipt.state, receipt.matter_id) == ("attached", first.matter_id)
    books = await store.reconcile()
    assert books.balanced and books.events["owed"] == books.events["waiting"] == 2


async def test_an_amendment_of_an_older_revision_is_superseded_and_leaves_nothing(store: Store) -> None:
    first = await filed(store)
    second = await amended(store, first, content="faster")
    work, kept = await to_digest(store, message("slower"))
    with pytest.raises(Superseded):
        await store.file_matter(work, kept, amendment(first, content="slower"), NOW)
    assert await store.matter(first.matter_id) == second
    assert await work_of(store, kept.id, Stage.DIGEST) == work
    await store.file_matter(work, kept, amendment(second, content="both"), NOW)
    assert (await store.matter(first.matter_id)).revision == 3
    assert (await store.reconcile()).balanced


async def test_an_amendment_of_a_matter_that_is_not_there_is_superseded(store: Store) -> None:
    first = await filed(store)
    work, kept = await to_digest(store, message())
    elsewhere = first.model_copy(update={"matter_id": kept.id})
    with pytest.raises(Superseded):
        await store.file_matter(work, kept, amendment(elsewhere), NOW)


# -- callers -----------------------------------------------------------------------------------------------------------


async def test_a_contact_heard_before_is_the_same_caller(store: Store) -> None:
    one, two = await filed(store), await filed(store)
    other = await filed(store, message(sender=sender("resident-2")))
    assert one.caller_id == two.caller_id != other.caller_id


async def test_nodes_that_file_for_a_new_contact_at_once_make_one_caller_and_see_each_other(
    nodes: tuple[Store, Store],
) -> None:
    for number in range(8):
        await unpacked(nodes[0], message(key_space=f"space-{number}", sender=PHONE, provider_id=str(number)))
    first = await nodes[0].claim(Stage.DIGEST, NOW, 4)
    shares = (first, await nodes[1].claim(Stage.DIGEST, NOW, 4, [work.sequence for work in first]))
    pasts: list[Past] = []

    async def file(node: Store, work: Work) -> Filing:
        kept = await node.message(work.subject)
        return await node.file_matter(work, kept, new_matter(kept, pasts), NOW)

    filings = await asyncio.gather(
        *(file(node, work) for node, share in zip(nodes, shares, strict=True) for work in share)
    )
    assert len(filings) == 8
    assert len({filing.matter.caller_id for filing in filings}) == 1
    assert sorted(past.contacts_30d for past in pasts) == list(range(8))
    assert sorted(len(past.matters) for past in pasts) == list(range(8))
    found = await counts(nodes[0])
    assert (found["callers"], found["contacts"]) == (1, 1)


async def test_a_spoofable_contact_never_shares_a_caller_with_the_address_it_claims(store: Store) -> None:
    spoofable = MAIL.model_copy(update={"assurance": Assurance.SPOOFABLE})
    verified = await filed(store, message(provider_id="1", sender=MAIL))
    claimed = await filed(store, message(provider_id="2", sender=spoofable))
    again = await filed(store, message(provider_id="3", sender=spoofable))
    assert verified.caller_id != claimed.caller_id == again.caller_id


@pytest.mark.parametrize(
    ("contact", "shared"),
    [(PHONE, True), (MAIL, True), (sender("1"), False), (sender("1", type=ContactType.WECHAT), False)],
    ids=lambda value: getattr(value, "type", None),
)
async def test_an_openid_means_somebody_only_together_with_our_account(
    store: Store, contact: Contact, shared: bool
) -> None:
    one = await filed(store, message(sender=contact, account="one"))
    two = await filed(store, message(sender=contact, account="two"))
    assert (one.caller_id == two.caller_id) is shared


async def test_the_same_value_of_another_type_is_another_contact(store: Store) -> None:
    values = [sender("12345", type=kind) for kind in ContactType]
    callers = {(await filed(store, message(sender=contact))).caller_id for contact in values}
    assert len(callers) == len(values)


# -- what is recalled --------------------------------------------------------------------------------------------------


async def test_a_new_caller_has_no_past(store: Store) -> None:
    past = await seen(store, message())
    assert past == Past(caller_id=past.caller_id) and past.caller_id is not None


async def test_the_past_holds_the_last_thirty_days_newest_first(store: Store) -> None:
    times = [NOW - HISTORY - timedelta(seconds=1), NOW - HISTORY, NOW - timedelta(days=1)]
    for number, at in enumerate(times):
        await seen(store, message(provider_id=f"earlier-{number}"), received_at=at)
    old, edge, new = await store.matters()
    await seen(store, message(sender=sender("resident-2")), received_at=NOW)
    past = await seen(store, message(), received_at=NOW)
    assert (past.contacts_30d, past.last_contact_at) == (2, times[2])
    assert past.matters == (
        PastMatter(matter_id=new.matter_id, filed_at=times[2], tracking_code=new.tracking_code),
        PastMatter(matter_id=edge.matter_id, filed_at=times[1], tracking_code=edge.tracking_code),
    )
    assert old.matter_id not in {matter.matter_id for matter in past.matters}


async def test_of_a_caller_who_writes_without_end_the_newest_matters_are_recalled_and_all_are_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each filing would else cost as much as all before: the acknowledgements of others wait for the same file."""
    monkeypatch.setattr("store.past.RECALLED", 3)
    for number in range(5):
        await seen(store, message(provider_id=f"earlier-{number}"), received_at=NOW)
    newest = [matter.matter_id for matter in await store.matters()][:1:-1]
    past = await seen(store, message())
    assert past.matters_30d == 5
    assert sorted(matter.matter_id for matter in past.matters) == sorted(newest)


async def test_redeliveries_and_failures_are_no_contacts(store: Store) -> None:
    await filed(store, message("first"))
    await to_digest(store, message("second", "2"))
    await unpacked(store, message("first"))
    work, _ = await to_digest(store, message("third", "3"))
    await store.give_up(work, Outcome.FAILED, "bug", NOW)
    (left,) = await store.claim(Stage.DIGEST, NOW, 10)
    kept, pasts = await store.message(left.subject), []
    await store.file_matter(left, kept, new_matter(kept, pasts), NOW)
    assert pasts[0].contacts_30d == 1


async def test_the_matter_a_message_names_is_recalled(store: Store) -> None:
    mine = await filed(store)
    past = await seen(store, message(in_reply_to=str(mine.matter_id)))
    assert past.named is not None and past.named.matter_id == mine.matter_id


@pytest.mark.parametrize("named", [None, "", "12345", "not-a-uuid", str(UUID(int=0))])
async def test_what_names_no_matter_recalls_none(store: Store, named: str | None) -> None:
    await filed(store)
    assert (await seen(store, message(in_reply_to=named))).named is None


async def test_the_matter_of_another_caller_is_not_recalled_by_naming_it(store: Store) -> None:
    theirs = await filed(store, message(sender=sender("resident-2")))
    past = await seen(store, message(in_reply_to=str(theirs.matter_id)))
    assert past.named is None and past.matters == ()


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_a_client_sees_matters_that_came_through_it_only(store: Store) -> None:
    one = await filed(store)
    assert await store.matter(one.matter_id, "letters", "desk") == one
    assert await store.matter(one.matter_id, "letters", "another desk") is None
    assert await store.matter(one.matter_id, "app", "desk") is None
    assert await store.matter(UUID(int=0)) is None


async def test_matters_are_listed_in_order_of_filing(store: Store) -> None:
    made = [await filed(store, message(sender=sender(str(number)))) for number in range(5)]
    assert await store.matters() == made
