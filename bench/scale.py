"""What a message costs, and what that means for a city, a province and a country. Run: python -m bench.scale (SHORT=1).

Measured: one, two and four gateways on one PostgreSQL, CPU seconds and bytes per message. Reckoned from that: a day of a
hotline, and a day on which everybody writes, hour by hour, with so many nodes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import Connection, text

from bench import messages
from bench.ack import channels_of
from bench.contenders import ROOT, Contender, circumstances, serving
from bench.load import Job, cpu_seconds, drive
from channels.simulated.app import AppPeer
from gateway.demo.secrets import make_secrets
from store.opening import open_store
from store.tables import METADATA
from tests.postgres import Server, running_server

RESULTS = ROOT / "bench" / "results" / "scale.json"
#: Of a day's messages, how much comes in each hour from midnight on, per cent: quiet nights, a peak at ten and three.
DAY = (1, 1, 0.5, 0.5, 0.5, 1, 2, 4, 7, 9, 10, 8, 5, 6, 8, 9, 8, 6, 4, 3, 2.5, 2, 1.5, 1)


@dataclass(frozen=True, slots=True)
class Cost:
    """So many gateways on one PostgreSQL."""

    nodes: int
    messages: int
    seconds: float
    messages_per_second: float
    gateway_cpu_ms: float
    database_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Case:
    """A hotline, its ordinary day, and the day on which it gets a hundred times as much."""

    name: str
    messages_a_day: int
    times: int
    nodes: int
    #: Messages kept and not worked off at the worst, and for how long the last of them waits, hours.
    backlog: int
    wait_hours: float
    accepted_a_second: float
    gigabytes_a_year: float


async def cost(server: Server, url: str, folder: Path, nodes: int, how_many: int) -> Cost:
    """Send so many messages to so many gateways and wait until the core has them all."""
    key_file = folder / "keys.json"
    await (await open_store(url, key_file)).close()
    with ExitStack() as stack:
        running = []
        for number in range(nodes):
            own = folder / f"{nodes}-{number}"
            own.mkdir()
            shutil.copy(key_file, own / "keys.json")
            running.append(stack.enter_context(serving(Contender("whole", "app"), own, url)))
        postmaster = server.pid
        before = [cpu_seconds(process.pid) for process, _ in running], cpu_seconds(postmaster)
        began = time.monotonic()
        await asyncio.gather(
            *(
                _send(folder, process.pid, port, how_many // nodes, number)
                for number, (process, port) in enumerate(running)
            )
        )
        await _settled(url, key_file)
        took = time.monotonic() - began
        spent = [cpu_seconds(process.pid) for process, _ in running], cpu_seconds(postmaster)
    own_cpu = sum(spent[0]) - sum(before[0])
    return Cost(
        nodes, how_many, took, how_many / took, 1000 * own_cpu / how_many, 1000 * (spent[1] - before[1]) / how_many
    )


async def _send(folder: Path, pid: int, port: int, how_many: int, number: int) -> None:
    channel = channels_of(folder / f"any-{number}-{port}")["app"]
    key = (folder / "secrets" / "app-key").read_text(encoding="ascii")
    peer = AppPeer("app", channel.settings, key=key)
    await drive(Job(port, pid, folder / "report", messages.build(peer, how_many, first=number * how_many), 0, 600, 8))


async def _settled(url: str, key_file: Path) -> None:
    store = await open_store(url, key_file, owner=False)
    try:
        while await store.pending() or await store.waiting_events():  # noqa: ASYNC110 - other processes work
            await asyncio.sleep(0.2)
    finally:
        await store.close()


async def sizes(url: str, key_file: Path) -> dict[str, dict[str, float]]:
    """Rows and bytes (with indexes) of each table, per envelope."""

    def look(connection: Connection) -> dict[str, dict[str, float]]:
        connection.execute(text("ANALYZE"))
        envelopes = connection.execute(text("SELECT count(*) FROM envelopes")).scalar_one()
        found = {}
        for name in sorted(METADATA.tables):
            rows = connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            size = connection.execute(text(f"SELECT pg_total_relation_size('{name}')")).scalar_one()
            found[name] = {"rows": round(rows / envelopes, 2), "bytes": round(size / envelopes)}
        return found

    store = await open_store(url, key_file)
    try:
        return await store._database.write(look)  # noqa: SLF001 - sizes are of no interest to the product
    finally:
        await store.close()


def reckon(name: str, a_day: int, times: int, nodes: int, per_node: float, bytes_each: float) -> Case:
    """A day, second by second: what comes is kept at once, and worked off as fast as the nodes can."""
    waiting = worst = 0.0
    for second in range(3 * 86_400):
        share = DAY[second // 3600 % 24] / sum(DAY) / 3600
        comes = a_day * share * (times if second < 86_400 else 1)
        waiting = max(0.0, waiting + comes - nodes * per_node)
        worst = max(worst, waiting)
    peak = a_day * times * max(DAY) / sum(DAY) / 3600
    return Case(
        name, a_day, times, nodes, round(worst), worst / (nodes * per_node) / 3600, peak, a_day * 365 * bytes_each / 1e9
    )


async def bench(how_many: int) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="scale-") as name, running_server() as server:
        folder = Path(name)
        urls = {nodes: server.fresh_database() for nodes in (1, 2, 4)}
        for nodes in urls:
            make_secrets(folder / str(nodes) / "secrets")
        costs = [await cost(server, url, folder / str(nodes), nodes, how_many) for nodes, url in urls.items()]
        tables = await sizes(urls[4], folder / "4" / "keys.json")
    each = sum(table["bytes"] for table in tables.values())
    per_node = max(one.messages_per_second / one.nodes for one in costs)
    cases = [
        reckon("city", 50_000, 1, 1, per_node, each),
        reckon("city, a hundred times", 50_000, 100, 2, per_node, each),
        reckon("province", 1_500_000, 1, 2, per_node, each),
        reckon("province, a hundred times", 1_500_000, 100, 16, per_node, each),
        reckon("country", 40_000_000, 1, 32, per_node, each),
        reckon("country, a hundred times", 40_000_000, 100, 256, per_node, each),
    ]
    return {
        **circumstances(),
        "costs": [asdict(one) for one in costs],
        "tables": tables,
        "bytes_per_message": each,
        "cases": [asdict(one) for one in cases],
    }


def main() -> None:
    """Measure, print, write."""
    short = bool(os.environ.get("SHORT"))
    found = asyncio.run(bench(200 if short else 6_000))
    Console().print(found)
    if not short:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
