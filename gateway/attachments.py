"""What citizens sent beside words, for the case core: ``GET /v1/matters/{matter_id}/attachments/{attachment_id}``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from channels.clients import identify
from channels.errors import Unacceptable
from channels.pace import Pace
from gateway.config import Config
from store.files import Files
from store.store import Store

SCOPE = "attachments:read"
#: Types a browser may show; all others are only saved. Never HTML, SVG or XML: they could hold a script.
SHOWN = frozenset(
    {"image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "audio/mpeg", "audio/ogg", "audio/amr"}
    | {"audio/x-wav", "video/mp4", "video/quicktime", "application/pdf"}
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "attachment",
    "Cache-Control": "private, no-store",
}


def attachments(store: Store, config: Config, files: Files) -> APIRouter:
    """The route; ``files`` is where they lie."""
    router, pace = APIRouter(tags=["updates"]), Pace()

    @router.get(
        "/v1/matters/{matter_id}/attachments/{attachment_id}",
        summary="A file of a matter",
        response_class=Response,
        openapi_extra={"security": [{"bearer": []}]},
        responses={404: {"description": "No such file, or it is not held (see `availability`)"}},
    )
    async def get_attachment(matter_id: UUID, attachment_id: str, request: Request) -> Any:
        """The content, as it came; its type as its content says."""
        pace.keep(identify(config.core.clients, request.headers.get("authorization"), SCOPE))
        matter = await store.matter(matter_id)
        found = [one for one in matter.attachments if one.id == attachment_id] if matter else []
        content = await files.get(found[0].sha256) if found and found[0].sha256 else None
        if content is None:
            raise Unacceptable("not_found", "There is no such file here.", status=404)
        said = found[0].media_type
        media_type = said if said in SHOWN else "application/octet-stream"
        return Response(content, media_type=media_type, headers=_HEADERS)

    return router
