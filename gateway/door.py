"""The HTTP entrance of the channels: plain ASGI in front of the API, because this path must be quick and safe.

A request is read whole, with limits on size and time, handed to its channel, and answered in that channel's words.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import structlog

from channels.base import Answer, AnyChannel, Deliver, Request, Webhook
from channels.errors import ChannelError, Rebound, Unacceptable, Unavailable
from gateway.clock import Clock
from gateway.config import Server
from gateway.metrics import Metrics

log = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: How long a body may take to arrive, seconds.
BODY_SECONDS = 10.0


class _Refused(Exception):
    """The request cannot even be read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Gone(Exception):
    """The caller hung up before the end."""


class Door:
    """Serves the channels' routes; everything else goes on to ``api``."""

    def __init__(
        self,
        api: Application,
        channels: Mapping[str, AnyChannel],
        deliver: Deliver,
        *,
        server: Server,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._api, self._deliver, self._server = api, deliver, server
        self._metrics, self._clock = metrics, clock
        self._channels = channels
        self._ack_seconds = {name: metrics.ack_seconds.labels(name) for name in channels}
        self._routes = {
            route.path: (channel, route)
            for channel in channels.values()
            if isinstance(channel, Webhook)
            for route in channel.routes()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not self._is_ours(path, scope):
            await self._api(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except _Gone:
            return
        await _send(send, answer)

    def _is_ours(self, path: str, scope: Scope) -> bool:
        found = self._routes.get(path)
        if found is None:
            return path.startswith("/channels/")
        _, route = found
        return not route.shared or scope["method"] in route.methods

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        found = self._routes.get(scope["path"])
        if found is None:
            self._count(_named(scope["path"], self._channels), "path")
            return Answer(status=404)
        channel, methods = found[0], found[1].methods
        if scope["method"] not in methods:
            self._count(channel.name, "method")
            answer = channel.refuse(Unacceptable("method", "This path takes another method.", status=405))
            return replace(answer, headers={**answer.headers, "Allow": ", ".join(methods)})
        try:
            body = await _read(scope, receive, channel.max_body)
        except _Refused as refused:
            self._count(channel.name, refused.reason)
            return channel.refuse(_unreadable(refused))
        return await self._receive(channel, self._request(scope, body))

    async def _receive(self, channel: Webhook[Any], request: Request) -> Answer:
        started = time.perf_counter()
        try:
            answer = await channel.receive(request, self._deliver)
        except ChannelError as error:
            self._count(channel.name, _reason(error))
            return channel.refuse(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours: nothing was kept, so the provider must try again
            log.error("door_failed", channel=channel.name, error=type(error).__name__)
            self._count(channel.name, "internal")
            return channel.refuse(Unavailable("internal"))
        self._ack_seconds[channel.name].observe(time.perf_counter() - started)
        return answer

    def _request(self, scope: Scope, body: bytes) -> Request:
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        return Request(
            method=scope["method"],
            path=path,
            query=query,
            headers=tuple(scope["headers"]),
            body=body,
            peer=caller(scope, self._server),
            url=self._server.public_url + scope.get("raw_path", path.encode()).decode("latin-1"),
            received_at=self._clock(),
        )

    def _count(self, channel: str, reason: str) -> None:
        self._metrics.refused.labels(channel, reason).inc()


def caller(scope: Scope, server: Server) -> str:
    """The caller's address: the peer, or the last X-Forwarded-For entry that no trusted proxy wrote itself."""
    peer: str = (scope.get("client") or ("0.0.0.0", 0))[0]  # noqa: S104 - an address nobody has, not a binding
    if not server.trusted_proxies:
        return peer
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = [hop.strip() for value in forwarded for hop in value.decode("latin-1").split(",")]
    if not hops and _trusted(peer, server):
        return "0.0.0.0"  # noqa: S104 - a proxy that does not say for whom it asks speaks for nobody
    while hops and _trusted(peer, server):
        peer = hops.pop()
    return peer if _is_address(peer) else "0.0.0.0"  # noqa: S104 - see above


def _trusted(address: str, server: Server) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in server.trusted_proxies)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _named(path: str, channels: Mapping[str, AnyChannel]) -> str:
    """The channel a wrong path means, for the metrics; never the path itself, which may hold a secret."""
    name = path.split("/")[2]
    return name if name in channels else "unknown"


def _reason(error: ChannelError) -> str:
    if isinstance(error, Rebound):
        return "rebound"
    return "unavailable" if isinstance(error, Unavailable) else error.reason


def _unreadable(refused: _Refused) -> ChannelError:
    return Unacceptable(refused.reason, "The request is too large or too slow.", status=refused.status)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; at most ``limit`` bytes, refused before more is read, within BODY_SECONDS."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not declared.isdigit() or int(declared) > limit:
        raise _Refused(413, "oversized")
    body, more = await _piece(receive)  # nearly always the whole; gateway/server.py cuts off who sends nothing
    if not more and len(body) <= limit:
        return body
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more and len(body) <= limit:
                piece, more = await _piece(receive)
                body += piece
    except TimeoutError:
        raise _Refused(408, "slow") from None
    if len(body) > limit:
        raise _Refused(413, "oversized")
    return body


async def _piece(receive: Receive) -> tuple[bytes, bool]:
    """What came next of a body, and whether there is more to come."""
    event = await receive()
    if event["type"] == "http.disconnect":
        raise _Gone
    return event.get("body", b""), event.get("more_body", False)


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.media_type.encode("ascii")),
        (b"content-length", str(len(answer.body)).encode("ascii")),
        *((name.lower().encode("ascii"), value.encode("latin-1")) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
