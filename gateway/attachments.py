"""What citizens sent beside words, for the case core: ``GET /v1/matters/{matter_id}/attachments/{attachment_id}``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from channels.clients import identify
from channels.errors import Unacceptable
from channels.pace import Pace
from gateway.config import Config, ScanSettings
from normalizer.model import Attachment
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
        responses={
            403: {
                "description": "The key lacks the scope; or a virus was found (`infected`), or none could be looked for (`unscanned`)"
            },
            404: {"description": "No such file, or it is not held (see `availability`)"},
        },
    )
    async def get_attachment(matter_id: UUID, attachment_id: str, request: Request) -> Any:
        """The content, as it came; its type as its content says."""
        pace.keep(identify(config.core.clients, request.headers.get("authorization"), SCOPE))
        matter = await store.matter(matter_id)
        found = next((one for one in matter.attachments if one.id == attachment_id), None) if matter else None
        if found is not None:
            _check(found, config.store.scan)
        content = await files.get(found.sha256) if found and found.sha256 else None
        if found is None or content is None or found.availability != "held":
            raise Unacceptable("not_found", "There is no such file here.", status=404)
        said = found.media_type
        media_type = said if said in SHOWN else "application/octet-stream"
        return Response(content, media_type=media_type, headers=_HEADERS)

    return router


def _check(file: Attachment, scan: ScanSettings | None) -> None:
    """Raise Unacceptable for what may not leave the house. What was found stands in the matter, ``scan_reason``."""
    if file.scan == "infected":
        raise Unacceptable("infected", "A virus was found in this file; it is kept and not given out.", status=403)
    if file.availability == "held" and file.scan != "clean" and scan is not None and scan.withhold_unscanned:
        raise Unacceptable("unscanned", "This file could not be scanned for viruses; it is kept.", status=403)
