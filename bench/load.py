"""The load generator, a process of its own: keep-alive connections, each sending its next request on the last answer.

Every request is built before the clock starts; an answer is only stored while it runs, and judged afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from time import monotonic
from typing import Any, NamedTuple

import uvloop

#: What the parent waits for: from here on the server may die.
MEASURED = b"measured\n"
#: How long the server may stay silent after that, seconds.
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, where and for how long."""

    port: int
    #: The server, whose CPU time is read.
    pid: int
    #: Where the report is left.
    report: Path
    requests: Sequence[bytes]
    #: Seconds.
    warm_up: float
    seconds: float
    connections: int = 64
    #: Start over when all are sent: only for a server that keeps nothing.
    again: bool = False


class Answer(NamedTuple):
    """One answer; times of the monotonic clock, seconds."""

    number: int
    sent: float
    came: float
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """All answers, and the part of them that was measured."""

    started: float
    ended: float
    #: CPU seconds within that time.
    server_cpu: float
    own_cpu: float
    #: Also those of the warm-up and of the time until the server died.
    answers: list[Answer]

    @property
    def seconds(self) -> float:
        """How long was measured."""
        return self.ended - self.started

    def measured(self) -> list[Answer]:
        """Those that came while it was measured."""
        return [answer for answer in self.answers if self.started <= answer.came < self.ended]

    def latencies(self) -> tuple[float, float]:
        """Median and 99th percentile, milliseconds."""
        cuts = quantiles((1000 * (answer.came - answer.sent) for answer in self.measured()), n=100)
        return cuts[49], cuts[98]


class _Run:
    """What the connections share."""

    def __init__(self, job: Job) -> None:
        indexes: Iterator[int] = cycle(range(len(job.requests))) if job.again else iter(range(len(job.requests)))
        self.requests, self.indexes = job.requests, indexes
        self.answers: list[Answer] = []
        self.exhausted = asyncio.Event()
        self.closed = asyncio.Semaphore(0)


class _Connection(asyncio.Protocol):
    """Sends, waits for the whole answer, sends the next."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:  # uvloop's is no asyncio.Transport
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        found = split(self._buffer)
        if found is None:
            return
        self._run.answers.append(Answer(self._index, self._sent, monotonic(), *found))
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.closed.release()

    def _send(self) -> None:
        index = next(self._run.indexes, None)
        if index is None:
            self._run.exhausted.set()
            self._transport.close()
            return
        self._index, self._sent = index, monotonic()
        self._transport.write(self._run.requests[index])


def split(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of an answer; None until it is whole."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return None
    length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
    return (int(head[9:12]), body) if len(body) >= length else None


async def drive(job: Job, measured: Callable[[], None] = lambda: None) -> Report:
    """Send until the server dies or all requests are sent; ``measured`` is called when the figures are complete."""
    run, loop = _Run(job), asyncio.get_running_loop()
    for _ in range(job.connections):
        await loop.create_connection(lambda: _Connection(run), "127.0.0.1", job.port)
    await _until(run.exhausted, job.warm_up)
    started, server, own = monotonic(), cpu_seconds(job.pid), _own_cpu()
    await _until(run.exhausted, job.seconds)
    ended, server, own = monotonic(), cpu_seconds(job.pid) - server, _own_cpu() - own
    measured()
    async with asyncio.timeout(PATIENCE):
        for _ in range(job.connections):
            await run.closed.acquire()
    return Report(started, ended, server, own, run.answers)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far."""
    below = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return sum(map(_ticks, (pid, *below))) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """utime, stime, cutime, cstime: fields 14 to 17 of proc(5); 0 for a child that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Job from stdin; MEASURED to stdout; the report into its file."""
    job: Job = pickle.load(sys.stdin.buffer)
    gc.disable()

    def measured() -> None:
        sys.stdout.buffer.write(MEASURED)
        sys.stdout.buffer.flush()

    job.report.write_bytes(pickle.dumps(uvloop.run(drive(job, measured))))
