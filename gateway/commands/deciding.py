"""What an operator decides by command: done by the node that owns the store, or by this process where none runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from gateway import control
from gateway.clock import now
from gateway.config import Config
from gateway.opening import open_books
from store.errors import NobodySuch, StoreError, StoreLocked
from store.store import Store

Do = Callable[[Store, dict[str, Any], datetime], Awaitable[Mapping[str, Any]]]
"""Does what is asked on a store: its answer, or ``error`` with a sentence."""


async def answer(config: Config, asked: dict[str, Any], do: Do) -> Mapping[str, Any]:
    """What came of it, ``error`` among it. Raise StoreLocked when the node that owns the store does not answer."""
    try:
        store = await open_books(config)
    except StoreLocked:
        return await control.ask_node(config, asked)
    try:
        return await do(store, asked, now())
    finally:
        await store.close()


async def done(
    config: Config, asked: dict[str, Any], do: Do, refusal: type[StoreError] = NobodySuch
) -> Mapping[str, Any]:
    """The same; an error is raised as ``refusal``."""
    told = await answer(config, asked, do)
    if "error" in told:
        raise refusal(told["error"])
    return told
