"""A line to PostgreSQL that can be cut: when told, or just after the server has said COMMIT and before we hear of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
#: CommandComplete of a COMMIT (postgresql.org, 54.7): type, length, tag.
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


class Line:
    """Carries between our socket and the server's. Use :func:`line_to`."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder, self._target = folder, target
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        #: Commits whose answer is still to be lost, and how likely each next one is among them.
        self.to_lose, self.chance = 0, random.Random(4711)
        self.share = 1.0

    @property
    def folder(self) -> Path:
        """Of the socket, as ``?host=`` of a URL takes it."""
        return self._folder

    def cut(self) -> None:
        """Every connection breaks, and no new one is made."""
        self._is_cut = True
        for writer in list(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        """Connections can be made again."""
        self._is_cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        ends = {writer, to_server}
        self._open |= ends
        asking = asyncio.create_task(_carry(reader, to_server))
        try:
            while piece := await _read(from_server):
                if COMMITTED in piece and self._loses():
                    break
                writer.write(piece)
        finally:
            asking.cancel()
            self._open -= ends
            for end in ends:
                end.transport.abort()

    def _loses(self) -> bool:
        if not self.to_lose or self.chance.random() >= self.share:
            return False
        self.to_lose -= 1
        return True


async def _read(source: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await source.read(65_536)
    return b""


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await _read(source):
        sink.write(piece)
    sink.transport.abort()


@contextlib.asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to the server of ``url``, and the URL that leads through it."""
    database, _, target = url.partition("?host=")
    folder = Path(tempfile.mkdtemp(prefix="line-"))  # short, for a socket's path holds 107 bytes
    line = Line(folder, Path(target) / SOCKET)
    server = await asyncio.start_unix_server(line.serve, folder / SOCKET)
    try:
        yield line, f"{database}?host={folder}"
    finally:
        line.cut()
        server.close()
        shutil.rmtree(folder)
