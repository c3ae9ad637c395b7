"""`gateway replay`: through the node that owns the store, or by a pipeline of our own when none runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping

from rich.console import Console

from channels.base import AnyChannel
from gateway import control
from gateway.clock import now
from gateway.commands.replay import progress_bar
from gateway.config import Config
from gateway.metrics import Metrics
from gateway.node import build_pipeline
from gateway.opening import open_books
from gateway.replay import Selection, requeue
from store.errors import StoreLocked


async def replay_on(
    config: Config,
    channels: Mapping[str, AnyChannel],
    selection: Selection,
    out: Console,
    err: Console,
    *,
    as_json: bool = False,
) -> int:
    """Queue the selection's malformed and failed pieces again and see them through."""
    with progress_bar(err) as (_, progress):
        try:
            queued = await _replay_here(config, channels, selection, progress)
        except StoreLocked:
            queued = await _replay_there(config, selection, progress)
    if as_json:
        print(json.dumps({"queued": queued}), file=out.file)
    else:
        out.print(f"{queued} envelopes queued again" if queued else "nothing to replay")
    return 0


async def _replay_here(
    config: Config, channels: Mapping[str, AnyChannel], selection: Selection, progress: Callable[[int, int], None]
) -> int:
    """Own the store, or share it on PostgreSQL; requeue, and work until what was requeued is done."""
    store = await open_books(config)
    try:
        queued = await requeue(store, selection, now, progress)
        pipeline = build_pipeline(config, channels, store, metrics=Metrics(), filed=lambda _: None)
        async with asyncio.TaskGroup() as group:
            working = group.create_task(pipeline.run())
            for envelope_id in queued:
                while await store.is_pending(envelope_id):  # noqa: ASYNC110 - other nodes may do the work
                    await asyncio.sleep(0.05)
            working.cancel()
    finally:
        await store.close()
    return len(queued)


async def _replay_there(config: Config, selection: Selection, progress: Callable[[int, int], None]) -> int:
    """Ask the node that owns the store. Raise StoreLocked when it takes no commands or does not finish this one."""
    with contextlib.suppress(control.NoNode):
        async for told in control.ask_requeue(config, selection):
            if "queued" in told:
                return told["queued"]
            progress(told["done"], told["of"])
    raise StoreLocked("the process that owns the store did not do it; see its log, or stop it and try again")
