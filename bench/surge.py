"""What a flood costs the others, and what a disaster costs the honest. Run: python -m bench.surge (SHORT=1 for CI).

Through the real entrance on SQLite, all roles in one process: citizens write at a steady pace, once alone and once
beside 500 messages a second, of one sender (a flood), or on another channel than theirs and each of another sender (a
crowd); how long they wait for their acknowledgement and until they are filed. Then 2,000 different citizens write at once
that it burns: each is filed, and none is flagged or held.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import Any, Literal
from uuid import UUID

import uvloop
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sqlalchemy import ColumnElement, func, select

from bench import messages
from bench.contenders import ROOT, Contender, circumstances, serving
from bench.load import split
from channels.simulated import Peer
from channels.simulated.app import AppPeer
from channels.simulated.wechat import WeChatPeer
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from store.opening import open_store
from store.store import Store
from store.tables import FLAGS, HOLDS, MESSAGES

RESULTS = ROOT / "bench" / "results" / "surge.json"
#: A second: what all others write together, and the flooder or the crowd, who write in the app.
PACE, FLOOD = 20, 500
#: Beside whom the others write, and on which channel.
Beside = Literal["nobody", "flood", "crowd"]
TURNS: tuple[tuple[Beside, str], ...] = (
    ("nobody", "app"),
    ("flood", "app"),
    ("nobody", "wechat"),
    ("crowd", "wechat"),
)
FLOODERS = {"flood": "flooder", "crowd": "stranger-{n}"}
#: What the p99 of the others may be beside a flood or crowd, over what it is without.
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

    beside: Beside
    channel: str
    messages: int
    #: What the flooder or the crowd got acknowledged in a second.
    flooded: float
    acknowledged_p50: float
    acknowledged_p99: float
    filed_p50: float
    filed_p99: float


class Citizens:
    """Writes requests of the app and of WeChat."""

    def __init__(self, folder: Path) -> None:
        make_secrets(folder / "secrets")
        self.folder = folder
        self._number = 0
        self._peers: dict[str, Peer] = {}

    def requests(
        self, how_many: int, sender: str, texts: Sequence[str] = (messages.TEXT,), channel: str = "app"
    ) -> list[bytes]:
        """So many; ``sender`` may hold ``{n}``, and then each is another's."""
        at, built = datetime.now(UTC), list[bytes]()
        for n in range(how_many):
            self._number += 1
            text, who = texts[n % len(texts)].format(n=n), sender.format(n=n)
            said: Any = self.peer(channel).say(text, sender=who, message_id=messages.message_id(self._number), at=at)
            built.append(messages.wire(said))
        return built

    def peer(self, channel: str) -> Peer:
        """The app's back end, or WeChat."""
        if not self._peers:
            channels = load_config(self.folder / "any" / "config.yaml")[1]
            key = (self.folder / "secrets" / "app-key").read_text(encoding="ascii")
            wechat = WeChatPeer("wechat", channels["wechat"].settings)
            self._peers = {"app": AppPeer("app", channels["app"].settings, key=key), "wechat": wechat}
        return self._peers[channel]


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
            if status not in {200, 202}:
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


async def measure(port: int, folder: Path, citizens: Citizens, plan: Plan, beside: Beside, channel: str) -> Waited:
    """One round."""
    flooder = FLOODERS.get(beside)
    flood = citizens.requests(int(FLOOD * plan.seconds), flooder) if flooder else []
    ours = citizens.requests(int(PACE * plan.seconds), "citizen-{n}", channel=channel)
    warm = await Sending(port, citizens.requests(20, "warm-{n}", channel=channel), PACE, 4).run()
    store = await open_store(f"sqlite:///{folder}/gateway.db", folder / "keys.json", owner=False)
    try:
        await _filed(store, len(warm), MESSAGES.c.channel == channel)  # the workers have read their words
        flooding = asyncio.create_task(Sending(port, flood, FLOOD, 32).run())
        began, at = monotonic(), datetime.now(UTC)
        answers = await Sending(port, ours, PACE, 16).run()
        flooded = len(await flooding) / (monotonic() - began)
        theirs = MESSAGES.c.received_at >= at if channel == "wechat" else MESSAGES.c.envelope_id.in_(_receipts(answers))
        filed = await _filed(store, len(ours), theirs, MESSAGES.c.channel == channel)
    finally:
        await store.close()
    acknowledged = quantiles((waited for waited, _ in answers), n=100)
    cuts = quantiles(filed, n=100)
    return Waited(beside, channel, len(answers), flooded, acknowledged[49], acknowledged[98], cuts[49], cuts[98])


