"""Incidents: one cause of which many citizens tell, each with a matter of his own.

Whoever changes an incident holds the row of the matter that speaks for it, its first, locked; where several matters are
locked, in order of their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, update

from normalizer.ids import derived
from normalizer.model import HotlineMatter, Incident, Joining, Level, TieKind
from normalizer.place_names import place_names
from store.documents import lock_matter, open_document, replace_document, tell
from store.events import AMENDED
from store.links import RULE, Linked, current, document_link, linked, write_links
from store.tables import CALLERS, INCIDENTS, LINKS, MATTERS, MESSAGES

CHANGED = "hotline.incident.changed.v1"
#: Citizens from which on the core is told again.
STEPS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
#: Places that are told of an incident, and matters that are read for them, the newest.
PLACES, READ = 5, 50
DAY = timedelta(days=1)
_PERSON = func.coalesce(CALLERS.c.person_id, CALLERS.c.id)


def join_incident(
    connection: Connection, matter: HotlineMatter, joining: Joining, sinks: Collection[str], at: datetime
) -> HotlineMatter:
    """Make a new matter, just inserted, a member; the document that says so.

    The core is told - by an event of the matter that speaks for the incident - when it begins, and at every step of its
    growth.
    """
    lock_matters(connection, {joining.first, *(other for other, _ in joining.also)})
    incident_id = incident_of(connection, joining.first) or _begin_with(connection, matter, joining, at)
    joined = take_in(connection, matter, linked(matter.matter_id, joining.tie, incident_id), at)
    for other, tie in joining.also:
        if incident_of(connection, other) is None:
            found = take_in(connection, open_document(connection, other), linked(other, tie, incident_id), at)
            tell(connection, derived(other, "incident", str(incident_id)), found, AMENDED, sinks, at, tie.reason)
    _tell_if_grown(connection, incident_id, sinks, at)
    return joined


def lock_matters(connection: Connection, matters: Iterable[UUID]) -> None:
    """In the order that keeps two transactions from waiting for each other."""
    for matter_id in sorted(matters):
        lock_matter(connection, matter_id)


def row_of(connection: Connection, incident_id: UUID) -> Row[Any]:
    """An incident's row. Raise LookupError where there is none."""
    found = connection.execute(select(INCIDENTS).where(INCIDENTS.c.id == incident_id)).one_or_none()
    if found is None:
        raise LookupError(f"there is no incident {incident_id}")
    return found


def incident_of(connection: Connection, matter_id: UUID) -> UUID | None:
    """The incident to which a matter belongs; None: to none."""
    rows = current(connection, TieKind.INCIDENT, [matter_id]).values()
    return next((row.object for row in rows if row.level == Level.LINK), None)


def _begin_with(connection: Connection, matter: HotlineMatter, joining: Joining, at: datetime) -> UUID:
    incident_id = begin(connection, derived(joining.first, "incident", str(matter.matter_id)), joining.first, at)
    link = Linked(TieKind.INCIDENT, joining.first, incident_id, Level.LINK, "the first that tells of it", RULE)
    take_in(connection, open_document(connection, joining.first), link, at)
    return incident_id


def begin(connection: Connection, incident_id: UUID, first: UUID, at: datetime) -> UUID:
    """A new incident, for which the matter ``first`` speaks; nobody is a member yet."""
    seen = open_document(connection, first).received_at
    row = {"id": incident_id, "created_at": at, "first_id": first, "first_seen_at": seen, "last_seen_at": seen}
    connection.execute(insert(INCIDENTS), row | {"citizens": 0, "told": 0})
    return incident_id


def take_in(connection: Connection, matter: HotlineMatter, link: Linked, at: datetime) -> HotlineMatter:
    """Write the link, count the citizen unless he has told of it in another matter; the document, of the same revision."""
    fresh = not _told_before(connection, matter, link.object)
    write_links(connection, [link], at)
    row = row_of(connection, link.object)
    seen = {
        "first_seen_at": min(row.first_seen_at, matter.received_at),
        "last_seen_at": max(row.last_seen_at, matter.received_at),
    }
    changed = update(INCIDENTS).where(INCIDENTS.c.id == row.id)
    connection.execute(changed.values(citizens=row.citizens + fresh, **seen))
    joined = matter.model_copy(update={"incident_id": document_link(link)})
    replace_document(connection, joined)
    return joined


