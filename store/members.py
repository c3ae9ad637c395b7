"""Members of an incident, put in and taken out by an operator."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, select, update

from normalizer.ids import derived
from normalizer.model import Level, TieKind
from store.decision import Decision, tell_decision
from store.documents import lock_matter, open_document
from store.incidents import CHANGED, begin, incident_of, lock_matters, members, row_of, take_in, tell_incident
from store.links import APART, Linked, write_links
from store.tables import INCIDENTS, MATTERS


def add(connection: Connection, matter_id: UUID, incident_id: UUID, decision: Decision) -> None:
    """Make a matter a member. Raise LookupError where there is no such incident."""
    lock_matters(connection, {matter_id, row_of(connection, incident_id).first_id})
    _take_in(connection, matter_id, incident_id, decision)
    joined = open_document(connection, matter_id)
    tell_decision(connection, joined, decision, "added")
    _tell(connection, incident_id, decision)


def begin_with(connection: Connection, matter_id: UUID, other: UUID, decision: Decision) -> UUID:
    """Say that two matters have one cause; the incident, that of ``other`` where it is in one."""
    lock_matters(connection, {matter_id, other})
    known = incident_of(connection, other)
    if known is None:
        known = begin(connection, derived(other, "incident", str(matter_id)), other, decision.at)
        _take_in(connection, other, known, decision)
    add(connection, matter_id, known, decision)
    return known


def remove(connection: Connection, matter_id: UUID, incident_id: UUID, decision: Decision) -> None:
    """Take a member out. When it spoke for the incident, the oldest of the others does now."""
    lock_matters(connection, {matter_id, row_of(connection, incident_id).first_id})
    apart = Linked(TieKind.INCIDENT, matter_id, incident_id, APART, decision.reason, decision.by)
    write_links(connection, [apart], decision.at)
    alone = open_document(connection, matter_id).model_copy(update={"incident_id": None, "incident": None})
    tell_decision(connection, alone, decision, "removed")
    left = select(MATTERS.c.id).where(MATTERS.c.id.in_(members(incident_id))).order_by(MATTERS.c.filed_at).limit(1)
    oldest = connection.execute(left).scalar()
    if oldest is None:
        return
    if row_of(connection, incident_id).first_id == matter_id:
        lock_matter(connection, oldest)
        connection.execute(update(INCIDENTS).where(INCIDENTS.c.id == incident_id).values(first_id=oldest))
    _tell(connection, incident_id, decision)


def _take_in(connection: Connection, matter_id: UUID, incident_id: UUID, decision: Decision) -> None:
    link = Linked(TieKind.INCIDENT, matter_id, incident_id, Level.LINK, decision.reason, decision.by)
    take_in(connection, open_document(connection, matter_id), link, decision.at)


def _tell(connection: Connection, incident_id: UUID, decision: Decision) -> None:
    row = row_of(connection, incident_id)
    first = open_document(connection, row.first_id)
    tell_incident(connection, row, decision.cause(first, CHANGED), decision.sinks, decision.at)
