"""What one sender's flood costs the others, and what a disaster costs the honest. Run: python -m bench.surge (SHORT=1 for CI).

Through the real entrance on SQLite, all roles in one process: citizens write at a steady pace, once alone and once
beside one sender who writes 500 messages a second; how long they wait for their acknowledgement and until they are
filed. Then 2,000 different citizens write at once that it burns: each is filed, and none is flagged or held.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import Any
from uuid import UUID

import uvloop
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from bench import messages
from bench.contenders import ROOT, Contender, circumstances, serving
from bench.load import split
from channels.simulated.app import AppPeer
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from store.opening import open_store
from store.store import Store
from store.tables import FLAGS, HOLDS, MESSAGES

RESULTS = ROOT / "bench" / "results" / "surge.json"
#: A second: what all others write together, and the flooder.
PACE, FLOOD = 20, 500
#: What the p99 of the others may be beside a flood, over what it is without.
MOST = 1.5
#: How long the others' last messages may take after the end, seconds.
PATIENCE = 600.0
FIRE = ("{n}号楼着火了，快来人", "我家楼下着火了，{n}单元好多烟", "着火了！{n}层有人困在里面")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much."""

    seconds: float
    rounds: int
    citizens: int


FULL, SHORT = Plan(seconds=20, rounds=3, citizens=2_000), Plan(seconds=3, rounds=1, citizens=100)


@dataclass(frozen=True, slots=True)
class Waited:
    """How long the others waited in one round, milliseconds."""

    flood: bool
    messages: int
    #: What the flooder got acknowledged in a second.
    flooded: float
    acknowledged_p50: float
    acknowledged_p99: float
    filed_p50: float
    filed_p99: float


class Citizens:
    """Writes requests of the app."""

    def __init__(self, folder: Path) -> None:
        make_secrets(folder / "secrets")
        self.folder = folder
        self._number = 0
        self._peer: AppPeer | None = None

    def requests(self, how_many: int, sender: str, texts: Sequence[str] = (messages.TEXT,)) -> list[bytes]:
        """So many; ``sender`` may hold ``{n}``, and then each is another's."""
        at, built = datetime.now(UTC), list[bytes]()
        for n in range(how_many):
            self._number += 1
            text = texts[n % len(texts)].format(n=n)
            said = self.peer.say(text, sender=sender.format(n=n), message_id=messages.message_id(self._number), at=at)
            built.append(messages.wire(said))
        return built

    @property
    def peer(self) -> AppPeer:
        """The app."""
        if self._peer is None:
            channel = load_config(self.folder / "any" / "config.yaml")[1]["app"]
            key = (self.folder / "secrets" / "app-key").read_text(encoding="ascii")
            self._peer = AppPeer("app", channel.settings, key=key)
        return self._peer


