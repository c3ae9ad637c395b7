"""The books: counting everything and proving that it adds up (CONTRACT.md, Outcomes)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true

from normalizer.model import Outcome
from store.events import GOING, WAITING, undelivered_before
from store.tables import ENVELOPES, EVENTS, HOLDS, MATTERS, MESSAGES, UNPACKED, WORK
from store.values import Books, Receipt, Stage

#: Offending rows named at most; the first tell enough.
SHOWN = 20
#: The sink whose events the books count; copies for others come and go with the settings.
CORE = "core"
#: Of what is owed to the core.
EVENT_STATES = ("delivered", "waiting", "parked")


def reconcile(connection: Connection, since: datetime | None = None) -> Books:
    """Count envelopes received from ``since`` on, their messages, and the events of matters filed from then on."""
    recent = ENVELOPES.c.received_at >= since if since else true()
    envelopes = _count(connection, select(ENVELOPES.c.id).where(recent))
    pending = _count(connection, _of(recent, WORK.c.subject, WORK).where(WORK.c.stage == Stage.UNPACK))
    return Books(
        envelopes=envelopes,
        pending=pending,
        unpacked=_count(connection, _of(recent, UNPACKED.c.envelope_id, UNPACKED)),
        messages=_count(connection, _of(recent, MESSAGES.c.envelope_id, MESSAGES)),
        held=_count(connection, _held(recent)),
        outcomes=_outcomes(connection, recent),
        events=_events(connection, since),
        offending=list(_offending(connection, recent, since)),
    )


def _count(connection: Connection, query: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _of(recent: ColumnElement[bool], envelope_id: Any, table: Any) -> Select[Any]:
    return select(envelope_id).select_from(table.join(ENVELOPES, ENVELOPES.c.id == envelope_id)).where(recent)


def _held(recent: ColumnElement[bool]) -> Select[Any]:
    """Messages that wait for a person, and those of the same sender behind them."""
    standing = HOLDS.join(MESSAGES, MESSAGES.c.id == HOLDS.c.message_id)
    return (
        select(HOLDS.c.message_id)
        .select_from(standing.join(ENVELOPES, ENVELOPES.c.id == MESSAGES.c.envelope_id))
        .where(recent, HOLDS.c.over_at.is_(None), MESSAGES.c.outcome.is_(None))
    )


def _outcomes(connection: Connection, recent: ColumnElement[bool]) -> dict[str, int]:
    counts = dict.fromkeys((str(outcome) for outcome in Outcome), 0)
    for table in (MESSAGES, UNPACKED):
        grouped = (
            select(table.c.outcome, func.count())
            .join(ENVELOPES, ENVELOPES.c.id == table.c.envelope_id)
            .where(recent, table.c.outcome.is_not(None))
            .group_by(table.c.outcome)
        )
        for outcome, number in connection.execute(grouped):
            counts[outcome] += number
    return counts


def _events(connection: Connection, since: datetime | None) -> dict[str, int]:
    recent = MATTERS.c.filed_at >= since if since else true()
    owed = connection.execute(select(func.coalesce(func.sum(MATTERS.c.revision), 0)).where(recent)).scalar_one()
    grouped = (
        select(EVENTS.c.state, func.count().label("number"))
        .join(MATTERS, MATTERS.c.id == EVENTS.c.matter_id)
        .where(recent, EVENTS.c.sink == CORE)
        .group_by(EVENTS.c.state)
    )
    states = {row.state: row.number for row in connection.execute(grouped)}
    return {"owed": owed} | {state: states.get(state, 0) for state in EVENT_STATES}


def _offending(connection: Connection, recent: ColumnElement[bool], since: datetime | None) -> Iterator[str]:
    for sentence, query in _faults(recent, since):
        for (subject,) in connection.execute(query.limit(SHOWN)):
            yield f"{subject}: {sentence}"


def _faults(recent: ColumnElement[bool], since: datetime | None) -> Iterator[tuple[str, Select[Any]]]:
    """A query for each way in which the books can be wrong."""
    # joins, not EXISTS: the queue has no index on its subject, and a join makes one for itself (or a hash)
    queued = select(WORK.c.subject).where(WORK.c.stage == Stage.UNPACK).subquery("queued")
    pending_, done = queued.c.subject.is_not(None), UNPACKED.c.envelope_id.is_not(None)
    of_envelope = (queued.c.subject == ENVELOPES.c.id, UNPACKED.c.envelope_id == ENVELOPES.c.id)
    known = ENVELOPES.outerjoin(queued, of_envelope[0]).outerjoin(UNPACKED, of_envelope[1])
    envelopes = select(ENVELOPES.c.id).select_from(known).where(recent)
    yield "envelope neither unpacked nor pending", envelopes.where(~pending_, ~done)
    yield "envelope unpacked and still pending", envelopes.where(pending_, done)
    twice = select(WORK.c.subject).group_by(WORK.c.subject).having(func.count() > 1)
    yield "envelope or message pending more than once", twice

    number = select(func.count()).where(MESSAGES.c.envelope_id == UNPACKED.c.envelope_id).scalar_subquery()
    unpacked = _of(recent, UNPACKED.c.envelope_id, UNPACKED)
    yield "envelope's messages are not as many as were unpacked", unpacked.where(UNPACKED.c.messages != number)
    one = or_(
        and_(UNPACKED.c.messages == 0, UNPACKED.c.outcome.is_(None)),
        and_(UNPACKED.c.messages > 0, UNPACKED.c.outcome.is_not(None)),
    )
    yield "envelope without messages has no outcome, or one with messages has one", unpacked.where(one)

    messages = _of(recent, MESSAGES.c.envelope_id, MESSAGES).with_only_columns(MESSAGES.c.id)
    waiting = select(WORK.c.subject).where(WORK.c.stage == Stage.DIGEST).subquery("waiting")
    either = messages.outerjoin_from(MESSAGES, waiting, waiting.c.subject == MESSAGES.c.id)
    of_queue, open_ = waiting.c.subject.is_not(None), MESSAGES.c.outcome.is_(None)
    yield "message neither settled nor pending", either.where(open_, ~of_queue)
    yield "message settled and still pending", either.where(~open_, of_queue)
    in_matter = MESSAGES.c.outcome.in_([Outcome.FILED, Outcome.ATTACHED, Outcome.CHASED])
    yield (
        "message belongs to a matter that is not there",
        messages.where(in_matter, ~select(MATTERS.c.id).where(MATTERS.c.id == MESSAGES.c.matter_id).exists()),
    )

    first = MESSAGES.alias("first")
    there = select(first.c.id).where(first.c.id == MESSAGES.c.first_id).exists()
    yield "redelivery of a message that is not there", messages.where(MESSAGES.c.outcome == Outcome.REDELIVERED, ~there)

    opened = (MESSAGES.c.matter_id == MATTERS.c.id, MESSAGES.c.outcome == Outcome.FILED)
    openers = select(func.count()).where(*opened).scalar_subquery()
    since_then = MATTERS.c.filed_at >= since if since else true()
    yield "matter not opened by exactly one message", select(MATTERS.c.id).where(since_then, openers != 1)
    yield "event in a state that is none", select(EVENTS.c.id).where(EVENTS.c.state.not_in(EVENT_STATES))
    filed = select(MATTERS.c.id).where(MATTERS.c.filed_at >= since if since else true())
    events = select(func.count()).where(EVENTS.c.matter_id == MATTERS.c.id, EVENTS.c.sink == CORE).scalar_subquery()
    yield from _order_faults()
    yield "matter owes the core more or fewer events than were written", filed.where(MATTERS.c.revision != events)


def _order_faults() -> Iterator[tuple[str, Select[Any]]]:
    """What waits for nobody would wait for ever; what does not wait would overtake."""
    before = WORK.alias("before")
    in_lane = (before.c.lane == WORK.c.lane, before.c.sequence != WORK.c.sequence)
    yield (
        "message waits in its lane for nobody",
        select(WORK.c.subject).where(
            WORK.c.waits, ~select(before.c.sequence).where(*in_lane, ~before.c.waits).exists()
        ),
    )
    yield (
        "message does not wait for another of its lane",
        select(WORK.c.subject).where(
            ~WORK.c.waits, select(before.c.sequence).where(*in_lane, ~before.c.waits).exists()
        ),
    )
    yield "event waits for nobody", select(EVENTS.c.id).where(EVENTS.c.waits, WAITING, ~undelivered_before())
    yield "event does not wait for the one before", select(EVENTS.c.id).where(GOING, undelivered_before())


def pending(connection: Connection) -> int:
    """Pieces of work in the queue."""
    return _count(connection, select(WORK.c.sequence))


def is_pending(connection: Connection, envelope_id: UUID) -> bool:
    """Whether an envelope or a message of it is in the queue."""
    its = select(MESSAGES.c.id).where(MESSAGES.c.envelope_id == envelope_id)
    queued = select(WORK.c.sequence).where(or_(WORK.c.subject == envelope_id, WORK.c.subject.in_(its)))
    return connection.execute(queued.limit(1)).scalar() is not None


def waiting_events(connection: Connection, sink: str = CORE) -> int:
    """Events the sink has not got yet and that are not parked."""
    return _count(connection, select(EVENTS.c.sink).where(EVENTS.c.sink == sink, WAITING))


def receipt(connection: Connection, envelope_id: UUID) -> Receipt | None:
    """What became of an envelope: ``kept``, then the outcome of its message, or its own."""
    row = connection.execute(
        select(ENVELOPES.c.channel, ENVELOPES.c.context, UNPACKED.c.outcome)
        .outerjoin(UNPACKED, UNPACKED.c.envelope_id == ENVELOPES.c.id)
        .where(ENVELOPES.c.id == envelope_id)
    ).one_or_none()
    if row is None:
        return None
    message = connection.execute(
        select(MESSAGES.c.outcome, MESSAGES.c.matter_id, MATTERS.c.tracking_code)
        .outerjoin(MATTERS, MATTERS.c.id == MESSAGES.c.matter_id)
        .where(MESSAGES.c.envelope_id == envelope_id)
        .order_by(MESSAGES.c.position)
        .limit(1)
    ).one_or_none()
    return Receipt(
        receipt=envelope_id,
        channel=row.channel,
        client=row.context["context"].get("client"),
        state=row.outcome or (message and message.outcome) or "kept",
        matter_id=message.matter_id if message else None,
        tracking_code=message.tracking_code if message else None,
    )
