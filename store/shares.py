"""Who gets how many of the places when work is given out: nobody's flood, and no channel's, takes those of the others.

A channel that is half of what comes next is given half while other channels wait, and a sender an eighth while others
wait. Those are looked for behind it: slowed is who floods us, one or a crowd, and nobody is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select, text

from store.tables import WORK
from store.values import Stage

#: Of so many places and more, one sender gets an eighth while others wait, and half while nobody does: those who come
#: next find places too. So far behind his envelopes others are looked for, in sequences.
SHARED_PLACES, LOOKED_AT = 8, 20_000
#: What has not failed yet and waits for nobody, as the partial indexes say it.
FRESH = text("attempts = 0 AND NOT waits AND holder IS NULL")


@dataclass(frozen=True, slots=True)
class Queue:
    """One stage of the queue, out of which places are filled."""

    connection: Connection
    stage: Stage
    #: What is fresh, in order; it and every other query is limited by ``places`` and passes over what others hold.
    fresh: Select[Any]
    #: What its parameters are.
    at: Mapping[str, Any]

    def rows(self, query: Select[Any], limit: int) -> list[Any]:
        """Rows nobody holds; those that another node takes at this moment are passed over."""
        return list(self.connection.execute(query, {**self.at, "places": limit})) if limit > 0 else []

    def for_all(self, limit: int) -> list[Any]:
        """The same of what is fresh, so that a crowd on one channel takes no places from the other channels."""
        rows = self.rows(self.fresh, limit)
        crowding, many = Counter(row.channel for row in rows).most_common(1)[0] if rows else ("", 0)
        if limit < SHARED_PLACES or len(rows) < limit or 2 * many < limit:
            return self._among_senders(self.fresh, rows, limit)
        mine = [row for row in rows if row.channel == crowding]
        found = [
            self._of_channel(channel, limit // 2)
            if channel != crowding
            else self._among_senders(self.fresh.where(WORK.c.channel == channel), mine, limit)
            for channel in self._channels()
        ]
        in_turn = chain.from_iterable(zip_longest(*found))
        return [row for row in in_turn if row is not None][:limit]

    def _of_channel(self, channel: str, limit: int) -> list[Any]:
        """The first that came by a channel, however far behind; in an order that only its index has, which is then used."""
        first = self.fresh.where(WORK.c.channel.between(channel, channel)).order_by(None)
        rows = self.rows(first.order_by(WORK.c.channel, WORK.c.sequence), limit)
        return self._among_senders(self.fresh.where(WORK.c.channel == channel), rows, limit)

    def _channels(self) -> Iterator[str]:
        """By which channels something came that is fresh; each costs one look at an index, however much it is."""
        first = select(func.min(WORK.c.channel)).where(WORK.c.stage == self.stage, FRESH)
        channel = self.connection.execute(first).scalar()
        while channel is not None:
            yield channel
            channel = self.connection.execute(first.where(WORK.c.channel > channel)).scalar()

    def _among_senders(self, query: Select[Any], rows: list[Any], limit: int) -> list[Any]:
        """The first rows of the query, less of whoever floods us. Messages go in lanes: of those each has one in any case."""
        per_sender = Counter(row.apparent for row in rows if row.apparent is not None)
        crowding = [sender for sender, number in per_sender.items() if number > limit // 8]
        if limit < SHARED_PLACES or self.stage is Stage.DIGEST or not crowding:
            return rows
        apart = or_(WORK.c.apparent.is_(None), WORK.c.apparent.not_in(crowding))
        last = rows[-1].sequence
        near = (WORK.c.sequence > last, WORK.c.sequence <= last + LOOKED_AT)
        taken = [row for row in rows if row.apparent not in crowding]
        taken += self.rows(query.where(apart, *near), limit - len(taken) - 1)  # one place is left for him
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
