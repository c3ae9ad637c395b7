"""Keeping deliveries: in the database, or in this node's journal while the database does not answer.

Once one delivery went to the journal, all do until it is empty: so a sender's order is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from normalizer.model import Envelope, Kept
from store import envelopes
from store.envelopes import Delivery, StateWrite
from store.errors import StoreError, StoreUnavailable
from store.group import GroupCommit
from store.journal import Journal
from store.keys import Keyring
from store.membership import Membership
from store.reserve import Reserve
from store.transactions import Database

log = structlog.get_logger(__name__)

#: How long a delivery waits for the database before it goes to the journal: well inside WeChat's 5 s.
PATIENCE_SECONDS = 2.0
#: Between two looks whether the database has returned, and how long moving a batch may take.
LOOK_SECONDS, MOVE_SECONDS = 1.0, 10.0


class Keeping:
    """Commits deliveries in groups, and empties the journal in the background."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        membership: Membership,
        reserve: Reserve | None,
        journal: Journal | None,
    ) -> None:
        self._database, self._keyring, self._membership = database, keyring, membership
        self._reserve, self._journal = reserve, journal
        self._group = GroupCommit[Delivery, Kept](self._keep_many)
        #: Nothing is kept while the switch is thrown.
        self._switch = asyncio.Lock()
        self._beside = False
        self._moving: asyncio.Task[None] | None = None

    async def start(self, *, away: bool) -> None:
        """Look whether the journal holds anything from before, then keep it empty in the background."""
        if self._reserve is not None:
            await self._reserve.start()
        if self._journal is not None:
            self._beside = away or await self._journal.count() > 0
            self._moving = asyncio.create_task(self._keep_empty(self._journal))

    async def keep(self, envelope: Envelope, write: StateWrite | None) -> Kept:
        """Commit an envelope. Raise BindingReused, StateChanged or StoreUnavailable; then nothing of it was kept."""
        if self.full:
            raise StoreUnavailable("the disk is full: free some space, service resumes by itself")
        return await self._group.add(Delivery(envelope, write))

    async def probe(self) -> None:
        """Raise StoreUnavailable when no delivery can be kept now."""
        if self._journal is not None:
            await self._journal.probe()
        else:
            await self._database.write(envelopes.probe, seconds=PATIENCE_SECONDS)

    @property
    def has_journal(self) -> bool:
        """Whether there is one."""
        return self._journal is not None

    @property
    def full(self) -> bool:
        """Whether the disk is, so that nothing new is taken."""
        return self._reserve is not None and self._reserve.low

    async def journaled(self) -> int:
        """Envelopes in the journal; 0 while the database takes everything."""
        return await self._journal.count() if self._journal is not None and self._beside else 0

    async def close(self) -> None:
        """Finish what is under way; what the journal holds is moved at the next start."""
        await self._group.close()
        if self._reserve is not None:
            await self._reserve.close()
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)
        if self._journal is not None:
            await self._journal.close()

    async def _keep_many(self, deliveries: Sequence[Delivery]) -> Sequence[Kept | Exception]:
        if self._journal is None:
            return await self._keep_directly(deliveries)
        async with self._switch:
            if not self._beside:
                try:
                    return await self._keep_directly(deliveries)
                except StoreUnavailable:
                    log.error("journal_begins")
                    self._beside = True
            return await self._journal.keep(deliveries)

    async def _keep_directly(self, deliveries: Sequence[Delivery]) -> Sequence[Kept | StoreError]:
        return await self._database.write(
            lambda connection: envelopes.keep_many(connection, self._keyring, deliveries),
            urgent=True,
            seconds=PATIENCE_SECONDS,
        )

    async def _keep_empty(self, journal: Journal) -> None:
        while True:
            try:
                if self._beside and self._membership.prepared:
                    await self._empty(journal)
            except StoreUnavailable:
                pass  # still away
            except Exception as error:  # noqa: BLE001 - it must be tried again, whatever it was
                log.error("journal_not_moved", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def _empty(self, journal: Journal) -> None:
        """Move everything, in turns with whoever delivers: a crowd could fill it faster than it empties."""
        await self._database.write(envelopes.probe, seconds=PATIENCE_SECONDS)
        moved = await self._move(journal, MOVE_SECONDS)  # nobody waits for the first, be it large or the database slow
        while self._beside:
            async with self._switch:
                moved += await self._move(journal, PATIENCE_SECONDS)
                if await journal.is_empty():
                    await journal.forget_bindings()
                    self._beside = False
        log.warning("journal_ended", moved=moved)
        await journal.shrink()

    async def _move(self, journal: Journal, seconds: float) -> int:
        batch = await journal.batch()
        if batch:
            await self._database.write(lambda connection: envelopes.keep_moved(connection, batch), seconds=seconds)
            await journal.forget(batch)
        return len(batch)
