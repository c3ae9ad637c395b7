"""A day without the core, with a million events waiting. Run: python -m bench.outage (SHORT=1 for CI).

The clock is ours: a day passes in a minute while the core's port is closed. Then the core comes back, and everything
must arrive: once in effect, in order per matter, not faster than allowed; what is urgent first, other sinks untroubled.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import uuid_utils.compat
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from sqlalchemy import Connection

from bench.contenders import ROOT, free_port
from gateway.handoff import Handoff
from gateway.metrics import Metrics
from gateway.sinks import FileSink, Result, Sink, WebhookSink
from store.bulk import insert_rows
from store.opening import open_store
from store.store import Store
from store.tables import CALLERS, EVENTS, MATTERS
from store.values import DueEvent
from tests.postgres import running_server

RESULTS = ROOT / "bench" / "results" / "outage.json"
SECRET, SOURCE = "whsec_" + "A" * 44, "https://hotline.example"
START = datetime(2026, 3, 1, tzinfo=UTC)
#: A step of the clock while the core is away, and how many make a day.
STEP, STEPS = timedelta(seconds=30), 2_880
#: Events of one matter, at most sent in a second, and after how many seconds of draining something urgent comes.
PER_MATTER, RATE, URGENT_AFTER = 2, 1_200, 5.0
#: Events of the other sink, which come while the core is away.
COPIES = 500


@dataclass(frozen=True, slots=True)
class Outage:
    """What was found on one database."""

    store: str
    events: int
    tries_while_away: int
    lost: int
    second_effects: int
    out_of_order: int
    first_after_seconds: float
    drain_seconds: float
    events_per_second: float
    most_in_a_second: int
    allowed_per_second: int
    urgent_seconds: float
    copies_seconds: float


class Clock:
    """Ours while the core is away, then it runs like everybody's."""

    def __init__(self) -> None:
        self._passed, self._running = timedelta(0), 0.0

    def __call__(self) -> datetime:
        """What time it is."""
        return START + timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        """Monotonic, seconds."""
        running = time.monotonic() - self._running if self._running else 0
        return self._passed.total_seconds() + running

    def step(self) -> None:
        """Half a minute passes."""
        self._passed += STEP

    def run(self) -> None:
        """From here on it goes by itself."""
        self._running = time.monotonic()


