"""The city's app through the running gateway: a back end that calls badly, and one that takes its answers badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.app import App
from channels.clients import key_hash
from channels.simulated import HttpDelivery
from channels.simulated.app import AppPeer
from gateway import replies
from gateway.testing import Start
from tests.channels.scenes import COMMON, Scene, Stage, Step, changes_its_key, play, walk
from tests.channels.test_app_push import HANG, HANG_UP, SECRET, BackEnd

OLD = "o" * 43


@pytest.fixture
async def back_end() -> AsyncIterator[BackEnd]:
    async with BackEnd().running() as running:
        yield running


@pytest.fixture
async def stage(start_gateway: Start, back_end: BackEnd, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(App, "send_seconds", 0.3)
    monkeypatch.setitem(replies.Replies.__init__.__kwdefaults__ or {}, "first_seconds", 0.01)

    def change(document: dict[str, Any]) -> None:
        document["channels"] = {"app": document["channels"]["app"]}
        (client,) = document["channels"]["app"]["clients"]
        client |= {"previous_key_hash": key_hash(OLD), "push": {"url": back_end.url, "secret": SECRET}}
        document["replies"] = {"acknowledge": True}

    async with start_gateway(change) as gateway:
        settings, key = gateway.channel("app").settings, (gateway.secrets / "app-key").read_text()
        yield Stage(gateway, AppPeer("app", settings, key=key), before=AppPeer("app", settings, key=OLD))


async def says_otherwise_under_one_key(stage: Stage) -> dict[str, int]:
    """Also at once: one of them is taken, and the other is told that the key is another's."""
    app, user = stage.peer, {"user": {"id": stage.citizen()}}
    assert isinstance(app, AppPeer)
    said = [app.post(user | {"text": text}, key="otherwise") for text in ("路灯不亮", "路灯不亮，已有人摔伤")]
    acks = await asyncio.gather(*(one.send(stage.gateway) for one in said))
    assert sorted(ack.status for ack in acks) == [202, 422]
    return {"filed": 1}


async def reads_the_receipt_before_it_is_filed(stage: Stage) -> dict[str, int]:
    """Whatever the moment, the receipt is known and leads on."""
    app = stage.peer
    assert isinstance(app, AppPeer)
    (ack,) = await stage.taken(stage.say())
    target = f"/v1/receipts/{json.loads(ack.body)['receipt']}"
    asking = HttpDelivery(target, b"", {"authorization": f"Bearer {app.key}"}, "GET")
    states = [json.loads((await stage.taken(asking))[0].body)["state"] for _ in range(20)]
    assert set(states) <= {"kept", "filed"} and states == sorted(states, reverse=True)
    return {"filed": 1}


SCENES: tuple[Scene[Stage], ...] = (
    *COMMON,
    changes_its_key,
    says_otherwise_under_one_key,
    reads_the_receipt_before_it_is_filed,
)


async def test_whatever_the_back_end_does_each_message_has_one_outcome_and_one_answer(stage: Stage) -> None:
    await play(stage, SCENES, answered=True)


#: It knows each webhook-id: what it may have taken already is sent again, and shown once.
STEPS = {
    "all is well": Step([], ("sent", None), 1),
    "away, then well": Step([503, 500], ("sent", None), 1),
    "hangs up after it was taken": Step([HANG_UP], ("sent", None), 1),
    "hangs after it was taken": Step([HANG], ("sent", None), 1),
    "hangs three times": Step([HANG] * 3, ("sent", None), 1),
    "does not know our key": Step([401], ("sent", None), 1),
    "502 and a page": Step([(502, "<html>")], ("sent", None), 1),
    "has moved": Step([301], ("sent", None), 1),
    "200 and a page": Step([(200, "<html>")], ("sent", None), 1),
    "200 with an error inside": Step([(200, '{"error": "database"}')], ("sent", None), 1),
    "more than anybody reads": Step([(200, "x" * 300_000)], ("sent", None), 1),
    "has taken it before": Step([409], ("sent", None), 0),
    "never again": Step([410], ("failed", "status_410"), 0),
    "does not want it": Step([422], ("failed", "status_422"), 0),
}


async def test_however_the_back_end_takes_its_answers_each_is_shown_once(stage: Stage, back_end: BackEnd) -> None:
    await walk(stage, STEPS, back_end, back_end.shown, lambda: stage.taken(stage.say()))
