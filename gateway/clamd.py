"""Asking ClamAV about one file, over clamd's socket (clamd(8), command INSTREAM)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from typing import Any

#: Bytes sent at a time; clamd takes any number up to its StreamMaxLength.
_CHUNK = 64 * 1024
#: Bytes of an answer; the longest honest one is the name of a signature.
_LONGEST = 4096
#: How long to wait for the connection, seconds.
_CONNECT_SECONDS = 5.0
_FOUND = re.compile(r"stream: (.{1,1000}) FOUND", re.DOTALL)
_NAME = re.compile(r"[^\w.:-]", re.ASCII)


class ScannerAway(Exception):
    """No verdict: it is not there, does not answer, or answers what is no answer. Another time it may."""


class TooLarge(Exception):
    """clamd takes no file of this size (its StreamMaxLength), today or tomorrow."""


class Clamd:
    """One clamd."""

    def __init__(self, address: str, seconds: float) -> None:
        """``address``: ``unix:/path`` or ``host:port``; ``seconds``: how long one file may take."""
        self._address, self._seconds = address, seconds

    async def scan(self, content: bytes) -> str | None:
        """The name of what was found; None when nothing was. Raise ScannerAway or TooLarge."""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._ask(content)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise ScannerAway(type(error).__name__) from None
        if answer == "stream: OK":
            return None
        if found := _FOUND.fullmatch(answer):
            return _NAME.sub("_", found[1])[:100]
        if "size limit exceeded" in answer:
            raise TooLarge
        raise ScannerAway("answer")

    async def _ask(self, content: bytes) -> str:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_SECONDS):
            line = await self._connect()
        with line:
            # At its limit clamd answers and closes while we still send; what it said can be read all the same.
            with contextlib.suppress(ConnectionError):
                await _send(line, content)
            answer = b""
            while not answer.endswith(b"\0"):
                piece = await loop.sock_recv(line, _LONGEST)
                answer += piece
                if not piece or len(answer) > _LONGEST:
                    raise EOFError
            return answer[:-1].decode("utf-8", "replace").strip()

    async def _connect(self) -> socket.socket:
        if self._address.startswith("unix:"):
            return await _connected(socket.AF_UNIX, self._address.removeprefix("unix:"))
        host, _, port = self._address.rpartition(":")
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        return await _connected(found[0][0], found[0][4])


async def _connected(family: int, address: Any) -> socket.socket:
    line = socket.socket(family, socket.SOCK_STREAM)
    line.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(line, address)
    except BaseException:
        line.close()
        raise
    return line


async def _send(line: socket.socket, content: bytes) -> None:
    loop, view = asyncio.get_running_loop(), memoryview(content)
    await loop.sock_sendall(line, b"zINSTREAM\0")
    for start in range(0, len(view), _CHUNK):
        chunk = view[start : start + _CHUNK]
        await loop.sock_sendall(line, struct.pack("!I", len(chunk)) + chunk)
    await loop.sock_sendall(line, struct.pack("!I", 0))
