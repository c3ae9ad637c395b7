"""The model of the ledger: whatever happens in whatever order, every promise is kept; on SQLite and on PostgreSQL.

Real stores, pipelines and hand-offs; only worker processes, the channel and the core are stand-ins, and time stands
still until a rule puts it forward. Nothing that a node does happens before a rule lets it (tests/model/gate.py), so an
example that fails can be played again.

``LEDGER_EXAMPLES=2000 LEDGER_STEPS=60 pytest -n 0 tests/test_ledger.py`` looks longer.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
from hypothesis import HealthCheck, note
from hypothesis import settings as searching
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.model.core import Says
from tests.model.gate import BESIDE, Entry, Way
from tests.model.ground import File, Ground, Served
from tests.model.letters import BAD_LETTER, BAD_WORDS, URGENT, Letter
from tests.model.node import Node
from tests.model.promises import Promises
from tests.postgres import Server, postgresql

__all__ = ["postgresql"]

T = TypeVar("T")

EXAMPLES, STEPS = int(os.environ.get("LEDGER_EXAMPLES", "6")), int(os.environ.get("LEDGER_STEPS", "30"))
#: Mostly the same, so that they meet.
SENDERS, ACCOUNTS = st.sampled_from([1, 1, 1, 2]), st.sampled_from(["desk", "desk", "hall"])
WORDS = st.sampled_from(["", "", "", "", URGENT, BAD_WORDS, BAD_LETTER])
ANSWERS = st.sampled_from([Says.OK] * 4 + [says for says in Says if says is not Says.OK])
ANY = st.integers(0, 11)
#: What moves a message on.
WRITES = ("Store._unpack", "Store.file", "Store.give", "Store.postpone", "Outbox._", "Outbox.p")
BUT = st.sampled_from([(), (), WRITES, *((one,) for one in ("core", "Outbox", "Store.file", "Store.claim", "parse"))])
#: Who takes part in a race, and who of them is let go when.
CROWD, SCHEDULE = st.lists(ANY, min_size=2, max_size=3), st.lists(ANY, min_size=1, max_size=12)
#: Most come back at once.
RETURNS = st.sampled_from([True, True, False])
#: What happens next: who of those that wait, and how it goes with a database and with the core.
STEP = st.tuples(ANY, st.sampled_from([Way.THROUGH] * 8 + [Way.REFUSED, Way.LOST]), ANSWERS)


class Ledger(RuleBasedStateMachine):
    """One world. Each rule ends when nothing moves any more."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.world = self._stack.enter_context(ground.world())
        self.promises = Promises(self.world)
        self._looks = 0
        for node in self.world.nodes.values():
            self._run(self.world.start(node))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.world.loop.run_until_complete(work)

    def _one(self, which: int, nodes: Sequence[Node]) -> Node:
        return nodes[which % len(nodes)]

    # -- providers -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.at_work)
    @rule(which=ANY, sender=SENDERS, account=ACCOUNTS, words=st.lists(WORDS, min_size=1, max_size=3), names=ANY)
    def deliver(self, which: int, sender: int, account: str, words: list[str], names: int) -> None:
        """New messages of one sender; some name the matter they add to."""
        matters = [None, None, *self._run(self.world.matters_of(sender))]
        self._send(which, self.world.letter(sender, account, words, matters[names % len(matters)]))

    @precondition(lambda self: self.world.at_work)
    @rule(which=ANY, sender=SENDERS, times=st.integers(1, 2), other=st.booleans())
    def deliver_under_a_key(self, which: int, sender: int, times: int, other: bool) -> None:
        """A key that stands for one body, at the same time again, perhaps with another body."""
        letter = self.world.letter(sender, "desk", [""], key=f"key-{self.world.number()}")
        for _ in range(times):
            self._send(which, letter)
        if other:
            self._send(which + 1, Letter(letter.body + b" ", letter.key))

    @precondition(lambda self: self.world.at_work and self.world.sent)
    @rule(which=ANY, what=st.integers(0, 1000), how=st.sampled_from(["again", "again", "altered", "unreadable"]))
    def deliver_oddly(self, which: int, what: int, how: str) -> None:
        """What came before once more, its ids with other words, or nothing that anybody could read."""
        letter = self.world.sent[what % len(self.world.sent)].letter
        odd = {"altered": self.world.altered(letter), "unreadable": Letter(b"{" + str(self.world.number()).encode())}
        self._send(which, odd.get(how, letter))

    def _send(self, which: int, letter: Letter) -> None:
        self._run(self.world.send(self._one(which, self.world.at_work), letter))

    # -- the way through -------------------------------------------------------------------------------------------

    @rule(steps=st.lists(STEP, min_size=1, max_size=20))
    def step(self, steps: list[tuple[int, Way, Says]]) -> None:
        """One thing after the other happens, well or badly."""
        for which, way, says in steps:
            if waiting := self.world.gate.waiting():
                entry = waiting[which % len(waiting)]
                note(f"{entry.owner}: {entry.what}")
                self._run(self.world.let_through(entry, says if entry.what == "core" else way))

    @precondition(lambda self: self.world.at_work)
    @rule(which=ANY, but=BUT)
    def flow(self, which: int, but: tuple[str, ...]) -> None:
        """Everything happens that one node can do; or all but one thing, so that much of that waits at once."""
        self._run(self.world.flow(self._one(which, self.world.at_work), but=but))

    @rule(which=CROWD, schedule=SCHEDULE, lapse=ANY)
    def race(self, which: list[int], schedule: list[int], lapse: int) -> None:
        """Transactions at the same time, statement by statement."""
        self._race(self.world.gate.waiting(), which, schedule, lapse)

    @precondition(lambda self: self.world.at_work)
    @rule(which=CROWD, schedule=SCHEDULE, lapse=ANY, sender=SENDERS, account=ACCOUNTS)
    def meet(self, which: list[int], schedule: list[int], lapse: int, sender: int, account: str) -> None:
        """One more message comes while others are filed and told of: all that is then written meets."""
        for node in self.world.at_work:
            self._run(self.world.flow(node, but=("Store.file", "Outbox._")))
        self._send(which[0], self.world.letter(sender, account, [""]))
        if schedule[0] % 2:
            for node in self.world.at_work:
                self._run(self.world.flow(node, but=WRITES))
        else:
            self._run(self.world.flow(but=("Store.file", "Outbox._")))
        writes = [entry for entry in self.world.gate.waiting() if entry.what.startswith(WRITES)]
        self._race(writes, which, schedule, lapse)

    def _race(self, waiting: list[Entry], which: list[int], schedule: list[int], lapse: int) -> None:
        writes = [entry for entry in waiting if entry.what not in BESIDE]
        entries = list(dict.fromkeys(writes[n % len(writes)] for n in which)) if writes else []
        if entries:
            note(", ".join(f"{entry.owner}: {entry.what}" for entry in entries))
            self._run(self.world.race(entries, schedule, lapse))

    # -- time ------------------------------------------------------------------------------------------------------

    @rule(
        how=st.sampled_from(["wait", "wait", "rest", "put"]),
        seconds=st.sampled_from([0.5, 1.0, 9.0, 61.0, 700.0, -40_000.0]),
    )
    def pass_time(self, how: str, seconds: float) -> None:
        """For everybody; for what was put off only; or by a correction of the nodes' clocks, forward or back."""
        if how == "put":
            self.world.clocks.wall += timedelta(seconds=seconds)
        elif how == "rest" and seconds > 0:
            self._run(self.world.rest(seconds))
        else:
            self._run(self.world.wait(min(abs(seconds), 9.0)))

    # -- nodes -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.alive)
    @rule(which=ANY, unheard=st.none() | ANY, returns=RETURNS)
    def crash(self, which: int, unheard: int | None, returns: bool) -> None:
        """Gone at any moment; something it asked of its database may still have been done."""
        self._run(self.world.crash(self._one(which, self.world.alive), unheard))
        if returns:
            self._run(self.world.start_all())

    @rule(which=ANY, stops=st.booleans(), returns=RETURNS)
    def stop_or_start(self, which: int, stops: bool, returns: bool) -> None:
        if stops and self.world.alive:
            self._run(self._one(which, self.world.alive).stop())
        if returns or not stops:
            self._run(self.world.start_all())

    @precondition(lambda self: self.world.alive)
    @rule(which=ANY, how=st.sampled_from(["freeze", "thaw", "lapse"]))
    def cut_off(self, which: int, how: str) -> None:
        """It comes to nothing any more and knows nothing of it, goes on with what it held, or is believed dead."""
        node = self._one(which, self.world.alive)
        if how == "freeze":
            self.world.gate.freeze(node.name)
        elif how == "thaw":
            self._run(self.world.thaw_all())
        elif self.world.shared:
            self._run(self.world.lapse(node))

    # -- people ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.at_work)
    @rule(what=st.sampled_from(["program", "requeue", "retry"]))
    def mend(self, what: str) -> None:
        """The program is mended or broken; what failed is run again; what was parked goes again."""
        if what == "program":
            self.world.letters.cured = not self.world.letters.cured
        elif what == "requeue":
            self._run(self.world.requeue(self.world.at_work[0]))
        else:
            self._run(self.world.retry_parked(self.world.at_work[0]))

    # -- what holds ------------------------------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        self._looks += 1
        self._run(self.promises.check(books=not self.world.shared or self._looks % 4 == 0))

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self._run(self._settle())
        finally:
            self._stack.close()

    async def _settle(self) -> None:
        """Faults stop: everything settles; then a person looks, and everything arrives."""
        await self.world.recover()
        await self.promises.check(books=True)
        await self.promises.check_parked_holds_back_only_its_matter()
        await self.world.mend()
        await self.promises.check(books=True)
        await self.promises.check_settled()


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    key_file = tmp_path / "keys.json"
    if request.param == "sqlite":
        file = File(f"sqlite:///{tmp_path}/gateway.db", key_file, ("A",))
        file.make()
        return file
    server: Server = request.getfixturevalue("postgresql")
    served = Served(server.fresh_database(), key_file, ("A", "B"))
    served.make()
    return served


def test_any_interleaving_keeps_every_promise(ground: Ground) -> None:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        run_state_machine_as_test(
            lambda: Ledger(ground),  # type: ignore[arg-type]  # it is only called
            settings=searching(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        structlog.configure(**before)
