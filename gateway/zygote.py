"""The parent of all worker processes: it has imported all they need and forks one in a few milliseconds.

Started by gateway/offload.py, with a descriptor and kinds of channel as arguments. Each descriptor that comes over that
socket becomes a worker, which answers the calls that come over it until it closes. Everybody here ends with the node: the
parent when its socket closes, each worker with its own or, in the middle of a call, by its alarm.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from channels.errors import Malformed
from channels.registry import BrokenKind, UnknownKind, load
from normalizer.language import language

#: What one call may use beyond what its process holds after the imports, bytes.
MEMORY = 512 * 1024 * 1024
#: What goes before each pickle, either way: its length, bytes.
LENGTH = struct.Struct("!Q")
#: What only the model of languages can tell: it is read into memory once, here.
_LATIN = "The street lamp in front of our house has been broken for a week."


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception on its way home, without its message, which could quote the citizen."""

    theirs: bool
    reason: str


def main() -> None:
    """Import everything, then fork a worker for each descriptor received."""
    asking = socket.socket(fileno=int(sys.argv[1]))
    for kind in sys.argv[2:]:
        with contextlib.suppress(UnknownKind, BrokenKind):  # who uses it is told so
            load(kind)
    language(_LATIN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a worker: its socket tells
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold what citizens wrote
    gc.collect()
    gc.freeze()
    while True:
        asked, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
        if not asked:
            return
        for descriptor in descriptors:
            with contextlib.suppress(OSError):  # no process to be had: the closed socket tells
                if not os.fork():
                    asking.close()
                    _work(descriptor)
            os.close(descriptor)


def _work(descriptor: int) -> NoReturn:
    """In the worker: answer calls until nobody asks any more."""
    with contextlib.suppress(BaseException), socket.socket(fileno=descriptor).makefile("rwb") as calls:
        _limit_memory()
        while length := calls.read(LENGTH.size):
            answer = pickle.dumps(_answer(calls.read(*LENGTH.unpack(length))))
            calls.write(LENGTH.pack(len(answer)) + answer)
            calls.flush()
    os._exit(0)


def _answer(asked: bytes) -> Any:
    """The result or a Fault. An alarm of its own ends the process when the call takes too long."""
    try:
        function, args, seconds = pickle.loads(asked)  # noqa: S301 - from our own node
        return _called(function, args, seconds)
    except Malformed as error:
        return Fault(theirs=True, reason=error.reason)
    except Exception as error:  # noqa: BLE001 - whatever it is must not take its text home
        return Fault(theirs=False, reason=type(error).__name__)


def _called(function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory() -> None:
    """What the imports took is not counted. Elsewhere than on Linux the deadline alone protects."""
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - no path, a kernel interface
        held = int(statm.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, hard))
