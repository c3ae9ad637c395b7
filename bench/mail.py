"""How fast is a mail taken, and does a large one hold up the next? Run: make bench (SHORT=1 for CI).

The mailbox keeps each mail on disk before it says 250; a bare aiosmtpd keeps nothing. bench/README.md explains the table.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.contenders import ROOT, circumstances, free_port, kill, started
from bench.load import cpu_seconds
from bench.mail_large import LARGE, OURS, Delays, large, mailbox
from store.opening import open_store

RESULTS = ROOT / "bench" / "results" / "mail.json"
#: Bytes of a mail, and sessions at a time.
SIZE, SESSIONS = 5_000, 32
#: Mails before the clock starts.
WARM_UP = 4 * SESSIONS
#: The mailbox must take this share of the bare sink's mails a second; a large mail may delay the next by so many seconds.
TARGET, DELAY = 0.8, 1.0
#: How smtp-source goes about it: a connection for each mail, or one for many.
WAYS: dict[str, tuple[str, ...]] = {"a session each": (), "sessions kept": ("-d",)}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to send."""

    rounds: int
    mails: int
    large: int


FULL, SHORT = Plan(rounds=5, mails=4_000, large=5), Plan(rounds=1, mails=640, large=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """One contender in one round."""

    contender: str
    way: str
    mails_per_second: float
    #: CPU time of the server, microseconds a mail.
    server_cpu: float
    #: The sink's mails a second just before, as the yardstick; and its CPU time as a share of this one's.
    ratio: float
    cpu_ratio: float
    #: Envelopes that the store holds after SIGKILL, less than were acknowledged.
    missing: int = 0


@contextmanager
def sink(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Bare aiosmtpd."""
    port = free_port()
    with started([sys.executable, "-m", "bench.sink", str(port)], folder, port) as process:
        yield process, port


def flood(process: subprocess.Popen[bytes], port: int, mails: int, way: str) -> tuple[float, float]:
    """Mails a second, by Postfix' smtp-source, which ends when each is acknowledged; and the server's CPU time for each."""
    _send(port, WARM_UP, way)
    began, used = time.monotonic(), cpu_seconds(process.pid)
    _send(port, mails, way)
    return mails / (time.monotonic() - began), 1e6 * (cpu_seconds(process.pid) - used) / mails


def smtp_source() -> str | None:
    """Where Postfix' load generator is; None: it is not here."""
    return shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")


def _send(port: int, mails: int, way: str) -> None:
    program = str(smtp_source())
    sent = ["-s", str(SESSIONS), "-m", str(mails), "-l", str(SIZE), "-f", "citizen@example.net", "-t", OURS]
    subprocess.run([program, *WAYS[way], *sent, f"127.0.0.1:{port}"], check=True)


def measure(folder: Path, way: str, plan: Plan) -> list[Figures]:
    """The sink, then the mailbox, which is killed and opened again."""
    folder.mkdir()
    with sink(folder) as (process, port):
        bare, bare_cpu = flood(process, port, plan.mails, way)
    with mailbox(folder, "edge") as (process, port):
        rate, cpu = flood(process, port, plan.mails, way)
        kill(process)
    missing = plan.mails + WARM_UP - asyncio.run(_kept(folder))
    yardstick = Figures("bare", way, bare, bare_cpu, 1, 1)
    return [yardstick, Figures("mailbox", way, rate, cpu, rate / bare, bare_cpu / cpu, max(0, missing))]


async def _kept(folder: Path) -> int:
    store = await open_store(f"sqlite:///{folder / 'gateway.db'}", folder / "keys.json")
    try:
        return (await store.reconcile()).envelopes
    finally:
        await store.close()


# -- The tables --------------------------------------------------------------------------------------------------------


def ratios(found: Sequence[Figures], way: str) -> list[float]:
    """The mailbox's, of all rounds."""
    return [figures.ratio for figures in found if figures.way == way and figures.contender == "mailbox"]


def rates(found: Sequence[Figures]) -> Table:
    """Medians of the rounds; of the ratio also the least and the most."""
    shown = Table(title=f"Mails of {SIZE} bytes, {SESSIONS} sessions", box=SIMPLE)
    for column in ("way", "bare, mails/s", "mailbox, mails/s", "ratio", "CPU ratio", "missing"):
        shown.add_column(column, justify="left" if column == "way" else "right", no_wrap=True)
    for way in WAYS:
        of = {name: [f for f in found if (f.way, f.contender) == (way, name)] for name in ("bare", "mailbox")}
        found_ratios = ratios(found, way)
        shown.add_row(
            way,
            *(f"{median(f.mails_per_second for f in of[name]):,.0f}" for name in ("bare", "mailbox")),
            f"{median(found_ratios):.2f} ({min(found_ratios):.2f}-{max(found_ratios):.2f})",
            f"{median(f.cpu_ratio for f in of['mailbox']):.2f}",
            str(sum(f.missing for f in of["mailbox"])),
        )
    return shown


def held_up(found: Sequence[Delays]) -> Table:
    """The worst of all large mails."""
    shown = Table(title=f"Beside and behind a mail of {LARGE // 1024**2} MiB, seconds", box=SIMPLE)
    for column in ("of a small mail", "alone", "with the large one", "delayed by at most"):
        shown.add_column(column, justify="left" if column.startswith("of") else "right", no_wrap=True)
    ack, matter = worst(found)
    shown.add_row("acknowledgement", *_row([d.ack_alone for d in found], [d.ack_beside for d in found]), f"{ack:.3f}")
    shown.add_row("matter", *_row([d.matter_alone for d in found], [d.matter_behind for d in found]), f"{matter:.3f}")
    return shown


def _row(alone: list[float], beside: list[float]) -> tuple[str, str]:
    return f"{median(alone):.3f}", f"{median(beside):.3f}"


def worst(found: Sequence[Delays]) -> tuple[float, float]:
    """The longest delay of an acknowledgement and of a matter, seconds."""
    return max(d.ack_beside - d.ack_alone for d in found), max(d.matter_behind - d.matter_alone for d in found)


def complaints(found: Sequence[Figures], delayed: Sequence[Delays], *, short: bool) -> list[str]:
    """What makes the run fail: a lost mail always; the rest in a full run only."""
    lost = [f"{f.missing} acknowledged mails are not in the store" for f in found if f.missing]
    slow = [
        f"{way}: ratio {median(ratios(found, way)):.2f} is below {TARGET}"
        for way in WAYS
        if median(ratios(found, way)) < TARGET
    ]
    late = [f"a large mail delays the next by {one:.2f} s" for one in worst(delayed) if one > DELAY]
    return lost if short else lost + slow + late


def run(plan: Plan) -> tuple[list[Figures], list[Delays]]:
    """All rounds, interleaved, then the large mails."""
    found: list[Figures] = []
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as name:
        folder = Path(name)
        turns = [(number, way) for number in range(plan.rounds) for way in WAYS]
        for number, way in track(turns, "measuring", transient=True):
            found += measure(folder / f"{number}-{way.replace(' ', '-')}", way, plan)
        return found, large(folder / "large", plan.large)


def write(found: Sequence[Figures], delayed: Sequence[Delays], *, short: bool) -> None:
    """bench/results/mail.json."""
    ack, matter = worst(delayed)
    document: dict[str, Any] = {
        **circumstances(),
        "short": short,
        "ratio_to_bare": {way: round(median(ratios(found, way)), 3) for way in WAYS},
        "cpu_ratio_to_bare": {
            way: round(median(f.cpu_ratio for f in found if f.way == way and f.contender == "mailbox"), 3)
            for way in WAYS
        },
        "large_megabytes": LARGE // 1024**2,
        "large_delays_ack_seconds": round(ack, 3),
        "large_delays_matter_seconds": round(matter, 3),
        "rounds": [_rounded(asdict(f)) for f in found],
        "large": [_rounded(asdict(d)) for d in delayed],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}


def main() -> int:
    """Measure, print, write; 1 when a mail was lost, or a full run finds the mailbox too slow."""
    short = os.environ.get("SHORT") == "1"
    out = Console(width=110)
    if smtp_source() is None:
        out.print("smtp-source is missing: it comes with Postfix")
        return 1
    found, delayed = run(SHORT if short else FULL)
    out.print(rates(found), held_up(delayed))
    write(found, delayed, short=short)
    wrong = complaints(found, delayed, short=short)
    for sentence in wrong:
        out.print(f"[red]✗[/red] {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
