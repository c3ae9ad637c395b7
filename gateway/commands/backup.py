"""`gateway backup` and `gateway restore`: progress while it works, and what there is afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.engine import make_url

from gateway.commands.reconcile import print_books
from gateway.config import Config
from store import backup
from store.backup import Place, Saved


def back_up(config: Config, target: Path, out: Console, err: Console) -> int:
    """Save the store; 1 when its books do not balance. Raise StoreError when there is no backup then."""
    with _bars(err) as progress:
        saved = backup.back_up(_place(config), target, progress)
    out.print(f"[green]✓[/green] saved in {escape(str(target))}: {_told(saved)}")
    out.print(f"  {escape(str(config.keys.file))} is not in it: save it apart, nothing can be read again without it")
    if _in_bucket(config):
        out.print(f"  nor what lies in {escape(config.store.files)}: the bucket keeps versions, or copies of its own")
    return _books(saved, out)


def restore_from(config: Config, source: Path, out: Console, err: Console) -> int:
    """Put a backup in place; 1 when its books do not balance. Raise StoreError when nothing was put in place."""
    place = _place(config)
    with _bars(err) as progress:
        saved = backup.restore(source, place, progress)
    out.print(f"[green]✓[/green] restored to {escape(str(place.database))}: {_told(saved)}")
    out.print("  `gateway serve` sends the core again what it may not have got, under the same event ids")
    return _books(saved, out)


def _place(config: Config) -> Place:
    """What lies in a bucket is not packed; attachments in a backup are then unpacked beside the database."""
    database = make_url(config.store.url).database or ""
    files = f"{database}.files" if _in_bucket(config) else config.store.files
    return Place(Path(database), Path(files), Path(config.keys.file))


def _in_bucket(config: Config) -> bool:
    return config.store.files.startswith("s3://")


def _told(saved: Saved) -> str:
    return f"the store of {saved.at:%Y-%m-%d %H:%M:%S} UTC, {saved.files} attachments, {saved.size:,} bytes"


def _books(saved: Saved, out: Console) -> int:
    if saved.books is None:
        out.print("  the store is of an earlier version: run `gateway migrate` before `gateway reconcile`")
        return 0
    print_books(saved.books, out)
    return 0 if saved.books.balanced else 1


@contextlib.contextmanager
def _bars(err: Console) -> Iterator[backup.Progress]:
    """A bar for each stage, where somebody looks."""
    columns = (TextColumn("{task.description:<8}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        tasks = {}

        def progress(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=of)

        yield progress
