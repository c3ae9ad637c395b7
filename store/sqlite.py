"""SQLite: one file, owned by one process, written by one thread."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from store.errors import NoStore, StoreLocked, StoreUnavailable
from store.transactions import Database, Transaction, translated

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: First version without the WAL-reset fault (sqlite.org, 3.7.0 to 3.51.2), which needs two connections that write.
SQLITE_SOUND = (3, 51, 3)
#: Pages between checkpoints: 20,000 instead of 1,000 gives a third more rows a second (docs/decisions/0002).
CHECKPOINT_PAGES = 20_000
#: Of a small disk, the log takes this share before it is folded into the file, or SQLite's own 1,000 pages if that is more:
#: a log that fills the disk could not be folded any more.
LOG_SHARE, LEAST_PAGES, PAGE_BYTES = 0.02, 1000, 4096


class SQLite(Database):
    """One file, one process, one thread that writes; readers beside it."""

    shared = False

    def __init__(self, url: URL, prepare: Callable[[Engine], None], *, owner: bool) -> None:
        self.path = Path(url.database or "gateway.db")
        self._lock = own(self.path) if owner else None
        if not owner and not self.path.exists():
            raise NoStore(f"there is no store at {self.path} yet: `gateway serve` or `gateway demo` makes it")
        self._engine = _sqlite_engine(self.path)
        prepare(self._engine)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="store-read")
        self._jobs: queue.PriorityQueue[tuple[int, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._closed = False
        self._writer = threading.Thread(target=self._work, name="store-write", daemon=True)
        self._writer.start()

    async def write(
        self, transaction: Transaction[T], *, urgent: bool = False, durable: bool = True, seconds: float | None = 60
    ) -> T:
        """Queue it for the writer thread; a local file needs no ``seconds``."""
        del seconds
        return await self._queue(lambda: self._run(transaction, durable=durable), urgent=urgent)

    async def _queue(self, call: Callable[[], T], *, urgent: bool = False) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                _tell(loop, future, result=call())
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
                _tell(loop, future, error=error)

        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._jobs.put((0 if urgent else 1, next(self._order), job))
        return await future

    async def read(self, transaction: Transaction[T], *, seconds: float | None = 60) -> T:
        """Run on a reader's connection: it sees the last commit and waits for nobody."""
        del seconds
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._run, transaction)

    async def shrink(self) -> None:
        """Give the free pages of the file, and its WAL, back to the disk."""

        def vacuum() -> None:
            try:
                with self._engine.connect() as connection:
                    _driver(connection).execute("VACUUM")
                    _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (DBAPIError, OSError) as error:
                raise translated(error) from error

        await self._queue(vacuum)

    def size(self) -> int:
        """Bytes on the disk, the WAL included."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def close(self) -> None:
        """Finish what is queued, fold the WAL into the file, give up the lock."""
        self._closed = True
        self._jobs.put((2, next(self._order), None))
        await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def _work(self) -> None:
        while (job := self._jobs.get()[2]) is not None:
            job()

    def _run(self, transaction: Transaction[T], *, durable: bool = True) -> T:
        try:
            with self._engine.connect() as connection, _synchronous(connection, full=durable), connection.begin():
                return transaction(connection)
        except (DBAPIError, OSError) as error:
            raise translated(error) from error


@contextlib.contextmanager
def _synchronous(connection: Connection, *, full: bool) -> Iterator[None]:
    """Without ``full``, commits in here are not synced; the next synced one takes them along (sqlite.org, WAL mode)."""
    if full:
        yield
        return
    driver = _driver(connection)
    driver.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        driver.execute("PRAGMA synchronous=FULL")


def _driver(connection: Connection) -> Any:
    """The driver's own connection, to which SQLAlchemy says no BEGIN."""
    return connection.connection.driver_connection


def _tell(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any = None, error: BaseException | None = None
) -> None:
    """Settle a future from the writer thread, unless nobody waits any more."""

    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def own(path: Path) -> IO[bytes]:
    """The lock on a SQLite file, held until closed or the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StoreLocked(
            f"{path} is in use by a running gateway: stop it, or use PostgreSQL for several nodes"
        ) from None
    os.set_inheritable(lock.fileno(), False)
    return lock


def sqlite_driver() -> ModuleType:
    """pysqlite3 where a wheel exists, else the interpreter's own: sound with the one connection that we write by."""
    try:
        module = import_module("pysqlite3")
    except ImportError:
        module = import_module("sqlite3")
    if module.sqlite_version_info < SQLITE_SOUND:
        log.warning("sqlite_old", version=module.sqlite_version, advice="one process only; do not write by other tools")
    return module


def _checkpoint_pages(folder: Path) -> int:
    disk = os.statvfs(folder)
    share = int(disk.f_blocks * disk.f_frsize * LOG_SHARE) // PAGE_BYTES
    return min(CHECKPOINT_PAGES, max(LEAST_PAGES, share))


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), module=sqlite_driver(), pool_size=3, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={_checkpoint_pages(path.parent)}",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = threading.current_thread().name == "store-write"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
