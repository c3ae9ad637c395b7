"""Linked platforms through the running gateway: they transfer again, late, at once, and cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.simulated.partner import PartnerPeer
from gateway.testing import Start
from tests.channels.scenes import COMMON, Scene, Stage, changes_its_key, client_of, play


@pytest.fixture
async def stage(start_gateway: Start) -> AsyncIterator[Stage]:
    async with client_of(start_gateway, "partner", "clients", PartnerPeer) as running:
        yield running


def linked_of(stage: Stage) -> PartnerPeer:
    assert isinstance(stage.peer, PartnerPeer)
    return stage.peer


def transfer(number: str, **more: Any) -> dict[str, Any]:
    return {"platform": "12315", "platform_number": number, "content": "健身房不退费", **more}


async def transfers_a_number_under_ever_new_keys(stage: Stage) -> dict[str, int]:
    """As a platform does that makes a key for each try; at once, and once more."""
    linked = linked_of(stage)
    tries = [linked.post(transfer("N1"), key=f"n-{n}") for n in range(4)]
    await asyncio.gather(*(stage.taken(one) for one in tries))
    await stage.taken(linked.post(transfer("N1"), key="n-later"))
    await stage.gateway.settle()
    assert (await stage.gateway.matters())[-1].partner_number == "N1"
    return {"filed": 1, "redelivered": 4}


async def uses_another_platforms_number(stage: Stage) -> dict[str, int]:
    """Each counts for itself."""
    linked = linked_of(stage)
    names = ("12315", "12333")
    await stage.taken(*(linked.post(transfer("N2", platform=name), key=f"n2-{name}") for name in names))
    await stage.gateway.settle()
    assert sorted(str(one.linked_platform) for one in (await stage.gateway.matters())[-2:]) == [*names]
    return {"filed": 2}


async def says_more_under_its_number(stage: Stage) -> dict[str, int]:
    """The same number with another wording is another message, kept and flagged."""
    linked = linked_of(stage)
    more = transfer("N3", content="健身房不退费，人已走")
    await stage.taken(linked.post(transfer("N3"), key="n3"))
    await stage.gateway.settle()
    await stage.taken(linked.post(more, key="n3-b"))
    await stage.gateway.settle()
    first, newest = (await stage.gateway.matters())[-2:]
    for matter, flags in ((first, ()), (newest, ("id_reused",))):
        assert (await stage.gateway.node.store.message(matter.messages[0].message_id)).flags == flags
    return {"filed": 2}


SCENES: tuple[Scene[Stage], ...] = (
    *COMMON,
    changes_its_key,
    transfers_a_number_under_ever_new_keys,
    uses_another_platforms_number,
    says_more_under_its_number,
)


async def test_whatever_a_platform_does_each_transfer_has_one_outcome(stage: Stage) -> None:
    await play(stage, SCENES, answered=False)
