"""Persons: who is behind a contact, which callers are one person, and since whose word.

A contact, its messages and matters keep for ever the caller they were first given. That two callers are one person is a
row in ``joins``; which caller stands for them (``callers.person_id``) follows from the rows that are not undone. So an
undone join leaves everything as if it had never been, whatever happened meanwhile.

Whoever changes who is whom, or works on a person, holds that person's row locked, of several in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import BindParameter, Connection, bindparam, delete, func, insert, or_, select, update

from normalizer.ids import derived
from normalizer.model import Assurance, Contact, ContactType, HotlineMatter, Message, Outcome, Verdict
from store.bulk import insert_or_ignore
from store.errors import Superseded
from store.events import AMENDED, owe_event
from store.keys import Keyring
from store.tables import CALLERS, CONTACTS, JOINS, MATTERS
from store.values import Filing

#: Contact types whose values mean something only together with our account: an openid belongs to one official account.
SCOPED = frozenset({ContactType.APP, ContactType.WECHAT})
#: How old an open matter may be of which the core is told that its citizen is another.
RETOLD = timedelta(days=30)

_PERSON = func.coalesce(CALLERS.c.person_id, CALLERS.c.id)
#: Asked for every message, so made once.
_THESE: BindParameter[Any] = bindparam("these", expanding=True)
_OWNER = (
    select(CALLERS.c.id, _PERSON.label("person"))
    .join(CONTACTS, CONTACTS.c.caller_id == CALLERS.c.id)
    .where(CONTACTS.c.mark == bindparam("mark"))
)
_LOCKED = select(CALLERS.c.id).where(CALLERS.c.id.in_(_THESE)).order_by(CALLERS.c.id).with_for_update()
_WITH_THEM = (
    select(CALLERS.c.id, _PERSON.label("person"))
    .where(or_(CALLERS.c.id.in_(_THESE), CALLERS.c.person_id.in_(_THESE)))
    .order_by(CALLERS.c.id)
)
_NEW_CALLER = insert(CALLERS)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is locked: nobody else works on him until the commit."""

    #: The caller that stands for him: the oldest.
    id: UUID
    #: The caller whose contact it is that writes; its messages and matters stay its own.
    caller_id: UUID
    #: All callers that are he, in order.
    callers: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Two callers, and on what evidence they are one person."""

    id: UUID
    one_id: UUID
    other_id: UUID
    #: ``unionid``, ``phone``, ``code`` or ``operator``.
    evidence: str
    #: ``rule``, or an operator's name.
    decided_by: str
    #: For a person to read.
    reason: str
    #: Mark of what both have shown.
    thing_mark: bytes | None = None


def contact_mark(keyring: Keyring, contact: Contact, account: str) -> bytes:
    """What makes two contacts the same. A spoofable one is never the same as the address it claims to be.

    Nor is a telephone number that somebody wrote down the same as one that is surely the sender's.
    """
    scope = account if contact.type in SCOPED else ""
    sure = contact.type is ContactType.PHONE and contact.assurance is Assurance.VERIFIED
    level = "spoofable" if contact.assurance is Assurance.SPOOFABLE else "verified" if sure else ""
    return keyring.mark("contact", contact.type, scope, contact.value, level)


def sender_of(connection: Connection, mark: bytes, message: Message, at: datetime) -> tuple[UUID, UUID]:
    """The caller whose the sender's contact is, created when it is new, and who stands for him as far as is known."""
    found = connection.execute(_OWNER, {"mark": mark}).one_or_none()
    if found is None:
        _create_caller(connection, mark, message.sender, at)
        found = connection.execute(_OWNER, {"mark": mark}).one()
    return found.id, found.person


def _create_caller(connection: Connection, mark: bytes, contact: Contact, at: datetime) -> None:
    """A caller for a contact not seen before. When another node was faster, its caller counts and ours goes."""
    fresh = uuid_utils.compat.uuid7()
    connection.execute(_NEW_CALLER, {"id": fresh, "created_at": at})
    row = {
        "mark": mark,
        "caller_id": fresh,
        "type": contact.type,
        "assurance": contact.assurance,
        "value": contact.value,
        "decided_by": "rule",
        "reason": "first message from this contact",
        "at": at,
    }
    if connection.execute(insert_or_ignore(connection, CONTACTS), row).rowcount != 1:
        connection.execute(delete(CALLERS).where(CALLERS.c.id == fresh))


def callers_of(connection: Connection, caller_id: UUID) -> tuple[UUID, ...]:
    """All callers that are the same person as this one, itself included, the one that stands for him first."""
    person = select(_PERSON).where(CALLERS.c.id == caller_id).scalar_subquery()
    his = select(CALLERS.c.id).where(or_(CALLERS.c.id == person, CALLERS.c.person_id == person))
    return tuple(connection.execute(his.order_by(CALLERS.c.id)).scalars())


def persons_of(connection: Connection, callers: Collection[UUID]) -> dict[UUID, UUID]:
    """The caller that stands for each, as far as is known without a lock."""
    rows = connection.execute(select(CALLERS.c.id, _PERSON.label("person")).where(CALLERS.c.id.in_(callers)))
    return {row.id: row.person for row in rows}


