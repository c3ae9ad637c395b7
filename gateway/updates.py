"""What the case core tells: ``POST /v1/matters/{matter_id}/updates``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Literal
from uuid import UUID

import orjson
import uuid_utils.compat
from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from channels.api import idempotency_key
from channels.base import AnyChannel
from channels.clients import identify
from channels.errors import Unacceptable
from channels.pace import Pace
from channels.problem import sentence
from gateway.clock import Clock
from gateway.config import Config
from gateway.replies import composing
from normalizer.model import Binding
from normalizer.reply import ReplyKind
from store.errors import BindingReused
from store.store import Store
from store.updates import Update

SCOPE = "updates:write"
#: Bytes of a body.
MOST_BYTES = 128 * 1024


class UpdateBody(BaseModel):
    """The body of an update."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    type: Literal["accepted", "not_accepted", "progress", "question", "result", "closed", "return_visit"]
    """What the core tells."""
    text: Annotated[str, Field(strict=True, max_length=5000)] = ""
    """Sent to the citizen; required but for ``accepted`` and ``closed``."""
    case_number: Annotated[str, Field(strict=True, min_length=1, max_length=100)] | None = None
    """The core's own number of the case."""
    reason: Annotated[str, Field(strict=True, max_length=2000)] | None = None
    """Why it is not accepted."""
    where_to: Annotated[str, Field(strict=True, max_length=2000)] | None = None
    """The way the citizen can go instead."""
    unit: Annotated[str, Field(strict=True, max_length=200)] | None = None
    """Who handles it."""
    occurred_at: AwareDatetime | None = None
    """When it happened, RFC 3339 with offset."""

    @model_validator(mode="after")
    def _says_something(self) -> UpdateBody:
        if self.type not in {"accepted", "closed"} and not self.text.strip():
            raise ValueError(f"text is required for {self.type}: it is what the citizen is told")
        if any(
            "\0" in words for words in (self.text, self.case_number, self.reason, self.where_to, self.unit) if words
        ):
            raise ValueError("no text may contain the character NUL")
        return self


class UpdateAnswer(BaseModel):
    """What became of an update."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    update_id: UUID
    """Ours; the same for every repetition of key and body."""
    reply_state: str
    """``queued``: the citizen will be told; ``failed``: there is no way to him; ``sent``: there was nothing to tell."""


def updates(
    store: Store, config: Config, channels: Mapping[str, AnyChannel], clock: Clock, queued: Callable[[], None]
) -> APIRouter:
    """The route; ``queued`` rings whoever sends replies."""
    router, pace = APIRouter(tags=["updates"]), Pace()

    @router.post(
        "/v1/matters/{matter_id}/updates",
        status_code=202,
        summary="Tell about a matter, and its citizen",
        response_model=UpdateAnswer,
        openapi_extra=_OPENAPI,
    )
    async def post_update(matter_id: UUID, request: Request) -> Response:
        """Accepted, progress, a question, the result: kept, and sent on the citizen's own channel, once."""
        client = identify(config.core.clients, request.headers.get("authorization"), SCOPE)
        pace.keep(client)
        key = idempotency_key(request.headers.get("idempotency-key"))
        raw = await _read(request)
        body = _parse(raw)
        told = Update(
            id=uuid_utils.compat.uuid7(),
            matter_id=matter_id,
            kind=ReplyKind(body.type),
            client=client.id,
            binding=Binding(f"{client.id}\n{key}", hashlib.sha256(matter_id.bytes + raw).digest()),
            at=clock(),
            content=body.model_dump(mode="json"),
        )
        try:
            answer = await store.tell(told, composing(config, channels, told.kind, body.text))
        except BindingReused:
            raise Unacceptable(
                "idempotency-key-reused", "This Idempotency-Key already stands for another body.", status=422
            ) from None
        if answer is None:
            raise Unacceptable("not_found", "There is no such matter.", status=404)
        queued()
        content = {"update_id": str(answer.update_id), "reply_state": answer.reply_state}
        return Response(orjson.dumps(content), 202, media_type="application/json")

    return router


async def _read(request: Request) -> bytes:
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > MOST_BYTES:
            raise Unacceptable("oversized", "The body is larger than 128 KiB.", status=413)
    return bytes(found)


def _parse(raw: bytes) -> UpdateBody:
    try:
        return UpdateBody.model_validate(orjson.loads(raw))
    except orjson.JSONDecodeError:
        raise Unacceptable("json", "The body is not JSON in UTF-8.", status=400) from None
    except ValidationError as error:
        raise Unacceptable("body", sentence(error)) from None


_OPENAPI = {
    "security": [{"bearer": []}],
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": "1 to 255 visible ASCII characters, unique per client for ever.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": UpdateBody.model_json_schema()}},
    },
}
