"""Every clock of the model: the nodes' own, the database's, and the one that only counts seconds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import text

from store import membership, nodes
from store.store import Store
from tests.model.loop import Loop

START = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
#: PostgreSQL looks a function up along the search path: ours stands before its own.
OUR_CLOCK = (
    "CREATE SCHEMA ledger",
    "CREATE TABLE ledger.clock (at timestamptz NOT NULL)",
    "INSERT INTO ledger.clock VALUES (now())",
    """CREATE FUNCTION ledger.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
       AS 'SELECT at FROM ledger.clock'""",
)
PATH = "public, ledger, pg_catalog"


class Clocks:
    """All stand still until told."""

    def __init__(self, loop: Loop, monitor: Store) -> None:
        self._loop, self._monitor = loop, monitor
        loop.elapsed = 0.0
        #: What the nodes' clocks show, and the database's.
        self.wall = self.database = START
        self._numbers = itertools.count(1)

    def now(self) -> datetime:
        return self.wall

    async def pass_(self, seconds: float) -> None:
        """Time passes, everywhere alike."""
        self._loop.elapsed += seconds
        self.wall += timedelta(seconds=seconds)
        self.database += timedelta(seconds=seconds)
        await self.tell_database()

    async def tell_database(self) -> None:
        if self._monitor._database.shared:
            told = text("UPDATE ledger.clock SET at = :at").bindparams(at=self.database)
            await self._monitor._database.write(lambda connection: connection.execute(told), durable=False)

    def uuid7(self) -> UUID:
        """RFC 9562, 5.7: the clock's milliseconds, then a count; the same in every run."""
        milliseconds = int(self.wall.timestamp() * 1000)
        return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | next(self._numbers))

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within, the store has these clocks. A file's database clock is the process's."""
        with (
            patch.object(uuid_utils.compat, "uuid7", self.uuid7),
            patch.object(membership, "time", SimpleNamespace(monotonic=self._loop.time)),
            patch.object(nodes, "datetime", SimpleNamespace(now=lambda _zone: self.database)),
        ):
            yield
