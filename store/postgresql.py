"""PostgreSQL: any number of nodes on one server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store.errors import StoreUnavailable
from store.transactions import Database, Transaction, translated

T = TypeVar("T")

#: How long a new connection may take.
CONNECT_SECONDS = 5
#: What each PostgreSQL session asks of its server, milliseconds and seconds: a node that is stopped in the middle of a
#: transaction, or whose machine is gone, must not hold its locks longer than its lease (postgresql.org, 19.11 and 19.3).
SESSION = {
    "idle_in_transaction_session_timeout": "4000",
    "lock_timeout": "30000",
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "6000",
}


class PostgreSQL(Database):
    """Any number of nodes on one server."""

    shared = True

    def __init__(self, url: URL, prepare: Callable[[Engine], None]) -> None:
        self._engine, self._urgent = _engine(url, pool_size=8), _engine(url, pool_size=2)
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._late: set[asyncio.Task[Any]] = set()
        for engine in (self._engine, self._urgent):
            prepare(engine.sync_engine)

    async def write(
        self, transaction: Transaction[T], *, urgent: bool = False, durable: bool = True, seconds: float | None = 60
    ) -> T:
        """Run and commit on a pooled connection; what is urgent finds one even while many others wait for a lock."""
        engine = self._urgent if urgent else self._engine
        if durable:
            return await self._run(engine, transaction, seconds)

        def lax(connection: Connection) -> T:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            return transaction(connection)

        return await self._run(engine, lax, seconds)

    async def read(self, transaction: Transaction[T], *, seconds: float | None = 60) -> T:
        """Run on one snapshot, so that what is counted by several queries adds up while others write."""
        return await self._run(self._reading, transaction, seconds)

    async def close(self) -> None:
        """Close the pools."""
        for task in self._late:
            task.cancel()
        await self._urgent.dispose()
        await self._engine.dispose()

    async def _run(self, engine: AsyncEngine, transaction: Transaction[T], seconds: float | None) -> T:
        """In a task of its own: a connection to a server that is gone may not even be given up in time."""
        task = asyncio.create_task(self._transact(engine, transaction))
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            raise StoreUnavailable(f"the database did not answer within {seconds:g} s: see that it runs")
        return task.result()

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._late.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else will look at it

    async def _transact(self, engine: AsyncEngine, transaction: Transaction[T]) -> T:
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(transaction)
        except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
            raise translated(error) from error


def _engine(url: URL, *, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"timeout": CONNECT_SECONDS, "server_settings": SESSION},
    )
