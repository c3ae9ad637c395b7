"""Redelivery, repeat, chase and incident are four things: what becomes of a message that is like an earlier one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway.config import Dedupe
from normalizer.model import Act, Level, Outcome, TieKind, Urgency
from store.store import Store
from store.tables import LINKS, MATTERS
from tests.counter import Counter, citizen, events, matter_of
from tests.store.conftest import NOW, key_file, opened, postgresql, postgresql_url, run, store, url

__all__ = ["key_file", "opened", "postgresql", "postgresql_url", "store", "url"]


LAMP = "历下区泉景花园3号楼前的路灯坏了半个月，晚上老人出门看不清路，已经有人摔倒，请尽快派人来修。"
LAMP_AGAIN = "我之前反映过历下区泉景花园3号楼前的路灯坏了，晚上老人出门看不清路，到现在也没有人来修，请尽快派人来修。"
LAMP_MORE = "历下区泉景花园3号楼前的路灯还是没有修，昨天晚上我母亲在台阶上摔断了手腕，住进了中心医院，医药费三千六百元，物业拒绝承担。"
DUST = (
    "市中区舜玉路的搅拌站每天夜里生产，粉尘飘得到处都是，我们小区的窗户都不敢开，请环保部门查处。",
    "舜玉路搅拌站粉尘污染太严重了，孩子一直咳嗽，夜里还在生产，请环保部门管一管市中区这个搅拌站。",
    "请环保部门查处市中区舜玉路搅拌站：夜里生产，粉尘飘到小区，窗户不敢开，老人咳嗽。",
)
OTHER = "社保卡丢了，在外地怎么补办，需要带什么材料，多久能拿到新卡？"


@pytest.fixture
def counter(store: Store) -> Counter:
    return Counter(store)


async def answered(store: Store, matter_id: object, days: float) -> None:
    at = NOW + timedelta(days=days)
    await run(store, update(MATTERS).where(MATTERS.c.id == matter_id).values(answered_at=at, closed_at=at))


# -- the same caller ---------------------------------------------------------------------------------------------------


async def test_the_same_caller_with_nothing_new_chases(counter: Counter, store: Store) -> None:
    first = await counter.tell(LAMP)
    again = await counter.tell(LAMP_AGAIN, days=3)
    assert (again.verdict.outcome, again.verdict.act) == (Outcome.CHASED, Act.CHASES)
    matter = await matter_of(store, first)
    assert again.matter is not None and again.matter.matter_id == matter.matter_id
    assert (matter.urgency, matter.times_this_matter, len(matter.messages)) == (Urgency.URGENT, 2, 2)
    assert again.event_type == "hotline.matter.chased.v1"
    (tie,) = again.verdict.ties
    assert (tie.kind, tie.object, tie.level) == (TieKind.BELONGS, matter.matter_id, Level.LINK)
    (row,) = await run(store, select(LINKS))
    assert (row.kind, row.subject, row.object, row.decided_by) == (
        "belongs",
        matter.messages[1].message_id,
        matter.matter_id,
        "rule",
    )
    assert row.why["reason"] == again.verdict.reason and len(row.why["shares"]) == len(tie.shares) > 0
    assert (await store.reconcile()).balanced


async def test_what_he_only_sent_twice_raises_nothing(counter: Counter, store: Store) -> None:
    first = await counter.tell(LAMP)
    again = await counter.tell(LAMP, days=0.001)
    assert again.verdict.outcome is Outcome.CHASED
    assert (await matter_of(store, first)).urgency is Urgency.ROUTINE


async def test_the_same_caller_with_new_facts_adds_to_his_matter(counter: Counter, store: Store) -> None:
    first = await counter.tell(LAMP)
    more = await counter.tell(LAMP_MORE, days=3)
    assert more.verdict.outcome is Outcome.ATTACHED
    matter = await matter_of(store, first)
    assert "摔断了手腕" in matter.content and more.event_type == "hotline.matter.amended.v1"


async def test_the_same_caller_on_something_else_has_another_matter(counter: Counter, store: Store) -> None:
    await counter.tell(LAMP)
    other = await counter.tell(OTHER, days=1)
    assert (other.verdict.outcome, other.verdict.ties) == (Outcome.FILED, ())
    assert other.matter is not None
    assert (other.matter.matters_30d, other.matter.contacts_30d, other.matter.unanswered_prior) == (2, 2, 1)


async def test_a_repeat_long_after_closing_follows(counter: Counter, store: Store) -> None:
    first = await counter.tell(LAMP)
    assert first.matter is not None
    await answered(store, first.matter.matter_id, days=2)
    later = await counter.tell(LAMP_AGAIN, days=25)
    assert later.verdict.outcome is Outcome.FILED and later.matter is not None
    assert later.matter.follows is not None and later.matter.follows.id == first.matter.matter_id
    assert (later.matter.follows.decided_by, later.matter.unanswered_prior) == ("rule", 0)
    assert "23 days ago" in later.matter.follows.reason


async def test_a_repeat_soon_after_the_answer_belongs_to_the_matter(counter: Counter, store: Store) -> None:
    first = await counter.tell(LAMP)
    assert first.matter is not None
    await answered(store, first.matter.matter_id, days=2)
    again = await counter.tell(LAMP_AGAIN, days=4)
    assert again.verdict.matter_id == first.matter.matter_id
    assert (await matter_of(store, first)).urgency is Urgency.ROUTINE, "it was answered: nobody is late"


async def test_beyond_the_window_a_repeat_is_a_new_matter_that_follows(store: Store) -> None:
    counter = Counter(store, Dedupe(same_caller_days=10))
    await counter.tell(LAMP)
    inside, outside = await counter.tell(LAMP, days=9), await counter.tell(LAMP, days=20)
    assert (inside.verdict.outcome, outside.verdict.outcome) == (Outcome.CHASED, Outcome.FILED)
    assert outside.matter is not None and outside.matter.follows is not None


async def test_what_has_a_number_of_its_own_stays_a_matter_of_its_own(counter: Counter, store: Store) -> None:
    first = await counter.tell(LAMP)
    passed_on = await counter.tell(LAMP, days=1, linked_platform="12319", partner_number="7")
    assert passed_on.verdict.outcome is Outcome.FILED and passed_on.matter is not None and first.matter is not None
    link = passed_on.matter.same_matter_of
    assert link is not None and (link.id, link.level) == (first.matter.matter_id, Level.LINK)


# -- other callers -----------------------------------------------------------------------------------------------------


async def test_neighbours_on_one_cause_are_one_incident_and_keep_their_matters(counter: Counter, store: Store) -> None:
    filings = [await counter.tell(text, f"neighbour {n}", days=n / 10) for n, text in enumerate(DUST)]
    matters = [await matter_of(store, filing) for filing in filings]
    assert len({matter.tracking_code for matter in matters}) == len(DUST)
    (incident,) = {matter.incident_id.id for matter in matters if matter.incident_id}
    assert all(matter.incident_id and matter.incident_id.id == incident for matter in matters)
    told = [event for event in await events(store) if event.type == "hotline.incident.changed.v1"]
    assert [event.matter_id for event in told] == [], "behind the matter's first event, which was not delivered"
    assert (await store.reconcile()).balanced


async def test_an_incident_that_begins_is_told_with_its_counts(counter: Counter, store: Store) -> None:
    first, second = [await counter.tell(text, f"neighbour {n}", days=n / 10) for n, text in enumerate(DUST[:2])]
    speaks = await matter_of(store, first)
    assert speaks.incident is not None and second.matter is not None
    assert (speaks.incident.citizens, speaks.incident.matters, speaks.incident.contacts) == (2, 2, 2)
    assert (speaks.incident.first_seen, speaks.incident.last_seen) == (NOW, second.matter.received_at)
    assert speaks.incident.title == speaks.title and speaks.revision == 2


async def test_one_citizen_twice_is_one_citizen_of_the_incident(counter: Counter, store: Store) -> None:
    first = await counter.tell(DUST[0], "neighbour 0")
    await counter.tell(DUST[1], "neighbour 1", days=0.1)
    await counter.tell(DUST[1], "neighbour 1", days=1)
    await counter.tell(DUST[2], "neighbour 2", days=2)
    speaks = await matter_of(store, first)
    assert speaks.incident is not None and speaks.incident_id is not None
    folder = await store.links().folder(speaks.matter_id, NOW + timedelta(days=2))
    assert folder.incident is not None
    assert (folder.incident.citizens, folder.incident.matters, folder.incident.contacts) == (3, 3, 4)
    assert folder.incident.citizens_24h == 1


async def test_what_somebody_else_told_before_the_window_is_no_incident(counter: Counter, store: Store) -> None:
    await counter.tell(DUST[0], "neighbour 0")
    late = await counter.tell(DUST[1], "neighbour 1", days=15)
    assert late.joining is None


@pytest.mark.parametrize(("linking", "outcome"), [("suggest", Outcome.FILED), ("join", Outcome.CHASED)])
async def test_where_nothing_may_be_joined_all_is_proposed(store: Store, linking: str, outcome: Outcome) -> None:
    counter = Counter(store, Dedupe.model_validate({"linking": linking}))
    first = await counter.tell(LAMP)
    again = await counter.tell(LAMP_AGAIN, days=2)
    assert again.verdict.outcome is outcome and first.matter is not None
    if linking == "suggest":
        assert again.matter is not None and again.matter.same_matter_of is not None
        assert again.matter.same_matter_of.level is Level.SUGGESTION
        other = await counter.tell(LAMP, "somebody else", days=2)
        assert other.joining is None and other.verdict.ties[-1].level is Level.SUGGESTION


async def test_the_same_words_about_another_place_are_another_cause(counter: Counter) -> None:
    """Whoever copies a neighbour's letter for his own street has a trouble of his own."""
    await counter.tell(DUST[0], "neighbour 0")
    elsewhere = await counter.tell(DUST[0].replace("舜玉路", "青屏路"), "neighbour 1", days=1)
    assert elsewhere.verdict.outcome is Outcome.FILED and elsewhere.joining is None


