"""A node of the model: the real store, pipeline and hand-off, cut off from the outside by the gate."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self

from channels.base import AnyChannel, StateChange
from channels.errors import Malformed, Rebound, Unavailable
from gateway.handoff import Handoff
from gateway.metrics import Metrics
from gateway.offload import OwnFault
from gateway.pipeline import Pipeline
from gateway.rules import CityRules, read
from gateway.sinks import Result
from normalizer.fields import Fields
from normalizer.model import Envelope, Kept, KeptMessage, Parsed
from store.errors import BindingReused, StoreUnavailable
from store.opening import open_store
from store.store import Store
from store.values import DueEvent
from tests.model.clocks import Clocks
from tests.model.core import Core, Says
from tests.model.gate import BESIDE, Gate, Way
from tests.model.letters import BAD_WORDS, Letters
from tests.model.loop import Loop


class Inline:
    """The pure functions, called here: one at a time passes the gate."""

    def __init__(self, gate: Gate, owner: str, letters: Letters) -> None:
        self._gate, self._owner, self._letters = gate, owner, letters

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to end."""

    async def warm(self) -> None:
        """There is nothing to start."""

    async def parse(self, channel: AnyChannel, envelope: Envelope, *, suspect: bool = False) -> Parsed:
        await self._gate.pass_(self._owner, "parse")
        try:
            return channel.parse(envelope)
        except Malformed:
            raise
        except Exception as error:  # noqa: BLE001 - as in the worker: whatever it is
            raise OwnFault(type(error).__name__) from None

    async def read(self, kept: KeptMessage, rules: CityRules, *, suspect: bool = False) -> Fields:
        await self._gate.pass_(self._owner, "normalize")
        if kept.message.text.startswith(BAD_WORDS) and not self._letters.cured:
            raise OwnFault("words")
        return read(kept, rules)


class Line:
    """A node's line to the core."""

    def __init__(self, gate: Gate, owner: str, core: Core, clocks: Clocks) -> None:
        self._gate, self._owner, self._core, self._clocks = gate, owner, core, clocks

    async def deliver(self, event: DueEvent) -> Result:
        says, _ = await self._gate.pass_(self._owner, "core")
        return self._core.answer(event, Says.OK if isinstance(says, Way) else says, self._clocks.now())

    async def close(self) -> None:
        pass


class Node:
    """One process. Everything it does is done by tasks of its own, so that it can be killed."""

    def __init__(self, name: str, gate: Gate, clocks: Clocks, core: Core, letters: Letters) -> None:
        self.name, self._gate, self._clocks = name, gate, clocks
        self._core, self._letters = core, letters
        self.store: Store | None = None
        self._pipeline: Pipeline | None = None
        self.jobs: list[asyncio.Task[Any]] = []

    @property
    def loop(self) -> Loop:
        return self._gate.loop

    async def start(self, url: str, key_file: Path) -> None:
        await self.loop.start(self.name, self._start(url, key_file))

    async def _start(self, url: str, key_file: Path) -> None:
        self.store = store = await open_store(url, key_file)
        self._gate.watch(store._database, self.name)
        metrics = Metrics()
        line = Line(self._gate, self.name, self._core, self._clocks)
        handoff = Handoff(
            *("core", store.outbox(), line),
            clock=self._clocks.now,
            metrics=metrics,
            jitter=lambda: 1.0,
            elapsed=self.loop.time,
        )
        self._pipeline = Pipeline(
            store,
            {self._letters.name: self._letters},
            clock=self._clocks.now,
            metrics=metrics,
            rules=CityRules("jinan", "370100", "Asia/Shanghai"),
            offload=Inline(self._gate, self.name, self._letters),  # type: ignore[arg-type]  # the same two methods
            filed=lambda _: handoff.ring(),
        )
        self.jobs = [asyncio.create_task(self._pipeline.run()), asyncio.create_task(handoff.run())]

    async def deliver(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        """As gateway/node.py does it."""
        assert self.store is not None and self._pipeline is not None
        try:
            kept = await self.store.keep(envelope)
        except BindingReused:
            raise Rebound("rebound") from None
        except StoreUnavailable:
            raise Unavailable("unavailable") from None
        self._pipeline.ring()
        return kept

    async def crash(self) -> None:
        """Gone, without a word to anybody; the database hangs up on it."""
        assert self.store is not None
        store, self.store = self.store, None
        self._gate.thaw(self.name)
        await self.loop.kill(self.name)
        await store._database.close()

    async def stop(self) -> None:
        """In good order, as ``gateway serve`` does on SIGTERM."""
        assert self.store is not None
        store, self.store = self.store, None
        self._gate.thaw(self.name)
        self._gate.leaving.add(self.name)
        for entry in self._gate.waiting(self.name):
            if entry.what not in BESIDE:
                entry.future.set_result(Way.THROUGH)
        for job in self.jobs:
            job.cancel()
        await asyncio.gather(*self.jobs, return_exceptions=True)
        await self.loop.start(self.name, store.close())
        await self.loop.kill(self.name)
        self._gate.leaving.discard(self.name)
