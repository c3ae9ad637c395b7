"""When a sink does not answer, it is asked rarely: one try at a time, further and further apart."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

#: Failures in a row, over different events, after which the sink is taken to be away.
FAILURES = 8
#: First and longest wait between two tries, seconds.
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
#: An event that tells of danger to life is tried at least so often, seconds.
URGENT_SECONDS = 5.0


class Breaker:
    """Closed while the sink answers. Time is monotonic: a clock put forward or back neither freezes nor hurries it."""

    def __init__(
        self, elapsed: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        self._elapsed, self._jitter = elapsed, jitter
        self._failures = 0
        self._wait = FIRST_SECONDS
        self._until = self._tried_urgent = elapsed()
        #: The sink itself said when to come again, or that we are not welcome: not even what is urgent goes before.
        self._told = False

    @property
    def closed(self) -> bool:
        """Whether everything may go."""
        return self._failures < FAILURES

    @property
    def may_try(self) -> bool:
        """Whether one event may go, to see whether the sink is back."""
        return self._elapsed() >= self._until

    @property
    def may_try_urgent(self) -> bool:
        """Whether one immediate event may go."""
        return self.may_try or (not self._told and self._elapsed() - self._tried_urgent >= URGENT_SECONDS)

    def succeeded(self) -> None:
        """The sink answered as it should; an answer to what was sent before it said to stay away does not count."""
        if self._told and not self.may_try:
            return
        self._failures, self._wait, self._told = 0, FIRST_SECONDS, False

    def failed(self, *, urgent: bool = False) -> None:
        """It did not. Once it is taken to be away only the try whose turn it was counts: not the others that were sent
        at the same time, nor an urgent one, which puts the next turn off no further.
        """
        if urgent:
            self._tried_urgent = self._elapsed()
        if not self.closed and not self.may_try:
            return
        self._failures += 1
        if not self.closed:
            self._until = self._elapsed() + self._wait * (0.5 + self._jitter() / 2)
            self._wait = min(self._wait * 2, LONGEST_SECONDS)
            self._told = False

    def told(self, seconds: float) -> None:
        """It said how long to stay away."""
        self._failures, self._told = FAILURES, True
        self._until = self._elapsed() + seconds
