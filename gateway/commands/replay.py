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
            pieces = await _replay_here(config, channels, selection, progress)
        except StoreLocked:
            pieces = await _replay_there(config, selection, progress)
    out.print(f"{pieces} pieces queued again" if pieces else "nothing to replay")
    return 0


async def _replay_here(
    config: Config, channels: Mapping[str, AnyChannel], selection: Selection, progress: Callable[[int, int], None]
) -> int:
    """Own the store, or share it on PostgreSQL; requeue, and work until the queue is empty."""
    store = await open_node_store(config)
    try:
        pieces = await requeue(store, selection, now, progress)
        pipeline = build_pipeline(config, channels, store, metrics=Metrics(), filed=lambda: None)
        working = asyncio.create_task(pipeline.run())
        try:
            while await store.pending():  # noqa: ASYNC110 - other nodes may do the work
                await asyncio.sleep(0.05)
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
    finally:
        await store.close()
    return pieces


async def _replay_there(config: Config, selection: Selection, progress: Callable[[int, int], None]) -> int:
    """Ask the node that owns the store."""
    pieces = 0
    try:
        async for told in control.ask_requeue(config, selection):
            if "pieces" in told:
                pieces = told["pieces"]
            else:
                progress(told["done"], told["of"])
    except control.NoNode:
        raise StoreLocked("the store is in use by a process that takes no commands; stop it first") from None
    return pieces
