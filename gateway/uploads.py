"""What an API client sends beside words: ``POST /v1/attachments``, kept before it is named in a message.

Whether a message names an upload of its own client is looked up after the message is safe, like every other fetching of
files: the acknowledgement must not wait for the database, which may be away (docs/decisions/0008). What is not the
client's own is shown as missing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from channels.api import ApiChannel, callers
from channels.base import AnyChannel, File
from channels.clients import identify
from channels.errors import Unacceptable
from channels.forms import Part, parts
from channels.settings import Client
from gateway.clock import Clock
from gateway.media import media_type_of
from normalizer.file_name import shown_name
from store.files import Files
from store.media import Held
from store.uploads import Upload, Uploads

#: Bytes of a file, and of what a form puts around it.
MOST_BYTES, AROUND = 20 * 1024 * 1024, 64 * 1024
#: How long one may take to arrive, seconds; and uploads taken at once: each is held in memory.
UPLOAD_SECONDS, AT_ONCE = 120.0, 4

_OPENAPI: dict[str, Any] = {
    "security": [{"bearer": []}],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "20 MiB at most."}},
                }
            }
        },
    },
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        400: "No multipart/form-data",
        401: "No valid key",
        403: "The key lacks the scope",
        413: "File over 20 MiB",
        422: "Not one file, or an empty one",
        429: "More requests than this client may make",
        503: "Nothing was kept; try again",
    }.items()
}


class UploadAnswer(BaseModel):
    """What was kept."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    attachment_id: str
    """To be named in a message of the same client."""
    media_type: str
    """By the content."""
    size: int
    """Bytes."""
    sha256: str
    """Of the content, hex."""


def uploads(channels: Mapping[str, AnyChannel], files: Files, known: Uploads, clock: Clock) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["messages"])
    places = asyncio.Semaphore(AT_ONCE)

    @router.post(
        "/v1/attachments",
        status_code=201,
        summary="Upload a file, to be named in a message",
        response_model=UploadAnswer,
        openapi_extra=_OPENAPI,
        responses=_PROBLEMS,
    )
    async def post_attachment(request: Request) -> UploadAnswer:
        """Kept sealed, by its content; the name and type that the sender gives are not believed.

        Name it in a message within seven days: what none names is forgotten then.
        """
        channel, client = _uploader(channels, request)
        async with places:
            part = _file_of(request, await _read(request))
            held = await keep(files, bytes(part.content), part.file_name)
        upload = Upload(f"u{secrets.token_hex(16)}", channel.name, client.id, held)
        await known.add(upload, clock())
        return UploadAnswer(attachment_id=upload.id, media_type=held.media_type, size=held.size, sha256=held.sha256)

    return router


def hang_in(channels: Mapping[str, AnyChannel], files: Files, known: Uploads) -> None:
    """Let the channels whose clients upload find what they uploaded."""
    for channel in channels.values():
        if isinstance(channel, ApiChannel):
            channel.uploaded = _finder(channel.name, files, known)


def _finder(channel: str, files: Files, known: Uploads) -> Any:
    async def find(client: str, attachment_id: str) -> File | None:
        held = await known.find(channel, client, attachment_id)
        content = await files.get(held.sha256) if held else None
        return File(content, held.media_type, held.file_name) if held and content is not None else None

    return find


async def keep(files: Files, content: bytes, name: str | None) -> Held:
    """Put a file away, sealed. Raise StoreUnavailable."""
    return Held(await files.put(content), len(content), media_type_of(content), shown_name(name))


def _uploader(channels: Mapping[str, AnyChannel], request: Request) -> tuple[ApiChannel[Any, Any], Client]:
    """Whoever may write what an upload is for. Raise Unauthenticated, Unacceptable or TooMany."""
    able = [(channel, client) for channel, client in callers(tuple(channels.values())) if channel.fetches]
    authorization = request.headers.get("authorization")
    known = identify([client for _, client in able], authorization)
    for channel, client in able:
        if client == known and channel.scope in client.scopes:
            channel.pace.keep(client)
            return channel, client
    raise Unacceptable("scope", "This key lacks a scope that goes with uploads.", status=403)


async def _read(request: Request) -> bytes:
    """The whole body, within its limits. Raise Unacceptable."""
    found = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for piece in request.stream():
                found += piece
                if len(found) > MOST_BYTES + AROUND:
                    raise Unacceptable("oversized", "The file is larger than 20 MiB.", status=413)
    except TimeoutError:
        raise Unacceptable("slow", "The file takes too long to arrive.", status=408) from None
    return bytes(found)


def _file_of(request: Request, body: bytes) -> Part:
    """The one file of the form. Raise Unacceptable."""
    found = [part for part in parts(request.headers.get("content-type"), body) if part.file_name is not None]
    if len(found) != 1 or not found[0].content:
        raise Unacceptable("file", "Send one file that is not empty, as a part with a filename.")
    if len(found[0].content) > MOST_BYTES:
        raise Unacceptable("oversized", "The file is larger than 20 MiB.", status=413)
    return found[0]
