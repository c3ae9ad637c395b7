"""Making the fingerprints anew that a change of their version, or a store of before, leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from channels.errors import Malformed
from gateway.offload import Offload, OwnFault
from gateway.rules import reading
from normalizer.fingerprint import Fingerprint
from normalizer.model import KeptMessage, Message
from store.store import Store

log = structlog.get_logger(__name__)

#: Messages read, and written, at a time.
PAGE = 50


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did."""

    #: Fingerprints made.
    made: int
    #: Messages that could not be read again; they stay without.
    failed: int


async def rebuild(store: Store, since: datetime, progress: Callable[[int, int], None]) -> Rebuilt:
    """For messages received from ``since`` on; those that have one of the present version are left alone.

    So it is resumable: what a rebuild that was stopped has written is there. Nodes may run meanwhile. Raise StoreUnavailable.
    """
    prints = store.fingerprints()
    lacking = (await prints.state(since)).lacking
    made, done, last = 0, 0, None
    async with Offload() as offload:
        while page := await prints.lacking(since, last, PAGE):
            made += await prints.replace(await _made(offload, page))
            done, last = done + len(page), page[-1].id
            progress(done, max(done, lacking))
    log.info("index_rebuilt", made=made, failed=done - made)
    return Rebuilt(made, done - made)


async def _made(offload: Offload, page: Sequence[KeptMessage]) -> list[tuple[KeptMessage, Fingerprint]]:
    found = await asyncio.gather(*(_one(offload, kept) for kept in page))
    return [(kept, made) for kept, made in zip(page, found, strict=True) if made is not None]


async def _one(offload: Offload, kept: KeptMessage) -> Fingerprint | None:
    try:
        return Fingerprint.unpack(await offload.called(_packed, kept.message, kept.id))
    except (OwnFault, Malformed) as error:
        log.warning("not_fingerprinted", message=str(kept.id), reason=str(error))
        return None


def _packed(message: Message, message_id: UUID) -> bytes:
    """Runs in the worker."""
    return reading(message, message_id).prints
