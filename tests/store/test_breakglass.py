"""A sealed identity is opened by two persons, once, within a day; and who they were stays."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from normalizer.model import HotlineMatter
from store.errors import IdentitySealed, NobodySuch
from store.store import Store
from store.tables import OPENINGS, TRANSITIONS
from tests.store.conftest import NOW, run
from tests.store.test_sealing import filed

SOON = NOW + timedelta(hours=1)
WHY = "纪委核实，案号7"


@pytest.fixture
async def sealed(store: Store) -> HotlineMatter:
    return await filed(store, confidential=True)


async def test_two_persons_open_it_and_both_are_kept(store: Store, sealed: HotlineMatter) -> None:
    request = await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, NOW)
    opened = await store.breakglass().approve(request, "Wang Fang", SOON)
    assert (opened.party, opened.caller_id) == (sealed.party, sealed.caller_id)
    assert (opened.requested_by, opened.approved_by, opened.reason) == ("Li Hua", "Wang Fang", WHY)
    steps = select(TRANSITIONS).where(TRANSITIONS.c.subject == sealed.matter_id).order_by(TRANSITIONS.c.sequence)
    told = [(row.step, row.reason, row.words.decode(), row.at) for row in await run(store, steps)]
    assert told == [("identity_requested", "Li Hua", WHY, NOW), ("identity_opened", "Wang Fang", WHY, SOON)]
    (row,) = await run(store, select(OPENINGS))
    assert (row.requested_by, row.approved_by, row.approved_at, row.reason) == (
        "Li Hua",
        "Wang Fang",
        SOON,
        WHY.encode(),
    )


@pytest.mark.parametrize("by", ["Li Hua", "li hua", " LiHua ", "Ｌｉ Hua"])
async def test_nobody_is_two_persons(store: Store, sealed: HotlineMatter, by: str) -> None:
    request = await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, NOW)
    with pytest.raises(IdentitySealed, match="another person must approve"):
        await store.breakglass().approve(request, by, SOON)
    with pytest.raises(IdentitySealed, match="has asked for this matter already"):
        await store.breakglass().request(str(sealed.matter_id), by, WHY, SOON)
    (row,) = await run(store, select(OPENINGS))
    assert row.approved_at is None


async def test_it_opens_once(store: Store, sealed: HotlineMatter) -> None:
    request = await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, NOW)
    await store.breakglass().approve(request, "Wang Fang", SOON)
    with pytest.raises(IdentitySealed, match="opens once"):
        await store.breakglass().approve(request, "Zhao Min", SOON)
    assert await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, SOON) != request


@pytest.mark.parametrize("late", [timedelta(hours=24, seconds=1), -timedelta(seconds=1)], ids=["too late", "before it"])
async def test_it_waits_a_day(store: Store, sealed: HotlineMatter, late: timedelta) -> None:
    request = await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, NOW)
    with pytest.raises(IdentitySealed, match="older than 24 hours"):
        await store.breakglass().approve(request, "Wang Fang", NOW + late)
    await store.breakglass().approve(request, "Wang Fang", NOW + timedelta(hours=24))


async def test_after_a_day_the_same_person_may_ask_again(store: Store, sealed: HotlineMatter) -> None:
    await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, NOW)
    await store.breakglass().request(sealed.tracking_code, "Li Hua", WHY, NOW + timedelta(hours=25))


async def test_what_is_not_there_or_not_sealed_is_said(store: Store) -> None:
    open_ = await filed(store)
    with pytest.raises(IdentitySealed, match="nothing of"):
        await store.breakglass().request(open_.tracking_code, "Li Hua", WHY, NOW)
    for named in ("0000", str(uuid4())):
        with pytest.raises(NobodySuch, match="is no matter"):
            await store.breakglass().request(named, "Li Hua", WHY, NOW)
    with pytest.raises(NobodySuch, match="no request"):
        await store.breakglass().approve(uuid4(), "Wang Fang", NOW)
