"""Incidents under many hands: neighbours who write at the same time, on several nodes, while operators take members out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from normalizer.model import Level
from store.errors import Superseded
from store.store import Store
from store.tables import INCIDENTS, LINKS
from tests.counter import Counter, matter_of
from tests.store.conftest import NOW, run

DUST = (
    "市中区舜玉路的搅拌站每天夜里生产，粉尘飘得到处都是，我们小区的窗户都不敢开，请环保部门查处。",
    "舜玉路搅拌站粉尘污染太严重了，孩子一直咳嗽，夜里还在生产，请环保部门管一管市中区这个搅拌站。",
    "请环保部门查处市中区舜玉路搅拌站：夜里生产，粉尘飘到小区，窗户不敢开，老人咳嗽。",
    "市中区舜玉路那家搅拌站又在夜里生产，粉尘很大，老人孩子咳嗽，窗户都不敢开，请环保部门查处。",
)


async def together(counters: list[Counter], neighbours: int) -> list[Any]:
    """All write at once; each node files its share."""
    taken = [
        (
            counter := counters[number % len(counters)],
            await counter.take(text_of(number), f"neighbour {number}", days=0.1),
        )
        for number in range(neighbours)
    ]
    return list(await asyncio.gather(*(counter.file(*work) for counter, work in taken)))


def text_of(number: int) -> str:
    return DUST[number % len(DUST)]


async def test_neighbours_who_write_at_once_on_two_nodes_end_in_one_incident(nodes: tuple[Store, Store]) -> None:
    store, other = nodes
    counters = [Counter(store), Counter(other)]
    filings = [await counters[0].tell(DUST[0], "the first")]
    filings += await together(counters, 12)
    filings.append(await counters[1].tell(DUST[1], "the last", days=1))
    matters = [await matter_of(store, filing) for filing in filings]
    incidents = {matter.incident_id.id for matter in matters if matter.incident_id is not None}
    assert len(incidents) == 1 and all(matter.incident_id for matter in matters)
    assert len({matter.tracking_code for matter in matters}) == len(filings)
    folder = await store.links().folder(matters[0].matter_id, NOW + timedelta(days=1))
    assert folder.incident is not None and folder.incident.citizens == folder.incident.matters == len(filings)
    ((kept, told),) = await run(store, select(INCIDENTS.c.citizens, INCIDENTS.c.told))
    assert (kept, told) == (len(filings), 10)
    assert (await store.reconcile()).balanced


async def test_operators_and_neighbours_change_it_at_once(nodes: tuple[Store, Store]) -> None:
    store, other = nodes
    counters = [Counter(store), Counter(other)]
    first = await matter_of(store, await counters[0].tell(DUST[0], "the first"))
    second = await matter_of(store, await counters[0].tell(DUST[1], "the second", days=0.01))
    assert second.incident_id is not None
    incident = second.incident_id.id

    async def taken_out() -> None:
        for matter in (first, second):
            while True:
                try:
                    await other.links().unlink(matter.matter_id, incident, "op-7", "another cause", NOW)
                except Superseded:
                    continue
                break

    await asyncio.gather(together(counters, 8), taken_out())
    rows = await run(store, select(LINKS).where(LINKS.c.object == incident).order_by(LINKS.c.sequence))
    last = {row.subject: row.level for row in rows}
    assert last[first.matter_id] == last[second.matter_id] == "apart"
    ((citizens, first_id),) = await run(
        store, select(INCIDENTS.c.citizens, INCIDENTS.c.first_id).where(INCIDENTS.c.id == incident)
    )
    members = sum(level == Level.LINK for level in last.values())
    if members:
        assert last[first_id] == Level.LINK, "a member speaks for it"
        assert citizens >= members
    assert (await store.reconcile()).balanced


@pytest.mark.parametrize("steps", [12])
async def test_the_core_is_told_at_every_step(store: Store, steps: int) -> None:
    counter = Counter(store)
    filings = [await counter.tell(DUST[n % len(DUST)], f"neighbour {n}", days=n / 100) for n in range(steps)]
    speaks = await matter_of(store, filings[0])
    assert speaks.revision == 1 + len([step for step in (2, 5, 10) if step <= steps])
    assert speaks.incident is not None and speaks.incident.citizens == 10
    assert "舜玉路" in speaks.incident.places
    ((links,),) = await run(store, select(func.count()).select_from(LINKS).where(LINKS.c.kind == "incident"))
    assert links == steps
