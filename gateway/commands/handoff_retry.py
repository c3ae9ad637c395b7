"""`gateway handoff retry`: letting go again what a sink refused."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from rich.console import Console

from gateway import control
from gateway.clock import now
from gateway.config import Config
from gateway.opening import open_books
from gateway.parked import retry
from store.errors import StoreLocked


async def retry_parked(config: Config, wanted: Collection[UUID], out: Console) -> int:
    """Let these parked events go again, or all of them; 1 when one that was named is not parked."""
    try:
        released = await _retry_here(config, wanted)
    except StoreLocked:
        released = await control.ask_retry(config, wanted)
    out.print(f"{released} parked events go again, under their own ids" if released else "nothing was parked")
    return 1 if released < len(wanted) else 0


async def _retry_here(config: Config, wanted: Collection[UUID]) -> int:
    store = await open_books(config)
    try:
        return await retry(store, wanted, now())
    finally:
        await store.close()
