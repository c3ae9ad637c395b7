"""The gate that everything a node does to the outside must pass: its databases, the pure calls, the core.

Nothing passes until the world says so, and how: so a run is a list of decisions and can be played again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import event
from sqlalchemy.util import await_only

from store.errors import StoreUnavailable
from store.postgresql import PostgreSQL
from store.transactions import Database
from tests.model.loop import Loop


class Way(StrEnum):
    """How something passes."""

    THROUGH = "through"
    #: Nothing happens, and the node hears so.
    REFUSED = "refused"
    #: It happens, and the node hears that it may not have.
    LOST = "lost"
    #: It happens, and the node hears nothing any more.
    SILENT = "silent"


@dataclass(eq=False)
class Turn:
    """A transaction that stops before each statement and before its commit."""

    loop: Loop
    waiting: asyncio.Future[None] | None = None

    async def pause(self) -> None:
        self.waiting = self.loop.create_future()
        self.loop.busy -= 1
        self.loop._idle.set()
        try:
            await self.waiting
        finally:
            self.loop.busy += 1
            self.waiting = None

    def go(self) -> None:
        assert self.waiting is not None
        self.waiting.set_result(None)


@dataclass(eq=False)
class Entry:
    """Somebody waits at the gate."""

    owner: str
    what: str
    future: asyncio.Future[Any]
    turn: Turn | None = None
    #: What the database answered, if it did.
    answers: list[Any] = field(default_factory=list)


#: What the transaction under way is called, and the turn it takes.
WHAT: ContextVar[str] = ContextVar("what", default="")
TURN: ContextVar[Turn | None] = ContextVar("turn", default=None)
#: Never held up unless the node is frozen: that a node lives is not a matter of the schedule.
BEAT = ("Membership._renew", "Membership.close")
#: Reads that decide what is done next; the others pass.
DECISIVE = ("Outbox.due",)
#: What passes the gate and writes nothing.
BESIDE = frozenset({"core", "parse", "normalize", *DECISIVE})


@dataclass
class Gate:
    """All nodes' one gate."""

    loop: Loop
    entries: list[Entry] = field(default_factory=list)
    #: Nodes that do not come to anything any more, and nodes whose every wish is granted.
    frozen: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    #: What is not meant to race does not: whose read is answered first would be chance.
    one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def waiting(self, owner: str | None = None) -> list[Entry]:
        """Who may be let through, in order of arrival."""
        return [
            entry
            for entry in self.entries
            if not entry.future.done() and entry.owner not in self.frozen and owner in {None, entry.owner}
        ]

    async def pass_(self, owner: str, what: str) -> tuple[Any, Entry]:
        entry = Entry(owner, what, self.loop.create_future())
        self.entries.append(entry)
        if owner in self.leaving or (what.startswith(BEAT) and owner not in self.frozen):
            entry.future.set_result(Way.THROUGH)
        try:
            return await entry.future, entry
        finally:
            self.entries.remove(entry)

    def freeze(self, owner: str) -> None:
        self.frozen.add(owner)

    def thaw(self, owner: str) -> None:
        self.frozen.discard(owner)
        for entry in self.waiting(owner):
            if entry.what.startswith(BEAT):
                entry.future.set_result(Way.THROUGH)

    def watch(self, database: Database, owner: str) -> None:
        """From now on a store's database works through the gate."""

        async def passing(work: Callable[[], Awaitable[Any]]) -> Any:
            way, entry = await self.pass_(owner, WHAT.get())
            if way is Way.REFUSED:
                raise StoreUnavailable("refused by the model")
            async with nullcontext() if entry.turn else self.one_by_one:
                with self.loop.working():
                    token = TURN.set(entry.turn)
                    try:
                        result = await work()
                        entry.answers.append(result)
                    finally:
                        TURN.reset(token)
            if way is Way.SILENT:
                await asyncio.Event().wait()
            if way is Way.LOST:
                raise StoreUnavailable("lost by the model")
            return result

        watch = _watch_postgresql if isinstance(database, PostgreSQL) else _watch_sqlite
        watch(database, passing, self)


Passing = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


def name_of(transaction: Any) -> str:
    """``Store.claim``, ``Membership._renew``, …"""
    return str(transaction.__qualname__.split(".<locals>")[0])


def _watch_sqlite(database: Any, passing: Passing, gate: Gate) -> None:
    """A file has one writer: what passes, passes whole."""
    write, read = database.write, database.read

    async def watched_write(transaction: Any, **options: Any) -> Any:
        WHAT.set(name_of(transaction))
        return await passing(lambda: write(transaction, **options))

    async def watched_read(transaction: Any, **options: Any) -> Any:
        WHAT.set(name_of(transaction))
        if name_of(transaction).startswith(DECISIVE):
            return await passing(lambda: read(transaction, **options))
        async with gate.one_by_one:
            with gate.loop.working():
                return await read(transaction, **options)

    database.write, database.read = watched_write, watched_read


def _watch_postgresql(database: Any, passing: Passing, gate: Gate) -> None:
    """Inside of the time limits: a node that is kept waiting finds the database away."""
    write, read, transact = database.write, database.read, database._transact

    async def watched_write(transaction: Any, **options: Any) -> Any:
        WHAT.set(name_of(transaction))
        return await write(transaction, **options)

    async def watched_read(transaction: Any, **options: Any) -> Any:
        WHAT.set(name_of(transaction))
        return await read(transaction, **options)

    async def watched_transact(engine: Any, transaction: Any) -> Any:
        if engine is database._reading and not WHAT.get().startswith(DECISIVE):
            async with gate.one_by_one:
                with gate.loop.working():
                    return await transact(engine, transaction)
        return await passing(lambda: transact(engine, transaction))

    database.write, database.read, database._transact = watched_write, watched_read, watched_transact
    for moment in ("before_cursor_execute", "commit"):
        event.listen(database._engine.sync_engine, moment, _take_turn)


def _take_turn(*_: Any) -> None:
    turn = TURN.get()
    if turn is not None:
        await_only(turn.pause())
