"""Open311 clients through the running gateway: most send no Idempotency-Key, and some break off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.simulated import HttpDelivery
from channels.simulated.open311 import Open311Peer
from gateway.testing import Start
from tests.channels.scenes import COMMON, Scene, Stage, changes_its_key, client_of, play


@pytest.fixture
async def stage(start_gateway: Start) -> AsyncIterator[Stage]:
    async with client_of(start_gateway, "open311", "api_keys", Open311Peer) as running:
        yield running


def report(stage: Stage, text: str, account: str = "", **more: Any) -> HttpDelivery:
    assert isinstance(stage.peer, Open311Peer)
    fields = {"service_code": "streetlight", "description": text} | ({"account_id": account} if account else {})
    return stage.peer.post(fields, **more)


async def reports_the_same_without_a_key(stage: Stage) -> dict[str, int]:
    """Nothing tells whether it tries again or the citizen asks again: each has its number, and none is dropped."""
    citizen = stage.citizen()
    acks = await stage.taken(*(report(stage, "路灯不亮三天了", citizen) for _ in range(3)))
    assert len({json.loads(ack.body)[0]["service_request_id"] for ack in acks}) == 3
    return {"filed": 3}


async def strangers_report_the_same(stage: Stage) -> dict[str, int]:
    """Who says nothing of himself is nobody else."""
    await asyncio.gather(*(stage.taken(report(stage, "路灯不亮")) for _ in range(3)))
    return {"filed": 3}


async def asks_in_xml_what_it_was_told_in_json(stage: Stage) -> dict[str, int]:
    """The format is no part of the request: under one key it is the same, told in its words."""
    citizen = stage.citizen()
    acks = await stage.taken(
        *(report(stage, "井盖破损", citizen, form=f, idempotency_key="x") for f in ("json", "xml"))
    )
    assert json.loads(acks[0].body)[0]["service_request_id"].encode() in acks[1].body
    return {"filed": 1, "redelivered": 1}


async def says_otherwise_under_one_key(stage: Stage) -> dict[str, int]:
    said = [report(stage, text, "7", idempotency_key="y") for text in ("路灯不亮", "路灯不亮，已有人摔伤")]
    acks = await asyncio.gather(*(one.send(stage.gateway) for one in said))
    assert sorted(ack.status for ack in acks) == [201, 422]
    return {"filed": 1}


SCENES: tuple[Scene[Stage], ...] = (
    *COMMON,
    changes_its_key,
    reports_the_same_without_a_key,
    strangers_report_the_same,
    asks_in_xml_what_it_was_told_in_json,
    says_otherwise_under_one_key,
)


async def test_whatever_a_client_does_each_request_has_one_outcome(stage: Stage) -> None:
    await play(stage, SCENES, answered=False)
