"""The call centre's desk through the running gateway: it repeats itself, loses the line, and takes calls at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.simulated.telephone import TelephonePeer, number
from gateway.testing import Start
from tests.channels.scenes import COMMON, Scene, Stage, changes_its_key, client_of, play


@pytest.fixture
async def stage(start_gateway: Start) -> AsyncIterator[Stage]:
    async with client_of(start_gateway, "telephone", "clients", TelephonePeer) as running:
        yield running


def desk_of(stage: Stage) -> TelephonePeer:
    assert isinstance(stage.peer, TelephonePeer)
    return stage.peer


def call(stage: Stage, call_id: str, **more: Any) -> dict[str, Any]:
    return {"source": "telephone", "source_id": call_id, "caller": {"number_shown": number(stage.citizen())}, **more}


async def registers_a_call_by_two_desks_at_once(stage: Stage) -> dict[str, int]:
    """Under keys of their own; the call's id tells that it is one."""
    said, desk = call(stage, "twice", content="路灯不亮"), desk_of(stage)
    await asyncio.gather(*(stage.taken(desk.post(said, key=f"desk-{n}")) for n in range(4)))
    return {"filed": 1, "redelivered": 3}


async def corrects_a_call_under_its_id(stage: Stage) -> dict[str, int]:
    """Another wording is kept too, and flagged; the same key with it is refused."""
    said, desk = call(stage, "corrected", content="路灯不亮"), desk_of(stage)
    await stage.taken(desk.post(said, key="c1"), desk.post(said | {"content": "路灯和井盖"}, key="c2"))
    assert (await desk.post(said | {"content": "都不对"}, key="c2").send(stage.gateway)).status == 422
    return {"filed": 2}


async def tells_of_a_missed_call_twice(stage: Stage) -> dict[str, int]:
    missed, desk = call(stage, "missed", missed=True), desk_of(stage)
    await stage.taken(desk.post(missed, key="m1"), desk.post(missed, key="m2"))
    await stage.gateway.settle()
    assert (await stage.gateway.matters())[-1].call_back_owed
    return {"filed": 1, "redelivered": 1}


async def hangs_up_and_another_desk_takes_over(stage: Stage) -> dict[str, int]:
    """Answered on the spot by the one whose line was lost: the answer is there once."""
    answer = {"disposition": "answered_on_the_spot", "answer": "已告知"}
    said, desk, before = call(stage, "over", content="几点上班", **answer), desk_of(stage), await stage.kept()
    async with stage.line(desk.post(said, key="o1"), 0.7) as (reader, writer):
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""
    assert await stage.kept() == before
    await stage.taken(desk.post(said, key="o2"))
    await stage.gateway.settle()
    assert (await stage.gateway.matters())[-1].answer == "已告知"
    return {"filed": 1}


async def sends_an_old_call_in_gbk(stage: Stage) -> dict[str, int]:
    """Not what the contract says: refused in a sentence, and its key stands for nothing yet."""
    said, desk = call(stage, "gbk", content="路灯不亮"), desk_of(stage)
    raw = json.dumps(said, ensure_ascii=False).encode("gb18030")
    assert (await desk.post(raw, key="g").send(stage.gateway)).status == 400
    await stage.taken(desk.post(said, key="g"))
    return {"filed": 1}


SCENES: tuple[Scene[Stage], ...] = (
    *COMMON,
    changes_its_key,
    registers_a_call_by_two_desks_at_once,
    corrects_a_call_under_its_id,
    tells_of_a_missed_call_twice,
    hangs_up_and_another_desk_takes_over,
    sends_an_old_call_in_gbk,
)


async def test_whatever_the_desk_does_each_call_has_one_outcome(stage: Stage) -> None:
    await play(stage, SCENES, answered=False)
