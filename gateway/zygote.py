"""The parent of all worker processes: it has imported all they need and forks one in a few milliseconds.

Started by gateway/offload.py, with a descriptor and kinds of channel as arguments. Each descriptor that comes over that
socket becomes a worker, which answers the calls that come over it until it closes. Everybody here ends with the node: the
parent when its socket closes, each worker with its own or, in the middle of a call, by an alarm. The parent waits for each
worker and tells by the same descriptor when an alarm has ended it; of any other end the closed socket tells.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from channels.errors import Malformed
from channels.registry import BrokenKind, UnknownKind, load
from normalizer.language import language
from normalizer.model import Assurance, Contact, ContactType, KeptMessage, Message

#: What one call may use beyond what its process holds after the imports, bytes.
MEMORY = 512 * 1024 * 1024
#: What goes before each pickle, either way: its length, bytes.
LENGTH = struct.Struct("!Q")
#: In place of an answer, which is never empty: an alarm has ended the worker.
ENDED = LENGTH.pack(0)
#: What ends a call that takes too long: of a processor (all threads, system calls too), and by the clock.
ALARMS = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}
#: What is read once here, for all workers; of the second only the model of languages can tell what it is in.
_CHINESE = "泉城路1号的路灯坏了，请投诉物业公司。"
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
    _read_one()
    for number in ALARMS.values():
        signal.signal(number, signal.SIG_DFL)  # which ends the process, also in the middle of a long step in C
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold what citizens wrote
    gc.collect()
    gc.freeze()
    _serve(asking)


def _read_one() -> None:
    """Words and tables that are made when a first message is read: here once, and not in every worker."""
    from gateway import offload, rules  # noqa: F401, PLC0415 - what workers call; it asks us to start
    from gateway.config import City  # noqa: PLC0415 - as above

    who = Contact(type=ContactType.APP, value="1", assurance=Assurance.VERIFIED)
    message = Message(key_space="-", account="-", sender=who, provider_id="1", text=_CHINESE)
    kept = KeptMessage(UUID(int=1), UUID(int=1), "", "", datetime.now(UTC), message)
    rules.read(kept, rules.CityRules.of(City()))


def _serve(asking: socket.socket) -> None:
    """Fork and bury until the node has ended."""
    died, bell = os.pipe()
    os.set_blocking(bell, False)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # the bell rings
    workers: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asking.fileno(), died], [], [])
        if died in ready:
            os.read(died, 1024)
            _bury(workers)
        if asking.fileno() in ready:
            asked, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
            if not asked:
                return
            for descriptor in descriptors:
                try:
                    pid = os.fork()
                except OSError:  # no process to be had: the closed socket tells
                    os.close(descriptor)
                    continue
                if not pid:
                    _forget([asking.detach(), died, bell, *workers.values()])
                    _work(descriptor)
                workers[pid] = descriptor


def _bury(workers: dict[int, int]) -> None:
    """Close the line of each worker that has ended; nobody else holds it."""
    while workers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with socket.socket(fileno=workers.pop(pid)) as line, contextlib.suppress(OSError):  # nobody may ask any more
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) in ALARMS.values():
                line.send(ENDED, socket.MSG_DONTWAIT)


def _forget(descriptors: Iterable[int]) -> None:
    """In the worker: nothing that is its parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in descriptors:
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
    """The result or a Fault. Alarms of its own end the process when the call takes too long."""
    try:
        function, args, limits = pickle.loads(asked)  # noqa: S301 - from our own node
        return _called(function, args, limits)
    except Malformed as error:
        return Fault(theirs=True, reason=error.reason)
    except Exception as error:  # noqa: BLE001 - whatever it is must not take its text home
        return Fault(theirs=False, reason=type(error).__name__)


def _called(function: Callable[..., Any], args: tuple[Any, ...], limits: tuple[float, float]) -> Any:
    for timer, seconds in zip(ALARMS, limits, strict=True):
        signal.setitimer(timer, seconds)
    try:
        return function(*args)
    finally:
        for timer in ALARMS:
            signal.setitimer(timer, 0)


def _limit_memory() -> None:
    """What the imports took is not counted. Elsewhere than on Linux the deadline alone protects."""
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - no path, a kernel interface
        held = int(statm.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, hard))
