"""Recalling what may be about the same: the caller's own messages by the caller, those of others by what the index found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, select

from normalizer.fingerprint import VERSION, Fingerprint
from normalizer.model import Level, PastIncident, PastText, Placed, TieKind
from store.links import APART, by_hand, current
from store.past import MATTER_COLUMNS, Sight, past_matter
from store.tables import FINGERPRINTS, INCIDENTS, MATTERS, MESSAGES

#: How far back the caller's own messages are looked at: a matter can be taken up again for as long.
FOLLOWED = timedelta(days=365)
#: Messages of his that are compared at most, the newest.
MOST_OWN = 50


def recall_alike(
    connection: Connection, sight: Sight, message_id: UUID, his: ColumnElement[bool], at: datetime
) -> tuple[tuple[PastText, ...], Placed | None]:
    """Earlier messages that may be about the same, and where an operator has put this one.

    ``his`` says which messages are the caller's own.
    """
    own = _own(connection, his, at)
    others = [(row, sight.found[row.message_id]) for row in _others(connection, sight.found, his)]
    rows = [*own, *others]
    incidents = _incidents(connection, {row.id for row, _ in rows})
    decided = by_hand(connection, message_id)
    apart = {object_ for object_, row in decided.items() if row.level == APART}
    mine = {row.message_id for row, _ in own}
    texts = tuple(
        PastText(
            message_id=row.message_id,
            matter=past_matter(row),
            own=row.message_id in mine,
            received_at=row.received_at,
            fingerprint=prints,
            incident=incidents.get(row.id),
            apart=row.id in apart or (row.id in incidents and incidents[row.id].id in apart),
        )
        for row, prints in rows
        if row.message_id != message_id
    )
    there = next((row for row in decided.values() if row.level == Level.LINK), None)
    return texts, there and Placed(there.object, there.decided_by, there.why["reason"])


def _own(connection: Connection, his: ColumnElement[bool], at: datetime) -> list[tuple[Row[Any], Fingerprint]]:
    known = _texts().where(his, FINGERPRINTS.c.received_at >= at - FOLLOWED)
    newest = known.order_by(FINGERPRINTS.c.received_at.desc(), FINGERPRINTS.c.number.desc()).limit(MOST_OWN)
    return [(row, Fingerprint.unpack(row.prints)) for row in connection.execute(newest)]


def _others(connection: Connection, found: Mapping[UUID, Fingerprint], his: ColumnElement[bool]) -> Sequence[Row[Any]]:
    if not found:
        return ()
    return connection.execute(_texts().where(FINGERPRINTS.c.message_id.in_(sorted(found)), ~his)).all()


def _texts() -> Any:
    joined = FINGERPRINTS.join(MESSAGES, MESSAGES.c.id == FINGERPRINTS.c.message_id)
    columns = (FINGERPRINTS.c.message_id, FINGERPRINTS.c.received_at, FINGERPRINTS.c.prints)
    wanted = select(*columns, *MATTER_COLUMNS).select_from(joined.join(MATTERS, MATTERS.c.id == MESSAGES.c.matter_id))
    return wanted.where(FINGERPRINTS.c.version == VERSION)


def _incidents(connection: Connection, matters: Collection[UUID]) -> dict[UUID, PastIncident]:
    """The incident of each matter that is in one, with what the message that opened its first matter is compared by."""
    member_of = {
        subject: row.object
        for (subject, _), row in current(connection, TieKind.INCIDENT, matters).items()
        if row.level == Level.LINK
    }
    if not member_of:
        return {}
    opening = INCIDENTS.outerjoin(MESSAGES, MESSAGES.c.matter_id == INCIDENTS.c.first_id).outerjoin(
        FINGERPRINTS, and_(FINGERPRINTS.c.message_id == MESSAGES.c.id, FINGERPRINTS.c.version == VERSION)
    )
    wanted = select(INCIDENTS.c.id, INCIDENTS.c.first_id, FINGERPRINTS.c.prints).select_from(opening)
    rows = connection.execute(
        wanted.where(INCIDENTS.c.id.in_(set(member_of.values()))).order_by(MESSAGES.c.received_at)
    )
    known: dict[UUID, PastIncident] = {}
    for row in rows:
        if row.id not in known or known[row.id].first is None:
            first = None if row.prints is None else Fingerprint.unpack(row.prints)
            known[row.id] = PastIncident(row.id, row.first_id, first)
    return {matter: known[incident] for matter, incident in member_of.items()}
