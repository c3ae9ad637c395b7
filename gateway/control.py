"""How commands reach the node that owns a SQLite file: a Unix socket beside it, one JSON line each way.

Only processes of the same user can open it (mode 0600). On PostgreSQL commands write by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy.engine import make_url

from gateway.config import Config
from gateway.replay import Selection, requeue

if TYPE_CHECKING:
    from gateway.node import Node


class NoNode(Exception):
    """No node answers on the socket."""


def socket_path(config: Config) -> Path | None:
    """Beside the SQLite file; None on PostgreSQL."""
    url = make_url(config.store.url)
    return Path(f"{url.database}.sock") if url.get_backend_name() == "sqlite" else None


async def serve(node: Node) -> None:
    """Answer commands until cancelled."""
    path = socket_path(node.config)
    if path is None:
        return
    with _short(path) as short:
        short.unlink(missing_ok=True)  # left by a node that was killed; the file's lock says that none runs
        server = await asyncio.start_unix_server(lambda reader, writer: _answer(node, reader, writer), short)
        short.chmod(0o600)
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


async def _answer(node: Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def tell(**values: Any) -> None:
        writer.write(orjson.dumps(values) + b"\n")

    with contextlib.suppress(ConnectionError):
        asked = orjson.loads(await reader.readline())
        since = datetime.fromisoformat(asked["since"]) if asked.get("since") else None
        selection = Selection(tuple(asked["outcomes"]), since)
        pieces = await requeue(node.store, selection, node.clock, lambda done, of: tell(done=done, of=of))
        node.pipeline.ring()
        tell(pieces=pieces)
        await writer.drain()
    writer.close()


async def ask_requeue(config: Config, selection: Selection) -> AsyncIterator[dict[str, int]]:
    """Let the running node requeue; its progress, and at last ``pieces``. Raise NoNode when none answers."""
    path = socket_path(config)
    try:
        with _short(path or Path("/nonexistent")) as short:
            reader, writer = await asyncio.open_unix_connection(short)
    except OSError:
        raise NoNode from None
    since = selection.since.isoformat() if selection.since else None
    writer.write(orjson.dumps({"outcomes": selection.outcomes, "since": since}) + b"\n")
    while line := await reader.readline():
        yield orjson.loads(line)
    writer.close()


@contextlib.contextmanager
def _short(path: Path) -> Iterator[Path]:
    """A short name for a path: socket addresses hold some 100 bytes only (unix(7))."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{folder}") / path.name if Path("/proc/self/fd").exists() else path
    finally:
        os.close(folder)
