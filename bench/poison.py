"""What poison costs its neighbours. Run: python -m bench.poison (SHORT=1 for CI).

The same citizens write the same letters to a whole gateway, first alone, then beside messages that raise, hang, crash
their process and eat memory: from the acknowledgement to the matter, and whether each poison ended by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import orjson
import uvloop
import yaml
from rich.console import Console
from sqlalchemy import Connection, select

from bench.contenders import ROOT, circumstances
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from gateway.node import Node, Role, open_node_store, running
from normalizer.model import Outcome
from store.tables import MESSAGES

RESULTS = ROOT / "bench" / "results" / "poison.json"
PLUGINS = str(ROOT / "tests" / "plugins")
POISONS = ("raise", "hang", "crash", "eat")
#: Of a processor; what only waits hangs six times as long.
HANG_SECONDS = 2.0
#: Until the worker processes run.
WARM_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, seconds; how many letters a second, and a poison how often, seconds."""

    seconds: float
    letters: float
    poison_each: float


FULL, SHORT = Plan(90, 10, 10), Plan(6, 5, 3)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How letters fared."""

    beside_poison: bool
    letters: int
    p50_ms: float
    p99_ms: float
    outcomes: dict[str, int]


def settings(folder: Path) -> dict[str, Any]:
    """A gateway whose only channel is the plug-in of tests/plugins; the core is a file."""
    return {
        "server": {"listen": "127.0.0.1:0", "public_url": "https://hotline.example"},
        "store": {"url": "sqlite:///gateway.db", "files": "files", "journal": "journal"},
        "keys": {"file": "keys.json"},
        "core": {"sink": "file", "path": "events.jsonl"},
        "channels": {"poison": {"kind": "poison", "key": {"file": "secrets/app-key"}, "cure": str(folder / "cure")}},
    }


class Citizens:
    """Who writes to a gateway."""

    def __init__(self, node: Node, key: str, plan: Plan) -> None:
        self._node, self._plan = node, plan
        self._client = httpx.AsyncClient(base_url=node.http_url, headers={"key": key}, trust_env=False)

    async def _send(self, do: str, sender: str) -> None:
        body = orjson.dumps({"do": do, "sender": sender, "id": sender, "text": "路灯坏了"})
        (await self._client.post("/channels/poison", content=body)).raise_for_status()

    async def write(self, *, beside_poison: bool) -> None:
        """Letters at a steady pace, each from somebody else."""
        plan, began = self._plan, time.monotonic()
        poisoning = [asyncio.create_task(self._poison())] if beside_poison else []
        for number in range(int(plan.seconds * plan.letters)):
            await asyncio.sleep(max(0.0, began + number / plan.letters - time.monotonic()))
            await self._send("file", f"1{number:09d}")
        await asyncio.gather(*poisoning)
        await self._node.settled(300)
        await self._client.aclose()

    async def _poison(self) -> None:
        for number in range(int(self._plan.seconds / self._plan.poison_each)):
            await self._send(POISONS[number % len(POISONS)], f"2{number:09d}")
            await asyncio.sleep(self._plan.poison_each)


async def measure(plan: Plan, *, beside_poison: bool) -> Neighbours:
    """A gateway of its own, and how long each letter took from its arrival until it was filed."""
    with tempfile.TemporaryDirectory(prefix="poison-") as name:
        folder = Path(name)
        make_secrets(folder / "secrets")
        config_file = folder / "config.yaml"
        config_file.write_text(yaml.safe_dump(settings(folder)), encoding="utf-8")
        config, channels = load_config(config_file)
        store = await open_node_store(config, roles=tuple(Role))
        try:
            async with running(Node(config, channels, store, parse_seconds=HANG_SECONDS)) as node:
                await node.ready()
                await asyncio.sleep(WARM_SECONDS)
                key = (folder / "secrets" / "app-key").read_text(encoding="ascii")
                await Citizens(node, key, plan).write(beside_poison=beside_poison)
                took = await store._database.read(_latencies)  # noqa: SLF001 - times are of no interest to the product
                outcomes = (await store.reconcile()).outcomes
        finally:
            await store.close()
    cuts = quantiles(took, n=100)
    return Neighbours(beside_poison, len(took), cuts[49], cuts[98], {k: n for k, n in outcomes.items() if n})


def _latencies(connection: Connection) -> list[float]:
    """Milliseconds, of what was filed."""
    filed = select(MESSAGES.c.received_at, MESSAGES.c.settled_at).where(MESSAGES.c.outcome == Outcome.FILED)
    return [1000 * (settled - received).total_seconds() for received, settled in connection.execute(filed)]


async def bench(plan: Plan) -> dict[str, Any]:
    """Alone, then beside poison."""
    alone, beside = await measure(plan, beside_poison=False), await measure(plan, beside_poison=True)
    return {
        **circumstances(),
        "runs": [asdict(alone), asdict(beside)],
        "p99_ratio": beside.p99_ms / alone.p99_ms,
        "poison_isolated": beside.outcomes.get("failed", 0) == int(plan.seconds / plan.poison_each),
    }


def main() -> None:
    """Measure, print, write."""
    sys.path.insert(0, PLUGINS)
    os.environ["PYTHONPATH"] = PLUGINS  # the worker processes must find the plug-in as well
    short = bool(os.environ.get("SHORT"))
    found = uvloop.run(bench(SHORT if short else FULL))
    Console().print(found)
    if not short:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
