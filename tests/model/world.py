"""The world of the model: nodes, a database, providers and a core, and what may happen to them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import text, update

from channels.base import Request
from channels.errors import ChannelError
from store.store import Store
from store.tables import NODES
from tests.model.clocks import Clocks
from tests.model.core import Core, Says
from tests.model.gate import Entry, Gate, Turn, Way
from tests.model.letters import Letter, Letters, LettersSettings, Sent
from tests.model.loop import Loop
from tests.model.node import Node

#: Between two looks while time passes, seconds: no more than half a beat.
TICK = 1.0
#: Decisions after which everything that can settle must have.
ENOUGH = 3000
BLOCKED = text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")


class World:
    """Everything is done by coroutines that end when nothing moves any more."""

    def __init__(self, loop: Loop, monitor: Store, url: str, key_file: Path, names: Iterable[str]) -> None:
        self.loop, self.monitor, self._where = loop, monitor, (url, key_file)
        self.clocks, self.gate, self.core = Clocks(loop, monitor), Gate(loop), Core()
        self.letters = Letters("letters", LettersSettings())
        self.nodes = {name: Node(name, self.gate, self.clocks, self.core, self.letters) for name in names}
        self.sent: list[Sent] = []
        #: Envelopes for which the others did not have to wait any longer.
        self.slow: set[Any] = set()
        self._ticks = itertools.count(1)
        self._numbers = itertools.count(1)
        loop.deaths.clear()

    @property
    def alive(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.store is not None]

    # -- nodes -----------------------------------------------------------------------------------------------------

    async def start(self, node: Node) -> None:
        await node.start(*self._where)
        await self.loop.quiet()

    async def lapse(self, node: Node) -> None:
        """The database believes the node dead."""
        assert node.store is not None
        dead = update(NODES).where(NODES.c.id == node.store._membership.id)
        expired = dead.values(expires_at=self.clocks.database - timedelta(seconds=1))
        await self.monitor._database.write(lambda connection: connection.execute(expired))

    # -- providers -------------------------------------------------------------------------------------------------

    def letter(self, sender: int, account: str, said: list[dict[str, Any]], key: str | None = None) -> Letter:
        return Letter(orjson.dumps({"account": account, "sender": sender, "messages": said}), key)

    def number(self) -> int:
        return next(self._numbers)

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
        entry.future.set_result(how)
        await self.loop.quiet()
        await self.note_slow()

    async def flow(self, node: Node | None = None, *, most: int = 200) -> None:
        """Everything happens that can, in order of arrival."""
        for _ in range(most):
            if not (waiting := self.gate.waiting(node and node.name)):
                return
            await self.let_through(waiting[0], Way.THROUGH)

    async def wait(self, seconds: float) -> None:
        """Time passes; who is not frozen keeps his lease up."""
        while seconds > 0:
            await self.clocks.pass_(min(TICK, seconds))
            seconds -= TICK
            await self.loop.quiet()
            await self.note_slow()

    async def rest(self, seconds: float) -> None:
        """A long time in which nobody's lease lapses: whatever was put off is due."""
        self.loop.elapsed += seconds
        self.clocks.wall += timedelta(seconds=seconds)
        await self.loop.quiet()

    async def race(self, entries: list[Entry], schedule: list[int], lapse_at: int | None) -> None:
        """Several transactions at once, statement by statement; the lease of the first may lapse in between."""
        for entry in entries:
            entry.turn = Turn(self.loop)
            entry.future.set_result(Way.THROUGH)
        first = self.nodes[entries[0].owner]
        turns = [entry.turn for entry in entries if entry.turn is not None]
        for step in itertools.count():
            if not await self._stopped():
                break
            ready = [turn for turn in turns if turn.waiting is not None]
            if step == lapse_at and first.store is not None and self.monitor._database.shared:
                await self.lapse(first)
            ready[schedule[step % len(schedule)] % len(ready)].go()
        await self.loop.quiet()
        await self.note_slow()

    async def _stopped(self) -> bool:
        """Whether a transaction waits for its turn; those that wait for a lock of another do not count."""
        while True:
            await self.loop.step()
            if not self.loop.busy:
                return any(entry.turn is not None and entry.turn.waiting is not None for entry in self.gate.entries)
            before = self.loop.busy
            blocked = await self.monitor._database.read(lambda connection: connection.execute(BLOCKED).scalar())
            await self.loop.step()
            if self.loop.busy == before == blocked:
                assert any(e.turn is not None and e.turn.waiting is not None for e in self.gate.entries), "deadlock"
                return True
