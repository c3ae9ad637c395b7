"""How commands reach the node that owns a SQLite file: a Unix socket beside it, one JSON line each way.

Only processes of the same user can open it (mode 0600). On PostgreSQL commands write by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from sqlalchemy.engine import make_url

from gateway import conducted, held, identity, linking, people
from gateway.config import Config
from gateway.parked import retry
from gateway.rebuild import rebuild
from gateway.replay import Selection, requeue
from gateway.rules import CityRules
from store.errors import StoreLocked

if TYPE_CHECKING:
    from gateway.node import Node


#: Bytes; a socket's address holds 107 (unix(7)).
LONGEST_PATH = 100
_SILENT = "the process that owns the store did not do it; see its log, or stop it and try again"


class NoNode(Exception):
    """No node answers on the socket."""


def socket_path(config: Config) -> Path | None:
    """Beside the SQLite file; None on PostgreSQL, or where its path is too long for a socket's address."""
    url = make_url(config.store.url)
    path = f"{url.database}.sock"
    return Path(path) if url.get_backend_name() == "sqlite" and len(path.encode()) <= LONGEST_PATH else None


async def serve(node: Node) -> None:
    """Answer commands until cancelled."""
    path = socket_path(node.config)
    if path is None:
        return
    path.unlink(missing_ok=True)  # left by a node that was killed; the file's lock says that none runs
    server = await asyncio.start_unix_server(lambda reader, writer: _answer(node, reader, writer), path)
    path.chmod(0o600)
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
        if asked["do"] == "retry":
            released = await retry(node.store, [UUID(event_id) for event_id in asked["events"]], node.clock())
            node.ring_handoffs()
            tell(released=released)
        elif asked["do"] == linking.ASKED:
            tell(**await linking.do(node.store, asked, node.clock(), CityRules.of(node.config.city)))
            node.ring_handoffs()
        elif asked["do"] in people.ASKED:
            tell(**await people.do(node.store, asked, node.clock()))
            node.ring_handoffs()
        elif asked["do"] in identity.ASKED:
            tell(**await identity.do(node.store, asked, node.clock()))
        elif asked["do"] in held.ASKED:
            tell(**await held.do(node.store, asked, node.clock(), node.config.conduct, node.metrics))
        elif asked["do"] in conducted.ASKED:
            tell(**await conducted.do(node.store, asked, node.clock()))
            node.ring_handoffs()
        elif asked["do"] == "rebuild":
            begin = datetime.fromisoformat(asked["since"])
            rebuilt = await rebuild(node.store, begin, lambda done, of: tell(done=done, of=of))
            tell(made=rebuilt.made, failed=rebuilt.failed)
        else:
            since = datetime.fromisoformat(asked["since"]) if asked.get("since") else None
            selection = Selection(tuple(asked["outcomes"]), since)
            queued = await requeue(node.store, selection, node.clock, lambda done, of: tell(done=done, of=of))
            node.pipeline.ring()
            tell(queued=len(queued))
        await writer.drain()
    writer.close()


async def ask_requeue(config: Config, selection: Selection) -> AsyncIterator[dict[str, int]]:
    """Let the running node requeue; its progress, and at last ``queued``. Raise NoNode when none answers."""
    since = selection.since.isoformat() if selection.since else None
    async for told in _ask(config, {"do": "requeue", "outcomes": selection.outcomes, "since": since}):
        yield told


async def ask_rebuild(config: Config, since: datetime) -> AsyncIterator[dict[str, int]]:
    """Let the running node make fingerprints; its progress, and at last ``made`` and ``failed``. Raise NoNode when none answers."""
    async for told in _ask(config, {"do": "rebuild", "since": since.isoformat()}):
        yield told


async def ask_retry(config: Config, events: Collection[UUID]) -> int:
    """Let the running node release parked events, or all; how many. Raise StoreLocked when it does not do it."""
    with contextlib.suppress(NoNode):
        async for told in _ask(config, {"do": "retry", "events": [str(event_id) for event_id in events]}):
            return int(told["released"])
    raise StoreLocked(_SILENT)


async def ask_node(config: Config, question: dict[str, Any]) -> dict[str, Any]:
    """Let the running node do what is asked; its answer. Raise StoreLocked when it does not do it."""
    with contextlib.suppress(NoNode):
        if told := [one async for one in _ask(config, question)]:
            return told[0]
    raise StoreLocked(_SILENT)


async def _ask(config: Config, question: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    path = socket_path(config)
    try:
        reader, writer = await asyncio.open_unix_connection(path or os.devnull)
    except OSError:
        raise NoNode from None
    writer.write(orjson.dumps(question) + b"\n")
    while line := await reader.readline():
        yield orjson.loads(line)
    writer.close()
