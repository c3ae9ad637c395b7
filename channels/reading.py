"""What several adapters read alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from normalizer.model import Attachment, AttachmentKind, CoordinateSystem, Envelope, Place

#: Nothing was sent before: Weibo opened in August 2009, WeChat's official accounts in 2012.
EARLIEST = datetime(2009, 8, 1, tzinfo=UTC)
_DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,20})?")


def one_word(name: str, otherwise: str) -> str:
    """``name`` as the reason of a notice."""
    return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")[:60] or otherwise


def plausible(moment: datetime, envelope: Envelope) -> bool:
    """Whether a message can have been sent then."""
    return EARLIEST <= moment <= envelope.received_at + timedelta(days=1)


def place(longitude: str, latitude: str, text: str | None = None) -> dict[str, Any]:
    """A place on Chinese maps; coordinates that are none are dropped and flagged, the words kept."""
    east, north = _degrees(longitude, 180), _degrees(latitude, 90)
    if east is None or north is None:
        return {"place": Place(text=text), "flags": ("odd_place",)}
    return {"place": Place(text=text, longitude=east, latitude=north, crs=CoordinateSystem.GCJ_02)}


def _degrees(stated: str, limit: int) -> float | None:
    degrees = float(stated) if _DEGREES.fullmatch(stated) else None
    return degrees if degrees is not None and abs(degrees) <= limit else None


def attached(kind: AttachmentKind, reference: str | None, media_type: str | None = None) -> dict[str, Any]:
    """The one attachment of a message."""
    return {"attachments": (Attachment(id="0", kind=kind, reference=reference, media_type=media_type),)}
