"""What a backlog of a million envelopes costs those who come now. Run: python -m bench.backlog (SHORT=1 for CI).

On both databases: how long a claim takes. On SQLite, through the real entrance: how long the start takes, how long an
acknowledgement, and how much memory, with an empty store and with the backlog; `edge` keeps only, `whole` works it off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, Literal

import uuid_utils.compat
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Connection

from bench import messages
from bench.ack import load
from bench.contenders import ROOT, Contender, circumstances, serving, settings
from bench.load import Job, Report
from channels.simulated.app import AppPeer
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from gateway.node import collect_rarely
from normalizer.model import Outcome
from store.bulk import insert_rows
from store.opening import open_store
from store.queue import work_row
from store.store import Store
from store.tables import ENVELOPES, WORK
from store.values import Stage
from tests.postgres import running_server

RESULTS = ROOT / "bench" / "results" / "backlog.json"
CLAIMS, CLAIMED = 300, 64
#: What is served, and by how many connections it is asked at once.
KINDS: tuple[tuple[Literal["edge", "whole"], int], ...] = (("edge", 32), ("whole", 4))
#: Between two looks at a server's memory, seconds.
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """How much."""

    envelopes: int
    rounds: int
    seconds: float


FULL, SHORT = Plan(envelopes=1_000_000, rounds=3, seconds=4), Plan(envelopes=20_000, rounds=1, seconds=1)


@dataclass(frozen=True, slots=True)
class Served:
    """One gateway in one round."""

    contender: str
    pending: int
    ready_seconds: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """Claims of 64 on one database."""

    store: str
    pending: int
    p50_ms: float
    p99_ms: float


async def fill(store: Store, how_many: int, label: str) -> None:
    """Keep so many envelopes of the app channel, as the hot path writes them."""
    at = datetime.now(UTC)
    body = json.dumps({"text": messages.TEXT, "user": {"id": "resident"}}, ensure_ascii=False).encode()
    context = {"query": "", "context": {"client": "city-app"}}

    def keep(connection: Connection) -> None:
        ids = [uuid_utils.compat.uuid7() for _ in range(min(5_000, how_many))]
        envelope = {"channel": "app", "kind": "app", "received_at": at, "flags": "", "body": body, "context": context}
        insert_rows(connection, ENVELOPES, [{"id": one} | envelope for one in ids])
        insert_rows(connection, WORK, [work_row(Stage.UNPACK, one, "app", at) for one in ids])

    for _ in track(range(max(1, how_many // 5_000)), description=label, disable=not Console().is_terminal):
        await store._database.write(keep)  # noqa: SLF001 - the bench fills the store as no channel could in a minute


async def claims(url: str, key_file: Path, name: str, how_many: int) -> Claimed:
    """Claim what nobody gives back, as a node that has much under way."""
    store = await open_store(url, key_file)
    try:
        if not await store.pending():
            await fill(store, how_many, f"filling {name}")
        pending, took = await store.pending(), []
        collect_rarely()  # as a node does
        for _ in range(CLAIMS):
            began = time.perf_counter()
            found = await store.claim(Stage.UNPACK, datetime.now(UTC), CLAIMED)
            took.append(1000 * (time.perf_counter() - began))
            await asyncio.gather(
                *(store.give_up(work, Outcome.FAILED, "bench", datetime.now(UTC)) for work in found[:8])
            )
    finally:
        await store.close()
    cuts = quantiles(took, n=100)
    return Claimed(name, pending, cuts[49], cuts[98])


class Gateways:
    """Starts gateways on copies of one store and loads them."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        make_secrets(folder / "secrets")
        (folder / "any").mkdir()
        (folder / "any" / "config.yaml").write_text(json.dumps(settings(0)), encoding="utf-8")
        channel = load_config(folder / "any" / "config.yaml")[1]["app"]
        key = (folder / "secrets" / "app-key").read_text(encoding="ascii")
        self._requests = messages.build(AppPeer("app", channel.settings, key=key), int(6_000 * (plan.seconds + 1)))

    def measure(self, kind: Literal["edge", "whole"], stored: Path | None, name: str, connections: int) -> Served:
        """One gateway on an empty store, or on a copy of ``stored``."""
        folder = self._folder / name
        if stored is None:
            folder.mkdir()
        else:
            shutil.copytree(stored, folder)
        began = time.monotonic()
        with serving(Contender(kind, "app"), folder) as (process, port):
            ready = _await_ready(port, began)
            job = Job(port, process.pid, folder / "report", self._requests, 0.5, self._plan.seconds, connections)
            with _watching(process.pid) as memory:
                report: Report = load(job, process)
        shutil.rmtree(folder)
        p50, p99 = report.latencies()
        rate = len(report.measured()) / report.seconds
        pending = self._plan.envelopes if stored else 0
        return Served(f"{kind}, {connections} at once", pending, ready, rate, p50, p99, max(memory) / 1e6)


