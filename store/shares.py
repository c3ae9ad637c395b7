"""Who gets how many of the places when work is given out: nobody's flood, and no channel's, takes those of the others.

Whoever is found too often among the next is given his part of the places; behind him others are looked for, who get the
rest. He is slowed, and nobody is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, or_

from store.tables import WORK
from store.values import Stage

#: So many places and more are shared; so far behind the first found others are looked for, in sequences.
SHARED_PLACES, LOOKED_AT = 16, 4_000


class Share(NamedTuple):
    """What one sender or channel gets of the places, said as what they are divided by."""

    column: str
    #: While others wait, and while nobody does.
    among: int
    alone: int


#: A sender who is alone leaves half: those who come next find places too. A channel is many, who wait for nobody.
SENDER, CHANNEL = Share("apparent", among=8, alone=2), Share("channel", among=2, alone=1)
#: Messages go in lanes: of those a sender has one place in any case.
SHARES = {Stage.UNPACK: (SENDER, CHANNEL), Stage.DIGEST: (CHANNEL,)}


def free_rows(connection: Connection, query: Select[Any], limit: int) -> list[Any]:
    """Rows nobody holds; those that another node takes at this moment are passed over."""
    if limit <= 0:
        return []
    return list(connection.execute(query.limit(limit).with_for_update(skip_locked=True)))


def free_for_all(connection: Connection, query: Select[Any], limit: int, shares: Iterable[Share]) -> list[Any]:
    """The same, so that who floods us, one or a crowd, takes no places from the others: slowed, and never refused."""
    rows = free_rows(connection, query, limit)
    if limit < SHARED_PLACES or not rows:
        return rows
    behind = _Behind(connection, query, rows[-1].sequence)
    for share in shares:
        rows = _shared(rows, behind, limit, share)
    return rows


class _Behind:
    """What waits behind the first rows; however often it is looked at, once over LOOKED_AT sequences."""

    def __init__(self, connection: Connection, query: Select[Any], last: int) -> None:
        self._connection, self._query = connection, query
        self._last, self._end = last, last + LOOKED_AT

    def others(self, share: Share, crowding: list[Any], limit: int) -> list[Any]:
        """The next so many that are not of these, nor of those named before."""
        column = WORK.c[share.column]
        self._query = self._query.where(or_(column.is_(None), column.not_in(crowding)))
        if limit <= 0 or self._last == self._end:
            return []
        near = self._query.where(WORK.c.sequence > self._last, WORK.c.sequence <= self._end)
        found = free_rows(self._connection, near, limit)
        self._last = found[-1].sequence if len(found) == limit else self._end
        return found


def _shared(rows: list[Any], behind: _Behind, limit: int, share: Share) -> list[Any]:
    """Less of who takes more than his part, and others instead; among these too, nobody takes all that is left."""
    number = Counter(getattr(row, share.column) for row in rows)
    crowding = [one for one, many in number.items() if one is not None and many > limit // share.among]
    if limit < SHARED_PLACES or not crowding:
        return rows
    left = limit - limit // share.among
    others = [row for row in rows if getattr(row, share.column) not in crowding]
    others = _shared(others + behind.others(share, crowding, left - len(others)), behind, left, share)
    crowd = [row for row in rows if getattr(row, share.column) in crowding]
    each = limit // (share.among if len(others) > limit // share.among else share.alone)
    return sorted(others + _in_turn(crowd, share, each)[: limit - len(others)])


def _in_turn(crowd: list[Any], share: Share, each: int) -> list[Any]:
    """The first of each, so many of every one."""
    seen: Counter[Any] = Counter()
    found = []
    for row in crowd:
        one = getattr(row, share.column)
        seen[one] += 1
        if seen[one] <= each:
            found.append(row)
    return found
