"""`gateway replay`: through the node that owns the store, or by a pipeline of our own when none runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from channels.base import AnyChannel
from gateway import control
from gateway.clock import now
from gateway.config import Config
from gateway.metrics import Metrics
from gateway.node import build_pipeline, open_node_store
from gateway.offload import Offload
from gateway.replay import Selection, preview, requeue
from store.errors import StoreLocked


async def preview_on(
    config: Config, channels: Mapping[str, AnyChannel], selection: Selection, out: Console, *, fields: bool
) -> int:
    """Say what a replay would change; nothing is written."""
    store = await open_node_store(config, owner=False)
    table = Table("envelope", "channel", "was", "would be", *(["fields"] if fields else []))
    total = changed = 0
    try:
        async for found in preview(store, channels, Offload(), selection):
            total += 1
            if found.changed:
                changed += 1
                row = (str(found.envelope_id), found.channel, ", ".join(found.was), found.would_be)
                table.add_row(*row, *([", ".join(found.changes)] if fields else []))
    finally:
        await store.close()
    if changed:
        out.print(table)
    out.print(f"{total} envelopes read again, {changed} would come out differently; nothing was written")
    return 0


async def replay_on(
    config: Config, channels: Mapping[str, AnyChannel], selection: Selection, out: Console, err: Console
) -> int:
    """Queue the selection's malformed and failed pieces again and see them through."""
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("replay", total=None)

        def progress(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        try:
            queued = await _replay_here(config, channels, selection, progress)
        except StoreLocked:
            queued = await _replay_there(config, selection, progress)
    out.print(f"{queued} envelopes queued again" if queued else "nothing to replay")
    return 0


async def _replay_here(
    config: Config, channels: Mapping[str, AnyChannel], selection: Selection, progress: Callable[[int, int], None]
) -> int:
    """Own the store, or share it on PostgreSQL; requeue, and work until what was requeued is done."""
    store = await open_node_store(config)
    try:
        queued = await requeue(store, selection, now, progress)
        pipeline = build_pipeline(config, channels, store, metrics=Metrics(), filed=lambda: None)
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