async def test_the_habits_of_a_heavy_writer_join_none_of_his_matters(counter: Counter) -> None:
    """What stands in all his letters tells nothing; what he tells again is still seen."""
    frame = "尊敬的领导：本人长期关注民生，走访中发现{}。上述情况影响城市形象，请责成有关部门依法依规认真调查核实，限期整改并书面答复本人。"
    troubles = (
        "泉景花园南门的路灯全部熄灭，夜间漆黑一片",
        "第三中学门口早高峰无人疏导，学生横穿马路",
        "解放桥下的垃圾堆放多日无人清运，臭气扑鼻",
        "和平菜市场的公平秤被人搬走，缺斤少两无处核对",
        "东郊公交总站的候车亭顶棚塌落，雨天无处躲避",
        "云山社区的健身器材锈断，孩子被铁管划破了手",
    )
    for number, trouble in enumerate(troubles):
        filing = await counter.tell(frame.format(trouble), "writer", days=number)
        assert filing.verdict.outcome is Outcome.FILED, trouble
    again = await counter.tell(frame.format(troubles[1] + "，至今没有改变"), "writer", days=8)
    assert again.verdict.outcome in {Outcome.ATTACHED, Outcome.CHASED}


async def test_a_name_in_a_text_opens_nobodys_matter(counter: Counter, store: Store) -> None:
    """The words of a stranger who says that he is Li, and gives Li's number, are his own matter."""
    first = await counter.tell(f"{LAMP}联系人李明，电话13800138000。")
    posing = await counter.tell(f"{LAMP_AGAIN}联系人李明，电话13800138000。", citizen("stranger"), days=1)
    assert posing.verdict.outcome is Outcome.FILED and first.matter is not None
    assert posing.matter is not None and posing.matter.caller_id != first.matter.caller_id