async def fill(store: Store, how_many: int, sink: str = "core", rank: int = 2, at: datetime = START) -> list[UUID]:
    """Events as filing writes them, in bulk; the matters' ids."""
    made: list[UUID] = []

    def write(connection: Connection) -> None:
        matters = [uuid_utils.compat.uuid7() for _ in range(min(2_500, how_many) // PER_MATTER)]
        caller = uuid_utils.compat.uuid7()
        insert_rows(connection, CALLERS, [{"id": caller, "created_at": at}])
        insert_rows(connection, MATTERS, [_matter(one, caller, at) for one in matters])
        events = [_event(one, number, sink, rank, at) for one in matters for number in range(1, PER_MATTER + 1)]
        insert_rows(connection, EVENTS, events)
        made.extend(matters)

    for _ in range(max(1, how_many // 2_500)):
        await store._database.write(write)  # noqa: SLF001 - the bench fills the store as no citizen could in a minute
    return made


def _matter(matter_id: UUID, caller: UUID, at: datetime) -> dict[str, Any]:
    return {
        "id": matter_id,
        "tracking_code": str(matter_id),
        "caller_id": caller,
        "filed_at": at,
        "revision": PER_MATTER,
        "document": {},
    }


def _event(matter_id: UUID, number: int, sink: str, rank: int, at: datetime) -> dict[str, Any]:
    payload = {"matter_id": str(matter_id), "revision": number, "content": "路灯坏了三天，请尽快派人来修。" * 20}
    return {
        "id": uuid_utils.compat.uuid7(),
        "sink": sink,
        "matter_id": matter_id,
        "sequence": number,
        "type": "hotline.matter.filed.v1" if number == 1 else "hotline.matter.amended.v1",
        "created_at": at,
        "payload": payload,
        "state": "waiting",
        "rank": rank,
        "waits": number > 1,
        "attempts": 0,
        "not_before": at,
        "put_off_at": at,
    }


class Core:
    """A process of its own that notes what it is sent, one line each: when, event id, matter, sequence."""

    def __init__(self, folder: Path, port: int) -> None:
        self._notes, self._port = folder / "core.notes", port
        self.url = f"http://127.0.0.1:{port}/events"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """The core is back."""
        command = [sys.executable, "-m", "bench.outage_core", str(self._port), str(self._notes)]
        self._process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)

    async def stop(self) -> None:
        """Enough."""
        assert self._process is not None
        self._process.terminate()
        await self._process.wait()

    def notes(self) -> list[tuple[float, str, str, int]]:
        """Everything it was sent, in order."""
        lines = self._notes.read_bytes().splitlines() if self._notes.exists() else []
        return [tuple(orjson.loads(line)) for line in lines]


class _Counted:
    """A sink that counts its tries."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.tries = sink, 0

    async def deliver(self, event: DueEvent) -> Result:
        self.tries += 1
        return await self._sink.deliver(event)

    async def close(self) -> None:
        await self._sink.close()


async def outage(store: Store, folder: Path, name: str, how_many: int) -> Outage:
    """A day without the core, then the drain."""
    clock, core = Clock(), Core(folder, free_port())
    sink = _Counted(WebhookSink(core.url, SECRET, SOURCE, timeout_seconds=15, clock=clock))
    timed: dict[str, Any] = {"clock": clock, "elapsed": clock.elapsed, "metrics": Metrics()}
    handoffs = [
        Handoff("core", store.outbox(), sink, **timed, events_per_second=RATE),
        Handoff("archive", store.outbox("archive"), FileSink(folder / "copies.jsonl", SOURCE), **timed),
    ]
    await fill(store, how_many)
    working = [asyncio.create_task(handoff.run()) for handoff in handoffs]
    try:
        copies_seconds = await _day(store, clock, handoffs)
        tries_while_away = sink.tries
        await core.start()
        clock.run()
        began = time.time()
        urgent = await _drain(store, clock)
        ended = time.time()
        await core.stop()
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        for handoff in handoffs:
            await handoff.close()
    noted = Counter(int(at) for at, *_ in core.notes())
    return Outage(
        store=name,
        events=how_many,
        tries_while_away=tries_while_away,
        **_effects(core.notes(), how_many + PER_MATTER),
        first_after_seconds=core.notes()[0][0] - began,
        drain_seconds=ended - began,
        events_per_second=how_many / (ended - began),
        most_in_a_second=max(noted.values()),
        allowed_per_second=RATE,
        urgent_seconds=min(at for at, _, matter, _ in core.notes() if matter == urgent[0]) - urgent[1],
        copies_seconds=copies_seconds,
    )


async def _day(store: Store, clock: Clock, handoffs: list[Handoff]) -> float:
    """The core is away for a day; meanwhile another sink gets what is new. How long that takes, seconds."""
    began = took = 0.0
    for step in track(range(STEPS), "a day without the core"):
        clock.step()
        for handoff in handoffs:
            handoff.ring()
        await asyncio.sleep(0.01)
        if step == STEPS // 2:
            await fill(store, COPIES, sink="archive", at=clock())
            began = time.monotonic()
        elif began and not took and not await store.waiting_events("archive"):
            took = time.monotonic() - began
    return took


async def _drain(store: Store, clock: Clock) -> tuple[str, float]:
    """Wait until nothing waits; after a while something urgent comes. Its matter, and when it came."""
    urgent = "", 0.0
    began = time.monotonic()
    waiting = await store.waiting_events()
    with Progress(TextColumn("drain"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("drain", total=waiting)
        while left := await store.waiting_events():
            bar.update(task, completed=waiting - left)
            if not urgent[0] and time.monotonic() - began > min(URGENT_AFTER, waiting / RATE / 3):
                urgent = str((await fill(store, PER_MATTER, rank=0, at=clock()))[0]), time.time()
            await asyncio.sleep(0.2)
    return urgent


def _effects(notes: list[tuple[float, str, str, int]], expected: int) -> dict[str, int]:
    """What the core got: of each event, once in effect and in order, whatever came twice."""
    ids: dict[tuple[str, int], set[str]] = {}
    first: dict[str, list[int]] = {}
    for _, event_id, matter, sequence in notes:
        if (matter, sequence) not in ids:
            first.setdefault(matter, []).append(sequence)
        ids.setdefault((matter, sequence), set()).add(event_id)
    return {
        "lost": expected - len(ids),
        "second_effects": sum(len(found) - 1 for found in ids.values()),
        "out_of_order": sum(order != sorted(order) for order in first.values()),
    }


async def bench(how_many: int) -> list[Outage]:
    """On SQLite, and a fiftieth of it on PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="outage-") as name, running_server() as postgresql:
        found = []
        databases = {"sqlite": f"sqlite:///{name}/gateway.db", "postgresql": postgresql.fresh_database()}
        for kind, url in databases.items():
            folder = Path(tempfile.mkdtemp(prefix=kind, dir=name))
            store = await open_store(url, folder / "keys.json", sinks=("core", "archive"))
            try:
                found.append(await outage(store, folder, kind, how_many if kind == "sqlite" else how_many // 50))
            finally:
                await store.close()
    return found


def main() -> None:
    """Measure, print, write."""
    short = bool(os.environ.get("SHORT"))
    found = [asdict(one) for one in uvloop.run(bench(10_000 if short else 1_000_000))]
    for one in found:
        Console().print(one)
    if not short:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
