"""Who gets how many of the places when work is given out: nobody's flood, and no channel's, takes those of the others.

A channel that is half of what comes next is given half while other channels wait, and a sender an eighth while others
wait. Those are looked for behind it: slowed is who floods us, one or a crowd, and nobody is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select, text

from store.tables import WORK
from store.values import Stage

#: Of so many places and more, one sender gets an eighth while others wait, and half while nobody does: those who come
#: next find places too. So far behind his envelopes others are looked for, in sequences.
SHARED_PLACES, LOOKED_AT = 16, 20_000
#: What has not failed yet and waits for nobody, as the partial indexes say it.
FRESH = text("attempts = 0 AND NOT waits AND holder IS NULL")


def free_rows(connection: Connection, query: Select[Any], limit: int) -> list[Any]:
    """Rows nobody holds; those that another node takes at this moment are passed over."""
    if limit <= 0:
        return []
    return list(connection.execute(query.limit(limit).with_for_update(skip_locked=True)))


def free_for_all(connection: Connection, query: Select[Any], limit: int, stage: Stage) -> list[Any]:
    """The same of what is fresh in a stage, so that a crowd on one channel takes no places from the other channels."""
    rows = free_rows(connection, query, limit)
    crowding, many = Counter(row.channel for row in rows).most_common(1)[0] if rows else ("", 0)
    if limit < SHARED_PLACES or len(rows) < limit or 2 * many < limit:
        return _among_senders(connection, query, rows, limit, stage)
    mine = [row for row in rows if row.channel == crowding]
    found = [
        _of_channel(connection, query, channel, limit // 2, stage)
        if channel != crowding
        else _among_senders(connection, query.where(WORK.c.channel == channel), mine, limit, stage)
        for channel in _channels(connection, stage)
    ]
    in_turn = chain.from_iterable(zip_longest(*found))
    return [row for row in in_turn if row is not None][:limit]


def _of_channel(connection: Connection, query: Select[Any], channel: str, limit: int, stage: Stage) -> list[Any]:
    """The first that came by a channel, however far behind; in an order that only its index has, which is then used."""
    first = query.where(WORK.c.channel.between(channel, channel)).order_by(None)
    rows = free_rows(connection, first.order_by(WORK.c.channel, WORK.c.sequence), limit)
    return _among_senders(connection, query.where(WORK.c.channel == channel), rows, limit, stage)


def _channels(connection: Connection, stage: Stage) -> Iterator[str]:
    """By which channels something came that is fresh; each costs one look at an index, however much it is."""
    first = select(func.min(WORK.c.channel)).where(WORK.c.stage == stage, FRESH)
    channel = connection.execute(first).scalar()
    while channel is not None:
        yield channel
        channel = connection.execute(first.where(WORK.c.channel > channel)).scalar()


def _among_senders(connection: Connection, query: Select[Any], rows: list[Any], limit: int, stage: Stage) -> list[Any]:
    """The first rows of the query, less of whoever floods us. Messages go in lanes: of those each has one in any case."""
    per_sender = Counter(row.apparent for row in rows if row.apparent is not None)
    crowding = [sender for sender, number in per_sender.items() if number > limit // 8]
    if limit < SHARED_PLACES or stage is Stage.DIGEST or not crowding:
        return rows
    apart = or_(WORK.c.apparent.is_(None), WORK.c.apparent.not_in(crowding))
    last = rows[-1].sequence
    near = (WORK.c.sequence > last, WORK.c.sequence <= last + LOOKED_AT)
    taken = [row for row in rows if row.apparent not in crowding]
    taken += free_rows(connection, query.where(apart, *near), limit - len(taken) - 1)  # one place is left for him
    crowd = [row for row in rows if row.apparent in crowding]
    his = _first_of_each(crowd, limit // (8 if len(taken) > limit // 8 else 2))[: limit - len(taken)]
    return sorted(taken + his)


def _first_of_each(crowd: list[Any], each: int) -> list[Any]:
    """The first of each sender, so many of every one."""
    seen: Counter[bytes] = Counter()
    found = []
    for row in crowd:
        seen[row.apparent] += 1
        if seen[row.apparent] <= each:
            found.append(row)
    return found
