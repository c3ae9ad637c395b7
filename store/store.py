"""The store: every method is one transaction, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine, select
from sqlalchemy.engine import make_url

from normalizer.model import Envelope, HotlineMatter, Kept, KeptMessage, Message, Outcome
from store import books, envelopes, events, matters, messages, replay, schema
from store.database import Database, open_database
from store.envelopes import Delivery, StateWrite
from store.errors import NoStore
from store.group import GroupCommit
from store.keys import Keyring, load, load_or_create
from store.messages import Unpacking
from store.sealed import unlock
from store.tables import ENVELOPES
from store.values import Books, Decide, DueEvent, Filing, Receipt, Replayable, Stage, Work


class Store:
    """Everything the gateway remembers. Open with :func:`open_store`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._keeping = GroupCommit[Delivery, Kept](self._keep_many)
        self._unpacking = GroupCommit[Unpacking, tuple[Outcome, ...]](self._unpack_many)

    async def close(self) -> None:
        """Finish what is under way and release the database."""
        await self._keeping.close()
        await self._unpacking.close()
        await self._database.close()

    # -- envelopes -------------------------------------------------------------------------------------------------

    async def keep(self, envelope: Envelope, write: StateWrite | None = None) -> Kept:
        """Commit an envelope, together with a change of channel state: ours from here.

        Raise BindingReused, StateChanged or StoreUnavailable; then nothing of this envelope was kept.
        """
        return await self._keeping.add(Delivery(envelope, write))

    async def _keep_many(self, deliveries: Sequence[Delivery]) -> Sequence[Kept | Exception]:
        return await self._database.write(
            lambda connection: envelopes.keep_many(connection, self._keyring, deliveries), urgent=True
        )

    async def envelope(self, envelope_id: UUID) -> Envelope:
        """One envelope. Raise sqlalchemy's NoResultFound when there is none."""
        return await self._database.read(lambda connection: envelopes.get_envelope(connection, envelope_id))

    async def envelopes(self) -> list[Envelope]:
        """Every envelope in order of arrival; for tests and small stores."""

        def transaction(connection: Connection) -> list[Envelope]:
            rows = connection.execute(select(ENVELOPES).order_by(ENVELOPES.c.id))
            return [envelopes.read_envelope(row) for row in rows]

        return await self._database.read(transaction)

    async def probe(self) -> None:
        """Raise StoreUnavailable when nothing can be written now."""
        await self._database.write(envelopes.probe)

    async def state(self, channel: str, key: str) -> str | None:
        """A channel's state as last committed."""
        return await self._database.read(lambda connection: envelopes.get_state(connection, channel, key))

    async def change_state(self, write: StateWrite) -> bool:
        """Compare and set a channel's state; False when another was faster."""
        return await self._database.write(lambda connection: envelopes.write_state(connection, self._keyring, write))

    # -- work ------------------------------------------------------------------------------------------------------

    async def claim(
        self, stage: Stage, now: datetime, limit: int, under_way: Collection[int] = (), *, failed: bool | None = None
    ) -> list[Work]:
        """Due work in order of arrival, one per sender at most, without what is under way here."""
        return await self._database.read(
            lambda connection: messages.claim(connection, stage, now, limit, under_way, failed=failed)
        )

    def unpack(self, unpacking: Unpacking) -> asyncio.Future[tuple[Outcome, ...]]:
        """Write an envelope's messages, in the order of these calls.

        The future holds the outcomes that are final already (redeliveries, a notice), or Superseded when somebody else
        did it.
        """
        return self._unpacking.add(unpacking)

    async def _unpack_many(self, unpackings: Sequence[Unpacking]) -> Sequence[tuple[Outcome, ...] | Exception]:
        return await self._database.write(
            lambda connection: messages.unpack_many(connection, self._keyring, unpackings)
        )

    async def postpone(self, work: Work, reason: str, at: datetime, not_before: datetime) -> None:
        """Count a failed try and put the work off."""
        await self._database.write(lambda connection: messages.postpone(connection, work, reason, at, not_before))

    async def give_up(self, work: Work, outcome: Outcome, reason: str, at: datetime) -> str:
        """End the work as ``malformed`` or ``failed``; the name of the channel it came by."""
        return await self._database.write(lambda connection: messages.give_up(connection, work, outcome, reason, at))

    async def message(self, message_id: UUID) -> KeptMessage:
        """One message by our id."""
        return await self._database.read(lambda connection: messages.get_message(connection, message_id))

    async def messages(self, envelope_id: UUID) -> tuple[Message, ...]:
        """An envelope's messages as they were read when it was unpacked."""
        return await self._database.read(lambda connection: messages.of_envelope(connection, envelope_id))

    # -- matters ---------------------------------------------------------------------------------------------------

    async def file_matter(self, work: Work, kept: KeptMessage, decide: Decide, at: datetime) -> Filing:
        """Decide under the caller's lock and write matter, outcome and event. Raise Superseded, StoreUnavailable."""
        return await self._database.write(
            lambda connection: matters.file_matter(connection, self._keyring, work, kept, decide, at)
        )

    async def matter(
        self, matter_id: UUID, channel: str | None = None, account: str | None = None
    ) -> HotlineMatter | None:
        """A matter; with ``channel`` and ``account`` only if a message of it came through that client."""
        return await self._database.read(lambda connection: matters.get_matter(connection, matter_id, channel, account))

    async def matters(self) -> list[HotlineMatter]:
        """Every matter in order of filing; for tests and small stores."""
        return await self._database.read(matters.all_matters)

    async def receipt(self, envelope_id: UUID) -> Receipt | None:
        """What became of an envelope."""
        return await self._database.read(lambda connection: books.receipt(connection, envelope_id))

    # -- events ----------------------------------------------------------------------------------------------------

    async def due_events(self, now: datetime, limit: int, under_way: Collection[UUID] = ()) -> list[DueEvent]:
        """Events to deliver now, in order per matter."""
        return await self._database.read(lambda connection: events.due_events(connection, now, limit, under_way))

    async def event_delivered(self, event: DueEvent, at: datetime, case_number: str | None = None) -> None:
        """The core has it."""
        await self._database.write(lambda connection: events.delivered(connection, event, at, case_number))

    async def event_postponed(self, event: DueEvent, reason: str, not_before: datetime) -> None:
        """The core may take it later."""
        await self._database.write(lambda connection: events.postponed(connection, event, reason, not_before))

    async def event_parked(self, event: DueEvent, reason: str, at: datetime) -> None:
        """The core will not take it: a person must look."""
        await self._database.write(lambda connection: events.parked(connection, event, reason, at))

    # -- books -----------------------------------------------------------------------------------------------------

    async def reconcile(self, since: datetime | None = None) -> Books:
        """Count everything and name what does not add up."""
        return await self._database.read(lambda connection: books.reconcile(connection, since))

    async def pending(self) -> int:
        """Pieces of work in the queue."""
        return await self._database.read(books.pending)

    async def is_pending(self, envelope_id: UUID) -> bool:
        """Whether an envelope or a message of it is in the queue."""
        return await self._database.read(lambda connection: books.is_pending(connection, envelope_id))

    async def waiting_events(self) -> int:
        """Events the core has not got yet."""
        return await self._database.read(books.waiting_events)

    async def replayable(
        self, outcomes: tuple[str, ...], since: datetime | None = None, after: UUID | None = None, limit: int = 100
    ) -> list[Replayable]:
        """A page of envelopes that ended in one of ``outcomes``."""
        return await self._database.read(
            lambda connection: replay.replayable(connection, outcomes, since, after, limit)
        )

    async def requeue(
        self, envelope_id: UUID, at: datetime, outcomes: Collection[str] = (Outcome.MALFORMED, Outcome.FAILED)
    ) -> int:
        """Put what ended ``malformed`` or ``failed`` of an envelope back into the queue."""
        return await self._database.write(
            lambda connection: replay.requeue(connection, self._keyring, envelope_id, at, outcomes)
        )


