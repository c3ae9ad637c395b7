"""RFC 9457 problem documents: how an API client is told what was wrong, without an echo of what it sent."""

from __future__ import annotations

import math
from http import HTTPStatus

import orjson
from pydantic import ValidationError

from channels.base import Answer, http_status
from channels.errors import ChannelError, Rebound, TooMany, Unauthenticated

MEDIA_TYPE = "application/problem+json"


def problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> Answer:
    """A problem of a kind (a word that stays the same, for programs) with a sentence (for people)."""
    document = {
        "type": f"/problems/{kind.replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Answer(status, orjson.dumps(document), MEDIA_TYPE, headers or {})


def refusal(error: ChannelError) -> Answer:
    """The problem that a channel's error is."""
    match error:
        case Unauthenticated():
            detail = error.detail or "The request is not authentic."
            return problem(401, error.reason, detail, {"WWW-Authenticate": "Bearer"})
        case Rebound():
            return problem(
                422, "idempotency-key-reused", "This Idempotency-Key already stands for another body; take a new one."
            )
        case TooMany():
            seconds = str(max(1, math.ceil(error.after_seconds)))
            return problem(429, error.reason, error.detail, {"Retry-After": seconds})
        case _ if error.retryable:
            return problem(503, "unavailable", "Nothing was kept; try again with the same key.", {"Retry-After": "2"})
        case _:
            return problem(http_status(error), error.reason, error.detail or "The request breaks the API contract.")


def sentence(error: ValidationError) -> str:
    """The first thing wrong with a body, by the field's name and the rule; a field we do not know is not named back."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        return "The body has a field that the contract does not know."
    place = ".".join(str(step) for step in first["loc"])
    return f"{place or 'The body'}: {first['msg'].removeprefix('Value error, ')}."
