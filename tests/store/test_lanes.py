"""Any interleaving of what nodes do keeps a sender's messages in order, and leaves no lane stuck.

Each example runs in one transaction that is undone at its end; what nodes do to each other within a transaction is the
matter of the tests that race.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from normalizer.model import Envelope, Outcome
from store import envelopes, messages, nodes, queue, replay
from store.books import _order_faults
from store.envelopes import Delivery
from store.errors import Superseded
from store.keys import Keyring
from store.messages import Unpacking
from store.store import Store
from store.tables import NODES, TRANSITIONS, WORK
from store.values import Stage, Work
from tests.store.conftest import NOW, beat, envelope, lapse, message, run, sender

SENDERS = 3
FAILED = (Outcome.FAILED,)


class Undone(Exception):
    """The example is over, and leaves nothing."""


@dataclass
class World:
    """Two nodes on one queue, and what each believes that it holds."""

    connection: Connection
    keyring: Keyring
    ids: list[UUID] = field(default_factory=lambda: [uuid_utils.compat.uuid7() for _ in range(2)])
    held: list[dict[int, Work]] = field(default_factory=lambda: [{}, {}])
    said: dict[UUID, tuple[Envelope, tuple[int, ...]]] = field(default_factory=dict)
    #: Digested while something that arrived before them came late.
    passed: set[int] = field(default_factory=set)
    now: datetime = NOW
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        # not by join: who joins a file ends every other node on it
        rows = [{"id": one, "expires_at": nodes.FOR_EVER, "place": None} for one in self.ids]
        self.connection.execute(NODES.insert(), rows)

    def rows(self) -> list[Any]:
        return list(self.connection.execute(select(WORK).order_by(WORK.c.arrival, WORK.c.sequence)))

    def pick(self, node: int, stage: Stage, which: int) -> Work | None:
        mine = [work for work in self.held[node].values() if work.stage is stage]
        return mine[which % len(mine)] if mine else None

    # -- what may happen -----------------------------------------------------------------------------------------------

    def keep(self, _node: int, which: int) -> None:
        """A delivery with one or two messages, of one or two senders."""
        senders = (which % SENDERS, which // SENDERS % SENDERS)[: 1 + which % 2]
        one = envelope(apparent_sender=str(senders[0]))
        self.said[one.id] = (one, senders)
        envelopes.keep_many(self.connection, self.keyring, [Delivery(one)])

    def claim_unpack(self, node: int, which: int) -> None:
        self._claim(node, Stage.UNPACK, 1 + which % 3)

    def claim_digest(self, node: int, which: int) -> None:
        before = {row.sequence: row for row in self.rows()}
        for work in self._claim(node, Stage.DIGEST, 1 + which % 3):
            lane = [row for row in before.values() if row.lane == work.lane]
            assert sum(row.holder is not None for row in lane) <= 1
            if before[work.sequence].holder is None and work.sequence not in self.passed:
                assert lane[0].sequence == work.sequence, "the first of its lane goes first"

    def _claim(self, node: int, stage: Stage, limit: int) -> list[Work]:
        found = queue.claim(self.connection, self.ids[node], stage, self.now, limit, tuple(self.held[node]))
        assert not {work.sequence for work in found} & {*self.held[0], *self.held[1]}, "nothing is given to two"
        self.held[node] |= {work.sequence: work for work in found}
        return found

    def unpack(self, node: int, which: int) -> None:
        if work := self.pick(node, Stage.UNPACK, which):
            one, senders = self.said[work.subject]
            said = tuple(message(provider_id=str(next(self.numbers)), sender=sender(str(who))) for who in senders)
            heads = {row.sequence: row for row in self.rows() if row.lane is not None and row.holder is not None}
            (result,) = messages.unpack_many(
                self.connection, self.keyring, self.ids[node], [Unpacking(work, one, said, self.now)]
            )
            assert result == ()
            lanes = {messages.sender_mark(self.keyring, each) for each in said}
            self._came_late(heads, lanes, work.sequence)
            del self.held[node][work.sequence]

    def _came_late(self, heads: dict[int, Any], lanes: set[bytes], arrival: int) -> None:
        self.passed |= {at for at, head in heads.items() if head.lane in lanes and head.arrival > arrival}

    def finish(self, node: int, which: int) -> None:
        if work := self.pick(node, Stage.DIGEST, which):
            queue.finish_work(self.connection, self.ids[node], work)
            del self.held[node][work.sequence]

    def postpone(self, node: int, which: int) -> None:
        if work := self.pick(node, list(Stage)[which % 2], which):
            until = self.now + timedelta(seconds=which)
            queue.postpone(self.connection, self.ids[node], work, "slow", self.now, until)
            del self.held[node][work.sequence]

    def give_up(self, node: int, which: int) -> None:
        if work := self.pick(node, list(Stage)[which % 2], which):
            messages.give_up(self.connection, self.ids[node], work, Outcome.FAILED, "bug", self.now)
            del self.held[node][work.sequence]

    def requeue(self, _node: int, which: int) -> None:
        if self.said:
            one, senders = list(self.said.values())[which % len(self.said)]
            heads = {row.sequence: row for row in self.rows() if row.lane is not None and row.holder is not None}
            replay.requeue(self.connection, self.keyring, one.id, self.now, FAILED)
            lanes = {messages.sender_mark(self.keyring, message(sender=sender(str(who)))) for who in senders}
            self._came_late(heads, lanes, 0)

    def lapse(self, node: int, _which: int) -> None:
        """It is gone, its work is given back, and what it still believes to hold it cannot finish any more."""
        self.connection.execute(update(NODES).where(NODES.c.id == self.ids[node]).values(expires_at=NOW))
        nodes.reap(self.connection)
        for work in self.held[node].values():
            with pytest.raises(Superseded):
                queue.finish_work(self.connection, self.ids[node], work)
        self.held[node], self.ids[node] = {}, uuid_utils.compat.uuid7()
        row = {"id": self.ids[node], "expires_at": nodes.FOR_EVER, "place": None}
        self.connection.execute(NODES.insert(), row)

    def clock(self, _node: int, which: int) -> None:
        self.now = NOW + timedelta(seconds=(which - 10) * 3600)

    # -- what must hold ------------------------------------------------------------------------------------------------

    def prove(self) -> None:
        for sentence, query in _order_faults():
            assert not self.connection.execute(query).all(), sentence

    def drain(self) -> None:
        """One node after the other does what is left: everything comes to its end."""
        self.lapse(1, 0)
        self.now = NOW + timedelta(days=30)
        for _ in range(10_000):
            if not self.rows():
                return
            for stage, step in ((Stage.UNPACK, self.unpack), (Stage.DIGEST, self.finish)):
                (self.claim_unpack if stage is Stage.UNPACK else self.claim_digest)(0, 2)
                step(0, 0)
            self.prove()
        pytest.fail(f"stuck: {self.rows()}")


STEPS: list[Callable[[World, int, int], None]] = [
    World.keep,
    World.claim_unpack,
    World.claim_digest,
    World.unpack,
    World.finish,
    World.postpone,
    World.give_up,
    World.requeue,
    World.lapse,
    World.clock,
]
steps = st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(0, 20))


@settings(
    max_examples=300 if os.environ.get("FAULTS") == "full" else 12,
    deadline=None,  # as long as the database takes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],  # every example leaves nothing
)
@given(st.lists(steps, min_size=15, max_size=45))
async def test_any_interleaving_keeps_the_order_and_no_lane_is_ever_stuck(
    store: Store, done: list[tuple[Callable[[World, int, int], None], int, int]]
) -> None:
    def example(connection: Connection) -> None:
        world = World(connection, store._keyring)
        for step, node, which in done:
            step(world, node, which)
            world.prove()
        world.drain()
        raise Undone

    with pytest.raises(Undone):
        await store._database.write(example, seconds=None)


# -- real transactions at once -----------------------------------------------------------------------------------------


@dataclass
class Day:
    """Three nodes that keep, unpack and digest at once; some tries fail, and two of the nodes come and go."""

    nodes: list[Store]
    dice: random.Random = field(default_factory=lambda: random.Random(12345))
    over: bool = False

    async def keep(self) -> None:
        for number in range(60):
            who = str(self.dice.randrange(4))
            await self.dice.choice(self.nodes).keep(envelope(f"{who} {number}".encode(), apparent_sender=who))

    async def serve(self, node: Store, stage: Stage) -> None:
        step = self._unpack if stage is Stage.UNPACK else self._digest
        while not self.over:
            found = await node.claim(stage, NOW, 3)
            results = await asyncio.gather(*(step(node, work) for work in found), return_exceptions=True)
            assert all(result is None or isinstance(result, Superseded) for result in results), results

    async def _unpack(self, node: Store, work: Work) -> None:
        one = await node.envelope(work.subject)
        who, number = one.body.decode().split()
        if not await self._fails(node, work):
            await node.unpack(Unpacking(work, one, (message(number, number, sender=sender(who)),), NOW))

    async def _digest(self, node: Store, work: Work) -> None:
        if not await self._fails(node, work):
            await node.give_up(work, Outcome.FAILED, "bug", NOW)

    async def _fails(self, node: Store, work: Work) -> bool:
        if work.attempts == 2 or self.dice.random() > 0.2:
            return False
        await node.postpone(work, "slow", NOW, NOW)
        return True

    async def look(self) -> None:
        """Until nothing is left; the books are right at every moment."""
        await self.keep()
        while await self.nodes[0].pending():
            assert (await self.nodes[0].reconcile()).offending == []
            gone = self.dice.choice(self.nodes[1:])
            await lapse(gone)
            for _ in range(2):
                await beat(gone)
        self.over = True

    async def order(self) -> dict[str, list[int]]:
        """By sender, what was digested, in the order of the commits."""
        ended = select(TRANSITIONS.c.subject).where(TRANSITIONS.c.step == "failed").order_by(TRANSITIONS.c.sequence)
        found: dict[str, list[int]] = {}
        for row in await run(self.nodes[0], ended):
            said = (await self.nodes[0].message(row.subject)).message
            found.setdefault(said.sender.value, []).append(int(said.text))
        return found


async def test_nodes_that_work_at_once_keep_the_order_and_leave_nothing(by_hand: None, trio: list[Store]) -> None:
    day = Day(trio)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(day.look())
        for node in trio:
            for stage in Stage:
                group.create_task(day.serve(node, stage))
    order = await day.order()
    assert sum(map(len, order.values())) == 60
    assert all(said == sorted(said) for said in order.values()), order