async def open_store(url: str, key_file: Path, *, owner: bool = True, migrate: bool = False) -> Store:
    """Open the store, making schema and key file when both are new.

    ``owner=False`` reads beside the node that owns a SQLite file. ``migrate=True`` brings an older schema up to date;
    otherwise it raises SchemaMismatch. Raise StoreLocked, StoreUnavailable, KeyFileError.
    """
    engines: list[Engine] = []
    database = open_database(url, engines.append, owner=owner)
    try:
        fresh = await database.read(schema.is_empty)
        keyring = _keyring(url, key_file, fresh=fresh, owner=owner)
        for engine in engines:
            unlock(engine, keyring)
        if fresh or migrate:
            await database.write(schema.upgrade)
        await database.read(schema.check)
        run = database.write if owner else database.read
        await run(lambda connection: schema.tie_keys(connection, keyring, owner=owner))
    except BaseException:
        await database.close()
        raise
    return Store(database, keyring)


def _keyring(url: str, key_file: Path, *, fresh: bool, owner: bool) -> Keyring:
    if owner:
        return load_or_create(key_file, fresh=fresh)
    if fresh:
        shown = make_url(url).render_as_string(hide_password=True)
        raise NoStore(f"there is no store at {shown} yet: `gateway serve` or `gateway demo` makes it")
    return load(key_file)
