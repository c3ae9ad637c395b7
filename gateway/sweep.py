"""Forgetting what API clients uploaded and no message has named (``store.uploads.PATIENCE``), file and all."""

from __future__ import annotations

import asyncio

import structlog

from gateway.clock import Clock
from store.files import Files
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
        except Exception as error:  # noqa: BLE001 - what is left comes with the next sweep
            log.warning("uploads_not_swept", error=type(error).__name__)
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
