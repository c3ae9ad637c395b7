"""Upgrading a store in a process that is killed at a chosen step; run by tests/store/test_migrations.py.

Children are forked from a server that has imported this module and runs one thread: a start costs milliseconds.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from store.opening import open_store

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", __name__])


def upgrade_killed_at(url: str, key_file: Path, step: int) -> bool:
    """Open the store of ``url`` for an upgrade in a process killed just before its ``step``-th step, counted from 1.

    Steps are statements and commits. False when it had fewer, and finished.
    """
    child = FORKS.Process(target=_upgrade, args=(url, key_file, step))
    child.start()
    child.join()
    assert child.exitcode in {0, -signal.SIGKILL}
    return child.exitcode != 0


def _upgrade(url: str, key_file: Path, step: int) -> None:
    steps = itertools.count(1)

    def count(*_: Any) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)

    async def opened() -> None:
        await (await open_store(url, key_file, migrate=True)).close()

    asyncio.run(opened())
