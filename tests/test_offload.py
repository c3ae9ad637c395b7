"""The limits of a call in a worker process: seconds of a processor, and many more by the clock."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.offload import Offload, OwnFault

#: A limit, and longer than any test.
SHORT, LONG = 0.3, 3600.0


def limited(*, processor: float, clock: float) -> Offload:
    return Offload(processes=2, seconds=processor, patience=clock / processor)


async def state(pid: int, wanted: str) -> None:
    """Wait until the process is in that state (proc_pid_stat(5))."""
    while Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != wanted:
        await asyncio.sleep(0.01)


@asynccontextmanager
async def stopped(offload: Offload) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """A call whose process gets no processor for longer than SHORT: the process, and the call."""
    pid = await offload.called(os.getpid)
    call = asyncio.create_task(offload.called(signal.raise_signal, signal.SIGSTOP))
    await state(pid, "T")
    await asyncio.sleep(2 * SHORT)
    yield pid, call


async def test_what_computes_without_end_is_ended_by_the_processors_limit() -> None:
    """In the middle of one long step, in which no Python runs."""
    async with limited(processor=SHORT, clock=LONG) as offload, asyncio.timeout(60):
        pid = await offload.called(os.getpid)
        with pytest.raises(OwnFault, match=r"^hang$"):
            await offload.called(math.factorial, 10**8)
        assert not Path(f"/proc/{pid}").exists()
        assert await offload.called(math.factorial, 3) == 6


@pytest.mark.parametrize("how", ["sleeps", "reads what nobody writes"])
async def test_what_waits_without_end_is_ended_by_the_clocks_limit(how: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with limited(processor=LONG, clock=SHORT) as offload, asyncio.timeout(50):
        pid = await offload.called(os.getpid)
        with pytest.raises(OwnFault, match=r"^hang$"):
            await (offload.called(time.sleep, LONG) if how == "sleeps" else offload.called(Path.read_bytes, fifo))
        assert not Path(f"/proc/{pid}").exists()
        assert await offload.called(math.factorial, 3) == 6


async def test_what_gets_no_processor_for_longer_than_the_processors_limit_goes_on() -> None:
    async with limited(processor=SHORT, clock=LONG) as offload, asyncio.timeout(60), stopped(offload) as (pid, call):
        os.kill(pid, signal.SIGCONT)
        await call
        assert await offload.called(os.getpid) == pid


async def test_what_computes_little_may_take_longer_than_the_processors_limit() -> None:
    async with limited(processor=SHORT, clock=LONG) as offload, asyncio.timeout(60):
        await offload.called(time.sleep, 2 * SHORT)


async def test_who_is_idle_has_no_limit() -> None:
    async with limited(processor=LONG, clock=4 * SHORT) as offload, asyncio.timeout(60):
        pid = await offload.called(os.getpid)
        await asyncio.sleep(5 * SHORT)
        assert await offload.called(os.getpid) == pid


async def test_a_crash_is_no_hang_however_late_it_comes() -> None:
    async with limited(processor=SHORT, clock=LONG) as offload, asyncio.timeout(60), stopped(offload) as (pid, call):
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(OwnFault, match=r"^crash$"):
            await call


async def test_an_end_is_told_while_others_work() -> None:
    """A process forked later holds nothing of the earlier."""
    async with limited(processor=SHORT, clock=LONG) as offload, asyncio.timeout(60), stopped(offload) as (pid, call):
        other = await offload.called(os.getpid)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(OwnFault, match=r"^crash$"):
            await call
        assert await offload.called(os.getpid) == other != pid
