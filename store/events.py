"""The outbox: events owed to the case core, in order per matter."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, select, update

from store.errors import KeyFileError, Superseded
from store.tables import EVENTS, MATTERS
from store.values import DueEvent


def due_events(connection: Connection, now: datetime, limit: int, under_way: Collection[UUID]) -> list[DueEvent]:
    """Waiting events whose time has come, oldest first; none overtakes an earlier one of its matter."""
    earlier = EVENTS.alias("earlier")
    blocked = exists().where(
        earlier.c.matter_id == EVENTS.c.matter_id,
        earlier.c.sequence < EVENTS.c.sequence,
        earlier.c.state != "delivered",
    )
    columns = [column for column in EVENTS.columns if column is not EVENTS.c.payload]
    due = (
        select(*columns)
        .where(EVENTS.c.state == "waiting", EVENTS.c.not_before <= now, EVENTS.c.id.not_in(list(under_way)), ~blocked)
        .order_by(EVENTS.c.not_before, EVENTS.c.id)
        .limit(limit)
    )
    return [
        DueEvent(r.id, r.matter_id, r.sequence, r.type, r.created_at, _payload(connection, r.id), r.attempts)
        for r in connection.execute(due).all()
    ]


def _payload(connection: Connection, event_id: UUID) -> dict[str, Any] | None:
    """One by one, so that a row that cannot be opened does not stop the others."""
    try:
        found: dict[str, Any] = connection.execute(select(EVENTS.c.payload).where(EVENTS.c.id == event_id)).scalar_one()
    except KeyFileError:
        return None
    return found


def delivered(connection: Connection, event: DueEvent, at: datetime, case_number: str | None = None) -> None:
    """The core has it; its case number is kept when it told one."""
    _settle(connection, event, state="delivered", settled_at=at)
    if case_number is not None:
        connection.execute(update(MATTERS).where(MATTERS.c.id == event.matter_id).values(case_number=case_number))


def postponed(connection: Connection, event: DueEvent, reason: str, not_before: datetime) -> None:
    """The core may take it later."""
    _settle(connection, event, attempts=event.attempts + 1, reason=reason, not_before=not_before)


def parked(connection: Connection, event: DueEvent, reason: str, at: datetime) -> None:
    """The core will never take it as it is: a person must look. Later events of the matter wait behind it."""
    _settle(connection, event, state="parked", attempts=event.attempts + 1, reason=reason, settled_at=at)


def _settle(connection: Connection, event: DueEvent, **values: object) -> None:
    mine = (EVENTS.c.id == event.id, EVENTS.c.state == "waiting", EVENTS.c.attempts == event.attempts)
    if connection.execute(update(EVENTS).where(*mine).values(**values)).rowcount != 1:
        raise Superseded(f"event {event.id}")
