"""ClamAV's clamd, run for a test with one signature of its own, and a clamd that misbehaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.conftest import missing
from tests.ports import free_port

#: The test file of EICAR (eicar.org, "Anti-Malware Testfile"), which every scanner knows: joined, so that this one is none.
_PIECES = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!", b"$H+H*")
EICAR = b"".join(_PIECES)
#: clamd's own limit in the tests, bytes.
STREAM_MAX = 2 * 1024 * 1024
_START_SECONDS = 60.0
_CONFIG = """
LocalSocket {folder}/clamd.sock
TCPSocket {port}
TCPAddr 127.0.0.1
DatabaseDirectory {folder}
TemporaryDirectory {folder}
Foreground yes
StreamMaxLength {limit}
User {user}
"""


class Clamd:
    """A running clamd."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None
        #: As config.yaml names it.
        self.addresses = (f"unix:{folder}/clamd.sock", f"127.0.0.1:{port}")

    def start(self) -> None:
        """Return when it answers."""
        program = shutil.which("clamd") or missing("clamd")
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(program), "--config-file", str(self.folder / "clamd.conf")], stdout=log, stderr=log
            )
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
                    line.sendall(b"zPING\0")
                    if line.recv(10) == b"PONG\0":
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End it, as its service manager does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


@contextmanager
def clamd(folder: Path) -> Iterator[Clamd]:
    """A clamd whose only signature is EICAR's, not started yet."""
    folder.mkdir()
    (folder / "test.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
    port = free_port()
    owner = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    (folder / "clamd.conf").write_text(_CONFIG.format(folder=folder, port=port, limit=STREAM_MAX, user=owner))
    made = Clamd(folder, port)
    try:
        yield made
    finally:
        made.stop()


class FakeClamd:
    """Answers as ``script`` says, one word for each file, then OK; keeps what it was sent."""

    def __init__(self) -> None:
        self.script: list[bytes | str] = []
        self.files: list[bytes] = []
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeClamd]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        how = self.script.pop(0) if self.script else b"stream: OK\0"
        try:
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            if how == "hangs":
                await reader.read()
                return
            if how == "closes":
                return
            if how == "limit":
                await reader.readexactly(1000)
                writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                await writer.drain()
                return
            self.files.append(await self._file(reader))
            assert isinstance(how, bytes)
            writer.write(how)
            await writer.drain()
        finally:
            writer.close()

    @staticmethod
    async def _file(reader: asyncio.StreamReader) -> bytes:
        found = b""
        while length := struct.unpack("!I", await reader.readexactly(4))[0]:
            found += await reader.readexactly(length)
        return found
