"""Who works on the store: nodes with a lease each, and what only one of them does at a time.

Time is the database's, so that nodes need not agree on it. A lease that has lapsed is never renewed: the node comes back
under a new id, and whatever it held under the old one is void. So the id is the fencing token of every write.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Interval,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)

from store.bulk import insert_or_ignore
from store.tables import LEADS, NODES, WORK

#: How long a node is believed alive without a word of it.
LEASE = timedelta(seconds=6)
#: On a file that one process owns, the lock is the lease: no clock ends it.
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def clock(connection: Connection, ago: timedelta = timedelta(0)) -> ColumnElement[Any]:
    """The database's clock; on a file of our own, whose leases do not lapse, ours."""
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True)) - literal(ago, Interval)
    return literal(datetime.now(UTC) - ago, NODES.c.expires_at.type)


def _expiry(connection: Connection) -> ColumnElement[Any]:
    if connection.dialect.name == "postgresql":
        return clock(connection, ago=-LEASE)
    return literal(FOR_EVER, NODES.c.expires_at.type)


def alive(connection: Connection, node_id: UUID) -> ColumnElement[bool]:
    """A condition for a statement that only a node with a valid lease may carry out."""
    return exists().where(NODES.c.id == node_id, NODES.c.expires_at > clock(connection))


def join(connection: Connection, node_id: UUID, place: UUID | None = None) -> bool:
    """Begin a lease, also where that was done and not heard of; False when it has lapsed since.

    Who owns a file knows that every other node on it is dead, and so who has a dead one's place.
    """
    others = delete(NODES).where(NODES.c.id != node_id)
    if connection.dialect.name == "sqlite":
        connection.execute(others)
    elif place is not None:
        connection.execute(others.where(NODES.c.place == place))
    row = {"id": node_id, "expires_at": FOR_EVER, "place": place}
    connection.execute(insert_or_ignore(connection, NODES), row)
    return renew(connection, node_id)


def renew(connection: Connection, node_id: UUID) -> bool:
    """Lengthen a lease; False when it has lapsed."""
    renewed = update(NODES).where(NODES.c.id == node_id, NODES.c.expires_at > clock(connection))
    return bool(connection.execute(renewed.values(expires_at=_expiry(connection))).rowcount == 1)


def leave(connection: Connection, node_id: UUID) -> None:
    """End a lease at once, so that others need not wait for it to lapse."""
    connection.execute(delete(NODES).where(NODES.c.id == node_id))
    reap(connection)


def reap(connection: Connection) -> None:
    """Forget nodes whose lease has lapsed, and give back what they held. What one still has locked comes next time."""
    lapsed = select(NODES.c.id).where(NODES.c.expires_at <= clock(connection)).with_for_update(skip_locked=True)
    connection.execute(delete(NODES).where(NODES.c.id.in_(list(connection.execute(lapsed).scalars()))))
    orphaned = (WORK.c.holder.is_not(None), WORK.c.holder.not_in(select(NODES.c.id)))
    left = select(WORK.c.sequence).where(*orphaned).with_for_update(skip_locked=True)
    sequences = list(connection.execute(left).scalars())
    if sequences:  # seen anew, now that they are locked: a node that joined meanwhile may hold them
        connection.execute(update(WORK).where(WORK.c.sequence.in_(sequences), *orphaned).values(holder=None))


def lead(connection: Connection, node_id: UUID, name: str) -> bool:
    """Take the lead if no node has it (reap before: a lapsed one has it until then); whether it is ours.

    A lead that is held is only read, so that a node which is stopped in the middle of this holds up no other.
    """
    if _leader(connection, name) is None:
        connection.execute(insert_or_ignore(connection, LEADS), {"name": name, "node_id": node_id})
        connection.execute(select(LEADS.c.node_id).where(LEADS.c.name == name).with_for_update())
        if _leader(connection, name) is None:  # seen anew, now that it is locked
            connection.execute(update(LEADS).where(LEADS.c.name == name).values(node_id=node_id))
    return leads(connection, node_id, name)


def _leader(connection: Connection, name: str) -> UUID | None:
    known = select(LEADS.c.node_id).join(NODES, NODES.c.id == LEADS.c.node_id).where(LEADS.c.name == name)
    found: UUID | None = connection.execute(known).scalar()
    return found


def leads(connection: Connection, node_id: UUID, name: str) -> bool:
    """Whether the node leads, and its lease has not lapsed."""
    ours = select(LEADS.c.name).where(LEADS.c.name == name, LEADS.c.node_id == node_id, alive(connection, node_id))
    return connection.execute(ours).scalar() is not None
