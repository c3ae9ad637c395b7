"""Forgetting: what API clients uploaded and no message has named (``store.uploads.PATIENCE``), file and all, and the
fingerprints of messages too old to be compared (``store.fingerprints.KEPT``).
"""

from __future__ import annotations

import asyncio

import structlog

from gateway.clock import Clock
from store.files import Files
from store.fingerprints import KEPT
from store.store import Store
from store.uploads import PATIENCE

log = structlog.get_logger(__name__)

#: Between two sweeps.
SWEEP_SECONDS = 3600.0


async def sweeping(store: Store, files: Files, clock: Clock) -> None:
    """Now and then, on one node at a time; until cancelled."""
    lead = store.lead("uploads")
    while True:
        await lead.gained()
        try:
            await sweep(store, files, clock)
            await sweep_fingerprints(store, clock)
        except Exception as error:  # noqa: BLE001 - what is left comes with the next sweep
            log.warning("not_swept", error=type(error).__name__)
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep(store: Store, files: Files, clock: Clock) -> int:
    """The bytes go first, so that a sweep that is cut off is ended by the next. Raise StoreUnavailable."""
    before, known = clock() - PATIENCE, store.uploads()
    unnamed = await known.unnamed(before)
    for sha256 in unnamed:
        if await files.remove(sha256, before):
            await known.forget(sha256, before)
    if unnamed:
        log.info("uploads_swept", files=len(unnamed))
    return len(unnamed)


async def sweep_fingerprints(store: Store, clock: Clock) -> int:
    """A few at a time, so that nobody waits for it. Raise StoreUnavailable."""
    forgotten, known = 0, store.fingerprints()
    while some := await known.forget(clock() - KEPT):
        forgotten += some
    if forgotten:
        log.info("fingerprints_swept", rows=forgotten)
    return forgotten
