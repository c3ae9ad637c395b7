"""Running a job in a process of its own that is killed at a chosen step.

Children are forked from a server that has imported what they need and runs one thread: a start costs milliseconds.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

#: To be called before each step.
Step = Callable[..., None]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", "tests.store.conftest", "store.backup"])


def killed_at(step: int, job: Callable[..., None], *arguments: object) -> bool:
    """Run ``job(count, *arguments)`` in a process that gets SIGKILL when it calls ``count`` for the ``step``-th time.

    False when it did not call as often, and finished.
    """
    child = FORKS.Process(target=_run, args=(step, job, arguments))
    child.start()
    child.join()
    assert child.exitcode in {0, -signal.SIGKILL}
    return child.exitcode != 0


def _run(step: int, job: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    steps = itertools.count(1)

    def count(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    job(count, *arguments)
