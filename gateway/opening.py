"""The store, for a command. A node opens it with what takes deliveries beside it, and brings all its code along."""

from __future__ import annotations

from pathlib import Path

from gateway.config import Config
from store.books import CORE
from store.opening import Standby, open_store
from store.store import Store


async def open_books(
    config: Config, *, owner: bool = True, migrate: bool = False, standby: Standby | None = None
) -> Store:
    """The store that the configuration names; see :func:`store.opening.open_store`."""
    return await open_store(
        config.store.url,
        Path(config.keys.file),
        owner=owner,
        migrate=migrate,
        standby=standby,
        sinks=(CORE, *config.core.copies),
    )
