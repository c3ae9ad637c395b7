"""What a database is to the rest of the store: something that runs a transaction.

A transaction is a plain function of a SQLAlchemy connection, the same for both databases. SQLite runs it on the one
thread that writes; PostgreSQL runs it on a pooled asyncpg connection (``run_sync``).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from store.errors import StoreUnavailable

T = TypeVar("T")
Transaction = Callable[[Connection], T]

#: SQLSTATE classes that are the data's fault though asyncpg's dialect has no class for them: data exception, program
#: limit exceeded (postgresql.org, appendix A).
DATA_FAULTS = ("22", "54")


def _without_rows(record: logging.LogRecord) -> bool:
    """At DEBUG SQLAlchemy logs the rows it reads, already opened: never, whatever level is set."""
    return record.levelno > logging.DEBUG


logging.getLogger("sqlalchemy.engine.Engine").addFilter(_without_rows)


class Database(ABC):
    """Runs transactions. Raise StoreUnavailable when the database cannot, whatever the driver calls it."""

    #: Whether other processes may work on it too. Where not, the lock on the file is the lease, and no clock ends it.
    shared: ClassVar[bool]

    @abstractmethod
    async def write(
        self, transaction: Transaction[T], *, urgent: bool = False, durable: bool = True, seconds: float | None = 60
    ) -> T:
        """Run and commit; when this returns, the commit is on disk.

        ``urgent`` goes before what waits. Without ``durable`` the commit may be forgotten in a crash, together with
        nothing else. After ``seconds`` it is unknown whether it will be committed, and StoreUnavailable is raised.
        """

    @abstractmethod
    async def read(self, transaction: Transaction[T], *, seconds: float | None = 60) -> T:
        """Run without writing."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what runs, release everything."""


def translated(error: Exception) -> Exception:
    """A fault of the database in our words; a fault of the data stays what it is."""
    origin = getattr(error, "orig", None) or error
    if isinstance(error, IntegrityError | DataError | ProgrammingError):
        return error
    if str(getattr(origin, "sqlstate", "")).startswith(DATA_FAULTS):
        return error
    name = type(origin.__cause__ or origin).__name__
    return StoreUnavailable(f"the database does not answer ({name}): see that it runs and that store.url is right")