def _receipts(answers: list[tuple[float, bytes]]) -> list[UUID]:
    """What the app is given; WeChat is given none."""
    return [UUID(json.loads(body)["receipt"]) for _, body in answers]


async def _filed(store: Store, how_many: int, *which: ColumnElement[bool]) -> list[float]:
    """How long each took from its arrival until it was filed, milliseconds."""
    wanted = select(MESSAGES.c.received_at, MESSAGES.c.settled_at).where(MESSAGES.c.settled_at.is_not(None), *which)
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = await store._database.read(lambda connection: connection.execute(wanted).all())  # noqa: SLF001
            if len(rows) == how_many:
                return [1000 * (row.settled_at - row.received_at).total_seconds() for row in rows]
            await asyncio.sleep(0.2)


async def disaster(port: int, folder: Path, citizens: Citizens, plan: Plan) -> dict[str, int]:
    """All write at once: how many were filed, flagged and held."""
    answers = await Sending(port, citizens.requests(plan.citizens, "neighbour-{n}", FIRE), 0, 64).run()
    store = await open_store(f"sqlite:///{folder}/gateway.db", folder / "keys.json", owner=False)
    try:
        filed = await _filed(store, len(answers), MESSAGES.c.envelope_id.in_(_receipts(answers)))
        counts = [select(func.count()).select_from(table) for table in (FLAGS, HOLDS)]
        flagged, held = await store._database.read(  # noqa: SLF001
            lambda connection: [connection.execute(count).scalar_one() for count in counts]
        )
    finally:
        await store.close()
    return {"citizens": plan.citizens, "filed": len(filed), "flagged": flagged, "held": held}


def bench(plan: Plan) -> dict[str, Any]:
    """All figures; each round on a gateway of its own, all kinds of them in turn."""
    with tempfile.TemporaryDirectory(prefix="surge-") as name:
        folder = Path(name)
        citizens = Citizens(folder)
        turns = [
            (f"{number}-{beside}-{channel}", beside, channel)
            for number in range(plan.rounds)
            for beside, channel in TURNS
        ]
        rounds = [_served(folder / place, citizens, plan, beside, channel) for place, beside, channel in turns]
        (folder / "disaster").mkdir()
        with serving(Contender("whole", "app"), folder / "disaster") as (_, port):
            struck = uvloop.run(disaster(port, folder / "disaster", citizens, plan))
    return {**circumstances(), "rounds": [asdict(one) for one in rounds], "ratios": _ratios(rounds), "disaster": struck}


def _served(folder: Path, citizens: Citizens, plan: Plan, beside: Beside, channel: str) -> Waited:
    folder.mkdir()
    with serving(Contender("whole", "app"), folder) as (_, port):
        (citizens.folder / "any").mkdir(exist_ok=True)
        (citizens.folder / "any" / "config.yaml").write_text((folder / "config.yaml").read_text())
        return uvloop.run(measure(port, folder, citizens, plan, beside, channel))


def _ratios(rounds: list[Waited]) -> dict[str, dict[str, float]]:
    """Beside a flood or a crowd over alone on the same channel, the median of the rounds."""
    turns = {turn: [one for one in rounds if (one.beside, one.channel) == turn] for turn in TURNS}
    return {
        beside: {
            name: median(
                getattr(one, name) / getattr(alone, name)
                for alone, one in zip(turns["nobody", channel], turns[beside, channel], strict=True)
            )
            for name in ("acknowledged_p99", "filed_p99")
        }
        for beside, channel in TURNS
        if beside != "nobody"
    }


def show(found: dict[str, Any], out: Console) -> None:
    """The tables."""
    names = ("flooded", "acknowledged_p50", "acknowledged_p99", "filed_p50", "filed_p99")
    table = Table("beside", "on", "messages", *(name.replace("_", " ") for name in names), box=SIMPLE)
    for one in found["rounds"]:
        figures = (f"{one[name]:.1f}" for name in names)
        table.add_row(one["beside"], one["channel"], str(one["messages"]), *figures)
    out.print(table)
    out.print(f"p99 over that beside nobody, {MOST} at most: {found['ratios']}")
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
