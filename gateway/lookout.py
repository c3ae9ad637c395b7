"""Looking out for earlier messages that are like a new one: this node's index, kept up to date from the store's log.

Before every search the node reads what was logged since the last; searches that come together share one reading. A number that
was left out is looked for again for as long as the transaction that took it can last: on PostgreSQL a lower number may be
seen after a higher one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from dedupe.index import Entry, Found, Index
from gateway.clock import Clock
from normalizer.fingerprint import VERSION, Fingerprint
from store.errors import StoreError
from store.fingerprints import Fingerprints, Logged

log = structlog.get_logger(__name__)

#: What a message is compared with, of what the index finds: as much as can be of one matter is among the first ten.
CANDIDATES = 10
#: Rows read at a time: for so long, some ten milliseconds, nothing else is done.
PAGE = 200
#: How long a number that was left out is looked for, seconds: twice as long as a transaction lasts (``Database.write``); and
#: how many such numbers, the newest.
MISSED_SECONDS, MOST_MISSED = 120.0, 1000
#: How long after its start a node's searches wait for the index, seconds; then they find what is there already.
PATIENCE_SECONDS = 30.0
#: How often the log is read when nobody searches, and how soon again after the store was away, seconds.
IDLE_SECONDS, AGAIN_SECONDS = 10.0, 1.0


class Lookout:
    """One a node. ``index`` also tells how common n-grams are."""

    def __init__(self, prints: Fingerprints, clock: Clock, window: timedelta, most: int = 1_000_000) -> None:
        """``window`` and ``most``: see ``dedupe.index.Index``."""
        self.index = Index(window, most)
        self._prints, self._clock, self._most = prints, clock, most
        self._last = self._top = 0
        self._missed: dict[int, float] = {}
        self._loading: asyncio.Task[None] | None = None
        self._give_up = 0.0
        self._reading, self._begun = asyncio.Lock(), 0

    @property
    def note(self) -> str | None:
        """What an operator should know: it is being loaded; None: it is there."""
        if self._loading is None or self._loading.done():
            return None
        return f"the index is loading: {self._last} of {self._top} rows; until then repeats may be missed"

    async def run(self) -> None:
        """Load, and read on from time to time, so that a search has little to read; until cancelled."""
        try:
            await self._loaded()
            while True:
                await asyncio.sleep(IDLE_SECONDS)
                await self._keep_up()
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop loading."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    async def alike(self, made: Fingerprint, at: datetime) -> list[Found]:
        """Earlier messages within the window of ``at`` that may be about the same, the most alike first.

        Never fails for a store that is away: then it tells what was known before, for whoever files the message meets the
        same store and tries again. While a node is starting it waits, for ``PATIENCE_SECONDS`` after the start at most.
        """
        loading = self._load_once()
        if not loading.done():
            await asyncio.wait({loading}, timeout=max(0.0, self._give_up - time.monotonic()))
        if loading.done():
            await self._keep_up()
        return self.index.find(made, at, CANDIDATES)

    async def _loaded(self) -> None:
        await asyncio.shield(self._load_once())

    def _load_once(self) -> asyncio.Task[None]:
        if self._loading is None:
            self._give_up = time.monotonic() + PATIENCE_SECONDS
            self._loading = asyncio.create_task(self._load())
        return self._loading

    async def _load(self) -> None:
        """The newest rows of the log that are in the window, page by page; waits for a store that is away."""
        while True:
            try:
                self._top = self._top or await self._prints.newest()
                self._last = max(self._last, self._top - self._most)
                while await self._load_page():
                    pass
                self._miss(await self._prints.missing(self._top, MOST_MISSED))
            except StoreError as error:
                log.warning("index_not_loaded", error=type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                log.info("index_loaded", messages=len(self.index))
                return

    async def _load_page(self) -> bool:
        since = self._clock() - self.index.window
        page = await self._prints.between(self._last, self._top, since, PAGE)
        self._take(page)
        self._last = page[-1].number if len(page) == PAGE else self._top
        return len(page) == PAGE

    async def _keep_up(self) -> None:
        """Read what was logged until now. A reading that began after the question serves all that asked before."""
        asked = self._begun
        async with self._reading:
            if self._begun > asked:
                return
            self._begun += 1
            try:
                while await self._read_on():
                    pass
            except StoreError as error:
                log.warning("index_behind", error=type(error).__name__)

    async def _read_on(self) -> bool:
        """One page; whether there may be more."""
        now = time.monotonic()
        self._missed = {number: until for number, until in self._missed.items() if until > now}
        page = await self._prints.after(self._last, self._missed, PAGE)
        self._take(page)
        for row in page:
            self._miss(range(self._last + 1, row.number))
            self._missed.pop(row.number, None)
            self._last = max(self._last, row.number)
        return len(page) == PAGE

    def _miss(self, numbers: Iterable[int]) -> None:
        until = time.monotonic() + MISSED_SECONDS
        self._missed |= dict.fromkeys(numbers, until)
        for number in sorted(self._missed)[:-MOST_MISSED]:
            del self._missed[number]

    def _take(self, page: Iterable[Logged]) -> None:
        since = self._clock() - self.index.window
        for row in page:
            if row.version == VERSION and row.received_at >= since:
                self._add(row)

    def _add(self, row: Logged) -> None:
        try:
            made = Fingerprint.unpack(row.prints)
        except ValueError:
            log.error("fingerprint_unreadable", message=str(row.message_id))
        else:
            self.index.add(Entry(row.number, row.message_id, row.received_at, made))
