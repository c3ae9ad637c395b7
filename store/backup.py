"""Backup and restore of a SQLite store. The key file is never part of it: whoever has both can read everything.

The copy is made beside the node that owns the file, by SQLite's online backup within one read transaction: it shows one
moment, needs no lock of the writer, and is not started anew when the node commits, as it is without that transaction
(sqlite.org/c3ref/backup_finish.html). While it runs the node's WAL file grows by what the node writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from store import archive, books, disk, schema
from store.errors import BackupRefused, NoStore
from store.keys import Keyring, load
from store.sqlite import own, sqlite_driver
from store.values import Books

#: Names inside the archive.
DATABASE, FILES = "gateway.db", "files"
#: Pages copied between two looks at the progress: 4 MB.
PAGES = 1_000

#: Hears of a stage and of how much of it is done, in bytes.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store lives: its SQLite file, its folder of attachments, its key file."""

    database: Path
    files: Path
    keys: Path


@dataclass(frozen=True, slots=True)
class Saved:
    """What a backup holds."""

    #: The moment it shows.
    at: datetime
    #: Bytes of the archive; number of attachments.
    size: int
    files: int
    #: None when the store is of an earlier version, whose books this program does not read.
    books: Books | None


def back_up(place: Place, target: Path, progress: Progress) -> Saved:
    """Save the store in the new file ``target``; it is whole, checked and on the disk, or it is not there.

    Raise BackupRefused, NoStore, KeyFileError, SchemaMismatch.
    """
    _refuse_to_overwrite(target)
    if not target.parent.is_dir():
        raise BackupRefused(f"{target.parent} is no folder: make it first")
    if not place.database.exists():
        raise NoStore(f"there is no store at {place.database} yet: there is nothing to save")
    keyring = load(place.keys)
    with _unfinished(target) as folder:
        at, copy = datetime.now(UTC), folder / DATABASE
        _copy(place.database, copy, lambda done, of: progress("copy", done, of))
        counted = _examine(copy, keyring, progress)
        os.utime(copy, (at.timestamp(), at.timestamp()))  # for whoever restores it: what came later is not in it
        attached = _attachments(place.files)
        size = copy.stat().st_size + sum(path.stat().st_size for path in attached if path.exists())
        packed = folder / "archive"
        members = _members(copy, place.files, attached)
        count = archive.pack(packed, members, lambda done: progress("pack", done, size)) - 1
        _refuse_to_overwrite(target)
        disk.move(packed, target)
    return Saved(at, target.stat().st_size, count, counted)


def restore(source: Path, place: Place, progress: Progress) -> Saved:
    """Put a backup in place where no store is; the database comes last, so a store that is there is whole.

    Raise BackupRefused, StoreLocked, KeyFileError, SchemaMismatch; then nothing was put in place.
    """
    if not source.is_file():
        raise BackupRefused(f"{source} is no file: name a backup that `gateway backup` made")
    keyring = load(place.keys)
    with own(place.database), _unfinished(place.files) as attached, _unfinished(place.database) as folder:
        _refuse_to_replace(place)
        size = source.stat().st_size
        archive.check(source, lambda done: progress("check", done, size))
        copy, count = folder / DATABASE, 0

        def where(name: PurePosixPath) -> Path:
            nonlocal count
            if name == PurePosixPath(DATABASE):
                return copy
            if name.parts[0] != FILES or ".." in name.parts:
                raise BackupRefused(f"{source} holds something else than a store and its files")
            count += 1
            return attached.joinpath(*name.parts)

        archive.unpack(source, where, lambda done: progress("unpack", done, size))
        counted = _examine(copy, keyring, progress)
        at = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
        if count:
            for below, _, _ in os.walk(attached, topdown=False):
                disk.sync(Path(below))
            disk.move(attached / FILES, place.files)
        disk.move(copy, place.database)
    return Saved(at, size, count, counted)


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists():
        raise BackupRefused(f"{target} is there already: name another file, backups are never overwritten")


def _refuse_to_replace(place: Place) -> None:
    for suffix in ("", "-wal", "-journal"):
        there = place.database.with_name(place.database.name + suffix)
        if there.exists():
            raise BackupRefused(f"{there} is there already: move it away first, or name another file in store.url")
    if place.files.exists() and any(place.files.iterdir()):
        raise BackupRefused(f"{place.files} is not empty: move it away first, or name another folder in store.files")


@contextlib.contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` for what is not finished; what a killed run left in it is removed."""
    folder = target.with_name(f".{target.name}.unfinished")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRefused(f"another run is at work in {folder}: wait until it is done") from None
        try:
            _empty(folder)
            yield folder
        finally:
            shutil.rmtree(folder)
    finally:
        os.close(handle)


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _copy(source: Path, target: Path, told: Callable[[int, int], None]) -> None:
    """A copy of a SQLite file that others may be writing to, as it is at this moment; on the disk when this returns."""
    driver = sqlite_driver()
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        contextlib.closing(
            driver.connect(_uri(source, "mode=rw"), uri=True, timeout=30, isolation_level=None)
        ) as reading,
        contextlib.closing(driver.connect(str(target), isolation_level=None)) as writing,
    ):
        try:
            (page,) = reading.execute("PRAGMA page_size").fetchone()
            reading.execute("BEGIN")
            reading.execute("SELECT 1 FROM sqlite_master").fetchall()  # the transaction reads from here on
            writing.execute("PRAGMA synchronous=OFF")  # synced once, below
            reading.backup(
                writing, pages=PAGES, progress=lambda _, left, total: told((total - left) * page, total * page)
            )
        except driver.Error as error:
            raise BackupRefused(
                f"{source} cannot be copied ({error}): see that the disk is sound and has room"
            ) from None
    disk.sync(target)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{options}"


def _examine(copy: Path, keyring: Keyring, progress: Progress) -> Books | None:
    """The books of a copy nobody writes to. Raise BackupRefused, KeyFileError or SchemaMismatch for what is no use."""
    size = copy.stat().st_size
    progress("examine", 0, size)
    driver = sqlite_driver()
    engine = create_engine(
        "sqlite://",
        creator=lambda: driver.connect(_uri(copy, "mode=ro&immutable=1"), uri=True),
        module=driver,
        poolclass=NullPool,
        hide_parameters=True,
    )
    try:
        with engine.connect() as connection:
            counted = _read(connection, keyring)
    except DBAPIError as error:
        raise BackupRefused(f"this is no whole store ({error.orig}): use another backup") from None
    progress("examine", size, size)
    return counted


def _read(connection: Connection, keyring: Keyring) -> Books | None:
    if connection.execute(text("PRAGMA integrity_check")).scalars().all() != ["ok"]:
        raise BackupRefused("this store is damaged (PRAGMA integrity_check): use another backup")
    older = schema.is_older(connection)
    schema.tie_keys(connection, keyring, owner=False)
    return None if older else books.reconcile(connection)


def _attachments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _members(copy: Path, folder: Path, attached: list[Path]) -> Iterator[tuple[str, IO[bytes]]]:
    """What belongs into the archive; the copy comes first: what its rows name is in the folder already."""
    with copy.open("rb") as file:
        yield DATABASE, file
    for path in attached:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # erased meanwhile
            yield f"{FILES}/{path.relative_to(folder).as_posix()}", file
