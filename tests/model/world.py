"""The world of the model: nodes, a database, providers and a core, and what may happen to them."""

from __future__ import annotations

import itertools
from collections.abc import Coroutine, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, text, update

from channels.base import Request
from channels.errors import ChannelError
from normalizer.model import Outcome
from store.errors import Superseded
from store.store import Store
from store.tables import EVENTS, NODES
from tests.model.clocks import Clocks
from tests.model.core import Core, Says
from tests.model.gate import BESIDE, Entry, Gate, Turn, Way
from tests.model.letters import Letter, Letters, LettersSettings, Sent
from tests.model.loop import Loop
from tests.model.node import Node

#: Between two looks while time passes, seconds: no more than half a beat.
TICK = 1.0
#: Times that everything flows and what was put off becomes due, after which all must have settled.
ROUNDS = 12
#: A letter has three messages at most, which one sender has filed one after the other, each after three tries at most.
ROUNDS_PER_LETTER = 9
#: Decisions of one flow, in case that it never ends.
MOST = 200
#: What only a node whose lease is valid may write.
FENCED = frozenset(
    {
        *("Store._unpack_many", "Store.postpone", "Store.give_up", "Store.file_matter"),
        *("Outbox._deliver_many", "Outbox.postponed", "Outbox.parked"),
    }
)
BLOCKED = text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")