def _told_before(connection: Connection, matter: HotlineMatter, incident_id: UUID) -> bool:
    person = select(_PERSON).where(CALLERS.c.id == matter.caller_id).scalar_subquery()
    his = select(MATTERS.c.id).join(CALLERS, CALLERS.c.id == MATTERS.c.caller_id).where(person == _PERSON)
    mine = connection.execute(his.where(MATTERS.c.id != matter.matter_id)).scalars().all()
    rows = current(connection, TieKind.INCIDENT, mine).values()
    return any(row.object == incident_id and row.level == Level.LINK for row in rows)


# -- Telling the core --------------------------------------------------------------------------------------------------


def _tell_if_grown(connection: Connection, incident_id: UUID, sinks: Collection[str], at: datetime) -> None:
    row = row_of(connection, incident_id)
    step = max((step for step in STEPS if step <= row.citizens), default=0)
    if step > row.told:
        tell_incident(connection, row, derived(incident_id, "step", step), sinks, at)


def tell_incident(connection: Connection, row: Row[Any], cause: UUID, sinks: Collection[str], at: datetime) -> None:
    """By a further revision of the first matter, with all that is known."""
    known = incident(connection, row.id, at)
    counted = update(INCIDENTS).where(INCIDENTS.c.id == row.id)
    connection.execute(counted.values(citizens=known.citizens, told=max(known.citizens, row.told)))
    first = open_document(connection, row.first_id).model_copy(update={"incident": known})
    tell(connection, cause, first, CHANGED, sinks, at, f"{known.citizens} citizens tell of one cause")


def incident(connection: Connection, incident_id: UUID, at: datetime) -> Incident:
    """What is known of it now, counted anew. Raise LookupError where there is none."""
    row = row_of(connection, incident_id)
    of_it = members(incident_id)
    of_them = MATTERS.c.id.in_(of_it)
    newest = select(MATTERS.c.document).where(of_them).order_by(MATTERS.c.filed_at.desc()).limit(READ)
    named = Counter(name for document in connection.execute(newest).scalars() for name in _places(document))
    messages = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.matter_id.in_(of_it))
    return Incident(
        id=incident_id,
        citizens=_citizens(connection, of_them),
        matters=connection.execute(select(func.count()).select_from(of_it.subquery())).scalar_one(),
        contacts=connection.execute(messages).scalar_one(),
        citizens_24h=_citizens(connection, of_them, MATTERS.c.filed_at > at - DAY),
        first_seen=row.first_seen_at,
        last_seen=row.last_seen_at,
        places=tuple(name for name, _ in named.most_common(PLACES)),
        title=open_document(connection, row.first_id).title,
    )


def members(incident_id: UUID) -> Select[UUID]:
    """The matters of which the last word is that they belong to it."""
    later = LINKS.alias("later")
    same = (later.c.subject == LINKS.c.subject, later.c.object == LINKS.c.object, later.c.kind == LINKS.c.kind)
    taken_back = select(later.c.sequence).where(*same, later.c.sequence > LINKS.c.sequence).exists()
    members = (LINKS.c.object == incident_id, LINKS.c.kind == TieKind.INCIDENT, LINKS.c.level == Level.LINK)
    return select(LINKS.c.subject).where(*members, ~taken_back)


def _citizens(connection: Connection, *which: ColumnElement[bool]) -> int:
    people = select(func.count(_PERSON.distinct())).select_from(
        MATTERS.join(CALLERS, CALLERS.c.id == MATTERS.c.caller_id)
    )
    return connection.execute(people.where(*which)).scalar_one()


def _places(document: dict[str, Any]) -> set[str]:
    """Each once a matter, however often it names them; none of whoever stays unnamed, who may live there."""
    return set() if document["confidential"] else set(place_names(f"{document['title']}\n{document['content']}"))
