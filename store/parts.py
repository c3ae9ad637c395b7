"""Long messages that came in several: joined when the last piece is there, or when none came for a while.

A piece that waits steps out of its sender's lane, so that nothing waits for it; it comes back by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, update

from normalizer.model import KeptMessage, Message, Outcome
from store.errors import Superseded
from store.keys import Keyring
from store.messages import part_mark, sender_mark
from store.queue import held_by, let_next_go, lock_lane, record
from store.tables import MESSAGES, WORK
from store.values import Work

#: How long a piece is waited for, from the arrival of the first. Carriers give up after a few minutes.
PATIENCE = timedelta(seconds=180)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A long message, put together."""

    whole: KeptMessage
    #: Messages that are in it now, and have ended as ``part``.
    parts: int


def gather(
    connection: Connection, keyring: Keyring, node_id: UUID, work: Work, kept: KeptMessage, at: datetime
) -> Gathered | None:
    """The whole message, carried by this piece, with the others settled as ``part``; None while it waits for more."""
    mark = part_mark(keyring, kept.message)
    lock_lane(connection, sender_mark(keyring, kept.message))
    still = select(MESSAGES).where(MESSAGES.c.part_mark == mark, MESSAGES.c.outcome.is_(None))
    pieces = connection.execute(still.order_by(MESSAGES.c.received_at, MESSAGES.c.id).with_for_update()).all()
    said = {row.id: Message.model_validate(row.content) for row in pieces}
    if kept.id not in said:
        raise Superseded(f"piece {kept.id}")
    whole = _is_whole(list(said.values()))
    until = pieces[0].received_at + PATIENCE
    if not whole and at < until:
        _step_aside(connection, node_id, work, at, until)
        return None
    for row in pieces:
        if row.id != kept.id:
            _settle(connection, row, kept.id, at)
    joined = _joined(kept.message, list(said.values()))
    carrier = _carry(connection, kept, joined, () if whole else ("part_missing",))
    return Gathered(carrier, len(pieces) - 1)


def _carry(connection: Connection, kept: KeptMessage, joined: Message, odd: tuple[str, ...]) -> KeptMessage:
    """One message is the whole from now on, also when it is done again: no later piece finds it any more."""
    joined = joined.model_copy(update={"flags": (*joined.flags, *odd)})
    flags = (*kept.flags, *odd)
    now = {"content": joined.model_dump(mode="json"), "part_mark": None, "flags": " ".join(flags)}
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == kept.id).values(**now))
    return replace(kept, message=joined, flags=flags)


def _is_whole(pieces: Sequence[Message]) -> bool:
    numbers = {piece.part.number for piece in pieces if piece.part is not None}
    total = max((piece.part.total or 0 for piece in pieces if piece.part is not None), default=0)
    return total > 0 and numbers >= set(range(1, total + 1))


def _joined(carrier: Message, pieces: Sequence[Message]) -> Message:
    """The words in the order of their numbers; a number that came twice counts once."""
    numbered = {piece.part.number: piece for piece in reversed(pieces) if piece.part is not None}
    in_order = [numbered[number] for number in sorted(numbered)]
    attached = [attachment for piece in in_order for attachment in piece.attachments]
    return carrier.model_copy(
        update={
            "part": None,
            "text": "".join(piece.text for piece in in_order),
            "attachments": tuple(one.model_copy(update={"id": str(n)}) for n, one in enumerate(attached)),
        }
    )


def _step_aside(connection: Connection, node_id: UUID, work: Work, at: datetime, until: datetime) -> None:
    """Out of the lane, until more came or the time is over. Counted as a try, for only such work looks at the clock."""
    aside = {"lane": None, "attempts": max(1, work.attempts), "not_before": until, "put_off_at": at, "holder": None}
    mine = update(WORK).where(*held_by(connection, node_id, work))
    if connection.execute(mine.values(**aside)).rowcount != 1:
        raise Superseded(f"work {work.sequence}")
    if work.lane is not None:
        let_next_go(connection, work.lane)
    record(connection, work.subject, "waits_for_parts", None, at)


def _settle(connection: Connection, piece: Any, carrier: UUID, at: datetime) -> None:
    """It is in the whole now; a node that holds its work will find it gone."""
    settled = {"outcome": Outcome.PART, "reason": "joined", "first_id": carrier, "settled_at": at}
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == piece.id).values(**settled))
    lanes = delete(WORK).where(WORK.c.subject == piece.id).returning(WORK.c.lane)
    for lane in connection.execute(lanes).scalars().all():
        if lane is not None:
            let_next_go(connection, lane)
    record(connection, piece.id, Outcome.PART, "joined", at)
