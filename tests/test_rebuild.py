"""`gateway index status` and `rebuild`, beside a running node and without one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from channels.simulated.app import AppPeer
from gateway import rebuild as module
from gateway.clock import now
from gateway.lookout import Lookout
from gateway.offload import Offload, OwnFault
from gateway.rebuild import Rebuilt, rebuild
from gateway.sweep import sweep_fingerprints
from gateway.testing import RunningGateway, Start
from normalizer.fingerprint import VERSION, Fingerprint
from normalizer.normalize import normalize
from store.fingerprints import KEPT
from store.tables import FINGERPRINTS, MESSAGES
from tests.store.conftest import run
from tests.test_cli import run_apart, run_beside
from tests.test_door import only
from tests.test_uploads import peer

TEXTS = (
    "锦绣家园东门外的搅拌站日夜施工，扬尘很大，窗户都不敢开，请环保部门来看看。",
    "人民路与解放路交叉口的路灯坏了一个星期，晚上看不清路，请尽快修理。",
    "第三小学门口放学时车辆乱停，孩子过马路很危险，请交警来疏导。",
)
#: A node that makes fingerprints of what arrives.
LINKING = only("app", dedupe={"linking": "suggest"})


async def writes(gateway: RunningGateway, *texts: str) -> None:
    app: AppPeer = peer(gateway)
    for number, text in enumerate(texts):
        body: dict[str, Any] = {"user": {"id": f"u{number}"}, "text": text}
        assert (await app.post(body, key=f"key-{number}").send(gateway)).status == 202
    await gateway.settle()


async def says(
    folder: Path, *words: str, by: Callable[..., Awaitable[tuple[int | None, str, str]]] = run_apart
) -> tuple[int | None, dict[str, Any]]:
    code, out, err = await by("index", *words, "--json", "--config", folder / "config.yaml")
    assert err == "" and out, err
    return code, json.loads(out)


async def without_any(gateway: RunningGateway, *texts: str) -> None:
    """Messages of before there were fingerprints."""
    await writes(gateway, *texts)
    await run(gateway.node.store, delete(FINGERPRINTS))


async def test_a_store_of_before_is_indexed_beside_a_running_node(start_gateway: Start, tmp_path: Path) -> None:
    async with start_gateway(only("app")) as gateway:
        await without_any(gateway, *TEXTS)
        code, state = await says(tmp_path, "status")
        assert (code, state["messages"], state["lacking"], state["versions"]) == (1, 3, 3, {})
        assert await says(tmp_path, "rebuild") == (0, {"made": 3, "failed": 0})
        state = await gateway.node.store.fingerprints().state(now() - KEPT)
        assert (state.lacking, state.versions) == (0, {VERSION: 3})
        assert await says(tmp_path, "rebuild") == (0, {"made": 0, "failed": 0})
        (kept,) = [
            await gateway.node.store.message(row.id)
            for row in await run(gateway.node.store, select(MESSAGES.c.id))
            if (await gateway.node.store.message(row.id)).message.text == TEXTS[0]
        ]
        made = prints(kept.message, kept.id)
        (found,) = await lookout(gateway).alike(made, now())
        assert found.entry.message_id == kept.id and found.entry.fingerprint.pack() == made.pack()


async def test_what_another_version_made_is_made_anew_without_a_node(start_gateway: Start, tmp_path: Path) -> None:
    async with start_gateway(LINKING) as gateway:
        await writes(gateway, *TEXTS)
        await run(gateway.node.store, update(FINGERPRINTS).values(version=VERSION + 1))
        assert await lookout(gateway).alike(prints(*await one(gateway)), now()) == []
    code, state = await says(tmp_path, "status", by=run_beside)
    assert (code, state["lacking"], state["versions"]) == (1, 3, {str(VERSION + 1): 3})
    assert await says(tmp_path, "rebuild") == (0, {"made": 3, "failed": 0})
    code, state = await says(tmp_path, "status", by=run_beside)
    assert (code, state["lacking"], state["versions"]) == (0, 0, {str(VERSION): 3})


def prints(message: Any, message_id: UUID) -> Fingerprint:
    return Fingerprint.unpack(normalize(message, message_id).prints)


def lookout(gateway: RunningGateway) -> Lookout:
    """A node that has just started: it reads the log from its beginning."""
    return Lookout(gateway.node.store.fingerprints(), now, timedelta(days=14))


async def one(gateway: RunningGateway) -> tuple[Any, UUID]:
    (row, *_) = await run(gateway.node.store, select(MESSAGES.c.id))
    kept = await gateway.node.store.message(row.id)
    return kept.message, kept.id


async def test_a_rebuild_goes_on_where_it_was_stopped(start_gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    async with start_gateway(only("app")) as gateway:
        await without_any(gateway, *TEXTS)
        store, since = gateway.node.store, now() - KEPT
        told: list[tuple[int, int]] = []

        def stops(done: int, of: int) -> None:
            told.append((done, of))
            if len(told) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await rebuild(store, since, stops)
        assert told == [(1, 3), (2, 3)]
        assert await rebuild(store, since, lambda *_: None) == Rebuilt(1, 0)


async def test_a_message_that_cannot_be_read_again_is_told_and_costs_the_others_nothing(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = Offload.called

    async def crashes(self: Offload, function: Any, *arguments: Any) -> Any:
        if arguments[0].text == TEXTS[1]:
            raise OwnFault("crash")
        return await called(self, function, *arguments)

    monkeypatch.setattr(Offload, "called", crashes)
    async with start_gateway(only("app")) as gateway:
        await without_any(gateway, *TEXTS)
        assert await rebuild(gateway.node.store, now() - KEPT, lambda *_: None) == Rebuilt(2, 1)


async def test_what_is_too_old_to_be_compared_is_swept(start_gateway: Start) -> None:
    async with start_gateway(LINKING) as gateway:
        await writes(gateway, *TEXTS)
        store = gateway.node.store
        assert await sweep_fingerprints(store, now) == 0
        assert await sweep_fingerprints(store, lambda: now() + KEPT) == 3
        assert await run(store, select(FINGERPRINTS.c.number)) == []
