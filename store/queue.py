"""The queue of work: who may do what next, on any number of nodes.

Envelopes are unpacked in order of arrival, several at once. Messages go in lanes, one per sender: only the first of a
lane is free, and whoever changes a lane holds the sender's row locked. A message also waits for earlier envelopes that
seem to be its sender's: so his order is kept over all nodes, and nobody else waits for a slow or failing one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Subquery,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    text,
    update,
)

from store.errors import Superseded
from store.nodes import alive
from store.shares import FRESH, Queue
from store.tables import SENDERS, TRANSITIONS, WORK
from store.values import Stage, Work

#: By how much two nodes' clocks may differ without the one that is behind seeming to have been put back.
APART = timedelta(seconds=10)
#: As the partial indexes say it.
AGAIN = text("attempts > 0 AND NOT waits AND holder IS NULL")
#: Asked or written for every message, so made once.
_IDLE = WORK.c.sequence.not_in(bindparam("under_way", expanding=True))
_LANE = select(SENDERS.c.messages).where(SENDERS.c.mark == bindparam("lane")).with_for_update()
_FIRST_OF_LANE = (
    select(WORK.c.sequence)
    .where(WORK.c.lane == bindparam("of_lane"))
    .order_by(WORK.c.arrival, WORK.c.sequence)
    .limit(1)
)
_LET_GO = update(WORK).where(WORK.c.sequence == _FIRST_OF_LANE.scalar_subquery(), WORK.c.waits).values(waits=False)
_STEP = insert(TRANSITIONS)


def claim(
    connection: Connection,
    node_id: UUID,
    stage: Stage,
    now: datetime,
    limit: int,
    under_way: Collection[int] = (),
    *,
    suspects: int | None = None,
) -> list[Work]:
    """Due work for this node, in order of arrival; at most one per lane, and a share for each sender and channel.

    In a storm on one channel the channels come in turn. ``limit`` of what has not failed yet and ``suspects`` (None: as
    many) of what has, so that poison does not take the place of the rest. ``under_way`` is what this node really does:
    the rest of what it holds, it was given without hearing of it.
    """
    suspects = limit if suspects is None else suspects
    at = {"under_way": sorted(under_way), "now": now, "ahead": now + APART}
    held = select(WORK).where(WORK.c.holder == node_id, WORK.c.stage == stage, _IDLE, alive(connection, node_id))
    # sorted here: asked for an order and a limit, PostgreSQL may walk a million rows of the queue to find these few
    rows = sorted(connection.execute(held, at))[: limit + suspects]
    failed = sum(row.attempts > 0 for row in rows)
    places = limit - len(rows) + failed
    queue = Queue(connection, stage, _fresh(stage), at)
    fresh = queue.for_all(places)
    free: list[Any] = []
    for again in _again(stage):
        free += queue.rows(again, suspects - failed - len(free))
    if fresh + free and _hold(connection, node_id, [row.sequence for row in fresh + free]):
        rows = sorted(rows + free) + fresh
    return [Work(r.sequence, Stage(r.stage), r.subject, r.lane, r.attempts, r.apparent) for r in rows]


@cache
def _fresh(stage: Stage) -> Select[Any]:
    found = _taken(select(WORK).where(WORK.c.stage == stage, FRESH, _IDLE).order_by(WORK.c.sequence))
    return found.where(~_unread_before()) if stage is Stage.DIGEST else found


def _taken(query: Select[Any]) -> Select[Any]:
    """So many that nobody holds; those that another node takes at this moment are passed over."""
    return query.limit(bindparam("places", type_=Integer)).with_for_update(skip_locked=True)


def _unread_before() -> ColumnElement[bool]:
    """A condition on a message: an envelope that seems to be of the same sender, and arrived before, is not unpacked.

    Such a one is held by a node, has failed before, or is fresh: given back by a dead node, or just behind on its channel.
    """
    earlier, first = WORK.alias("earlier"), _first_unread()
    his = (earlier.c.apparent == WORK.c.apparent, earlier.c.stage == Stage.UNPACK, earlier.c.sequence < WORK.c.arrival)
    since = (first.c.channel == WORK.c.channel, first.c.sequence < WORK.c.arrival)
    of_it = (earlier.c.channel == first.c.channel, earlier.c.sequence >= first.c.sequence)
    return or_(
        exists().where(*his, text("earlier.holder IS NOT NULL AND earlier.apparent IS NOT NULL")),
        exists().where(*his, text("earlier.attempts > 0 AND earlier.apparent IS NOT NULL")),
        exists().where(
            *since, *his, *of_it, text("earlier.attempts = 0 AND NOT earlier.waits AND earlier.holder IS NULL")
        ),
    )


def _first_unread() -> Subquery:
    """The first fresh envelope of a message's channel, or of the next by name: a storm on another is not looked through.

    So asked, only one index answers: PostgreSQL would walk the whole queue, not knowing how rare a channel may be.
    """
    first = WORK.alias("first")
    fresh = (first.c.stage == Stage.UNPACK, text("first.attempts = 0 AND NOT first.waits AND first.holder IS NULL"))
    onward = select(first.c.channel, first.c.sequence).where(*fresh, first.c.channel >= WORK.c.channel)
    return onward.order_by(first.c.channel, first.c.sequence).limit(1).correlate(WORK).subquery("unread")


@cache
def _again(stage: Stage) -> tuple[Select[Any], ...]:
    failed = _taken(select(WORK).where(WORK.c.stage == stage, AGAIN, _IDLE))
    due = failed.where(WORK.c.not_before <= bindparam("now")).order_by(WORK.c.not_before)
    # a clock that has been put back must not hold up what was put off by it
    back = failed.where(WORK.c.not_before > bindparam("now"), WORK.c.put_off_at > bindparam("ahead"))
    return due, back.order_by(WORK.c.put_off_at)


def _hold(connection: Connection, node_id: UUID, sequences: list[int]) -> bool:
    """Hold the rows; False when this node's lease has lapsed."""
    held = update(WORK).where(WORK.c.sequence.in_(sequences), alive(connection, node_id))
    return connection.execute(held.values(holder=node_id)).rowcount > 0


