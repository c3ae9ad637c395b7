"""Ports for servers that must be told one, and can be started again on it."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below those that the system gives to whoever connects (Linux: 32768 on): else a connection of another test may have it
#: meanwhile, and who asks the port of a dead server could be given that very port, reach himself, and keep the next one from it.
_FIRST, _LAST = 20_000, 32_767
_CHANCE = random.SystemRandom()


def free_port() -> int:
    """A port of loopback that nobody has now; tests that run at the same time hardly ever draw the same."""
    for _ in range(1_000):
        port = _CHANCE.randint(_FIRST, _LAST)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
