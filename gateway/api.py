"""The API beside the channels: receipts and matters for the app's back end, and what operations needs."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Any, cast
from uuid import UUID

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import AwareDatetime, BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from channels.api import ApiChannel, callers
from channels.base import Answer, AnyChannel
from channels.clients import identify
from channels.errors import ChannelError
from channels.problem import problem, refusal
from gateway import __version__
from gateway.config import Server
from gateway.door import Application, Receive, Scope, Send, caller
from gateway.metrics import Metrics
from normalizer.model import HotlineMatter
from store.errors import StoreUnavailable
from store.store import Store

log = structlog.get_logger(__name__)

#: What only the machine itself, or a caller with ``server.token``, may see.
OPERATIONS = ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/static-offline-docs")

DESCRIPTION = """The way in for the city's app, its call centre and linked platforms. Every message is kept with fsync before it is acknowledged; its receipt leads to the
hotline matter it became. Send `Authorization: Bearer` and your key, and with every POST an `Idempotency-Key`.
Errors are problem documents (RFC 9457)."""

_PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {}}}
_PROTECTED: dict[str, Any] = {
    "openapi_extra": {"security": [{"bearer": []}]},
    "responses": {
        401: {"description": "No valid key", **_PROBLEM},
        403: {"description": "The key lacks the scope messages:read", **_PROBLEM},
        404: {"description": "Not of this client's own users", **_PROBLEM},
        422: {"description": "The id is not a UUID", **_PROBLEM},
        429: {"description": "More requests than this client may make", **_PROBLEM},
    },
}


@dataclass(frozen=True, slots=True)
class Condition:
    """How a node fares: what it cannot do now, and what is worth knowing; a sentence each."""

    complaints: list[str]
    notes: list[str]


Ready = Callable[[], Awaitable[Condition]]
"""How this node fares now."""


class UpdateNote(BaseModel):
    """What the core told about a matter."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    update_id: UUID
    """Ours."""
    type: str
    """What it told."""
    received_at: AwareDatetime
    """When we heard of it."""
    text: str | None
    """What the citizen was told."""
    unit: str | None
    """Who handles it."""
    occurred_at: AwareDatetime | None
    """When it happened."""
    reply_state: str | None
    """How far it got on its way to the citizen; None: nothing was to be sent."""


class MatterBody(HotlineMatter):
    """A matter, and what the core told about it."""

    updates: tuple[UpdateNote, ...] = ()
    """In order of arrival."""


class ReceiptBody(BaseModel):
    """What became of a message."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    receipt: UUID
    """As answered when the message was taken."""
    state: str
    """``kept``, then the message's outcome."""
    matter_id: UUID | None
    """The matter it became or was added to, once known."""
    tracking_code: str | None
    """受理编号, for the citizen, once known."""


def build_api(
    store: Store,
    channels: Mapping[str, AnyChannel],
    *,
    server: Server,
    metrics: Metrics,
    ready: Ready,
    beside: Sequence[APIRouter],
) -> FastAPI:
    """The FastAPI application; the channels' own paths are served in front of it and only described here.

    ``beside``: further routes, of the case core and of uploads.
    """
    api = FastAPIOffline(title="12345 gateway", version=__version__, description=DESCRIPTION, redoc_url=None)
    api.include_router(_client_routes(store, channels))
    for router in beside:
        api.include_router(router)
    api.include_router(_operations_routes(metrics, ready))
    api.add_middleware(_OperationsGuard, server=server)
    api.add_exception_handler(HTTPException, _http_problem)
    api.add_exception_handler(RequestValidationError, _invalid_problem)
    api.add_exception_handler(Exception, _failed_problem)
    api.add_exception_handler(ChannelError, _counted_refusal(metrics))
    api.add_exception_handler(StoreUnavailable, _unavailable_problem)
    api.openapi = lambda: describe(api, channels)  # type: ignore[method-assign]  # FastAPI's documented way
    return api


