"""Running the pure path in worker processes that may hang, crash or eat memory without harming anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Self, TypeVar

from channels.base import AnyChannel, File
from channels.errors import Malformed
from channels.registry import load
from channels.settings import ChannelSettings
from gateway.rules import CityRules, read
from gateway.zygote import ENDED, LENGTH, Fault
from normalizer.archive import unseen
from normalizer.fields import Fields
from normalizer.model import Envelope, KeptMessage, Parsed

T = TypeVar("T")

#: What a call may take of a processor, seconds, and by the clock so many times as long: the clock ends what waits for ever.
#: Nothing that is called here waits, so it is long by the clock only while this many and more want the same processor.
SECONDS, PATIENCE = 10.0, 6.0
#: A call that takes longer than this, seconds, no longer keeps a place from others; so many such calls at most.
SLOW_SECONDS, SLOW = 1.0, 4
#: How long a process may take to start, on a machine that has too much to do.
START_SECONDS = 60.0


class OwnFault(Exception):
    """Our code failed, hung or crashed; the message is one word and never holds a citizen's data."""


class Offload:
    """Calls pure functions in worker processes, each call with a limit at which its process ends.

    ``kinds`` of channel are imported before the first call; ``seconds`` of a processor a call may take, and by the clock
    ``patience`` times as many. Use it as a context; it works in one event loop.
    """

    def __init__(
        self,
        kinds: Iterable[str] = (),
        processes: int | None = None,
        seconds: float = SECONDS,
        patience: float = PATIENCE,
    ) -> None:
        #: So many calls at once, besides slow ones.
        self.processes = processes or max(2, os.cpu_count() or 1)
        self._workers = _Workers(sorted(set(kinds)))
        #: Of a processor, by the clock.
        self._limits = seconds, seconds * patience
        self._places = asyncio.Semaphore(self.processes)
        self._slow = 0
        #: What failed before has one place only, so that poison tried again leaves room for the rest.
        self._suspects = asyncio.Semaphore(1)
        self._beside = asyncio.Semaphore(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the processes; a call made later starts others."""
        await self._workers.close()

    async def warm(self) -> None:
        """Start the processes: the first takes about a second, which the first citizens need not wait for."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.processes):
                group.create_task(self._run(_nothing, ()))

    async def parse(self, channel: AnyChannel, envelope: Envelope, *, suspect: bool = False) -> Parsed:
        """``channel.parse``. Raise Malformed or OwnFault."""
        return await self._call(suspect, _parse, channel.kind, channel.name, channel.settings, envelope)

    async def read(self, kept: KeptMessage, rules: CityRules, *, suspect: bool = False) -> Fields:
        """``normalizer.normalize`` by the city's rules. Raise OwnFault."""
        return await self._call(suspect, read, kept, rules)

    async def carried(self, channel: AnyChannel, envelope: Envelope) -> Mapping[str, File]:
        """``channel.carried``. Raise OwnFault."""
        return await self._aside(_carried, channel.kind, channel.name, channel.settings, envelope)

    async def unseen(self, content: bytes) -> str | None:
        """``normalizer.archive.unseen``. Raise OwnFault."""
        return await self._aside(unseen, content)

    async def called(self, function: Callable[..., T], *args: Any) -> T:
        """Another pure function of ours, found by its name in the worker. Raise Malformed or OwnFault."""
        return await self._run(function, args)

    async def _aside(self, function: Callable[..., T], *args: Any) -> T:
        """What comes beside words takes one place, so that the words of others go on."""
        async with self._beside:
            return await self._run(function, args)

    async def _call(self, suspect: bool, function: Callable[..., T], *args: Any) -> T:
        async with self._suspects if suspect else contextlib.nullcontext():
            return await self._run(function, args)

    async def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        async with self._place():  # its time begins when a process is free
            try:
                latest = self._limits[1] + START_SECONDS
                async with asyncio.timeout(latest), self._workers.one() as worker:
                    result = await worker.call((function, args, self._limits))
            except TimeoutError:  # of an alarm, or of ours: it is an OSError too
                raise OwnFault("hang") from None
            except (OSError, EOFError):
                raise OwnFault("crash") from None
        if isinstance(result, Fault):
            raise Malformed(result.reason) if result.theirs else OwnFault(result.reason)
        return result  # type: ignore[no-any-return]  # what the function returns, through a pickle

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


class _Worker:
    """One process, by the socket to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def call(self, asked: Any) -> Any:
        """What the process answers. When it ends instead, raise TimeoutError if an alarm did it, else OSError or EOFError."""
        call = pickle.dumps(asked)
        self._writer.write(LENGTH.pack(len(call)))
        self._writer.write(call)
        if (header := await self._reader.readexactly(LENGTH.size)) == ENDED:
            raise TimeoutError
        (length,) = LENGTH.unpack(header)
        return pickle.loads(await self._reader.readexactly(length))  # noqa: S301 - from our own worker

    def end(self) -> None:
        """It ends when it has nothing more to do, by its alarm, or with all others."""
        self._writer.close()


class _Workers:
    """The processes: one that is idle is used again, one whose call did not come home is not."""

    def __init__(self, kinds: list[str]) -> None:
        self._kinds = kinds
        self._parents = PARENTS.get()
        self._zygote: _Zygote | None = None
        self._idle: list[_Worker] = []

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[_Worker]:
        """A worker for one call. Raise OSError when none can be started."""
        worker = self._idle.pop() if self._idle else await self._fork()
        try:
            yield worker
        except BaseException:
            worker.end()
            raise
        self._idle.append(worker)

    async def _fork(self) -> _Worker:
        if self._zygote is None or self._zygote.ended:
            self._zygote = _Zygote(self._kinds) if self._parents is None else self._parents.one(self._kinds)
        return _Worker(*await asyncio.open_connection(sock=self._zygote.fork()))

    async def close(self) -> None:
        """End them all."""
        while self._idle:
            self._idle.pop().end()
        if self._zygote is not None and self._parents is None:
            await asyncio.to_thread(self._zygote.close)


class _Zygote:
    """gateway/zygote.py, running."""

    def __init__(self, kinds: list[str]) -> None:
        self._asking, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", "from gateway.zygote import main; main()", str(theirs.fileno()), *kinds],
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C in a terminal is for the node, which then ends them
                # As we find modules, so must they; and a library with threads of its own could not be forked.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
            )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def fork(self) -> socket.socket:
        """The line to a new worker. Raise OSError when the process has just ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._asking, [b"\0"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """Nobody waits for what a worker still does; they are all in its group."""
        self._asking.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Parents:
    """One parent of workers for all nodes that this process starts, as tests do, which start hundreds: each takes a second."""

    def __init__(self) -> None:
        #: By where modules are found: another path may have another kind of channel.
        self._known: dict[tuple[str, ...], _Zygote] = {}

    def one(self, kinds: list[str]) -> _Zygote:
        """The parent, started with these kinds if there is none; other kinds are loaded by the workers that need them."""
        path = tuple(sys.path)
        if path not in self._known or self._known[path].ended:
            self._known[path] = _Zygote(kinds)
        return self._known[path]

    def close(self) -> None:
        """End it, and every worker."""
        for parent in self._known.values():
            parent.close()


#: What nodes share that are made while it is set; None: each has a parent of its own, and ends it.
PARENTS: ContextVar[Parents | None] = ContextVar("PARENTS", default=None)


def _nothing() -> None:
    """What a process is started with before it is needed."""


def _parse(kind: str, name: str, settings: ChannelSettings, envelope: Envelope) -> Parsed:
    return _channel(kind, name, settings).parse(envelope)


def _carried(kind: str, name: str, settings: ChannelSettings, envelope: Envelope) -> dict[str, File]:
    return dict(_channel(kind, name, settings).carried(envelope))


@lru_cache(maxsize=64)
def _channel(kind: str, name: str, settings: ChannelSettings) -> AnyChannel:
    return load(kind)(name, settings)
