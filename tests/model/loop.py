"""An event loop whose time stands still until it is put forward, and that knows when nothing moves any more."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

#: The node on whose behalf a task runs.
OWNER: ContextVar[str] = ContextVar("owner", default="")
#: What no task may die of.
FAULTS_OF_OURS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError)


class Loop(asyncio.SelectorEventLoop):
    """Only databases are really waited for; every timer runs on ``elapsed``."""

    def __init__(self) -> None:
        #: Seconds, set by the world.
        self.elapsed = 0.0
        #: Calls of a database under way.
        self.busy = 0
        #: Tasks that died of a fault of ours.
        self.deaths: list[str] = []
        self._idle = asyncio.Event()
        self._owned: defaultdict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        super().__init__()
        self.set_task_factory(self._begin)  # type: ignore[arg-type]  # typeshed's factory is generic over the coroutine

    def time(self) -> float:
        return self.elapsed

    def _begin(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER, "")
        if owner:
            self._owned[owner].add(task)
            task.add_done_callback(self._owned[owner].discard)
            task.add_done_callback(self._look)
        return task

    def _look(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), FAULTS_OF_OURS):
            self.deaths.append(f"a task died of {error!r}")

    def start(self, owner: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it for a node: whatever it starts belongs to that node too."""
        context = copy_context()
        context.run(OWNER.set, owner)
        return self.create_task(coroutine, context=context)

    async def kill(self, owner: str) -> None:
        """Cancel everything that a node does."""
        while tasks := list(self._owned[owner]):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within, a database is at work."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
            self._idle.set()

    async def step(self) -> None:
        """Return when everybody waits for a timer, a gate or a database."""
        await asyncio.sleep(0)
        while self._ready:  # type: ignore[attr-defined]  # the callbacks that are to run now; no public name
            await asyncio.sleep(0)

    async def quiet(self) -> None:
        """Return when everybody waits for a timer or a gate."""
        await self.step()
        while self.busy:
            self._idle.clear()
            await self._idle.wait()
            await self.step()
