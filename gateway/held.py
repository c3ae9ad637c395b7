"""What waits for a person, as a command asks about it: of the store that this process owns, or of the node that does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gateway.config import Conduct
from normalizer.model import Outcome
from store.errors import NobodySuch
from store.holdbook import HoldBook
from store.people import Word
from store.store import Store

if TYPE_CHECKING:
    from gateway.metrics import Metrics

#: What can be asked for, by ``do``.
READ, RELEASE, REFUSE = "held_read", "held_release", "held_refuse"
ASKED = frozenset({READ, RELEASE, REFUSE})


async def do(
    store: Store, asked: dict[str, Any], at: datetime, settings: Conduct, metrics: Metrics | None = None
) -> dict[str, Any]:
    """Do what is asked; the answer, or ``error`` with a sentence. Raise StoreUnavailable."""
    word, message_id = Word(asked["by"], asked["reason"], at), UUID(asked["message"])
    try:
        if asked["do"] == READ:
            return await _read(store.holds(), message_id, word)
        if asked["do"] == RELEASE:
            return {"released": await store.holds().release(message_id, word, every=asked["every"])}
        flags_last = timedelta(days=settings.flag_days)
        refused = await store.holds().refuse(message_id, word, flags_last, every=asked["every"])
    except NobodySuch as error:
        return {"error": str(error)}
    if metrics is not None:
        for channel in refused:
            metrics.outcomes.labels(channel, Outcome.REFUSED).inc()
    return {"refused": len(refused)}


async def _read(holds: HoldBook, message_id: UUID, word: Word) -> dict[str, Any]:
    kept = await holds.read(message_id, word)
    said = kept.message
    return {
        "channel": kept.channel,
        "received_at": kept.received_at.isoformat(),
        "title": said.title,
        "text": said.text,
        "attachments": [one.kind for one in said.attachments],
    }
