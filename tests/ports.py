"""Ports for servers that must be told one, and can be started again on it."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time

#: Below those that the system gives to whoever connects (Linux: 32768 on): else a connection of another test may have it
#: meanwhile, and who asks the port of a dead server could be given that very port, reach himself, and keep the next one from it.
_FIRST, _LAST = 20_000, 32_767
#: Each worker of a run draws from a part of its own, and none twice.
_PARTS, _WORKER = 8, os.environ.get("PYTEST_XDIST_WORKER", "gw7")
_SIZE = (_LAST + 1 - _FIRST) // _PARTS
_ours = [_FIRST + int(_WORKER.removeprefix("gw")) % _PARTS * _SIZE + number for number in range(_SIZE)]
random.SystemRandom().shuffle(_ours)
#: Seconds in which a killed server's children end.
_PATIENCE = 20


def free_port() -> int:
    """A port of loopback that nobody has now, and no other test of the run was given."""
    while _ours:
        port = _ours.pop()
        if _is_free(port):
            return port
    raise AssertionError("no port is free")


def until_free(port: int) -> None:
    """Wait until nobody has the port of a killed server any more. Raise AssertionError: somebody keeps it."""
    deadline = time.monotonic() + _PATIENCE
    while not _is_free(port):
        assert time.monotonic() < deadline, f"port {port} is kept"
        time.sleep(0.01)


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