@dataclass(slots=True)
class Sending:
    """Requests at a pace; what waits for a connection is late, and counted so."""

    port: int
    requests: list[bytes]
    #: A second; 0: as fast as the connections go.
    pace: float
    connections: int

    async def run(self) -> list[tuple[float, bytes]]:
        """Milliseconds from when it should have gone to the answer, and the answer."""
        began, due = monotonic(), iter(enumerate(self.requests))
        found: list[tuple[float, bytes]] = []
        await asyncio.gather(*(self._connection(began, due, found) for _ in range(self.connections)))
        return found

    async def _connection(self, began: float, due: Any, found: list[tuple[float, bytes]]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for number, request in due:
            at = began + number / self.pace if self.pace else monotonic()
            await asyncio.sleep(max(0.0, at - monotonic()))
            writer.write(request)
            status, body = await _answer(reader)
            if status != 202:
                raise RuntimeError(f"answered {status}")
            found.append((1000 * (monotonic() - at), body))
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    data = b""
    while (whole := split(data)) is None:
        more = await reader.read(65_536)
        if not more:
            raise RuntimeError("the gateway hung up")
        data += more
    return whole


async def measure(port: int, folder: Path, citizens: Citizens, plan: Plan, *, flood: bool) -> Waited:
    """One round."""
    warm = Sending(port, citizens.requests(20, "warm-{n}"), PACE, 4)
    others = Sending(port, citizens.requests(int(PACE * plan.seconds), "citizen-{n}"), PACE, 16)
    flooder = Sending(port, citizens.requests(int(FLOOD * plan.seconds), "flooder"), FLOOD, 32)
    await warm.run()
    flooding = asyncio.create_task(flooder.run()) if flood else None
    began = monotonic()
    answers = await others.run()
    flooded = len(await flooding) / (monotonic() - began) if flooding else 0.0
    receipts = [UUID(json.loads(body)["receipt"]) for _, body in answers]
    store = await open_store(f"sqlite:///{folder}/gateway.db", folder / "keys.json", owner=False)
    try:
        filed = await _filed(store, receipts)
    finally:
        await store.close()
    acknowledged = quantiles((waited for waited, _ in answers), n=100)
    cuts = quantiles(filed, n=100)
    return Waited(flood, len(answers), flooded, acknowledged[49], acknowledged[98], cuts[49], cuts[98])


async def _filed(store: Store, receipts: Collection[UUID]) -> list[float]:
    """How long each took from its arrival until it was filed, milliseconds."""
    wanted = select(MESSAGES.c.received_at, MESSAGES.c.settled_at).where(
        MESSAGES.c.envelope_id.in_(receipts), MESSAGES.c.settled_at.is_not(None)
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = await store._database.read(lambda connection: connection.execute(wanted).all())  # noqa: SLF001
            if len(rows) == len(receipts):
                return [1000 * (row.settled_at - row.received_at).total_seconds() for row in rows]
            await asyncio.sleep(0.2)


async def disaster(port: int, folder: Path, citizens: Citizens, plan: Plan) -> dict[str, int]:
    """All write at once: how many were filed, flagged and held."""
    answers = await Sending(port, citizens.requests(plan.citizens, "neighbour-{n}", FIRE), 0, 64).run()
    store = await open_store(f"sqlite:///{folder}/gateway.db", folder / "keys.json", owner=False)
    try:
        filed = await _filed(store, [UUID(json.loads(body)["receipt"]) for _, body in answers])
        counts = [select(func.count()).select_from(table) for table in (FLAGS, HOLDS)]
        flagged, held = await store._database.read(  # noqa: SLF001
            lambda connection: [connection.execute(count).scalar_one() for count in counts]
        )
    finally:
        await store.close()
    return {"citizens": plan.citizens, "filed": len(filed), "flagged": flagged, "held": held}


def bench(plan: Plan) -> dict[str, Any]:
    """All figures; each round on a gateway of its own, those with a flood and those without in turn."""
    with tempfile.TemporaryDirectory(prefix="surge-") as name:
        folder = Path(name)
        citizens = Citizens(folder)
        turns = [(number, flood) for number in range(plan.rounds) for flood in (False, True)]
        rounds = [_served(folder / f"{number}-{flood}", citizens, plan, flood=flood) for number, flood in turns]
        (folder / "disaster").mkdir()
        with serving(Contender("whole", "app"), folder / "disaster") as (_, port):
            struck = uvloop.run(disaster(port, folder / "disaster", citizens, plan))
    return {**circumstances(), "rounds": [asdict(one) for one in rounds], "ratios": _ratios(rounds), "disaster": struck}


def _served(folder: Path, citizens: Citizens, plan: Plan, *, flood: bool) -> Waited:
    folder.mkdir()
    with serving(Contender("whole", "app"), folder) as (_, port):
        (citizens.folder / "any").mkdir(exist_ok=True)
        (citizens.folder / "any" / "config.yaml").write_text((folder / "config.yaml").read_text())
        return uvloop.run(measure(port, folder, citizens, plan, flood=flood))


def _ratios(rounds: list[Waited]) -> dict[str, float]:
    """With a flood over without, the median of the rounds."""
    pairs = list(zip(rounds[::2], rounds[1::2], strict=True))
    return {
        name: median(getattr(beside, name) / getattr(alone, name) for alone, beside in pairs)
        for name in ("acknowledged_p99", "filed_p99")
    }


def show(found: dict[str, Any], out: Console) -> None:
    """The tables."""
    names = ("flooded", "acknowledged_p50", "acknowledged_p99", "filed_p50", "filed_p99")
    table = Table("others", "messages", *(name.replace("_", " ") for name in names), box=SIMPLE)
    for one in found["rounds"]:
        figures = (f"{one[name]:.1f}" for name in names)
        table.add_row("beside a flood" if one["flood"] else "alone", str(one["messages"]), *figures)
    out.print(table)
    out.print(f"p99 beside a flood over alone: {found['ratios']}, {MOST} at most")
    out.print(f"disaster: {found['disaster']}")


def main() -> None:
    """Measure, print, write; exit 1 when the honest are flagged."""
    found = bench(SHORT if os.environ.get("SHORT") else FULL)
    show(found, Console())
    if not os.environ.get("SHORT"):
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    struck = found["disaster"]
    raise SystemExit(bool(struck["flagged"] or struck["held"] or struck["filed"] != struck["citizens"]))


if __name__ == "__main__":
    main()