class World:
    """Everything is done by coroutines that end when nothing moves any more."""

    def __init__(self, loop: Loop, monitor: Store, url: str, key_file: Path, names: Iterable[str]) -> None:
        self.loop, self.monitor, self._where = loop, monitor, (url, key_file)
        self.clocks, self.gate, self.core = Clocks(loop, monitor), Gate(loop), Core()
        self.letters = Letters("letters", LettersSettings())
        self.nodes = {name: Node(name, self.gate, self.clocks, self.core, self.letters) for name in names}
        self.sent: list[Sent] = []
        #: Parked events that a person let go since the last look.
        self.retried: set[UUID] = set()
        self._ticks = itertools.count(1)
        self._numbers = itertools.count(1)
        loop.deaths.clear()

    @property
    def shared(self) -> bool:
        return self.monitor._database.shared

    @property
    def alive(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.store is not None]

    # -- nodes -----------------------------------------------------------------------------------------------------

    async def start(self, node: Node) -> None:
        await node.start(*self._where)
        await self.loop.quiet()

    async def start_all(self) -> None:
        for node in self.nodes.values():
            if node.store is None:
                await self.start(node)

    async def thaw_all(self) -> None:
        for name in sorted(self.gate.frozen):
            self.gate.thaw(name)
        await self.loop.quiet()

    async def crash(self, node: Node, unheard: int | None) -> None:
        """With ``unheard``, one of the things it asked of its database is done, and it is gone before it hears of it."""
        writes = [entry for entry in self.gate.waiting(node.name) if entry.what not in BESIDE]
        if unheard is not None and writes:
            entry = writes[unheard % len(writes)]
            entry.future.set_result(Way.SILENT)
            await self.loop.quiet()
        await node.crash()

    async def end(self) -> None:
        """Nothing is left."""
        for node in self.alive:
            await node.crash()

    async def lapse(self, node: Node) -> None:
        """The database believes the node dead."""
        assert node.store is not None
        dead = update(NODES).where(NODES.c.id == node.store._membership.id)
        expired = dead.values(expires_at=self.clocks.database - timedelta(seconds=1))
        await self.monitor._database.write(lambda connection: connection.execute(expired))

    # -- providers -------------------------------------------------------------------------------------------------

    def number(self) -> int:
        return next(self._numbers)

    def letter(
        self, sender: int, account: str, words: Sequence[str], names: UUID | None = None, key: str | None = None
    ) -> Letter:
        """Messages that begin with these words, each unlike any other."""
        said = [
            {"id": f"id-{number}", "text": f"{word}第{number}件", "reply": names and str(names)}
            for word, number in zip(words, self._numbers, strict=False)
        ]
        return Letter(orjson.dumps({"account": account, "sender": sender, "messages": said}), key)

    def altered(self, letter: Letter) -> Letter:
        """The same ids with other words."""
        try:
            body = orjson.loads(letter.body)
        except orjson.JSONDecodeError:
            return Letter(letter.body + b"{")
        for said in body["messages"]:
            said["text"] += f"又{self.number()}"
        return Letter(orjson.dumps(body))

    async def matters_of(self, sender: int) -> list[UUID]:
        """The caller's matters so far."""
        number = f"+861380013800{sender}"
        return [m.matter_id for m in await self.monitor.matters() if m.party.contacts[0].value == number]

    async def send(self, node: Node, letter: Letter) -> Sent:
        sent = Sent(letter, node.name, next(self._ticks))
        self.sent.append(sent)
        self.loop.start(node.name, self._deliver(node, sent))
        await self.loop.quiet()
        return sent

    async def _deliver(self, node: Node, sent: Sent) -> None:
        headers = ((b"key", sent.letter.key.encode()),) if sent.letter.key else ()
        place = {"method": "POST", "path": "/channels/letters", "query": "", "peer": "127.0.0.1", "url": ""}
        request = Request(**place, headers=headers, body=sent.letter.body, received_at=self.clocks.now())
        try:
            answer = await self.letters.receive(request, node.deliver)
        except ChannelError as error:
            sent.refusal = error.reason
        else:
            sent.acknowledged, sent.receipt = next(self._ticks), answer.body.decode()

    # -- what happens ----------------------------------------------------------------------------------------------

    async def let_through(self, entry: Entry, how: Way | Says) -> None:
        """One thing happens; pure calls and reads can only happen."""
        if entry.what in {"parse", "normalize"} or isinstance(how, Says) != (entry.what == "core"):
            how = Way.THROUGH
        fenced = entry.what in FENCED and not await self._has_lease(self.nodes[entry.owner])
        entry.future.set_result(how)
        await self.loop.quiet()
        for answer in entry.answers if fenced else ():
            written = [one for one in answer if not isinstance(one, Superseded)] if isinstance(answer, list) else True
            assert not written, f"{entry.owner} wrote without a lease: {entry.what}"

    async def _has_lease(self, node: Node) -> bool:
        lease = NODES.c.id == _open(node)._membership.id, NODES.c.expires_at > self.clocks.database
        found = select(NODES.c.id).where(*lease)
        return await self.monitor._database.read(lambda connection: connection.execute(found).scalar()) is not None

    async def flow(self, node: Node | None = None, *, but: tuple[str, ...] = ()) -> None:
        """Everything happens that can, in order of arrival; ``but`` this waits."""
        for _ in range(MOST):
            waiting = self.gate.waiting(node.name if node else None)
            going = [entry for entry in waiting if not entry.what.startswith(but)]
            if not going:
                return
            await self.let_through(going[0], Way.THROUGH)

    async def wait(self, seconds: float) -> None:
        """Time passes; who is not frozen keeps his lease up."""
        while seconds > 0:
            await self.clocks.pass_(min(TICK, seconds))
            seconds -= TICK
            await self.loop.quiet()

    async def rest(self, seconds: float) -> None:
        """A long time in which nobody's lease lapses: whatever was put off is due."""
        self.loop.elapsed += seconds
        self.clocks.wall += timedelta(seconds=seconds)
        await self.loop.quiet()

    async def race(self, entries: list[Entry], schedule: list[int], lapse_at: int | None) -> None:
        """Several transactions at once, statement by statement; the lease of the first may lapse in between.

        A file has one writer: there they only come one after the other.
        """
        turns = [Turn(self.loop) for _ in entries] if self.shared else []
        for entry, turn in itertools.zip_longest(entries, turns):
            entry.turn = turn
            entry.future.set_result(Way.THROUGH)
        first = self.nodes[entries[0].owner]
        for step in itertools.count():
            if not (ready := await self._ready(turns)):
                break
            if step == lapse_at:
                await self.lapse(first)
            ready[schedule[step % len(schedule)] % len(ready)].go()
        await self.loop.quiet()

    async def _ready(self, turns: list[Turn]) -> list[Turn]:
        """Who waits for his turn, once nobody moves any more but those that wait for a lock of another."""
        while True:
            await self.loop.step()
            busy, blocked = self.loop.busy, 0
            if busy and turns:
                blocked = await self.monitor._database.read(lambda connection: connection.execute(BLOCKED).scalar_one())
                await self.loop.step()
            ready = [turn for turn in turns if turn.waiting is not None]
            if self.loop.busy == busy == blocked:
                assert ready or not busy, "the transactions wait for each other"
                return ready
            if not turns:
                await self.loop.quiet()

    # -- faults stop -----------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """All nodes run, the core answers, and whoever was not told that we have his letter sends it again.

        The nodes' clocks were wrong and are put right: nothing may wait until they show the old time again.
        """
        self.clocks.wall -= timedelta(hours=11)
        await self.thaw_all()
        await self.start_all()
        await self.settle()
        known = {sent.letter for sent in self.sent if sent.acknowledged is not None or sent.refusal == "rebound"}
        for letter in dict.fromkeys(sent.letter for sent in self.sent if sent.letter not in known):
            again = await self.send(self.alive[0], letter)
            await self.flow()
            assert again.acknowledged or again.refusal == "rebound", f"not taken although all is well: {again.refusal}"
        await self.settle()

    async def settle(self) -> None:
        """Return once nothing is left to do. Raise AssertionError when that takes too long."""
        for _ in range(ROUNDS + ROUNDS_PER_LETTER * len(self.sent)):
            await self.flow()
            if not await self.monitor.pending() and not await self._going():
                return
            await self.rest(700)
            await self.flow()
            await self.wait(2)
        left = await self.monitor.reconcile()
        raise AssertionError(f"does not settle: pending {left.pending}, {left.outcomes}, {left.events}")

    async def _going(self) -> int:
        """Events that wait for nothing but their delivery."""
        going = select(func.count()).select_from(EVENTS).where(EVENTS.c.state == "waiting", ~EVENTS.c.waits)
        return await self.monitor._database.read(lambda connection: connection.execute(going).scalar_one())

    async def mend(self) -> None:
        """The program is mended, the core too; a person has everything run again."""
        self.letters.cured = True
        await self.requeue(self.alive[0])
        await self.retry_parked(self.alive[0])
        await self.settle()

    # -- people ----------------------------------------------------------------------------------------------------

    @property
    def at_work(self) -> list[Node]:
        return [node for node in self.alive if node.name not in self.gate.frozen]

    async def requeue(self, node: Node) -> None:
        """Everything that failed or could not be read is run again."""
        store = _open(node)
        for item in await store.replayable((Outcome.FAILED, Outcome.MALFORMED)):
            await self._operate(node, store.requeue(item.envelope_id, self.clocks.now()))

    async def retry_parked(self, node: Node) -> None:
        store = _open(node)
        for parked in await store.parked_events():
            self.retried.add(parked.id)
            await self._operate(node, store.retry_event(parked.id, self.clocks.now()))

    async def _operate(self, node: Node, work: Coroutine[Any, Any, int]) -> None:
        task = self.loop.start(node.name, work)
        await self.loop.quiet()
        for entry in self.gate.waiting(node.name):
            if entry.what in {"Store.requeue", "Store.retry_event"}:
                await self.let_through(entry, Way.THROUGH)
        await task


def _open(node: Node) -> Store:
    assert node.store is not None
    return node.store
