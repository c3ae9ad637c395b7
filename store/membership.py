"""A node's place among the others: a lease that is kept up, and the leads that go with it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from uuid import UUID

import structlog
import uuid_utils.compat
from sqlalchemy import Connection

from store import nodes
from store.errors import StoreError, StoreUnavailable
from store.transactions import Database

log = structlog.get_logger(__name__)

#: Between two beats, and what one may take, seconds: one may fail before the lease lapses.
BEAT_SECONDS, PATIENCE_SECONDS = 1.5, 1.5


class Lead:
    """Something that one node does at a time; taken over within a lease and a beat when its node dies."""

    def __init__(self) -> None:
        self._held, self._lost = asyncio.Event(), asyncio.Event()
        self._lost.set()

    @property
    def held(self) -> bool:
        """Whether this node leads now."""
        return self._held.is_set()

    async def gained(self) -> None:
        """Return while this node leads."""
        await self._held.wait()

    async def lost(self) -> None:
        """Return while it does not."""
        await self._lost.wait()

    def tell(self, *, held: bool) -> None:
        """Say how it is now."""
        (self._held if held else self._lost).set()
        (self._lost if held else self._held).clear()


class Membership:
    """Beats until closed. ``id`` is what this node's writes are fenced by; it changes when the lease has lapsed."""

    def __init__(
        self, database: Database, prepare: Callable[[Connection], None] | None, place: UUID | None = None
    ) -> None:
        self._database, self._prepare, self._place = database, prepare, place
        self.id = uuid_utils.compat.uuid7()
        #: Why the store cannot be worked on; None while it can.
        self.trouble: str | None = "not reached yet"
        self._joined = False
        self._valid_until = -math.inf
        self._leads: dict[str, Lead] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, *, patient: bool) -> None:
        """Join, then beat in the background. Unless ``patient``, raise StoreUnavailable when that is not possible now."""
        try:
            await self._beat()
        except StoreUnavailable:
            if not patient:
                raise
        self._task = asyncio.create_task(self._run())

    @property
    def prepared(self) -> bool:
        """Whether the database was seen to be one that this program may write to."""
        return self._prepare is None

    def lead(self, name: str) -> Lead:
        """Stand for a lead from now on."""
        if name not in self._leads:
            self._leads[name] = Lead()
            self._wake.set()
        return self._leads[name]

    async def close(self) -> None:
        """Leave, so that others take over at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._give_up_leads()
        if self._joined:
            try:
                await self._database.write(lambda connection: nodes.leave(connection, self.id), seconds=2)
            except StoreError as error:
                log.info("left_without_word", error=type(error).__name__)  # the lease will lapse

    async def _run(self) -> None:
        while True:
            await self._rest()
            try:
                await self._beat()
            except Exception as error:  # noqa: BLE001 - the next beat may succeed, whatever it was
                self._miss(error)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _beat(self) -> None:
        if self._prepare is not None:
            await self._database.write(self._prepare, seconds=60)
            self._prepare = None
        began = time.monotonic()
        held = await self._database.write(self._renew, urgent=True, durable=False, seconds=PATIENCE_SECONDS)
        if held is None:
            log.warning("lease_lapsed")
            self.id, self._joined = uuid_utils.compat.uuid7(), False
            self._give_up_leads()
            self._wake.set()
            return
        self.trouble, self._joined = None, True
        self._valid_until = began + nodes.LEASE.total_seconds() if self._database.shared else math.inf
        for name, lead in self._leads.items():
            lead.tell(held=name in held)

    def _renew(self, connection: Connection) -> set[str] | None:
        """What this node leads; None when its lease has lapsed."""
        lasts = nodes.renew(connection, self.id) if self._joined else nodes.join(connection, self.id, self._place)
        if not lasts:
            return None
        nodes.reap(connection)
        return {name for name in sorted(self._leads) if nodes.lead(connection, self.id, name)}

    def _miss(self, error: Exception) -> None:
        """A beat has failed; leads are given up before others may take them."""
        if self.trouble is None:
            log.error("store_away", error=type(error).__name__)
        self.trouble = str(error) if isinstance(error, StoreError) else type(error).__name__
        if time.monotonic() > self._valid_until - BEAT_SECONDS - PATIENCE_SECONDS:
            self._give_up_leads()

    def _give_up_leads(self) -> None:
        for lead in self._leads.values():
            lead.tell(held=False)
