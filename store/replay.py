"""Running kept envelopes again, after a fix: finding them, and putting them back into the queue."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, true, update

from normalizer.model import Message, Outcome
from store.keys import Keyring
from store.messages import sender_mark
from store.queue import Digest, add_digests, lock_lane, record, work_row
from store.tables import ENVELOPES, MESSAGES, UNPACKED, WORK
from store.values import Replayable, Stage

#: Outcomes that a later program may better; all others stand.
OPEN_TO_REPLAY = (Outcome.MALFORMED, Outcome.FAILED, Outcome.NOTICE)


def requeue(
    connection: Connection, keyring: Keyring, envelope_id: UUID, at: datetime, outcomes: Collection[str]
) -> int:
    """Put what ended in one of ``outcomes`` of an envelope back into the queue; the pieces put back."""
    open_again = [outcome for outcome in OPEN_TO_REPLAY if outcome in outcomes]
    ended = (UNPACKED.c.envelope_id == envelope_id, UNPACKED.c.outcome.in_(open_again))
    if connection.execute(delete(UNPACKED).where(*ended)).rowcount:
        came_by = select(ENVELOPES.c.channel).where(ENVELOPES.c.id == envelope_id)
        channel = connection.execute(came_by).scalar_one()
        connection.execute(insert(WORK), work_row(Stage.UNPACK, envelope_id, channel, at))
        record(connection, envelope_id, "replayed", None, at)
        return 1
    failed = select(MESSAGES.c.id, MESSAGES.c.channel, MESSAGES.c.content).where(
        MESSAGES.c.envelope_id == envelope_id, MESSAGES.c.outcome.in_(open_again)
    )
    rows = connection.execute(failed.order_by(MESSAGES.c.position).with_for_update()).all()
    lanes = {row.id: sender_mark(keyring, Message.model_validate(row.content)) for row in rows}
    for lane in sorted(set(lanes.values())):  # in the order of whoever else locks several
        lock_lane(connection, lane)
    for row in rows:
        reopened = {"outcome": None, "reason": None, "settled_at": None}
        connection.execute(update(MESSAGES).where(MESSAGES.c.id == row.id).values(reopened))
        # what is run again goes before what waits: it arrived before
        add_digests(connection, [Digest(row.id, row.channel, lanes[row.id], 0, None, at)])
        record(connection, row.id, "replayed", None, at)
    return len(rows)


def replayable(
    connection: Connection, outcomes: tuple[str, ...], since: datetime | None, after: UUID | None, limit: int
) -> list[Replayable]:
    """Envelopes that ended, or hold a message that ended, in one of ``outcomes``; a page after ``after``."""
    page = select(ENVELOPES.c.id, ENVELOPES.c.channel).where(ended(outcomes, since)).order_by(ENVELOPES.c.id)
    if after is not None:
        page = page.where(ENVELOPES.c.id > after)
    rows = connection.execute(page.limit(limit))
    return [Replayable(row.id, row.channel, outcomes_of(connection, row.id)) for row in rows]


def ended(outcomes: tuple[str, ...], since: datetime | None) -> ColumnElement[bool]:
    """Of an envelope received from ``since`` on: it, or a message of it, ended in one of ``outcomes``."""
    known = [
        select(table.c.outcome).where(table.c.envelope_id == ENVELOPES.c.id, table.c.outcome.in_(outcomes)).exists()
        for table in (UNPACKED, MESSAGES)
    ]
    return and_(or_(*known), ENVELOPES.c.received_at >= since if since is not None else true())


def outcomes_of(connection: Connection, envelope_id: UUID) -> tuple[str, ...]:
    """The outcomes of an envelope's messages, or its own."""
    own = select(UNPACKED.c.outcome).where(UNPACKED.c.envelope_id == envelope_id, UNPACKED.c.outcome.is_not(None))
    of_messages = (
        select(MESSAGES.c.outcome)
        .where(MESSAGES.c.envelope_id == envelope_id, MESSAGES.c.outcome.is_not(None))
        .order_by(MESSAGES.c.position)
    )
    return tuple(outcome for query in (own, of_messages) for outcome in connection.execute(query).scalars())
