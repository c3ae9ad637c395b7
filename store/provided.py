"""What ``gateway reconcile --providers`` asks of the books: which of a provider's messages we have. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from uuid import UUID

from sqlalchemy import Connection, func, select

from normalizer.model import Contact, Envelope
from store.envelopes import read_envelope
from store.keys import Keyring
from store.messages import provider_mark
from store.tables import ENVELOPES, MESSAGES

#: Envelopes of one page, and bytes of them unless the first alone is larger.
PAGE, PAGE_BYTES = 500, 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Provided:
    """What names a message of a provider, as in the ``Message`` that is made of it."""

    key_space: str
    account: str
    sender: Contact
    provider_id: str


def known(connection: Connection, keyring: Keyring, asked: Sequence[Provided]) -> list[bool]:
    """Of each whether a message of that id was unpacked, whatever became of it."""
    marks = [_mark(keyring, one) for one in asked]
    found = select(MESSAGES.c.provider_mark).where(MESSAGES.c.provider_mark.in_(set(marks)))
    ours = set(connection.execute(found).scalars())
    return [mark in ours for mark in marks]


def _mark(keyring: Keyring, one: Provided) -> bytes:
    address = (one.key_space, one.account, one.sender.type, one.sender.value)
    return provider_mark(keyring, address, one.provider_id)


def deliveries(
    connection: Connection, channel: str, since: datetime, after: UUID | None, *, empty: bool
) -> list[Envelope]:
    """A page after ``after`` of what a channel delivered from ``since`` on, in order of arrival.

    ``empty``: only envelopes of which no message came, or none yet.
    """
    wanted = select(ENVELOPES.c.id, func.length(ENVELOPES.c.body).label("bytes"))
    wanted = wanted.where(ENVELOPES.c.channel == channel, ENVELOPES.c.received_at >= since)
    if after is not None:
        wanted = wanted.where(ENVELOPES.c.id > after)
    if empty:
        wanted = wanted.where(~select(MESSAGES.c.id).where(MESSAGES.c.envelope_id == ENVELOPES.c.id).exists())
    rows = connection.execute(wanted.order_by(ENVELOPES.c.id).limit(PAGE)).all()
    sums = accumulate(row.bytes for row in rows)
    ids = [row.id for row, total in zip(rows, sums, strict=True) if total <= PAGE_BYTES] or [r.id for r in rows[:1]]
    page = select(ENVELOPES).where(ENVELOPES.c.id.in_(ids)).order_by(ENVELOPES.c.id)
    return [read_envelope(row) for row in connection.execute(page)] if ids else []
