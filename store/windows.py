"""Reply windows: for how long and how often a provider lets us write after a citizen's step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, false, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from normalizer.reply import Limit
from store.tables import WINDOWS


@dataclass(frozen=True, slots=True)
class Place:
    """A place taken in a window."""

    #: As ``Channel.reply_limits`` names it.
    name: str
    #: Tells this opening of the window from a later one, whose count is new.
    expires_at: datetime


def open_window(connection: Connection, whose: bytes, name: str, limit: Limit, since: datetime) -> None:
    """A citizen's step opens the window anew; an older step that comes late does not shorten it."""
    expires_at = since + timedelta(seconds=limit.seconds)
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(WINDOWS).values(recipient=whose, name=name, expires_at=expires_at, remaining=limit.count)
    newer = {column: statement.excluded[column] for column in ("expires_at", "remaining")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["recipient", "name"], set_=newer, where=WINDOWS.c.expires_at < statement.excluded.expires_at
        )
    )


def opened_since(connection: Connection, whose: bytes, limits: Mapping[str, Limit], since: datetime) -> bool:
    """Whether a step at ``since`` or later has opened a window: within one second, as providers count, who writes is there."""
    newer = [
        and_(WINDOWS.c.name == name, WINDOWS.c.expires_at >= since + timedelta(seconds=limit.seconds))
        for name, limit in limits.items()
    ]
    found = select(WINDOWS.c.name).where(WINDOWS.c.recipient == whose, or_(false(), *newer)).limit(1)
    return connection.execute(found).one_or_none() is not None


def use_window(connection: Connection, whose: bytes, now: datetime) -> Place | None:
    """Take a place in an open window, the one that closes first; None when none is open."""
    left = or_(WINDOWS.c.remaining.is_(None), WINDOWS.c.remaining > 0)
    open_ = select(WINDOWS.c.name, WINDOWS.c.expires_at).where(
        WINDOWS.c.recipient == whose, WINDOWS.c.expires_at > now, left
    )
    row = connection.execute(open_.order_by(WINDOWS.c.expires_at, WINDOWS.c.name).limit(1)).one_or_none()
    if row is None:
        return None
    place = Place(row.name, row.expires_at)
    _count(connection, whose, place, -1)
    return place


def give_back(connection: Connection, whose: bytes, place: Place | None) -> None:
    """What was not sent has used nothing; a window that was opened anew meanwhile has its whole count already."""
    if place is not None:
        _count(connection, whose, place, 1)


def _count(connection: Connection, whose: bytes, place: Place, by: int) -> None:
    same = (WINDOWS.c.recipient == whose, WINDOWS.c.name == place.name, WINDOWS.c.expires_at == place.expires_at)
    counted = update(WINDOWS).where(*same, WINDOWS.c.remaining.is_not(None))
    connection.execute(counted.values(remaining=WINDOWS.c.remaining + by))


def first_since(connection: Connection, whose: bytes, name: str, now: datetime, until: datetime) -> bool:
    """Whether this is the first of its name since the last one's ``until``: of two nodes at once, one is told so."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(WINDOWS).values(recipient=whose, name=name, expires_at=until, remaining=0)
    begun = statement.on_conflict_do_update(
        index_elements=["recipient", "name"],
        set_={"expires_at": statement.excluded.expires_at},
        where=WINDOWS.c.expires_at <= now,
    )
    return connection.execute(begun).rowcount == 1
