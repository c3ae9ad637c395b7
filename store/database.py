"""Two databases behind one verb: run this transaction.

A transaction is a plain function of a SQLAlchemy connection, the same for both. SQLite runs it on the one thread that
writes; PostgreSQL runs it on a pooled asyncpg connection (``run_sync``). No other file knows which it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import logging
import os
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store.errors import NoStore, StoreError, StoreLocked, StoreUnavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")
Transaction = Callable[[Connection], T]

#: First version without the WAL-reset fault (sqlite.org, 3.7.0 to 3.51.2), which needs two connections that write.
SQLITE_SOUND = (3, 51, 3)
#: Pages between checkpoints: 20,000 instead of 1,000 gives a third more rows a second (docs/decisions/0002).
CHECKPOINT_PAGES = 20_000
#: SQLSTATE classes that are the data's fault though asyncpg's dialect has no class for them: data exception, program
#: limit exceeded (postgresql.org, appendix A).
DATA_FAULTS = ("22", "54")


def _without_rows(record: logging.LogRecord) -> bool:
    """At DEBUG SQLAlchemy logs the rows it reads, already opened: never, whatever level is set."""
    return record.levelno > logging.DEBUG


logging.getLogger("sqlalchemy.engine.Engine").addFilter(_without_rows)


class Database(ABC):
    """Runs transactions. Raise StoreUnavailable when the database cannot, whatever the driver calls it."""

    @abstractmethod
    async def write(self, transaction: Transaction[T], *, urgent: bool = False) -> T:
        """Run and commit; when this returns, the commit is on disk. ``urgent`` goes before what waits."""

    @abstractmethod
    async def read(self, transaction: Transaction[T]) -> T:
        """Run without writing."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what runs, release everything."""


def open_database(url: str, prepare: Callable[[Engine], None], *, owner: bool = True) -> Database:
    """The database of ``store.url``; ``prepare`` sees each engine before its first connection.

    ``owner=False`` opens a SQLite file for reading beside the node that owns it.
    Raise StoreLocked when another process owns the file, StoreError for a URL of another kind.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return SQLite(parsed, prepare, owner=owner)
        case "postgresql":
            return PostgreSQL(parsed, prepare)
        case other:
            raise StoreError(f"store.url: {other} is not supported; use sqlite:///… or postgresql://…")


class PostgreSQL(Database):
    """Any number of nodes on one server."""

    def __init__(self, url: URL, prepare: Callable[[Engine], None]) -> None:
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"), pool_size=8, pool_pre_ping=True, hide_parameters=True
        )
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        prepare(self._engine.sync_engine)

    async def write(self, transaction: Transaction[T], *, urgent: bool = False) -> T:
        """Run and commit on a pooled connection; the pool is the queue, so ``urgent`` needs no place in it."""
        del urgent
        return await self._run(self._engine, transaction)

    async def read(self, transaction: Transaction[T]) -> T:
        """Run on one snapshot, so that what is counted by several queries adds up while others write."""
        return await self._run(self._reading, transaction)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    async def _run(self, engine: AsyncEngine, transaction: Transaction[T]) -> T:
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(transaction)
        except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
            raise _translated(error) from error


class SQLite(Database):
    """One file, one process, one thread that writes; readers beside it."""

    def __init__(self, url: URL, prepare: Callable[[Engine], None], *, owner: bool) -> None:
        self.path = Path(url.database or "gateway.db")
        self._lock = _own(self.path) if owner else None
        if not owner and not self.path.exists():
            raise NoStore(f"there is no store at {self.path} yet: `gateway serve` or `gateway demo` makes it")
        self._engine = _sqlite_engine(self.path)
        prepare(self._engine)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="store-read")
        self._jobs: queue.PriorityQueue[tuple[int, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._writer = threading.Thread(target=self._work, name="store-write", daemon=True)
        self._writer.start()

    async def write(self, transaction: Transaction[T], *, urgent: bool = False) -> T:
        """Queue it for the writer thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                _tell(loop, future, result=self._run(transaction))
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
                _tell(loop, future, error=error)

        self._jobs.put((0 if urgent else 1, next(self._order), job))
        return await future

    async def read(self, transaction: Transaction[T]) -> T:
        """Run on a reader's connection: it sees the last commit and waits for nobody."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._run, transaction)

    async def close(self) -> None:
        """Finish what is queued, fold the WAL into the file, give up the lock."""
        self._jobs.put((2, next(self._order), None))
        await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def _work(self) -> None:
        while (job := self._jobs.get()[2]) is not None:
            job()

    def _run(self, transaction: Transaction[T]) -> T:
        try:
            with self._engine.begin() as connection:
                return transaction(connection)
        except (DBAPIError, OSError) as error:
            raise _translated(error) from error


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


def _translated(error: Exception) -> Exception:
    """A fault of the database in our words; a fault of the data stays what it is."""
    origin = getattr(error, "orig", None) or error
    if isinstance(error, IntegrityError | DataError | ProgrammingError):
        return error
    if str(getattr(origin, "sqlstate", "")).startswith(DATA_FAULTS):
        return error
    name = type(origin.__cause__ or origin).__name__
    return StoreUnavailable(f"the database does not answer ({name}): see that it runs and that store.url is right")


def _own(path: Path) -> IO[bytes]:
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


def is_owned(url: str) -> bool:
    """Whether a running node owns the SQLite file of ``store.url``."""
    path = Path(make_url(url).database or "gateway.db")
    if not path.exists():
        return False
    try:
        _own(path).close()
    except StoreLocked:
        return True
    return False


def sqlite_driver() -> ModuleType:
    """pysqlite3 where a wheel exists, else the interpreter's own: sound with the one connection that we write by."""
    try:
        module = import_module("pysqlite3")
    except ImportError:
        module = import_module("sqlite3")
    if module.sqlite_version_info < SQLITE_SOUND:
        log.warning("sqlite_old", version=module.sqlite_version, advice="one process only; do not write by other tools")
    return module


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
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = threading.current_thread().name == "store-write"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
