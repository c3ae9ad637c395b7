"""One sink's outbox, as hand-off sees it: what is due, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from store import events
from store.events import Delivery, Sender, lead_name
from store.group import GroupCommit
from store.membership import Lead, Membership
from store.transactions import Database
from store.values import DueEvent


class Outbox:
    """Only the node that leads the sink may write; Superseded tells another that it does not."""

    def __init__(self, database: Database, membership: Membership, sink: str) -> None:
        self._database, self._membership, self._sink = database, membership, sink
        self._delivering = GroupCommit[Delivery, None](self._deliver_many)

    @property
    def lead(self) -> Lead:
        """The lead over the sink."""
        return self._membership.lead(lead_name(self._sink))

    async def due(
        self, now: datetime, limit: int, under_way: Collection[UUID] = (), *, urgent: bool = False
    ) -> list[DueEvent]:
        """Events to deliver now, in order per matter, immediate ones first; ``urgent``: only those."""
        return await self._database.read(
            lambda connection: events.due_events(connection, self._sink, now, limit, under_way, urgent=urgent)
        )

    async def delivered(self, event: DueEvent, at: datetime, case_number: str | None = None) -> None:
        """The sink has it."""
        await self._delivering.add(Delivery(event, at, case_number))

    async def postponed(self, event: DueEvent, reason: str, at: datetime, until: datetime) -> None:
        """The sink may take it later."""
        sender = self._sender()
        await self._database.write(lambda connection: events.postponed(connection, sender, event, reason, at, until))

    async def parked(self, event: DueEvent, reason: str, at: datetime) -> None:
        """The sink will not take it: a person must look."""
        sender = self._sender()
        await self._database.write(lambda connection: events.parked(connection, sender, event, reason, at))

    async def close(self) -> None:
        """Finish what is under way."""
        await self._delivering.close()

    async def _deliver_many(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        sender = self._sender()
        return await self._database.write(lambda connection: events.delivered_many(connection, sender, deliveries))

    def _sender(self) -> Sender:
        return Sender(self._sink, self._membership.id)
