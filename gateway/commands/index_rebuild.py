"""`gateway index rebuild`: making the fingerprints anew that are lacking."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gateway import control
from gateway.config import Config
from gateway.opening import open_books
from gateway.rebuild import Rebuilt, rebuild
from store.errors import StoreLocked


async def rebuild_on(config: Config, since: datetime, out: Console, err: Console, *, as_json: bool) -> int:
    """Make what is lacking, here or through the node that owns the store; 1 when a message could not be read again."""
    with _bar(err) as progress:
        try:
            done = await _rebuild_here(config, since, progress)
        except StoreLocked:
            done = await _rebuild_there(config, since, progress)
    if done is None:
        out.print("stopped; what was made is there, and the next rebuild goes on from it")
        return 1
    if as_json:
        print(json.dumps(asdict(done)), file=out.file)
    else:
        out.print(f"{done.made} fingerprints made" if done.made else "nothing to make")
        if done.failed:
            out.print(f"[red]✗[/red] {done.failed} messages could not be read again; the log names them")
    return 1 if done.failed else 0


async def _rebuild_here(config: Config, since: datetime, progress: Callable[[int, int], None]) -> Rebuilt | None:
    store = await open_books(config)
    try:
        return await rebuild(store, since, progress)
    except asyncio.CancelledError:  # Ctrl-C: this is the outermost coroutine, nobody else waits for it
        return None
    finally:
        await store.close()


async def _rebuild_there(config: Config, since: datetime, progress: Callable[[int, int], None]) -> Rebuilt:
    with contextlib.suppress(control.NoNode):
        async for told in control.ask_rebuild(config, since):
            if "made" in told:
                return Rebuilt(told["made"], told["failed"])
            progress(told["done"], told["of"])
    raise StoreLocked("the process that owns the store did not do it; see its log, or stop it and try again")


@contextlib.contextmanager
def _bar(err: Console) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr; none when that is no terminal."""
    columns = (TextColumn("rebuild"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("rebuild", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
