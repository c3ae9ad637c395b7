"""The pipeline under poison: an error, a hang or a crash ends by itself after three tries, and neighbours flow."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from channels.simulated import HttpDelivery
from channels.simulated.app import AppPeer
from gateway.testing import RunningGateway, Start
from normalizer.model import Outcome
from store.values import Stage


class Poisoned:
    """A gateway with the poison channel."""

    def __init__(self, gateway: RunningGateway, cure: Path) -> None:
        self.gateway, self.cure = gateway, cure

    async def send(self, do: str, text: Any = "路灯不亮", *, sender: str = "1", message_id: str = "1") -> None:
        body = json.dumps({"do": do, "sender": sender, "id": message_id, "text": text}).encode()
        ack = await HttpDelivery("/channels/poison", body, {"key": "a-key-of-ours"}).send(self.gateway)
        assert ack.ok

    async def outcomes(self) -> dict[str, int]:
        await self.gateway.settle()
        books = await self.gateway.books()
        assert books["balanced"], books["offending"]
        return {name: number for name, number in books["outcomes"].items() if number}


@pytest.fixture
async def poisoned(start_gateway: Start, poison_kind: None, tmp_path: Path) -> AsyncIterator[Poisoned]:
    def only_poison(document: dict[str, Any]) -> None:
        document["channels"] = {
            "poison": {"kind": "poison", "key": "a-key-of-ours", "cure": str(tmp_path / "cure")},
        }

    async with start_gateway(only_poison, parse_seconds=0.5) as gateway:
        yield Poisoned(gateway, tmp_path / "cure")


@pytest.mark.parametrize(
    ("do", "outcome", "tries"),
    [
        pytest.param("malformed", "malformed", 0, id="theirs is malformed at once"),
        pytest.param("raise", "failed", 2, id="an error of ours"),
        pytest.param("crash", "failed", 2, id="a crash"),
        pytest.param("hang", "failed", 2, id="a hang"),
        pytest.param("eat", "failed", 2, id="memory without end"),
    ],
)
async def test_poison_ends_by_itself_and_neighbours_flow(
    poisoned: Poisoned, capfd: pytest.CaptureFixture[str], do: str, outcome: str, tries: int
) -> None:
    await poisoned.send("say", sender="0", message_id="warm")  # the workers have started
    await poisoned.gateway.settle()
    await poisoned.send(do, sender="poisoner", message_id="poison")
    started = time.monotonic()
    for n in range(5):
        await poisoned.send("say", sender=str(n), message_id=f"n{n}")
    while len(await poisoned.gateway.matters()) < 6:
        await asyncio.sleep(0.01)
    neighbours = time.monotonic() - started
    assert await poisoned.outcomes() == {"filed": 6, outcome: 1}
    assert neighbours < 3, "neighbours waited for the poison"
    logged = capfd.readouterr()
    assert "13800138000" not in logged.out + logged.err
    assert (logged.out + logged.err).count("retry ") == tries


async def test_what_failed_is_filed_after_the_fix(poisoned: Poisoned) -> None:
    await poisoned.send("raise", message_id="1")
    await poisoned.send("malformed", message_id="2")
    assert await poisoned.outcomes() == {"failed": 1, "malformed": 1}
    poisoned.cure.touch()
    store = poisoned.gateway.node.store
    for item in await store.replayable((Outcome.FAILED, Outcome.MALFORMED)):
        assert await store.requeue(item.envelope_id, poisoned.gateway.node.clock()) == 1
    assert await poisoned.outcomes() == {"filed": 2}


async def test_one_envelope_may_hold_no_message_or_many(poisoned: Poisoned) -> None:
    await poisoned.send("notice", message_id="1")
    await poisoned.send("say", ["一", "二", "三"], message_id="2")
    await poisoned.send("say", ["一", "二", "三"], message_id="2")
    assert await poisoned.outcomes() == {"notice": 1, "filed": 3, "redelivered": 3}
    assert [m.content for m in await poisoned.gateway.matters()] == ["一", "二", "三"]


async def test_a_senders_messages_are_filed_in_the_order_they_came(poisoned: Poisoned) -> None:
    """Five senders write forty messages each, all at once over many connections, each sender one after the other."""

    async def write(sender: str) -> None:
        for n in range(40):
            await poisoned.send("say", f"{n}", sender=sender, message_id=f"{sender}-{n}")

    await asyncio.gather(*(write(str(s)) for s in range(5)))
    assert await poisoned.outcomes() == {"filed": 200}
    per_caller: dict[Any, list[int]] = {}
    for matter in await poisoned.gateway.matters():
        per_caller.setdefault(matter.caller_id, []).append(int(matter.content))
        assert matter.contacts_30d == int(matter.content) + 1
    assert list(per_caller.values()) == [list(range(40))] * 5


async def test_a_restart_loses_nothing_and_doubles_nothing(
    start_gateway: Start, poison_kind: None, tmp_path: Path
) -> None:
    def only_poison(document: dict[str, Any]) -> None:
        document["channels"] = {"poison": {"kind": "poison", "key": "a-key-of-ours", "cure": str(tmp_path / "cure")}}

    async with start_gateway(only_poison) as gateway:
        first = Poisoned(gateway, tmp_path / "cure")
        await asyncio.gather(*(first.send("say", sender=str(n), message_id=str(n)) for n in range(60)))
        # stopped at once, with work in the queue and under way
    async with start_gateway(only_poison) as gateway:
        again = Poisoned(gateway, tmp_path / "cure")
        assert await again.outcomes() == {"filed": 60}
        assert len(await gateway.matters()) == 60


async def test_a_channel_taken_out_of_the_configuration_keeps_its_envelopes_for_replay(
    start_gateway: Start, poison_kind: None, tmp_path: Path
) -> None:
    def with_poison(document: dict[str, Any]) -> None:
        document["channels"] = {"poison": {"kind": "poison", "key": "a-key-of-ours", "cure": str(tmp_path / "cure")}}

    def without(document: dict[str, Any]) -> None:
        document["channels"] = {name: document["channels"][name] for name in ("app",)}

    async with start_gateway(with_poison, retry_seconds=(3600.0,)) as gateway:
        await Poisoned(gateway, tmp_path / "cure").send("raise")
        while not (await gateway.node.store.pending()):
            await asyncio.sleep(0.01)
    async with start_gateway(without) as gateway:
        books = await gateway.books()
        assert (books["envelopes"], books["pending"], books["balanced"]) == (1, 1, True)


async def test_poison_that_waits_for_its_next_try_takes_no_place_from_the_rest(
    start_gateway: Start, poison_kind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More poison than places: tried again it has two of them, whatever its number."""
    monkeypatch.setattr("gateway.pipeline.CLAIM", 4)

    def only_poison(document: dict[str, Any]) -> None:
        document["channels"] = {"poison": {"kind": "poison", "key": "a-key-of-ours", "cure": str(tmp_path / "cure")}}

    async with start_gateway(only_poison, parse_seconds=0.2) as gateway:
        poisoned = Poisoned(gateway, tmp_path / "cure")
        await poisoned.send("say", sender="0", message_id="warm")
        await gateway.settle()
        for n in range(8):
            await poisoned.send("hang", sender=f"poisoner-{n}", message_id=f"h{n}")
        async with asyncio.timeout(30):
            while not any(work.attempts for work in gateway.node.pipeline._under_way[Stage.UNPACK].values()):
                await asyncio.sleep(0.01)
        await poisoned.send("say", sender="1", message_id="honest")
        async with asyncio.timeout(30):
            while len(await gateway.matters()) < 2:
                await asyncio.sleep(0.01)
        assert await gateway.node.store.pending() >= 4, "the poison was through before: nothing was shown"
        poisoned.cure.touch()


async def test_workers_that_do_not_start_at_first_stop_nobody(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.offload._nothing", os.abort)  # what each is called with to warm it
    async with start_gateway(
        lambda document: document.update(channels={"app": document["channels"]["app"]})
    ) as gateway:
        peer = AppPeer("app", None, key=(gateway.secrets / "app-key").read_text())
        assert (await peer.say("路灯不亮", sender="1", message_id="1", at=datetime.now(UTC)).send(gateway)).ok
        await gateway.settle()
        assert len(await gateway.matters()) == 1
