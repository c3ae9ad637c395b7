"""A core that notes what it is sent: when, event id, matter, sequence. Run: python -m bench.outage_core PORT FILE.

Every thousandth event is noted and then answered by an error, as when an acknowledgement is lost on the way.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import IO, Any

import orjson
import uvicorn

LOST = 1_000


class Core:
    """An ASGI application."""

    def __init__(self, notes: IO[bytes]) -> None:
        self._notes, self._numbers = notes, itertools.count(1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take one event."""
        body = b""
        while True:
            part = await receive()
            body += part["body"]
            if not part["more_body"]:
                break
        event = orjson.loads(body)
        self._notes.write(orjson.dumps([time.time(), event["id"], event["subject"], int(event["sequence"])]) + b"\n")
        status = 500 if next(self._numbers) % LOST == 0 else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    with Path(sys.argv[2]).open("ab", buffering=0) as file:
        uvicorn.run(Core(file), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off")