def _await_ready(port: int, began: float) -> float:
    while time.monotonic() - began < 60:
        url = f"http://127.0.0.1:{port}/readyz"
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5):
            return time.monotonic() - began
        time.sleep(0.02)
    raise RuntimeError("the gateway did not become ready in a minute")


@contextlib.contextmanager
def _watching(pid: int) -> Iterator[list[int]]:
    """Resident bytes of the process itself while it lives."""
    found = [_resident(pid)]
    over = threading.Event()

    def look() -> None:
        with contextlib.suppress(OSError, IndexError):
            while not over.wait(LOOK_SECONDS):
                found.append(_resident(pid))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def bench(plan: Plan) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="backlog-") as name, running_server() as postgresql:
        folder = Path(name)
        (folder / "filled").mkdir()
        key_file = folder / "filled" / "keys.json"
        on_sqlite = asyncio.run(claims(f"sqlite:///{folder}/filled/gateway.db", key_file, "sqlite", plan.envelopes))
        on_postgresql = asyncio.run(
            claims(postgresql.fresh_database(), folder / "pg.json", "postgresql", plan.envelopes)
        )
        gateways = Gateways(folder, plan)
        served = [
            gateways.measure(kind, stored, f"{kind}-{connections}-{number}-{stored is None}", connections)
            for number in range(plan.rounds)
            for kind, connections in KINDS
            for stored in (None, folder / "filled")
        ]
    return {
        **circumstances(),
        "claims": [asdict(on_sqlite), asdict(on_postgresql)],
        "served": [asdict(one) for one in served],
        "ratios": _ratios(served),
    }


def _ratios(served: list[Served]) -> dict[str, dict[str, float]]:
    """The backlog's p99 over the empty store's, and the memory on top of it: the median pair of each contender."""
    found = {}
    for contender in dict.fromkeys(one.contender for one in served):
        pairs = list(
            zip(
                [one for one in served if one.contender == contender and not one.pending],
                [one for one in served if one.contender == contender and one.pending],
                strict=True,
            )
        )
        ratios = sorted(full.p99_ms / empty.p99_ms for empty, full in pairs)
        found[contender] = {
            "p99": ratios[len(ratios) // 2],
            "megabytes_more": max(full.megabytes - empty.megabytes for empty, full in pairs),
            "ready_seconds": max(full.ready_seconds for _, full in pairs),
        }
    return found


def show(found: dict[str, Any], out: Console) -> None:
    """The tables."""
    table = Table("claim of 64", "pending", "p50 ms", "p99 ms", box=SIMPLE)
    for one in found["claims"]:
        table.add_row(one["store"], f"{one['pending']:,}", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}")
    out.print(table)
    table = Table("gateway", "pending", "ready s", "requests/s", "p50 ms", "p99 ms", "MB", box=SIMPLE)
    for one in found["served"]:
        figures = [
            f"{one[name]:.2f}" for name in ("ready_seconds", "requests_per_second", "p50_ms", "p99_ms", "megabytes")
        ]
        table.add_row(one["contender"], f"{one['pending']:,}", *figures)
    out.print(table)
    for contender, ratios in found["ratios"].items():
        out.print(f"{contender}: " + ", ".join(f"{name} {value:.2f}" for name, value in ratios.items()))


def main() -> None:
    """Measure, print, write."""
    found = bench(SHORT if os.environ.get("SHORT") else FULL)
    show(found, Console())
    if not os.environ.get("SHORT"):
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
