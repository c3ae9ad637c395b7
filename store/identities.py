"""Contacts about whom their provider is asked, once, whose they are: the unionid of a WeChat user."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, and_, func, or_, select, text, update

from normalizer.model import Contact, Message, Proof
from store.bulk import insert_or_ignore
from store.errors import Superseded
from store.keys import Keyring
from store.membership import Lead, Membership
from store.nodes import leads
from store.persons import Person, contact_mark
from store.proofs import Clerk, Owner, heed, scope_of
from store.tables import IDENTITIES
from store.transactions import Database

QUEUED = text("state = 'queued'")


@dataclass(frozen=True, slots=True)
class DueIdentity:
    """A contact to be asked about now."""

    id: UUID
    contact: Contact
    #: Our account on the channel.
    account: str
    caller_id: UUID
    #: Tries that failed.
    attempts: int


def queue_identity(
    connection: Connection, keyring: Keyring, channel: str, message: Message, person: Person, at: datetime
) -> None:
    """Ask about the sender, unless he was asked about before."""
    row = {
        "contact_mark": contact_mark(keyring, message.sender, message.account),
        "id": uuid_utils.compat.uuid7(),
        "caller_id": person.caller_id,
        "channel": channel,
        "content": {"contact": message.sender.model_dump(mode="json"), "account": message.account},
        "state": "queued",
        "attempts": 0,
        "not_before": at,
        "put_off_at": at,
    }
    connection.execute(insert_or_ignore(connection, IDENTITIES), row)


def under_way(connection: Connection, soon: datetime) -> int:
    """Contacts nobody has asked about yet, or that are asked about again before ``soon``; on all channels."""
    fresh = and_(QUEUED, or_(IDENTITIES.c.attempts == 0, IDENTITIES.c.not_before <= soon))
    return connection.execute(select(func.count()).select_from(IDENTITIES).where(fresh)).scalar_one()


class IdentityBox:
    """One channel's; only the node that leads it may write, Superseded tells another that it does not."""

    def __init__(
        self, database: Database, membership: Membership, keyring: Keyring, channel: str, sinks: Collection[str]
    ) -> None:
        self._database, self._membership, self._keyring = database, membership, keyring
        self._channel, self._sinks = channel, tuple(sinks)

    @property
    def lead(self) -> Lead:
        """The lead over what is asked by the channel."""
        return self._membership.lead(self._name)

    @property
    def _name(self) -> str:
        return f"identities:{self._channel}"

    async def due(self, now: datetime, limit: int) -> list[DueIdentity]:
        """About whom to ask now, the oldest first; a clock that was put back holds up nobody."""
        time = or_(IDENTITIES.c.not_before <= now, IDENTITIES.c.put_off_at > now)
        rows = select(IDENTITIES).where(IDENTITIES.c.channel == self._channel, QUEUED, time)

        def transaction(connection: Connection) -> list[DueIdentity]:
            found = connection.execute(rows.order_by(IDENTITIES.c.not_before, IDENTITIES.c.id).limit(limit))
            return [
                DueIdentity(
                    *(row.id, Contact.model_validate(row.content["contact"]), row.content["account"]),
                    *(row.caller_id, row.attempts),
                )
                for row in found
            ]

        return await self._database.read(transaction)

    async def known(self, due: DueIdentity, unionid: str, at: datetime) -> None:
        """The provider has said it: who else has shown it is the same person."""
        mark = contact_mark(self._keyring, due.contact, due.account)
        owner = Owner(mark, due.caller_id, scope_of(due.contact, due.account))
        proof = Proof(kind="unionid", value=unionid, evidence="provider")

        def transaction(connection: Connection) -> None:
            self._end(connection, due, "known", None)
            heed(connection, Clerk(self._keyring, self._sinks, at), owner, [proof])

        await self._database.write(transaction)

    async def unknown(self, due: DueIdentity, reason: str) -> None:
        """It cannot be had."""
        await self._database.write(lambda connection: self._end(connection, due, "unknown", reason))

    async def put_off(self, due: DueIdentity, reason: str, at: datetime, until: datetime) -> None:
        """It may be had later."""
        again = {"attempts": due.attempts + 1, "reason": reason, "not_before": until, "put_off_at": at}

        def transaction(connection: Connection) -> None:
            self._check(connection)
            connection.execute(update(IDENTITIES).where(IDENTITIES.c.id == due.id, QUEUED).values(again))

        await self._database.write(transaction)

    def _end(self, connection: Connection, due: DueIdentity, state: str, reason: str | None) -> None:
        self._check(connection)
        ended = update(IDENTITIES).where(IDENTITIES.c.id == due.id, QUEUED).values(state=state, reason=reason)
        if connection.execute(ended).rowcount != 1:
            raise Superseded(f"identity {due.id}")

    def _check(self, connection: Connection) -> None:
        if not leads(connection, self._membership.id, self._name):
            raise Superseded(self._name)