def finish_work(connection: Connection, node_id: UUID, work: Work) -> None:
    """Take the work off the queue. Raise Superseded when it is not this node's any more: that undoes the transaction."""
    if not take(connection, node_id, work):
        raise Superseded(f"work {work.sequence}")


def take(connection: Connection, node_id: UUID, work: Work) -> bool:
    """Take the work off the queue and let the next of its lane go; False when it is not this node's any more."""
    if work.lane is not None:
        lock_lane(connection, work.lane)
    taken = delete(WORK).where(*held_by(connection, node_id, work))
    if connection.execute(taken).rowcount != 1:
        return False
    if work.lane is not None:
        let_next_go(connection, work.lane)
    return True


def let_next_go(connection: Connection, lane: bytes) -> None:
    """The first of a lane waits for nobody; the lane is locked."""
    connection.execute(_LET_GO, {"of_lane": lane})


def postpone(
    connection: Connection, node_id: UUID, work: Work, reason: str, at: datetime, not_before: datetime
) -> None:
    """Count a failed try and put the work off."""
    put_off = {"attempts": work.attempts + 1, "not_before": not_before, "put_off_at": at, "holder": None}
    if connection.execute(update(WORK).where(*held_by(connection, node_id, work)).values(put_off)).rowcount != 1:
        raise Superseded(f"work {work.sequence}")
    record(connection, work.subject, "retry", reason, at)


def held_by(connection: Connection, node_id: UUID, work: Work) -> tuple[Any, ...]:
    """Conditions on the row of this work, while this node may write what became of it."""
    return (
        WORK.c.sequence == work.sequence,
        WORK.c.holder == node_id,
        WORK.c.attempts == work.attempts,
        alive(connection, node_id),
    )


def lock_lane(connection: Connection, lane: bytes) -> None:
    """Nobody else changes the lane until the commit."""
    connection.execute(_LANE, {"lane": lane})


@dataclass(frozen=True, slots=True)
class Digest:
    """A message to be queued in its sender's lane."""

    message_id: UUID
    channel: str
    lane: bytes
    #: Sequence of its envelope's work, and the mark of whose envelope that seemed to be.
    arrival: int
    apparent: bytes | None
    at: datetime


def add_digests(connection: Connection, digests: Iterable[Digest]) -> None:
    """Queue messages; their lanes must be locked. Who arrived before what stands at the head of its lane goes first."""
    in_order = sorted(digests, key=lambda digest: digest.arrival)
    lanes = {digest.lane for digest in in_order}
    heads = select(WORK.c.lane, WORK.c.sequence, WORK.c.arrival, WORK.c.holder).where(
        WORK.c.lane.in_(lanes), ~WORK.c.waits
    )
    standing: dict[bytes, Any] = {row.lane: row for row in connection.execute(heads)}
    rows = []
    for digest in in_order:
        head = standing.get(digest.lane)
        first = head is None or _step_back(connection, head, digest.arrival)
        if first:
            standing[digest.lane] = digest
        row = work_row(Stage.DIGEST, digest.message_id, digest.channel, digest.at)
        rows.append(row | _place(digest, waits=not first))
    connection.execute(insert(WORK), rows)


def _step_back(connection: Connection, head: Any, arrival: int) -> bool:
    """Whether the head of a lane makes room for what arrived before it: not when it is being worked on."""
    if isinstance(head, Digest) or head.arrival <= arrival:
        return False
    back = update(WORK).where(WORK.c.sequence == head.sequence, WORK.c.holder.is_(None)).values(waits=True)
    return bool(connection.execute(back).rowcount == 1)


def _place(digest: Digest, *, waits: bool) -> dict[str, Any]:
    return {"lane": digest.lane, "arrival": digest.arrival, "apparent": digest.apparent, "waits": waits}


def work_row(stage: Stage, subject: UUID, channel: str, at: datetime, apparent: bytes | None = None) -> dict[str, Any]:
    """A new row of the queue that waits for nobody."""
    return {
        "stage": stage,
        "subject": subject,
        "channel": channel,
        "lane": None,
        "apparent": apparent,
        "arrival": None,
        "waits": False,
        "attempts": 0,
        "not_before": at,
        "put_off_at": at,
    }


def record(
    connection: Connection, subject: UUID, step: str, reason: str | None, at: datetime, words: str | None = None
) -> None:
    """Write down a step in the life of an envelope or message; an operator's own words are sealed."""
    sealed = words.encode() if words is not None else None
    row = {"subject": subject, "step": step, "reason": reason, "words": sealed, "at": at}
    connection.execute(_STEP, row)
