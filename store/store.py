"""The store: every method is one transaction, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from normalizer.model import Envelope, HotlineMatter, Kept, KeptMessage, Outcome
from normalizer.reply import Outgoing
from store import (
    books,
    conduct,
    dossiers,
    envelopes,
    events,
    identities,
    matters,
    media,
    messages,
    parts,
    provided,
    queue,
    replay,
    replies,
    riding,
    updates,
)
from store.breakglass import BreakGlass
from store.dossiers import Dossier
from store.envelopes import StateWrite
from store.files import Files, open_files
from store.fingerprints import Fingerprints
from store.flagbook import FlagBook
from store.group import GroupCommit
from store.holdbook import HoldBook
from store.identities import IdentityBox
from store.keeping import Keeping
from store.keys import Keyring
from store.linkbook import LinkBook
from store.matters import Desk
from store.mediabox import MediaBox
from store.membership import Lead, Membership
from store.messages import Unpacking
from store.outbox import Outbox
from store.parts import Gathered
from store.past import Reading, Sight
from store.people import People
from store.provided import Provided
from store.recent import recent
from store.replybox import ReplyBox
from store.tables import ENVELOPES
from store.tokens import reply_of
from store.transactions import Database
from store.updates import Compose, Told, Update
from store.uploads import Uploads
from store.values import Books, Decide, Filing, Judge, ParkedEvent, Receipt, Replayable, Stage, Work

#: How long somebody who asks from outside waits for a database that does not answer, seconds.
ASKING_SECONDS = 4.0


class Store:
    """Everything the gateway remembers. Open with :func:`store.opening.open_store`."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        keeping: Keeping,
        membership: Membership,
        sinks: Collection[str],
    ) -> None:
        self._database, self._keyring, self._keeping, self._membership = database, keyring, keeping, membership
        self._unpacking = GroupCommit[Unpacking, tuple[Outcome, ...]](self._unpack_many)
        self._sinks = tuple(sinks)
        self._outboxes: dict[str, Outbox] = {}
        self._replyboxes: dict[str, ReplyBox] = {}

    async def start(self, *, away: bool) -> None:
        """Join the nodes that work on the database, which is ``away`` when it did not answer just now.

        Raise StoreUnavailable, with everything released, when it does not answer and was not known to be away.
        """
        try:
            await self._membership.start(patient=away)
            await self._keeping.start(away=away)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way, tell the other nodes, release the database."""
        await self._keeping.close()
        await self._unpacking.close()
        for outbox in self._outboxes.values():
            await outbox.close()
        await self._membership.close()
        await self._database.close()

    # -- this node among others --------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        """Why the database cannot be worked on now; None while it can."""
        return self._membership.trouble

    def lead(self, name: str) -> Lead:
        """Stand for something that one node does at a time, from now on."""
        return self._membership.lead(name)

    def genuine(self, token: str) -> bool:
        """Whether it is the token of a reply of ours (``Outgoing.token``); asks nothing but the keys."""
        return reply_of(self._keyring, token) is not None

    # -- envelopes -------------------------------------------------------------------------------------------------

    async def keep(self, envelope: Envelope, write: StateWrite | None = None) -> Kept:
        """Commit an envelope, together with a change of channel state: ours from here.

        Raise BindingReused, StateChanged or StoreUnavailable; then nothing of this envelope was kept.
        """
        return await self._keeping.keep(envelope, write)

    @property
    def has_journal(self) -> bool:
        """Whether deliveries are taken while the database is away."""
        return self._keeping.has_journal

    @property
    def full(self) -> bool:
        """Whether the disk is, so that nothing new is taken."""
        return self._keeping.full

    async def journaled(self) -> int:
        """Envelopes that this node keeps in its journal because the database does not answer."""
        return await self._keeping.journaled()

    async def envelope(self, envelope_id: UUID) -> Envelope:
        """One envelope. Raise sqlalchemy's NoResultFound when there is none."""
        return await self._database.read(lambda connection: envelopes.get_envelope(connection, envelope_id))

    async def envelopes(self) -> list[Envelope]:
        """Every envelope in order of arrival; for tests and small stores."""

        def transaction(connection: Connection) -> list[Envelope]:
            rows = connection.execute(select(ENVELOPES).order_by(ENVELOPES.c.id))
            return [envelopes.read_envelope(row) for row in rows]

        return await self._database.read(transaction)

    async def recent(self, channel: str, since: datetime, until: datetime, limit: int) -> list[Envelope]:
        """A channel's envelopes of that time, the newest first."""
        return await self._database.read(
            lambda connection: recent(connection, channel, since, until, limit), seconds=ASKING_SECONDS
        )

    async def probe(self) -> None:
        """Raise StoreUnavailable when no delivery can be kept now."""
        await self._keeping.probe()

    async def state(self, channel: str, key: str) -> str | None:
        """A channel's state as last committed."""
        return await self._database.read(lambda connection: envelopes.get_state(connection, channel, key))

    async def change_state(self, write: StateWrite) -> bool:
        """Compare and set a channel's state; False when another was faster."""
        return await self._database.write(lambda connection: envelopes.write_state(connection, self._keyring, write))

    # -- work ------------------------------------------------------------------------------------------------------

    async def claim(
        self, stage: Stage, now: datetime, limit: int, under_way: Collection[int] = (), *, suspects: int | None = None
    ) -> list[Work]:
        """Hold due work for this node, in order of arrival, one per sender at most; see :func:`store.queue.claim`."""
        node_id = self._membership.id
        return await self._database.write(
            lambda connection: queue.claim(connection, node_id, stage, now, limit, under_way, suspects=suspects),
            durable=False,
        )

    def unpack(self, unpacking: Unpacking) -> asyncio.Future[tuple[Outcome, ...]]:
        """Write an envelope's messages, in the order of these calls.

        The future holds the outcomes that are final already (redeliveries, a notice), or Superseded when somebody else
        did it.
        """
        return self._unpacking.add(unpacking)

    async def _unpack_many(self, unpackings: Sequence[Unpacking]) -> Sequence[tuple[Outcome, ...] | Exception]:
        node_id = self._membership.id
        return await self._database.write(
            lambda connection: messages.unpack_many(connection, self._keyring, node_id, unpackings)
        )

    async def postpone(self, work: Work, reason: str, at: datetime, not_before: datetime) -> None:
        """Count a failed try and put the work off."""
        node_id = self._membership.id
        await self._database.write(lambda connection: queue.postpone(connection, node_id, work, reason, at, not_before))

    async def give_up(self, work: Work, outcome: Outcome, reason: str, at: datetime) -> str:
        """End the work as ``malformed`` or ``failed``; the name of the channel it came by."""
        node_id = self._membership.id
        return await self._database.write(
            lambda connection: messages.give_up(connection, node_id, work, outcome, reason, at)
        )

    async def message(self, message_id: UUID) -> KeptMessage:
        """One message by our id."""
        return await self._database.read(lambda connection: messages.get_message(connection, message_id))

    # -- matters ---------------------------------------------------------------------------------------------------

    async def file_matter(
        self,
        work: Work,
        kept: KeptMessage,
        decide: Decide,
        at: datetime,
        *,
        codes: tuple[str, ...] = (),
        sight: Sight | None = None,
        ride_seconds: float = 0,
        identifies: bool = False,
        judge: Judge | None = None,
    ) -> Filing:
        """Decide under the caller's lock and write matter, outcome, event and replies.

        ``codes``: tracking codes in the words. ``sight``: how it is compared with earlier ones. ``ride_seconds``: how long
        a reply is left to the acknowledgement that it may ride on. ``identifies``: the channel can be asked whose the
        sender is. ``judge``: how its conduct is judged. Raise Superseded, StoreUnavailable, and SetAside when it must wait.
        """
        desk = Desk(self._keyring, self._membership.id, self._sinks, ride_seconds, identifies)
        reading = Reading(kept, codes, sight, judge)
        return await self._database.write(
            lambda connection: matters.file_matter(connection, desk, work, reading, decide, at)
        )

    async def set_aside(self, work: Work, kept: KeptMessage, aside: conduct.SetAside, at: datetime) -> None:
        """Let a message wait for a person, or after what waits for one; see :func:`store.conduct.set_aside`."""
        node_id = self._membership.id
        await self._database.write(
            lambda connection: conduct.set_aside(connection, self._keyring, node_id, work, kept, aside, at)
        )

    async def gather(self, work: Work, kept: KeptMessage, at: datetime) -> Gathered | None:
        """The whole of a long message of which this is a piece; None while pieces are missing and may still come."""
        node_id = self._membership.id
        return await self._database.write(
            lambda connection: parts.gather(connection, self._keyring, node_id, work, kept, at)
        )

    async def matter(
        self, matter_id: UUID, channel: str | None = None, account: str | None = None
    ) -> HotlineMatter | None:
        """A matter; with ``channel`` and ``account`` only if a message of it came through that client."""
        return await self._database.read(
            lambda connection: matters.get_matter(connection, matter_id, channel, account), seconds=ASKING_SECONDS
        )

    async def matters(self) -> list[HotlineMatter]:
        """Every matter in order of filing; for tests and small stores."""
        return await self._database.read(matters.all_matters)

    async def receipt(self, envelope_id: UUID) -> Receipt | None:
        """What became of an envelope."""
        return await self._database.read(
            lambda connection: books.receipt(connection, envelope_id), seconds=ASKING_SECONDS
        )

    def links(self) -> LinkBook:
        """What belongs together, for operators."""
        return LinkBook(self._database, self._sinks)

    # -- events ----------------------------------------------------------------------------------------------------

    def outbox(self, sink: str = "core") -> Outbox:
        """What a sink has not got yet."""
        if sink not in self._outboxes:
            self._outboxes[sink] = Outbox(self._database, self._membership, sink)
        return self._outboxes[sink]

    async def parked_events(self, after: ParkedEvent | None = None, limit: int = 100) -> list[ParkedEvent]:
        """A page of the events that wait for a person, in order of their writing."""
        return await self._database.read(lambda connection: events.parked_events(connection, after, limit))

    async def retry_event(self, event_id: UUID, at: datetime) -> int:
        """Let a parked event go again; how many sinks wait for it now."""
        return await self._database.write(lambda connection: events.retry(connection, event_id, at))

    # -- replies ---------------------------------------------------------------------------------------------------

    def replybox(self, channel: str) -> ReplyBox:
        """What a channel is to send."""
        if channel not in self._replyboxes:
            self._replyboxes[channel] = ReplyBox(self._database, self._membership, self._keyring, channel)
        return self._replyboxes[channel]

    def identitybox(self, channel: str) -> IdentityBox:
        """About whom a channel is to ask."""
        return IdentityBox(self._database, self._membership, self._keyring, channel, self._sinks)

    def mediabox(self, channel: str) -> MediaBox:
        """What a channel is to fetch."""
        return MediaBox(self._database, self._membership, channel, self._sinks)

    def files(self, where: str) -> Files:
        """What citizens sent beside words, in a folder or below s3://bucket/prefix."""
        return open_files(where, self._keyring)

    def people(self) -> People:
        """Who is whom."""
        return People(self._database, self._keyring, self._sinks)

    def breakglass(self) -> BreakGlass:
        """Who may see whom that stays unnamed."""
        return BreakGlass(self._database)

    def holds(self) -> HoldBook:
        """What waits for a person."""
        return HoldBook(self._database, self._keyring)

    def flags(self) -> FlagBook:
        """What was noticed of whom."""
        return FlagBook(self._database, self._sinks)

    def uploads(self) -> Uploads:
        """What API clients uploaded."""
        return Uploads(self._database)

    def fingerprints(self) -> Fingerprints:
        """What every message is compared by."""
        return Fingerprints(self._database)

    async def ride(self, channel: str, envelope_id: UUID, now: datetime) -> Outgoing | None:
        """The reply to what an envelope held, sent with its acknowledgement; see :func:`store.riding.ride`."""
        return await self._database.write(lambda connection: riding.ride(connection, channel, envelope_id, now))

    async def tell(self, told: Update, compose: Compose) -> Told | None:
        """Keep an update of the core and queue its reply; None when there is no such matter. Raise BindingReused."""
        return await self._database.write(
            lambda connection: updates.tell(connection, self._keyring, told, compose), urgent=True
        )

    async def updates_of(self, matter_id: UUID) -> list[dict[str, Any]]:
        """What the core told about a matter, in order."""
        return await self._database.read(
            lambda connection: updates.updates_of(connection, matter_id), seconds=ASKING_SECONDS
        )

    async def outward(self, soon: datetime) -> int:
        """Replies and files that are under way, or tried before ``soon``; what a provider that is away owes, waits."""

        def transaction(connection: Connection) -> int:
            return sum(each.under_way(connection, soon) for each in (replies, media, identities))

        return await self._database.read(transaction, seconds=ASKING_SECONDS)

    # -- books -----------------------------------------------------------------------------------------------------

    async def reconcile(self, since: datetime | None = None) -> Books:
        """Count everything and name what does not add up."""
        return await self._database.read(lambda connection: books.reconcile(connection, since), seconds=None)

    async def pending(self) -> int:
        """Pieces of work in the queue."""
        return await self._database.read(books.pending, seconds=ASKING_SECONDS)

    async def is_pending(self, envelope_id: UUID) -> bool:
        """Whether an envelope or a message of it is in the queue."""
        return await self._database.read(lambda connection: books.is_pending(connection, envelope_id))

    async def waiting_events(self, sink: str = "core") -> int:
        """Events the sink has not got yet, parked ones aside."""
        return await self._database.read(
            lambda connection: books.waiting_events(connection, sink), seconds=ASKING_SECONDS
        )

    async def replayable(
        self, outcomes: tuple[str, ...], since: datetime | None = None, after: UUID | None = None, limit: int = 100
    ) -> list[Replayable]:
        """A page of envelopes that ended in one of ``outcomes``."""
        return await self._database.read(
            lambda connection: replay.replayable(connection, outcomes, since, after, limit)
        )

    async def count_ended(self, outcomes: tuple[str, ...], since: datetime | None = None) -> int:
        """How many envelopes from ``since`` on ended, or hold a message that ended, in one of ``outcomes``."""
        return await self._database.read(lambda connection: dossiers.count(connection, outcomes, since))

    async def dossiers(
        self, outcomes: tuple[str, ...], since: datetime | None, after: UUID | None, limit: int, most_bytes: int
    ) -> tuple[Dossier, ...]:
        """A page of the same envelopes with all that was made of them; see :func:`store.dossiers.page`."""
        return await self._database.read(
            lambda connection: dossiers.page(connection, outcomes, since, after, limit, most_bytes)
        )

    async def known(self, asked: Sequence[Provided]) -> list[bool]:
        """Of each message that a provider names whether it is in the books."""
        return await self._database.read(lambda connection: provided.known(connection, self._keyring, asked))

    async def deliveries(
        self, channel: str, since: datetime, after: UUID | None = None, *, empty: bool = False
    ) -> list[Envelope]:
        """A page of a channel's envelopes; see :func:`store.provided.deliveries`."""
        return await self._database.read(
            lambda connection: provided.deliveries(connection, channel, since, after, empty=empty)
        )

    async def requeue(
        self, envelope_id: UUID, at: datetime, outcomes: Collection[str] = (Outcome.MALFORMED, Outcome.FAILED)
    ) -> int:
        """Put what ended ``malformed`` or ``failed`` of an envelope back into the queue."""
        return await self._database.write(
            lambda connection: replay.requeue(connection, self._keyring, envelope_id, at, outcomes)
        )
