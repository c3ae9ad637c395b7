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
#: How long a request's headers may take from the first byte or the connection, seconds.
HEADER_SECONDS = 10.0


class _Protocol(HttpToolsProtocol):
    """Counts the bytes beside a request's body, and the seconds of its head, which httptools does not."""

    #: Bytes that may still come.
    _spare = HEADER_BYTES
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._spare -= len(data)
        super().data_received(data)
        if self._spare < 0:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._head_is_done()
        self._spare = HEADER_BYTES
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._deadline is None:  # else it was answered already, and nobody waits for the rest
            self._spare += (1 + FRAME_BYTES) * len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        pipelined = bool(self.pipeline)  # then the next head is in already
        super().on_response_complete()
        if not pipelined and not self.transport.is_closing():
            self._await_head()

    def _await_head(self) -> None:
        self._head_is_done()
        self._spare = HEADER_BYTES
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _head_is_done(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


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

    def close(self) -> None:
        """Give the address back, when it was never served."""
        self._socket.close()

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
