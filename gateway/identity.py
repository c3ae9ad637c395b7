"""Opening a sealed identity, as a command asks it: of the store that this process owns, or of the node that does."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from store.breakglass import Opened
from store.errors import IdentitySealed, NobodySuch
from store.store import Store

#: What can be asked for, by ``do``.
REQUEST, APPROVE = "identity_request", "identity_approve"
ASKED = frozenset({REQUEST, APPROVE})


async def do(store: Store, asked: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Do what is asked; the answer, or ``error`` with a sentence. Raise StoreUnavailable."""
    glass = store.breakglass()
    try:
        if asked["do"] == REQUEST:
            return {"request": str(await glass.request(asked["matter"], asked["by"], asked["reason"], at))}
        return {"identity": _written(await glass.approve(UUID(asked["request"]), asked["by"], at))}
    except (NobodySuch, IdentitySealed) as error:
        return {"error": str(error)}


def _written(opened: Opened) -> dict[str, Any]:
    """As JSON holds it."""
    return {
        "matter_id": str(opened.matter_id),
        "tracking_code": opened.tracking_code,
        "caller_id": str(opened.caller_id),
        "party": opened.party.model_dump(mode="json"),
        "requested_by": opened.requested_by,
        "approved_by": opened.approved_by,
        "reason": opened.reason,
    }
