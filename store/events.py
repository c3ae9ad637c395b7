"""The outbox: events owed to each sink, in order per matter, what is urgent first.

Whoever changes a matter's events holds the matter's row locked, so that "nothing undelivered stands before this event"
stays true until the commit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    exists,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)

from normalizer.ids import derived
from normalizer.model import HotlineMatter, Outcome, Urgency, Verdict
from store.errors import KeyFileError, Superseded
from store.nodes import leads
from store.sealing import note_seal, outward_payloads
from store.tables import EVENTS, MATTERS
from store.values import DueEvent, Filing, ParkedEvent

#: The type of an event that tells more about a matter (CONTRACT.md).
AMENDED = "hotline.matter.amended.v1"
#: Written for every message, so made once.
_OWED = insert(EVENTS)
#: What is urgent overtakes.
RANKS = {Urgency.IMMEDIATE: 0, Urgency.URGENT: 1, Urgency.ROUTINE: 2}
#: As the partial indexes say it.
WAITING, GOING, PARKED = text("state = 'waiting'"), text("state = 'waiting' AND NOT waits"), text("state = 'parked'")


@dataclass(frozen=True, slots=True)
class Sender:
    """A node on behalf of a sink: it may write what became of events while it leads."""

    sink: str
    node_id: UUID

    def check(self, connection: Connection) -> None:
        """Raise Superseded when another node leads, or may."""
        if not leads(connection, self.node_id, lead_name(self.sink)):
            raise Superseded(f"sink {self.sink}")


def lead_name(sink: str) -> str:
    """The name of the lead over a sink."""
    return f"sink:{sink}"


def owe_event(connection: Connection, message_id: UUID, filing: Filing, sinks: Collection[str], at: datetime) -> None:
    """Write the event that a message gives, for every sink, in the transaction that writes the matter.

    The matter's row is locked. The event's id follows from the message's: filed again after a restore, it is the same.
    """
    matter = filing.matter
    if matter is None:
        raise ValueError("an event without a matter")
    note_seal(connection, matter, at)
    rank = RANKS[matter.urgency]
    event = {
        "id": derived(message_id, "event"),
        "matter_id": matter.matter_id,
        "sequence": matter.revision,
        "type": filing.event_type,
        "created_at": at,
        "payload": matter.model_dump(mode="json"),
        "state": "waiting",
        "rank": rank,
        "attempts": 0,
        "not_before": max(at, filing.settles_at or at),
        "put_off_at": at,
    }
    behind = _behind(connection, matter) if matter.revision > 1 else set()
    connection.execute(_OWED, [event | {"sink": sink, "waits": sink in behind} for sink in sinks])
    if behind:  # what stands before an urgent event must not hold it up: neither its rank nor a long back-off
        open_ = (EVENTS.c.matter_id == matter.matter_id, EVENTS.c.state != "delivered")
        soon = case((EVENTS.c.not_before > at, at), else_=EVENTS.c.not_before)
        connection.execute(update(EVENTS).where(*open_, EVENTS.c.rank > rank).values(rank=rank, not_before=soon))


def extend_event(connection: Connection, filing: Filing, at: datetime) -> bool:
    """Put a further piece into the matter's last event, if that still waits for pieces at every sink; its row is locked.

    The event then waits for the next piece. Its version tells whoever is just delivering the former one.
    """
    matter = filing.matter
    if matter is None or filing.settles_at is None:
        return False
    last = (EVENTS.c.matter_id == matter.matter_id, EVENTS.c.sequence == matter.revision - 1)
    rows = connection.execute(
        select(EVENTS.c.sink, EVENTS.c.state, EVENTS.c.attempts, EVENTS.c.not_before).where(*last)
    )
    found = rows.all()
    if not found or any(row.state != "waiting" or row.attempts or row.not_before <= at for row in found):
        return False
    note_seal(connection, matter, at)
    document = matter.model_copy(update={"revision": matter.revision - 1}).model_dump(mode="json")
    later = {
        "payload": document,
        "not_before": max(found[0].not_before, filing.settles_at),
        "version": EVENTS.c.version + 1,
    }
    connection.execute(update(EVENTS).where(*last, WAITING).values(**later))
    return True


def _behind(connection: Connection, matter: HotlineMatter) -> set[str]:
    """The sinks that have not got every event of the matter."""
    open_ = select(EVENTS.c.sink).where(EVENTS.c.matter_id == matter.matter_id, EVENTS.c.state != "delivered")
    return set(connection.execute(open_.distinct()).scalars())


def due_events(
    connection: Connection, sink: str, now: datetime, limit: int, under_way: Collection[UUID], *, urgent: bool
) -> list[DueEvent]:
    """Events whose time has come, the most urgent first, then the oldest; ``urgent``: only immediate ones."""
    found: list[Any] = []
    for query in _due(urgent=urgent):
        if (places := limit - len(found)) > 0:
            taken = [*under_way, *(row.id for row in found)]
            found += connection.execute(query, {"sink": sink, "now": now, "taken": taken, "places": places})
    payloads = outward_payloads(connection, _payloads(connection, sink, [row.id for row in found]))
    return [
        DueEvent(
            *(r.id, r.matter_id, r.sequence, r.type, r.created_at, payloads.get(r.id), r.attempts, sink),
            immediate=r.rank == RANKS[Urgency.IMMEDIATE],
            version=r.version,
        )
        for r in found
    ]


@cache
def _due(*, urgent: bool) -> tuple[Select[Any], ...]:
    """For a ``sink``, ``now``, so many ``places``, without what is ``taken``; made once, as it is asked at every ring."""
    columns = [column for column in EVENTS.columns if column is not EVENTS.c.payload]
    its = (EVENTS.c.sink == bindparam("sink"), GOING, EVENTS.c.id.not_in(bindparam("taken", expanding=True)))
    all_its = select(*columns).where(*its).limit(bindparam("places", type_=Integer))
    ranked = all_its.where(EVENTS.c.not_before <= bindparam("now")).order_by(EVENTS.c.not_before, EVENTS.c.id)
    # a clock that has been put back must not hold up what was put off by it
    back = all_its.where(EVENTS.c.put_off_at > bindparam("now")).order_by(EVENTS.c.put_off_at)
    if urgent:
        return ranked.where(EVENTS.c.rank == 0), back.where(EVENTS.c.rank == 0)
    return *(ranked.where(EVENTS.c.rank == rank) for rank in sorted(RANKS.values())), back


def _payloads(connection: Connection, sink: str, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """Together; one by one where a row cannot be opened, so that it does not stop the others."""
    wanted = select(EVENTS.c.id, EVENTS.c.payload).where(EVENTS.c.sink == sink)
    try:
        return {row.id: row.payload for row in connection.execute(wanted.where(EVENTS.c.id.in_(ids)))}
    except KeyFileError:
        pass
    found = {}
    for event_id in ids:
        try:
            found[event_id] = connection.execute(wanted.where(EVENTS.c.id == event_id)).one().payload
        except KeyFileError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Delivery:
    """The sink has an event, and perhaps told a case number."""

    event: DueEvent
    at: datetime
    case_number: str | None = None


def delivered_many(connection: Connection, sender: Sender, deliveries: Sequence[Delivery]) -> list[Superseded | None]:
    """Settle what was delivered, and let the next event of each matter go."""
    sender.check(connection)
    matters = sorted({delivery.event.matter_id for delivery in deliveries})
    _lock(connection, matters)
    ids = [delivery.event.id for delivery in deliveries]
    done = update(EVENTS).where(EVENTS.c.id.in_(ids), EVENTS.c.sink == sender.sink, WAITING)
    done = done.values(state="delivered", settled_at=deliveries[0].at).returning(EVENTS.c.id, EVENTS.c.version)
    settled = {row.id: row.version for row in connection.execute(done)}
    for delivery in deliveries:
        if settled.get(delivery.event.id, delivery.event.version) != delivery.event.version:
            _tell_the_rest(connection, delivery)
    _release(connection, sender.sink, matters)
    numbered = [delivery for delivery in deliveries if delivery.case_number is not None and sender.sink == "core"]
    for delivery in numbered:
        case = update(MATTERS).where(MATTERS.c.id == delivery.event.matter_id)
        connection.execute(case.values(case_number=delivery.case_number))
    return [None if event_id in settled else Superseded(f"event {event_id}") for event_id in ids]


def _tell_the_rest(connection: Connection, delivery: Delivery) -> None:
    """A piece was put into the event while it was being delivered without it: it goes in an event of its own.

    For every sink at once; another sink that missed it too finds it there.
    """
    known = select(EVENTS.c.id).where(EVENTS.c.id == derived(delivery.event.id, "event"))
    if connection.execute(known.limit(1)).scalar() is not None:
        return
    row = connection.execute(select(MATTERS).where(MATTERS.c.id == delivery.event.matter_id)).one()
    matter = HotlineMatter.model_validate(row.document | {"revision": row.revision + 1})
    new = {"revision": matter.revision, "document": matter.model_dump(mode="json")}
    connection.execute(update(MATTERS).where(MATTERS.c.id == row.id).values(**new))
    sinks = connection.execute(select(EVENTS.c.sink).where(EVENTS.c.matter_id == row.id).distinct()).scalars().all()
    verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=row.id, reason="told after its event had gone")
    owe_event(connection, delivery.event.id, Filing(verdict, matter, AMENDED), sinks, delivery.at)


def _lock(connection: Connection, matters: list[UUID]) -> None:
    connection.execute(select(MATTERS.c.id).where(MATTERS.c.id.in_(matters)).order_by(MATTERS.c.id).with_for_update())


def _release(connection: Connection, sink: str, matters: list[UUID]) -> None:
    free = update(EVENTS).where(EVENTS.c.matter_id.in_(matters), EVENTS.c.sink == sink, EVENTS.c.waits, WAITING)
    connection.execute(free.where(~undelivered_before()).values(waits=False))


def undelivered_before() -> ColumnElement[bool]:
    """A condition on an event: an earlier one of its matter has not been delivered to its sink."""
    earlier = EVENTS.alias("earlier")
    return exists().where(
        earlier.c.matter_id == EVENTS.c.matter_id,
        earlier.c.sink == EVENTS.c.sink,
        earlier.c.sequence < EVENTS.c.sequence,
        earlier.c.state != "delivered",
    )


def postponed(
    connection: Connection, sender: Sender, event: DueEvent, reason: str, at: datetime, until: datetime
) -> None:
    """The sink may take it later."""
    again = {"attempts": event.attempts + 1, "reason": reason, "not_before": until, "put_off_at": at}
    _settle(connection, sender, event, again)


def parked(connection: Connection, sender: Sender, event: DueEvent, reason: str, at: datetime) -> None:
    """The sink will never take it as it is: a person must look. Later events of the matter wait behind it."""
    stopped = {"state": "parked", "attempts": event.attempts + 1, "reason": reason, "settled_at": at}
    _settle(connection, sender, event, stopped)


def _settle(connection: Connection, sender: Sender, event: DueEvent, values: dict[str, Any]) -> None:
    sender.check(connection)
    mine = (EVENTS.c.id == event.id, EVENTS.c.sink == sender.sink, EVENTS.c.attempts == event.attempts, WAITING)
    if connection.execute(update(EVENTS).where(*mine).values(values)).rowcount != 1:
        raise Superseded(f"event {event.id}")


def parked_events(connection: Connection, after: ParkedEvent | None, limit: int) -> list[ParkedEvent]:
    """A page of what waits for a person, in order of its writing, and how much waits behind each."""
    columns = (EVENTS.c.id, EVENTS.c.sink, EVENTS.c.matter_id, EVENTS.c.type, EVENTS.c.reason, EVENTS.c.settled_at)
    page = select(*columns, MATTERS.c.tracking_code).join(MATTERS, MATTERS.c.id == EVENTS.c.matter_id).where(PARKED)
    if after is not None:
        page = page.where(tuple_(EVENTS.c.id, EVENTS.c.sink) > tuple_(literal(after.id), literal(after.sink)))
    rows = connection.execute(page.order_by(EVENTS.c.id, EVENTS.c.sink).limit(limit)).all()
    return [ParkedEvent(*row, behind=_behind_count(connection, row.sink, row.matter_id)) for row in rows]


def _behind_count(connection: Connection, sink: str, matter_id: UUID) -> int:
    waiting = select(EVENTS.c.id).where(EVENTS.c.sink == sink, EVENTS.c.matter_id == matter_id, EVENTS.c.waits, WAITING)
    return len(connection.execute(waiting).all())


def retry(connection: Connection, event_id: UUID, at: datetime) -> int:
    """Let a parked event go again under its own id, for every sink where it is parked; how many."""
    again = update(EVENTS).where(EVENTS.c.id == event_id, PARKED)
    values = {"state": "waiting", "attempts": 0, "not_before": at, "put_off_at": at, "settled_at": None}
    return connection.execute(again.values(values)).rowcount