def lock_persons(connection: Connection, known: Mapping[UUID, UUID]) -> dict[UUID, Person]:
    """Lock the persons that stand for these callers. Raise Superseded when somebody changed who is whom meanwhile."""
    persons = {"these": sorted(set(known.values()))}
    connection.execute(_LOCKED, persons)
    # asked again: while we waited for the lock, he may have become another, or more
    groups: dict[UUID, list[UUID]] = {}
    for row in connection.execute(_WITH_THEM, persons):
        groups.setdefault(row.person, []).append(row.id)
    for caller_id, person in known.items():
        if caller_id not in groups.get(person, ()):
            raise Superseded(f"person of caller {caller_id}")
    return {caller: Person(person, caller, tuple(groups[person])) for caller, person in known.items()}


# -- Joining and undoing; the persons concerned are locked -------------------------------------------------------------


def join(connection: Connection, sinks: Collection[str], joined: Join, at: datetime) -> None:
    """Write that two callers are one person; the core is told of open matters that got another citizen by it."""
    row = {name: getattr(joined, name) for name in Join.__slots__}
    if connection.execute(insert_or_ignore(connection, JOINS), row | {"at": at}).rowcount == 1:
        _regroup(connection, sinks, (joined.one_id, joined.other_id), joined.id, at)


def undo(connection: Connection, sinks: Collection[str], join_id: UUID, by: str, reason: str, at: datetime) -> bool:
    """Mark a join undone and let each caller be who he is without it; False when it was undone before."""
    standing = (JOINS.c.id == join_id, JOINS.c.undone_at.is_(None))
    undone = {"undone_at": at, "undone_by": by, "undone_reason": reason}
    ends = connection.execute(
        update(JOINS).where(*standing).values(undone).returning(JOINS.c.one_id, JOINS.c.other_id)
    ).one_or_none()
    if ends is None:
        return False
    _regroup(connection, sinks, ends, derived(join_id, "undone"), at)
    return True


def _regroup(connection: Connection, sinks: Collection[str], ends: Iterable[UUID], cause: UUID, at: datetime) -> None:
    """Let the persons of these callers be what the joins say now: whoever hangs together is one, the oldest stands for him."""
    callers = sorted({one for end in ends for one in callers_of(connection, end)})
    before, after = persons_of(connection, callers), components(callers, standing_joins(connection, callers))
    moved = {caller: person for caller, person in after.items() if before[caller] != person}
    for caller, person in moved.items():
        changed = update(CALLERS).where(CALLERS.c.id == caller)
        connection.execute(changed.values(person_id=None if person == caller else person))
    _tell_core(connection, sinks, moved, cause, at)


def standing_joins(
    connection: Connection, callers: Collection[UUID], but: bytes | None = None
) -> list[tuple[UUID, UUID]]:
    """The joins of these callers that are not undone; without those by the thing ``but``."""
    his = or_(JOINS.c.one_id.in_(callers), JOINS.c.other_id.in_(callers))
    found = select(JOINS.c.one_id, JOINS.c.other_id).where(his, JOINS.c.undone_at.is_(None))
    if but is not None:
        found = found.where(or_(JOINS.c.thing_mark.is_(None), JOINS.c.thing_mark != but))
    return [(row.one_id, row.other_id) for row in connection.execute(found)]


def components(callers: Iterable[UUID], pairs: Iterable[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """Of each caller the least of those to whom it is tied, directly or by others."""
    least = {caller: caller for caller in callers}

    def root(caller: UUID) -> UUID:
        while least[caller] != caller:
            caller = least[caller]
        return caller

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        least[second] = first
    return {caller: root(caller) for caller in least}


def _tell_core(
    connection: Connection, sinks: Collection[str], moved: Mapping[UUID, UUID], cause: UUID, at: datetime
) -> None:
    """Open matters of these callers say who their citizen is now.

    Not those in which he stays unnamed: told in the same moment as the others, they would be known for his.
    """
    is_open = [MATTERS.c[name].is_(None) for name in ("answered_at", "closed_at", "withdrawn_at")]
    told = (*is_open, MATTERS.c.sealed_at.is_(None))
    recent = (MATTERS.c.caller_id.in_(moved), MATTERS.c.filed_at > at - RETOLD, *told)
    rows = connection.execute(select(MATTERS).where(*recent).order_by(MATTERS.c.id).with_for_update()).all()
    for row in rows:
        new = {"caller_id": moved[row.caller_id], "revision": row.revision + 1}
        matter = HotlineMatter.model_validate(row.document).model_copy(update=new)
        changed = update(MATTERS).where(MATTERS.c.id == row.id)
        connection.execute(changed.values(revision=matter.revision, document=matter.model_dump(mode="json")))
        verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=row.id, reason="its citizen is known otherwise now")
        owe_event(connection, derived(cause, str(row.id)), Filing(verdict, matter, AMENDED), sinks, at)
