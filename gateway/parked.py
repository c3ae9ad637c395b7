"""Events that a sink refused: finding them, and letting them go again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from uuid import UUID

from store.store import Store
from store.values import ParkedEvent


async def parked(store: Store) -> AsyncIterator[ParkedEvent]:
    """Every parked event, in order of writing."""
    last: ParkedEvent | None = None
    while page := await store.parked_events(last):
        for event in page:
            yield event
        last = page[-1]


async def retry(store: Store, wanted: Collection[UUID], at: datetime) -> int:
    """Release the parked events of these ids, or all where none is named; how many were."""
    ids = list(wanted) or list(dict.fromkeys([event.id async for event in parked(store)]))
    return sum([bool(await store.retry_event(event_id, at)) for event_id in ids])
