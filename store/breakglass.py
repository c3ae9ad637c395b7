"""Opening a sealed identity: one person asks and says why, another one agrees; both are kept, for ever.

Weifang article 33 (who discloses what he must not is answerable): so it is always known who has seen whom, and why.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, Row, insert, select, update

from normalizer.model import HotlineMatter, Party
from store.errors import IdentitySealed, NobodySuch
from store.queue import record
from store.tables import MATTERS, OPENINGS
from store.transactions import Database

#: How long a request waits for the second person.
OPEN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Opened:
    """Who the citizen of a sealed matter is, as shown once."""

    matter_id: UUID
    tracking_code: str
    caller_id: UUID
    party: Party
    requested_by: str
    approved_by: str
    #: Why, as the first of the two said.
    reason: str


class BreakGlass:
    """Each method one transaction. Raise NobodySuch, IdentitySealed and StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def request(self, named: str, by: str, reason: str, at: datetime) -> UUID:
        """Ask to see the citizen of a sealed matter, by its id or tracking code; the id of the request."""
        return await self._database.write(lambda connection: _request(connection, named, by, reason, at))

    async def approve(self, request_id: UUID, by: str, at: datetime) -> Opened:
        """Agree, as another person than the one who asked; the identity, once."""
        return await self._database.write(lambda connection: _approve(connection, request_id, by, at))


def _request(connection: Connection, named: str, by: str, reason: str, at: datetime) -> UUID:
    row = _matter(connection, named)
    waiting = select(OPENINGS.c.requested_by).where(OPENINGS.c.matter_id == row.id, OPENINGS.c.approved_at.is_(None))
    names = connection.execute(waiting.where(OPENINGS.c.requested_at > at - OPEN)).scalars()
    if any(_same(by, name) for name in names):
        raise IdentitySealed(f"{by} has asked for this matter already: another person must approve that request")
    request_id: UUID = uuid_utils.compat.uuid7()
    asked = {"id": request_id, "matter_id": row.id, "requested_by": by, "reason": reason.encode()}
    connection.execute(insert(OPENINGS), asked | {"requested_at": at})
    record(connection, row.id, "identity_requested", by, at, reason)
    return request_id


def _matter(connection: Connection, named: str) -> Row[Any]:
    """The locked row of a sealed matter."""
    try:
        wanted = MATTERS.c.id == UUID(named)
    except ValueError:
        wanted = MATTERS.c.tracking_code == "".join(filter(str.isdigit, named))
    row = connection.execute(select(MATTERS).where(wanted).with_for_update()).one_or_none()
    if row is None:
        raise NobodySuch(f"{named} is no matter: give its tracking code or its id")
    if row.sealed_at is None and not row.document["confidential"]:
        raise IdentitySealed(f"nothing of {named} is sealed: see gateway callers show")
    return row


def _approve(connection: Connection, request_id: UUID, by: str, at: datetime) -> Opened:
    asked = connection.execute(select(OPENINGS).where(OPENINGS.c.id == request_id).with_for_update()).one_or_none()
    if asked is None:
        raise NobodySuch(f"there is no request {request_id}: gateway identity request makes one")
    if _same(by, asked.requested_by):
        raise IdentitySealed(f"{by} has made this request: another person must approve it")
    if asked.approved_at is not None:
        raise IdentitySealed(f"{asked.approved_by} has approved this request, and it opens once: make another one")
    if not asked.requested_at <= at <= asked.requested_at + OPEN:
        raise IdentitySealed("this request is older than 24 hours: make another one")
    agreed = update(OPENINGS).where(OPENINGS.c.id == request_id)
    connection.execute(agreed.values(approved_by=by, approved_at=at))
    reason = asked.reason.decode()
    record(connection, asked.matter_id, "identity_opened", by, at, reason)
    document = select(MATTERS.c.document).where(MATTERS.c.id == asked.matter_id)
    matter = HotlineMatter.model_validate(connection.execute(document).scalar_one())
    whose = (matter.matter_id, matter.tracking_code, matter.caller_id, matter.party)
    return Opened(*whose, asked.requested_by, by, reason)


def _same(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are spaced or written wide."""
    first, second = ("".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (one, other))
    return first == second
