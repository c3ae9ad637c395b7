"""One channel's replies, as the sending side sees them: what is due, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from normalizer.reply import Limit, Sent
from store import replies
from store.keys import Keyring
from store.membership import Lead, Membership
from store.replies import Post, lead_name
from store.transactions import Database
from store.values import DueReply


class ReplyBox:
    """Only the node that leads the channel's replies may write; Superseded tells another that it does not."""

    def __init__(self, database: Database, membership: Membership, keyring: Keyring, channel: str) -> None:
        self._database, self._membership, self._keyring, self._channel = database, membership, keyring, channel

    @property
    def lead(self) -> Lead:
        """The lead over what the channel sends."""
        return self._membership.lead(lead_name(self._channel))

    async def take(
        self, limits: Mapping[str, Limit], now: datetime, most: int, under_way: Collection[UUID] = ()
    ) -> list[DueReply]:
        """Replies to send now, one per recipient; from here each is ``sending``."""
        post = self._post()
        return await self._database.write(
            lambda connection: replies.take(connection, post, limits, now, most, under_way)
        )

    async def sent(self, due: DueReply, word: Sent, at: datetime) -> None:
        """The provider has it."""
        post = self._post()
        await self._database.write(lambda connection: replies.sent(connection, post, due, word, at))

    async def put_off(self, due: DueReply, reason: str, at: datetime, until: datetime) -> None:
        """It surely did not go out, and is tried again."""
        post = self._post()
        await self._database.write(lambda connection: replies.put_off(connection, post, due, reason, at, until))

    async def refused(self, due: DueReply, reason: str, at: datetime, *, unreachable: bool = False) -> None:
        """It surely did not go out and will not this way: the next way is tried."""
        post = self._post()
        await self._database.write(
            lambda connection: replies.refused(connection, post, due, reason, at, unreachable=unreachable)
        )

    async def uncertain(self, due: DueReply, reason: str, at: datetime) -> None:
        """It may have gone out: nobody sends it again."""
        post = self._post()
        await self._database.write(lambda connection: replies.uncertain(connection, post, due, reason, at))

    def _post(self) -> Post:
        return Post(self._keyring, self._channel, self._membership.id)
