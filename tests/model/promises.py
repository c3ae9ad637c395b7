"""What must be true of the world, after each step and once everything has settled (docs/ARCHITECTURE.md)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, select

from normalizer.model import Envelope, HotlineMatter, Message
from store.envelopes import read_envelope
from store.tables import ENVELOPES, EVENTS, MATTERS, MESSAGES, TRANSITIONS, UNPACKED, WORK
from tests.model.letters import Letter, messages
from tests.model.world import World

#: Rows of these may be added, never taken away.
FOR_EVER = {
    "envelopes": (ENVELOPES.c.id,),
    "messages": (MESSAGES.c.id,),
    "matters": (MATTERS.c.id,),
    "events": (EVENTS.c.id, EVENTS.c.sink),
    "transitions": (TRANSITIONS.c.sequence,),
}
IN_A_MATTER = {"filed", "attached"}
#: Who was given up, and run again later, has lost its place in the order.
GIVEN_UP = {"failed", "malformed"}


class Promises:
    """Remembers what it saw, to notice what goes away."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, set[Any]] = {name: set() for name in FOR_EVER}
        self._parked: set[UUID] = set()
        self._ended: dict[UUID, str] = {}
        self._looked_at = 0

    async def check(self, *, books: bool) -> None:
        """After each step. Raise AssertionError."""
        world = self._world
        assert not world.core.complaints, world.core.complaints
        assert not world.loop.deaths, world.loop.deaths
        for node in world.alive:
            assert not any(job.done() for job in node.jobs), f"{node.name} has stopped working"
        await world.monitor._database.read(self._check_rows)
        if books:
            await self._check_books()

    async def _check_books(self) -> None:
        found = await self._world.monitor.reconcile()
        assert found.balanced, found.offending
        assert found.envelopes == found.unpacked + found.pending, found
        assert found.events["owed"] == sum(found.events[state] for state in ("delivered", "waiting", "parked")), found

    def _check_rows(self, connection: Connection) -> None:
        for name, columns in FOR_EVER.items():
            now = {tuple(row) for row in connection.execute(select(*columns))}
            assert self._seen[name] <= now, f"{name}: rows are gone"
            self._seen[name] = now
        self._check_acknowledged(connection)
        self._check_ends(connection)
        parked = set(connection.execute(select(EVENTS.c.id).where(EVENTS.c.state == "parked")).scalars())
        assert self._parked - self._world.retried <= parked, "a parked event went by itself"
        self._parked, self._world.retried = parked, set()

    def _check_acknowledged(self, connection: Connection) -> None:
        """Ours from the acknowledgement on, byte for byte."""
        for sent in self._world.sent:
            if sent.receipt is not None and not sent.checked:
                row = connection.execute(select(ENVELOPES).where(ENVELOPES.c.id == UUID(sent.receipt))).one_or_none()
                assert row is not None, "acknowledged and not kept"
                assert read_envelope(row).body == sent.letter.body, "kept otherwise than it came"
                sent.checked = True

    def _check_ends(self, connection: Connection) -> None:
        """One outcome, for ever; only what failed may be run again."""
        rows = connection.execute(select(MESSAGES.c.id, MESSAGES.c.outcome)).all()
        now = {row.id: row.outcome for row in rows if row.outcome is not None}
        for message_id, outcome in self._ended.items():
            assert outcome == "failed" or now.get(message_id) == outcome, "an outcome has changed"
        self._ended = now

    # -- once everything has settled -------------------------------------------------------------------------------

    async def check_parked_holds_back_only_its_matter(self) -> None:
        """Everything else has arrived."""

        def transaction(connection: Connection) -> set[UUID]:
            left = select(EVENTS.c.matter_id).where(EVENTS.c.state != "delivered").distinct()
            parked = select(EVENTS.c.matter_id).where(EVENTS.c.state == "parked")
            return set(connection.execute(left.where(EVENTS.c.matter_id.not_in(parked))).scalars())

        assert not await self._world.monitor._database.read(transaction), "matters wait that nobody parked"

    async def check_settled(self) -> None:
        """Every message has its one outcome, and the core has it once, in order."""
        books = await self._world.monitor.reconcile()
        assert books.pending == 0 and books.envelopes == books.unpacked, books
        assert books.events["owed"] == books.events["delivered"], books.events
        assert books.outcomes["failed"] == 0, books.outcomes
        await self._world.monitor._database.read(self._check_settled_rows)

    def _check_settled_rows(self, connection: Connection) -> None:
        assert not connection.execute(select(WORK.c.sequence)).all()
        envelopes = {row.id: read_envelope(row) for row in connection.execute(select(ENVELOPES))}
        rows = connection.execute(select(MESSAGES)).all()
        steps = connection.execute(select(TRANSITIONS).order_by(TRANSITIONS.c.sequence)).all()
        self._check_keys({envelope.body for envelope in envelopes.values()})
        self._check_said(connection, envelopes, rows)
        self._check_effects(connection, rows)
        self._check_order(rows, steps)
        self._check_histories(connection, rows, steps)

    def _check_keys(self, kept: set[bytes]) -> None:
        """A key stands for one body, for ever."""
        bodies: defaultdict[str, set[bytes]] = defaultdict(set)
        for sent in self._world.sent:
            if sent.letter.key is not None and sent.letter.body in kept:
                bodies[sent.letter.key].add(sent.letter.body)
        assert all(len(different) == 1 for different in bodies.values()), bodies

    def _check_said(self, connection: Connection, envelopes: dict[UUID, Envelope], rows: Sequence[Any]) -> None:
        """Each message of each envelope is in the books: the first of its identity filed, the others copies of it."""
        ended = dict(connection.execute(select(UNPACKED.c.envelope_id, UNPACKED.c.outcome)).all())
        by_address = {(row.envelope_id, row.position): row for row in rows}
        copies: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for envelope in envelopes.values():
            said = _read(envelope)
            assert (ended[envelope.id] == "malformed") == (said is None), f"{ended[envelope.id]}: {envelope.body!r}"
            for position, message in enumerate(said or ()):
                row = by_address.pop((envelope.id, position))
                assert Message.model_validate(row.content) == message
                copies[message.account, message.sender.value, message.provider_id, message.text].append(row)
        assert not by_address, "messages that nobody sent"
        for same in copies.values():
            first = [row for row in same if row.identity is not None]
            assert len(first) == 1 and first[0].outcome in IN_A_MATTER, [row.outcome for row in same]
            for row in same:
                assert row is first[0] or (row.outcome, row.first_id) == ("redelivered", first[0].id), row.outcome
        self._check_flags(copies)

    def _check_flags(self, copies: dict[tuple[Any, ...], list[Any]]) -> None:
        """The same id with another body is kept, and flagged, all but the first at least."""
        by_id: defaultdict[Any, list[bool]] = defaultdict(list)
        for (*provider, _), same in copies.items():
            by_id[tuple(provider)] += ["id_reused" in row.flags for row in same if row.identity is not None]
        for flags in by_id.values():
            assert len(flags) - 1 <= sum(flags) and (len(flags) > 1 or not any(flags)), flags

    def _check_effects(self, connection: Connection, rows: Sequence[Any]) -> None:
        said = Counter(Message.model_validate(row.content).text for row in rows if row.outcome in IN_A_MATTER)
        assert self._world.core.texts() == said, (self._world.core.texts() - said, said - self._world.core.texts())
        owed = dict(connection.execute(select(MATTERS.c.id, MATTERS.c.revision)).all())
        assert self._world.core.heard == owed

    def _check_order(self, rows: Sequence[Any], steps: Sequence[Any]) -> None:
        """A sender's messages are filed in the order in which their deliveries were acknowledged."""
        given_up = {step.subject for step in steps if step.step in GIVEN_UP}
        filed = {step.subject: place for place, step in enumerate(steps) if step.step in IN_A_MATTER}
        arrived = self._arrived()
        lanes: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
        for row in rows:
            if row.id in filed and row.envelope_id in arrived and not {row.id, row.envelope_id} & given_up:
                message = Message.model_validate(row.content)
                lanes[message.account, message.sender.value].append(row)
        for lane in lanes.values():
            for earlier, later in _pairs(lane):
                (_, acknowledged), (begun, _) = arrived[earlier.envelope_id], arrived[later.envelope_id]
                same = earlier.envelope_id == later.envelope_id and earlier.position < later.position
                if same or acknowledged < begun:
                    assert filed[earlier.id] < filed[later.id], (
                        f"{Message.model_validate(later.content).text} overtook "
                        f"{Message.model_validate(earlier.content).text}"
                    )

    def _arrived(self) -> dict[UUID, tuple[int, int]]:
        """When each envelope can have come at the earliest, and when it was acknowledged.

        A letter under a key may be the same envelope that an earlier try left behind without an answer.
        """
        first: dict[Letter, int] = {}
        arrived: dict[UUID, tuple[int, int]] = {}
        for sent in self._world.sent:
            begun = first.setdefault(sent.letter, sent.begun) if sent.letter.key else sent.begun
            if sent.receipt is not None and sent.acknowledged is not None:
                arrived.setdefault(UUID(sent.receipt), (begun, sent.acknowledged))
        return arrived

    def _check_histories(self, connection: Connection, rows: Sequence[Any], steps: Sequence[Any]) -> None:
        """Nobody looked, found nothing, and filed beside another: each caller's messages were counted one by one."""
        callers = {row.id: row.caller_id for row in rows}
        documents = connection.execute(select(EVENTS.c.payload)).scalars()
        counted = {m.messages[-1].message_id: m.contacts_30d for m in map(HotlineMatter.model_validate, documents)}
        per_caller: defaultdict[UUID, list[int]] = defaultdict(list)
        for step in steps:
            if step.step in IN_A_MATTER:
                per_caller[callers[step.subject]].append(counted[step.subject])
        for counts in per_caller.values():
            assert sorted(counts) == list(range(1, len(counts) + 1)), counts


def _pairs(rows: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return ((one, other) for one in rows for other in rows if one is not other)


def _read(envelope: Envelope) -> tuple[Message, ...] | None:
    try:
        return messages(orjson.loads(envelope.body))
    except orjson.JSONDecodeError:
        return None
