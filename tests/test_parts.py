"""Long messages in pieces, through the whole gateway: over a socket, unpacked, joined, filed, told to the core."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from channels.simulated import HttpDelivery
from dedupe.relation import TOGETHER, Asked, relation
from gateway.clock import now
from gateway.testing import RunningGateway, Start
from normalizer.cues import Cues
from normalizer.model import (
    Assurance,
    Contact,
    ContactType,
    KeptMessage,
    Message,
    Outcome,
    Past,
    PastMessage,
)
from store.parts import PATIENCE
from store.tables import TRANSITIONS

WORDS = ("小区北门的路灯", "坏了三天，", "请派人来修。")


class Clock:
    """Ours, as far ahead as a test says; the core believes five minutes either way (Standard Webhooks)."""

    ahead = -PATIENCE

    def __call__(self) -> datetime:
        return now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gateway(start_gateway: Start, poison_kind: None, clock: Clock) -> AsyncIterator[RunningGateway]:
    def change(document: dict[str, Any]) -> None:
        document["channels"] = {"pieces": {"kind": "pieces", "key": "a-key-of-ours"}}

    async with start_gateway(change, clock=clock) as running:
        yield running


async def send(gateway: RunningGateway, text: str, part: tuple[str, int, int] | None = None, sender: str = "1") -> None:
    body: dict[str, Any] = {"sender": f"+8610{sender:0>9}", "id": f"{part}{text}", "text": text}
    if part is not None:
        body["part"] = part
    ack = await HttpDelivery("/channels/pieces", json.dumps(body).encode(), {"key": "a-key-of-ours"}).send(gateway)
    assert ack.ok


async def outcomes(gateway: RunningGateway) -> dict[str, int]:
    """From the books; the counters say the same."""
    await gateway.settle()
    books = await gateway.books()
    assert books["balanced"], books["offending"]
    found = {name: count for name, count in books["outcomes"].items() if count}
    counted = {
        sample.labels["outcome"]: int(sample.value)
        for family in gateway.node.metrics.outcomes.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }
    assert counted == found
    return found


async def test_five_citizens_pieces_all_at_once(gateway: RunningGateway) -> None:
    """Three pieces each, in any order, a redelivery among them, and a short message between."""

    async def write(sender: str) -> None:
        first = int(sender) % 3
        for number in (first, (first + 1) % 3, first, (first + 2) % 3):
            await send(gateway, WORDS[number], (sender, number + 1, 3), sender)
        await send(gateway, f"另一件事{sender}", None, sender)

    await asyncio.gather(*(write(str(sender)) for sender in range(1, 6)))
    assert await outcomes(gateway) == {"filed": 10, "part": 10, "redelivered": 5}
    contents = [matter.content for matter in await gateway.matters()]
    assert sorted(contents) == sorted(["".join(WORDS)] * 5 + [f"另一件事{n}" for n in range(1, 6)])
    assert len(gateway.core.events) == 10, "and nobody heard of a piece"


async def patience_ends(gateway: RunningGateway, clock: Clock, waiting: int) -> None:
    """Once so many pieces have begun to wait."""
    steps = select(TRANSITIONS.c.subject).where(TRANSITIONS.c.step == "waits_for_parts")
    while len(await gateway.node.store._database.read(lambda connection: connection.execute(steps).all())) < waiting:
        await asyncio.sleep(0.02)
    clock.ahead += PATIENCE


async def test_what_comes_too_late_is_added(gateway: RunningGateway, clock: Clock) -> None:
    await send(gateway, WORDS[0], ("7", 1, 3))
    await send(gateway, WORDS[2], ("7", 3, 3))
    await send(gateway, "别人的事", None, "2")
    await patience_ends(gateway, clock, 2)
    assert await outcomes(gateway) == {"filed": 2, "part": 1}
    await send(gateway, WORDS[1], ("7", 2, 3))
    await patience_ends(gateway, clock, 3)
    assert await outcomes(gateway) == {"filed": 2, "part": 1, "attached": 1}
    (his,) = [matter for matter in await gateway.matters() if matter.content != "别人的事"]
    assert his.content == f"{WORDS[0]}{WORDS[2]}\n\n{WORDS[1]}"


@pytest.mark.parametrize(
    ("later", "outcome"), [(timedelta(0), "attached"), (TOGETHER, "attached"), (TOGETHER * 1.01, "filed")]
)
def test_a_name_used_again_another_day_is_another_message(later: timedelta, outcome: str) -> None:
    """Telephones number their long messages from 0 to 255, and begin again."""
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    sender = Contact(type=ContactType.PHONE, value="+8610900000001", assurance=Assurance.SPOOFABLE)
    said = Message(key_space="k", account="a", sender=sender, provider_id="1", text="路灯", group="7")
    kept = KeptMessage(UUID(int=1), UUID(int=2), "pieces", "pieces", at, said)
    latest = PastMessage(matter_id=UUID(int=3), received_at=at - later, began_at=at - later, group="7")
    assert relation(Asked(kept, Cues(), Past(latest=latest))).outcome == Outcome(outcome)
