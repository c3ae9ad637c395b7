"""One channel's files to fetch, as the fetching side sees them."""

from __future__ import annotations

from datetime import datetime

from normalizer.model import Envelope
from store import media
from store.media import DueFile, Fetcher, Held, lead_name
from store.membership import Lead, Membership
from store.transactions import Database


class MediaBox:
    """Only the node that leads the channel's files may write; Superseded tells another that it does not."""

    def __init__(self, database: Database, membership: Membership, channel: str, sinks: tuple[str, ...]) -> None:
        self._database, self._membership, self._channel, self._sinks = database, membership, channel, sinks

    @property
    def lead(self) -> Lead:
        """The lead over what the channel fetches."""
        return self._membership.lead(lead_name(self._channel))

    async def due(self, now: datetime, limit: int) -> list[DueFile]:
        """What to fetch now, the oldest first."""
        return await self._database.read(lambda connection: media.due(connection, self._channel, now, limit))

    async def envelope(self, file: DueFile) -> Envelope:
        """What the file's message came in."""
        return await self._database.read(lambda connection: media.envelope_of(connection, file))

    async def put_off(self, file: DueFile, reason: str, at: datetime, until: datetime) -> None:
        """It may be fetched later."""
        fetcher = self._fetcher()
        await self._database.write(lambda connection: media.put_off(connection, fetcher, file, reason, at, until))

    async def fetched(self, file: DueFile, held: Held, at: datetime) -> None:
        """We hold it."""
        fetcher = self._fetcher()
        await self._database.write(lambda connection: media.fetched(connection, fetcher, file, held, at))

    async def missing(self, file: DueFile, reason: str, at: datetime) -> None:
        """It cannot be had."""
        fetcher = self._fetcher()
        await self._database.write(lambda connection: media.missing(connection, fetcher, file, reason, at))

    def _fetcher(self) -> Fetcher:
        return Fetcher(self._channel, self._membership.id, self._sinks)