def _client_routes(store: Store, channels: Mapping[str, AnyChannel]) -> APIRouter:
    router = APIRouter(tags=["messages"])

    @router.get("/v1/receipts/{receipt}", response_model=ReceiptBody, summary="What became of a message", **_PROTECTED)
    async def get_receipt(receipt: UUID, request: Request) -> Any:
        """What became of a message of this client."""
        names, client = _reader(channels, request)
        found = await store.receipt(receipt)
        if found is None or found.channel not in names or found.client != client:
            return _response(problem(404, "not_found", "This client has no such receipt."))
        return ReceiptBody(
            receipt=receipt, state=found.state, matter_id=found.matter_id, tracking_code=found.tracking_code
        )

    @router.get("/v1/matters/{matter_id}", response_model=MatterBody, summary="A matter", **_PROTECTED)
    async def get_matter(matter_id: UUID, request: Request) -> Any:
        """A matter that one of this client's own users brought."""
        names, client = _reader(channels, request)
        for name in names:
            if (found := await store.matter(matter_id, name, client)) is not None:
                break
        else:
            return _response(problem(404, "not_found", "This client has no such matter."))
        return dict(found) | {"updates": await store.updates_of(matter_id)}

    return router


def _reader(channels: Mapping[str, AnyChannel], request: Request) -> tuple[list[str], str]:
    """The channels whose client may read, and who it is. Raise Unauthenticated, Unacceptable or TooMany."""
    all_of_them = callers(tuple(channels.values()))
    found = identify((client for _, client in all_of_them), request.headers.get("authorization"), "messages:read")
    own = [channel for channel, client in all_of_them if client == found]
    own[0].pace.keep(found)
    return [channel.name for channel in own], found.id


def _operations_routes(metrics: Metrics, ready: Ready) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/livez", summary="Does the process answer?")
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @router.get(
        "/readyz", summary="Can the node do its work?", responses={503: {"description": "What this node cannot do now"}}
    )
    async def readyz(response: Response) -> dict[str, Any]:
        """The node can do its work."""
        found = await ready()
        response.status_code = 503 if found.complaints else 200
        return {"status": "not ready" if found.complaints else "ready", **asdict(found)}

    @router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def exposition() -> Response:
        """Prometheus' text format."""
        await ready()  # brings the gauges up to date
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


class _OperationsGuard:
    """Lets only the machine itself, or the bearer of ``server.token``, at what operations needs."""

    def __init__(self, app: Application, server: Server) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        closed = scope["type"] == "http" and scope["path"].startswith(OPERATIONS)
        if closed and not (self._is_local(scope) or self._has_token(scope)):
            await _response(problem(404, "not_found", "There is nothing here."))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_local(self, scope: Scope) -> bool:
        """A proxy on this machine that is not declared must not make the whole world local."""
        proxied = not self._server.trusted_proxies and any(n == b"x-forwarded-for" for n, _ in scope["headers"])
        return not proxied and ip_address(caller(scope, self._server)).is_loopback

    def _has_token(self, scope: Scope) -> bool:
        if self._server.token is None:
            return False
        wanted = f"Bearer {self._server.token.get_secret_value()}".encode()
        return any(n == b"authorization" and hmac.compare_digest(v, wanted) for n, v in scope["headers"])


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)


def _counted_refusal(metrics: Metrics) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def refuse(_request: Request, error: Exception) -> Response:
        refused = cast("ChannelError", error)
        metrics.refused.labels("api", refused.reason).inc()
        return _response(refusal(refused))

    return refuse


async def _http_problem(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    kind, detail = {
        404: ("not_found", "There is nothing here."),
        405: ("method", "This path takes another method."),
    }.get(status, ("request", "The request cannot be served."))
    return _response(problem(status, kind, detail))


async def _failed_problem(_request: Request, error: Exception) -> Response:
    log.error("api_failed", error=type(error).__name__)
    return _response(problem(500, "internal", "A fault of ours; it is in the log."))


async def _invalid_problem(_request: Request, _error: Exception) -> Response:
    return _response(problem(422, "invalid", "A part of the path is not of the form that the contract asks for."))


async def _unavailable_problem(_request: Request, _error: Exception) -> Response:
    return _response(problem(503, "unavailable", "The store is not available; try again.", {"Retry-After": "2"}))


def describe(api: FastAPI, channels: Mapping[str, AnyChannel]) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's own routes, and the paths that channels serve in front of it."""
    document = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for channel in channels.values():
        if isinstance(channel, ApiChannel):
            described = channel.openapi()
            document["components"]["schemas"] |= described["schemas"]
            document["paths"] |= described["paths"]
    return document
