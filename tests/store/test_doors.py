"""He goes and comes back, or the other way round, and his deliveries are read in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from normalizer.model import Contact, ContactType, Notice
from normalizer.reply import Limit
from store.messages import Unpacking
from store.store import Store
from store.tables import UNREACHABLE
from tests.store.conftest import NOW, message, run, unpacking

CITIZEN = Contact(type=ContactType.WEIBO, value="900000001", assurance="verified")
OTHER = Contact(type=ContactType.WEIBO, value="900000002", assurance="verified")
LIMITS = {"message": Limit(48 * 3600), "mention": Limit(48 * 3600, 1)}


@pytest.mark.parametrize("read", ["together", "one by one, backwards"])
@pytest.mark.parametrize(
    ("steps", "shut"),
    [
        ("goes", 1),
        ("goes, writes", 0),
        ("goes, comes back", 0),
        ("goes, another writes", 1),
        ("writes, goes, mentions", 0),
    ],
)
async def test_who_has_come_back_is_written_to(store: Store, steps: str, shut: int, read: str) -> None:
    made = [await _made(store, number, step) for number, step in enumerate(steps.split(", "))]
    for some in [made] if read == "together" else [[one] for one in reversed(made)]:
        await store._unpack_many(some)
    assert len(await run(store, select(UNREACHABLE))) == shut


@pytest.mark.parametrize("steps", ["writes, goes", "goes, comes back, goes", "goes, writes, goes"])
async def test_who_has_gone_last_is_not(store: Store, steps: str) -> None:
    await store._unpack_many([await _made(store, number, step) for number, step in enumerate(steps.split(", "))])
    assert len(await run(store, select(UNREACHABLE))) == 1


async def _made(store: Store, number: int, step: str) -> Unpacking:
    at = NOW + timedelta(seconds=number)
    if step in {"goes", "comes back"}:
        back = step == "comes back"
        said = Notice(
            reason=step.replace(" ", "_"),
            account="us",
            sender=CITIZEN,
            reachable=back,
            opens="message" if back else None,
        )
        ready = await unpacking(store, parsed=said, channel="chat", received_at=at)
    else:
        who = OTHER if step == "another writes" else CITIZEN
        opens = "mention" if step == "mentions" else "message"
        words = message(account="us", sender=who, opens=opens, text=f"第{number}件事")
        ready = await unpacking(store, words, channel="chat", received_at=at)
    return replace(ready, limits=LIMITS)
