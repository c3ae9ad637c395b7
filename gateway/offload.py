"""Running the pure path in worker processes that may hang, crash or eat memory without harming anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar
from uuid import UUID

import anyio
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from channels.base import AnyChannel
from channels.errors import Malformed
from channels.registry import load
from channels.settings import ChannelSettings
from normalizer.model import Envelope, Message, Parsed
from normalizer.normalize import Fields, normalize

T = TypeVar("T")

#: A call that takes longer than this, seconds, no longer keeps a place from others; so many such calls at most.
SLOW_SECONDS, SLOW = 1.0, 4
#: How long a process may take to start, on a machine that has too much to do.
START_SECONDS = 60.0
#: What one call may use beyond what its process holds after the imports, bytes.
MEMORY = 512 * 1024 * 1024


class OwnFault(Exception):
    """Our code failed, hung or crashed; the message is one word and never holds a citizen's data."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """An exception on its way home, without its message, which could quote the citizen."""

    theirs: bool
    reason: str


class Offload:
    """Calls pure functions in worker processes, each call with a deadline after which its process ends."""

    def __init__(self, processes: int | None = None, seconds: float = 10) -> None:
        places = processes or max(2, os.cpu_count() or 1)
        self._limiter, self._places = CapacityLimiter(places + SLOW), anyio.Semaphore(places)
        self._slow = 0
        #: What failed before has one place only, so that poison tried again leaves room for the rest.
        self._suspects = anyio.Semaphore(1)
        self._seconds = seconds

    async def warm(self) -> None:
        """Start the processes: their imports take a second or two, which the first citizens need not wait for."""
        async with anyio.create_task_group() as group:
            for _ in range(int(self._limiter.total_tokens) - SLOW):
                group.start_soon(self._run, _nothing, ())

    async def parse(self, channel: AnyChannel, envelope: Envelope, *, suspect: bool = False) -> Parsed:
        """``channel.parse``. Raise Malformed or OwnFault."""
        return await self._call(suspect, _parse, channel.kind, channel.name, channel.settings, envelope)

    async def normalize(self, message: Message, message_id: UUID, *, suspect: bool = False) -> Fields:
        """``normalizer.normalize``. Raise OwnFault."""
        return await self._call(suspect, normalize, message, message_id)

    async def _call(self, suspect: bool, function: Callable[..., T], *args: Any) -> T:
        async with self._suspects if suspect else contextlib.nullcontext():
            return await self._run(function, args)

    async def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        async with self._place():  # the deadline begins when a process is free
            began = time.monotonic()
            try:
                with anyio.fail_after(self._seconds + START_SECONDS):
                    result = await to_process.run_sync(
                        _guarded, function, args, self._seconds, cancellable=True, limiter=self._limiter
                    )
            except TimeoutError:
                raise OwnFault("hang") from None
            except BrokenWorkerProcess:
                raise OwnFault("hang" if time.monotonic() - began >= self._seconds else "crash") from None
        if isinstance(result, _Fault):
            raise Malformed(result.reason) if result.theirs else OwnFault(result.reason)
        return result

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the places; given back early when the call turns out to be slow, so that a hang costs others little."""
        await self._places.acquire()
        early = False

        def give_back() -> None:
            nonlocal early
            if self._slow < SLOW:
                early = True
                self._slow += 1
                self._places.release()

        timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, give_back)
        try:
            yield
        finally:
            timer.cancel()
            if early:
                self._slow -= 1
            else:
                self._places.release()


def _guarded(function: Callable[..., T], args: tuple[Any, ...], seconds: float) -> T | _Fault:
    """Runs in the worker; its own alarm ends the process, so that what it took to start it is not counted."""
    _limit_memory()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(*args)
    except Malformed as error:
        return _Fault(theirs=True, reason=error.reason)
    except Exception as error:  # noqa: BLE001 - whatever it is must not take its text home
        return _Fault(theirs=False, reason=type(error).__name__)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _nothing() -> None:
    """What a process is started with before it is needed."""


@cache
def _limit_memory() -> None:
    """Once per process; what the imports took is not counted. Elsewhere than on Linux the deadline alone protects."""
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - no path, a kernel interface
        held = int(statm.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, hard))


def _parse(kind: str, name: str, settings: ChannelSettings, envelope: Envelope) -> Parsed:
    return _channel(kind, name, settings).parse(envelope)


@lru_cache(maxsize=64)
def _channel(kind: str, name: str, settings: ChannelSettings) -> AnyChannel:
    return load(kind)(name, settings)
