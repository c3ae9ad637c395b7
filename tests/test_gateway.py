"""The whole gateway: all channels at once on both databases, and nothing of what citizens said outside sealed columns."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from standardwebhooks.webhooks import Webhook

from channels.simulated import Delivery
from gateway.demo.citizens import letters, peers
from gateway.logs import set_up_logging
from gateway.node import Node, Role, running
from gateway.testing import PUBLIC_URL, RunningGateway, Start
from tests.postgres import postgresql

__all__ = ["postgresql"]

CANARY = "水电金丝雀八八四六"
CANARY_PHONE = "13812345678"
CANARY_ID = "884600884600"
CANARIES = (CANARY, CANARY_PHONE, CANARY_ID)


@pytest.fixture(params=["sqlite", "postgresql"])
async def whole(request: pytest.FixtureRequest, start_gateway: Start) -> AsyncIterator[RunningGateway]:
    url = "sqlite:///gateway.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").fresh_database()

    def on(document: dict[str, Any]) -> None:
        document["store"]["url"] = url

    async with start_gateway(on) as gateway:
        yield gateway


def _peers(gateway: RunningGateway) -> dict[str, Any]:
    return peers(gateway.node.channels, gateway.secrets, PUBLIC_URL)


async def test_every_channel_reaches_the_core_on_both_databases(whole: RunningGateway) -> None:
    sent = list(letters(_peers(whole), datetime.now(UTC)))
    assert len({name for name, _ in sent}) == len(_peers(whole))
    for name, delivery in sent:
        ack = await delivery.send(whole)
        assert ack.ok, (name, ack)
    await whole.settle()
    books = await whole.books()
    assert books["balanced"], books["offending"]
    assert books["outcomes"]["filed"] == len(sent) >= 12
    assert len(whole.core.events) == len(sent)
    kinds = {event["data"]["channel"]["kind"] for event in whole.core.events.values()}
    assert kinds == {peer.kind for peer in _peers(whole).values()}
    assert kinds >= {"wechat", "weibo", "sms_twilio", "smtp", "telegram", "app", "telephone", "partner", "open311"}


async def test_the_same_delivery_on_every_channel_is_filed_once(whole: RunningGateway) -> None:
    at = datetime.now(UTC)
    for name, peer in _peers(whole).items():
        delivery: Delivery = peer.say("窨井盖缺失", sender="77", message_id="4711", at=at)
        for _ in range(3):
            assert (await delivery.send(whole)).ok, name
    await whole.settle()
    books = await whole.books()
    channels = len(_peers(whole))
    assert {n: c for n, c in books["outcomes"].items() if c} == {"filed": channels, "redelivered": 2 * channels}
    assert books["balanced"]


@pytest.fixture
def logs_as_served(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Logging as `gateway serve` sets it up, but at its most talkative."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up_logging("DEBUG")
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**before)


def _forms(canary: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "utf-16-le", "gb18030"):
        raw = canary.encode(encoding)
        yield raw
        yield raw.hex().encode()
        yield base64.b64encode(raw)[:-4]
    yield canary.encode("ascii", "backslashreplace")


async def _core_refuses_once(gateway: RunningGateway, delivery: Delivery) -> None:
    """Let the core answer 401 until we have said so in the log."""
    gateway.core._verifier = Webhook("whsec_" + base64.b64encode(b"another secret of 24 bytes").decode())
    await delivery.send(gateway)
    async with asyncio.timeout(10):
        while not gateway.node.metrics.sink_paused.labels("core")._value.get():
            await asyncio.sleep(0.02)


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("gateway.db*") if path.is_file()}


def _found(data: bytes) -> list[str]:
    return [canary for canary in CANARIES if any(form and form in data for form in _forms(canary))]


async def test_nothing_that_a_citizen_said_stands_in_database_log_or_metrics(
    start_gateway: Start, tmp_path: Path, logs_as_served: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Promise 9, from end to end: files of the store with WAL, logs, metrics, on the good and on the bad way."""
    async with start_gateway() as gateway:
        at = datetime.now(UTC)
        for peer in _peers(gateway).values():
            text = f"{CANARY}，电话{CANARY_PHONE}"
            await peer.say(text, sender=CANARY_ID, message_id=CANARY_ID, at=at).send(gateway)
        app = _peers(gateway)["app"]
        await app.post({"user": {"id": CANARY_ID, "name": CANARY}, "txet": CANARY}, key=f"{CANARY_ID}-odd").send(
            gateway
        )
        async with gateway.store_down():
            await app.say(CANARY, sender=CANARY_ID, message_id=f"{CANARY_ID}1", at=at).send(gateway)
        await gateway.settle()
        assert len(await gateway.matters()) == len(_peers(gateway))
        await _core_refuses_once(gateway, app.say(CANARY, sender=CANARY_ID, message_id=f"{CANARY_ID}2", at=at))
        files = _files(tmp_path)
        metrics = gateway.node.metrics.exposition()
        assert any(CANARY in event["data"]["content"] for event in gateway.core.events.values()), "the core must see it"
    assert any(str(path).endswith("-wal") and data for path, data in files.items()), "the WAL was not looked at"
    for path, data in files.items():
        assert _found(data) == [], path.name
    assert _found(metrics) == []
    printed = capfd.readouterr()
    everything = printed.out + printed.err
    assert "handoff_paused" in everything, "our own log lines are not seen"
    assert [line[:300] for line in everything.splitlines() if _found(line.encode())] == []


def test_the_search_for_canaries_finds_them() -> None:
    assert _found(f"x{CANARY}y".encode()) == [CANARY]
    assert _found(base64.b64encode(CANARY.encode())) == [CANARY]
    assert _found(CANARY.encode().hex().encode()) == [CANARY]
    assert _found(b"nothing") == []
    assert re.fullmatch(r"\d{11}", CANARY_PHONE)


async def test_roles_split_over_processes_of_one_machine_do_the_same_work(
    start_gateway: Start, postgresql: Any
) -> None:
    """On PostgreSQL: one node takes messages in, another files and hands over; both tell how they fare."""
    url = postgresql.fresh_database()

    def on(document: dict[str, Any]) -> None:
        document["store"]["url"] = url
        document["channels"] = {"app": document["channels"]["app"]}

    async with start_gateway(on, roles=[Role.EDGE]) as edge:
        ack = await _peers(edge)["app"].say("路灯不亮", sender="1", message_id="1", at=datetime.now(UTC)).send(edge)
        assert ack.ok
        assert (await edge.books())["pending"] == 1
        rest = Node(edge.node.config, edge.node.channels, edge.node.store, roles=[Role.PIPELINE, Role.HANDOFF])
        async with running(rest):
            await edge.settle()
            assert rest.http_url != edge.http_url
            async with httpx.AsyncClient(trust_env=False) as client:
                told = (await client.get(f"{rest.http_url}/metrics")).text
        assert 'hotline_outcomes_total{channel="app",outcome="filed"} 1.0' in told
        assert len(edge.core.events) == 1
