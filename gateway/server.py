"""uvicorn, hardened: oversized headers and silent sockets are cut off (facts: slowloris; uvicorn has no such limits)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.door import Application

#: Bytes of request line and headers together; providers send some hundred. As much again beside a body (next line).
HEADER_BYTES = 32 * 1024
#: Bytes of chunk sizes, extensions and trailers allowed for each byte of body; chunks of one byte need five.
FRAME_BYTES = 8
#: How long a request's head may take, from the connection or the answer before it, and then its body, seconds.
HEADER_SECONDS, BODY_SECONDS = 10.0, 15.0


class _Protocol(HttpToolsProtocol):
    """Counts the bytes beside a request's body, and the seconds until it is in, which httptools does not.

    One timer per connection looks now and then, instead of one per request: on the hot path a time is noted, no more.
    """

    #: Bytes that may still come.
    _spare = HEADER_BYTES
    #: When what we wait for must be in, on the loop's clock; None while it is our turn.
    _due: float | None = None
    #: Whether a request is under way: else its answer is out, and nobody waits for the rest of it.
    _asked = False
    _watch: asyncio.TimerHandle

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._spare -= len(data)
        super().data_received(data)
        if self._spare < 0:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._spare, self._asked = HEADER_BYTES, True
        self._due = self.loop.time() + BODY_SECONDS
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._asked:
            self._spare += (1 + FRAME_BYTES) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._due = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        pipelined = bool(self.pipeline)  # then the next head is in already
        super().on_response_complete()
        if not pipelined and not self.transport.is_closing():
            self._await_head()

    def _await_head(self) -> None:
        self._spare, self._asked = HEADER_BYTES, False
        self._due = self.loop.time() + HEADER_SECONDS

    def _look(self) -> None:
        now = self.loop.time()
        if self._due is not None and now >= self._due:
            self.transport.close()
        self._watch = self.loop.call_later(HEADER_SECONDS / 4, self._look)


class HttpServer(uvicorn.Server):
    """Serves an application on one address until told to stop; signals are the node's business."""

    def __init__(self, application: Application, listen: str, setting: str = "server.listen") -> None:
        self.host = listen.rpartition(":")[0]
        self._socket = bind(listen, setting)
        super().__init__(
            uvicorn.Config(
                application,
                http=_Protocol,
                interface="asgi3",
                lifespan="off",
                access_log=False,  # paths may hold secrets
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=5,
            )
        )

    @property
    def port(self) -> int:
        """The port really bound."""
        found: int = self._socket.getsockname()[1]
        return found

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def run_until_stopped(self) -> None:
        """Serve; cancelling stops it in good order."""
        serving = asyncio.create_task(self.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise


def bind(listen: str, setting: str) -> socket.socket:
    """Take host:port early, so that a busy one is told before anything starts. Raise OSError naming it and the mend."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if "[" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {listen}: {error.strerror}; choose another {setting}") from None
    return listener
