"""The whole gateway while PostgreSQL is away: citizens notice nothing, operators are told, and afterwards all is filed.

``FAULTS=full`` makes each outage as long as a bad one: half a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels.simulated.app import AppPeer
from gateway.clock import now
from gateway.testing import RunningGateway, Start
from tests.line import line_to
from tests.postgres import Server, postgresql, running_server
from tests.test_api import get
from tests.test_door import only
from tests.test_polling import BotApi

__all__ = ["postgresql"]

#: Seconds of an outage, and in which a provider must have his answer (WeChat hangs up after 5).
OUTAGE = 30.0 if os.environ.get("FAULTS") == "full" else 4.0
#: Connections that break just after a commit.
LOST = 100 if os.environ.get("FAULTS") == "full" else 20
LATEST = 4.5


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server of this file's own, which may be stopped."""
    with running_server() as server:
        yield server


@pytest.fixture
def url(mortal: Server) -> Iterator[str]:
    mortal.start()
    yield mortal.fresh_database()
    mortal.start()


class Citizens:
    """Two who write one message after the other, each when the last has been acknowledged."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.key = (gateway.secrets / "app-key").read_text()
        self._app = AppPeer("app", gateway.channel("app").settings, key=self.key)
        self._gateway = gateway
        self.sent: dict[str, int] = {"a": 0, "b": 0}
        #: Seconds of each acknowledgement, and the receipts.
        self.waited: list[float] = []
        self.receipts: list[str] = []

    async def write(self, number: int) -> None:
        await asyncio.gather(*(self._write(sender, number) for sender in self.sent))

    async def _write(self, sender: str, number: int) -> None:
        for _ in range(number):
            n = self.sent[sender] = self.sent[sender] + 1
            started = time.monotonic()
            ack = await self._app.say(f"{n}", sender=sender, message_id=f"{sender}{n}", at=now()).send(self._gateway)
            self.waited.append(time.monotonic() - started)
            assert ack.status == 202, ack
            self.receipts.append(json.loads(ack.body)["receipt"])

    async def all_filed_in_order(self) -> None:
        """Each once, in the order in which its sender wrote, in our books and at the core."""
        await self._gateway.settle()
        books = await self._gateway.books()
        assert books["balanced"], books["offending"]
        number = sum(self.sent.values())
        assert {name: count for name, count in books["outcomes"].items() if count} == {"filed": number}
        assert len(self._gateway.core.events) == number
        filed: dict[Any, list[int]] = {}
        for matter in await self._gateway.matters():
            filed.setdefault(matter.caller_id, []).append(int(matter.content))
        assert sorted(filed.values()) == sorted(list(range(1, count + 1)) for count in self.sent.values())


@contextlib.asynccontextmanager
async def stopped(server: Server, url: str) -> AsyncIterator[None]:
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


@contextlib.asynccontextmanager
async def frozen(server: Server, url: str) -> AsyncIterator[None]:
    server.freeze()
    yield
    server.thaw()


@contextlib.asynccontextmanager
async def table_locked(server: Server, url: str) -> AsyncIterator[None]:
    import asyncpg  # noqa: PLC0415 - only here

    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE envelopes")
            yield
    finally:
        await connection.close()


def on(url: str, *channels: str, **changes: Any) -> Any:
    return only(*(channels or ("app",)), store={"url": url}, **changes)


async def metric(gateway: RunningGateway, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", (await get(gateway, "/metrics")).text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


@pytest.mark.parametrize("away", [stopped, frozen, table_locked])
async def test_citizens_notice_nothing_of_an_outage(start_gateway: Start, mortal: Server, url: str, away: Any) -> None:
    async with start_gateway(on(url)) as gateway:
        citizens = Citizens(gateway)
        await citizens.write(3)
        async with away(mortal, url):
            began = time.monotonic()
            await citizens.write(5)
            assert max(citizens.waited) < LATEST
            answer = await get(gateway, "/readyz")
            assert answer.status_code == 200
            notes = " ".join(answer.json()["notes"])
            assert "10 deliveries are in the local journal" in notes
            assert await metric(gateway, "hotline_journal_envelopes") == 10
            if away is not table_locked:
                assert "database did" in notes or "database does" in notes or "store is not available" in notes
                assert await metric(gateway, "hotline_store_away") == 1
            authorization = f"Bearer {citizens.key}"
            receipt = await get(gateway, f"/v1/receipts/{citizens.receipts[0]}", authorization=authorization)
            assert (receipt.status_code, receipt.headers["retry-after"]) == (503, "2")
            while time.monotonic() < began + OUTAGE:
                await citizens.write(1)
                await asyncio.sleep(0.2)
        await citizens.write(3)
        assert max(citizens.waited) < LATEST, f"the latest acknowledgement took {max(citizens.waited):.1f} s"
        async with asyncio.timeout(30):
            while await gateway.node.store.journaled() or gateway.node.store.trouble:
                await asyncio.sleep(0.05)
        await citizens.all_filed_in_order()
        for receipt_id in citizens.receipts:
            answer = await get(gateway, f"/v1/receipts/{receipt_id}", authorization=authorization)
            assert answer.json()["state"] == "filed"
        assert (await get(gateway, "/readyz")).json() == {"status": "ready", "complaints": [], "notes": []}
        assert await metric(gateway, "hotline_store_away") == await metric(gateway, "hotline_journal_envelopes") == 0


async def test_connections_that_break_just_after_a_commit_lose_and_double_nothing(
    start_gateway: Start, postgresql: Server
) -> None:
    """Whatever was committed: a delivery, a claim, unpacked messages, a matter, a delivered event."""
    with postgresql.database() as direct:
        async with line_to(direct) as (line, url), start_gateway(on(url)) as gateway:
            citizens = Citizens(gateway)
            line.to_lose, line.share = LOST, 0.3
            async with asyncio.timeout(300):
                while line.to_lose:
                    await citizens.write(1)
            await citizens.all_filed_in_order()


async def test_what_is_polled_stays_with_its_provider_and_nobody_is_told_that_the_channel_is_ill(
    start_gateway: Start, postgresql: Server
) -> None:
    api = BotApi()
    with postgresql.database() as direct:
        async with api.serving(), line_to(direct) as (line, url):
            poll = {"mode": "poll", "api_base": api.url, "poll_seconds": 1}
            async with start_gateway(on(url, "app", "telegram", telegram=poll)) as gateway:
                api.citizen_writes("第一件事")
                async with asyncio.timeout(20):
                    while api.offsets[-1:] != [2]:
                        await asyncio.sleep(0.02)
                line.cut()
                api.citizen_writes("第二件事")
                citizens, until = Citizens(gateway), time.monotonic() + OUTAGE
                while time.monotonic() < until:
                    await citizens.write(1)
                    assert (await get(gateway, "/readyz")).status_code == 200
                    assert api.offsets[-1] in {None, 2}
                    await asyncio.sleep(0.2)
                line.mend()
                async with asyncio.timeout(30):
                    while api.offsets[-1] != 3:
                        await asyncio.sleep(0.02)
                await gateway.settle()
                contents = [matter.content for matter in await gateway.matters()]
                assert sorted(text for text in contents if not text.isdigit()) == ["第一件事", "第二件事"]
                assert (await gateway.books())["balanced"]


def test_at_the_very_first_start_the_database_must_be_there(tmp_path: Path) -> None:
    document = {
        "server": {"listen": "127.0.0.1:0"},
        "store": {"url": f"postgresql://postgres@/none?host={tmp_path}", "journal": "journal"},
        "keys": {"file": "keys.json"},
        "core": {"sink": "file", "path": "events.jsonl"},
        "channels": {"mailbox": {"kind": "smtp", "listen": "127.0.0.1:0", "recipients": ["mayor@example.gov.cn"]}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(tmp_path / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert re.search(r"the database does not answer \(\w+\): see that it runs", done.stderr.strip().splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "keys.json").exists() and not (tmp_path / "journal").exists()
