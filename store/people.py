"""What an operator sees of a person, and says about who is whom; every word of his is kept with his name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, or_, select

from normalizer.model import Assurance, Contact, ContactType
from store.errors import IdentitySealed, NobodySuch
from store.keys import Keyring
from store.persons import Join, callers_of, contact_mark, join, lock_persons, persons_of, undo
from store.proofs import thing_mark
from store.queue import record
from store.tables import CONTACTS, JOINS, MATTERS, PROOFS, THINGS
from store.transactions import Database

#: Matters of a person in which hints are looked for, the newest.
LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Word:
    """An operator's word."""

    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that a contact has shown to be his."""

    caller_id: UUID
    kind: str
    value: str
    evidence: str
    decided_by: str
    shown_at: datetime
    #: Why it does not count any more, and since when.
    ended: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A join, standing or undone."""

    id: UUID
    one_id: UUID
    other_id: UUID
    evidence: str
    decided_by: str
    reason: str
    at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None


@dataclass(frozen=True, slots=True)
class Hint:
    """A number in this person's matters that is another's: for a person to look at, and never a join."""

    value: str
    #: Whose it is.
    caller_id: UUID


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that is known of who somebody is."""

    person_id: UUID
    callers: tuple[UUID, ...]
    #: With the caller to whom each belongs.
    contacts: tuple[tuple[UUID, Contact], ...]
    proofs: tuple[Shown, ...]
    joins: tuple[Joined, ...]
    hints: tuple[Hint, ...]


class People:
    """Raise StoreUnavailable, NobodySuch for an id that is nobody's, IdentitySealed for a matter whose citizen stays unnamed."""

    def __init__(self, database: Database, keyring: Keyring, sinks: Collection[str]) -> None:
        self._database, self._keyring, self._sinks = database, keyring, tuple(sinks)

    async def join(self, one: str, other: str, word: Word) -> UUID:
        """Two callers are one person, an operator says; the id of the join."""
        return await self._database.write(lambda connection: _join(connection, self._sinks, one, other, word))

    async def undo(self, join_id: UUID, word: Word) -> bool:
        """They are not, an operator says; False when the join was undone before."""
        return await self._database.write(lambda connection: _undo(connection, self._sinks, join_id, word))

    async def sheet(self, named: str) -> Sheet:
        """Of the person behind a caller's id, or a matter's id or tracking code."""
        return await self._database.read(lambda connection: _sheet(connection, self._keyring, named))

    async def reveal(self, named: str, word: Word) -> Sheet:
        """The same, for somebody who will read the contacts in full: that he did is kept."""

        def transaction(connection: Connection) -> Sheet:
            sheet = _sheet(connection, self._keyring, named)
            record(connection, sheet.person_id, "revealed", word.by, word.at, word.reason)
            return sheet

        return await self._database.write(transaction)


def _caller(connection: Connection, named: str) -> UUID:
    """The caller of that id, or of the matter of that id or tracking code."""
    digits = "".join(filter(str.isdigit, named))
    try:
        found = UUID(named)
    except ValueError:
        the_matter = MATTERS.c.tracking_code == digits
    else:
        if persons_of(connection, [found]):
            return found
        the_matter = MATTERS.c.id == found
    row = connection.execute(select(MATTERS.c.caller_id, MATTERS.c.sealed_at).where(the_matter)).one_or_none()
    if row is None:
        raise NobodySuch(f"{named} is no caller and no matter: see caller_id or tracking_code of a matter")
    if row.sealed_at is not None:
        raise IdentitySealed(f"the citizen of {named} stays unnamed: two persons can open it, see gateway identity")
    caller_id: UUID = row.caller_id
    return caller_id


def _join(connection: Connection, sinks: Collection[str], one: str, other: str, word: Word) -> UUID:
    """Also of callers who are one by a rule: what an operator has joined, no rule parts."""
    first, second = sorted((_caller(connection, one), _caller(connection, other)))
    if first == second:
        raise NobodySuch(f"{one} and {other} are the same caller already")
    lock_persons(connection, persons_of(connection, [first, second]))
    join_id: UUID = uuid_utils.compat.uuid7()
    join(connection, sinks, Join(join_id, first, second, "operator", word.by, word.reason), word.at)
    for caller_id in (first, second):
        record(connection, caller_id, "joined", f"{word.by}: {join_id}", word.at)
    return join_id


def _undo(connection: Connection, sinks: Collection[str], join_id: UUID, word: Word) -> bool:
    ends = connection.execute(select(JOINS.c.one_id, JOINS.c.other_id).where(JOINS.c.id == join_id)).one_or_none()
    if ends is None:
        raise NobodySuch(f"there is no join {join_id}: see `gateway callers show`")
    lock_persons(connection, persons_of(connection, list(ends)))
    if not undo(connection, sinks, join_id, word.by, word.reason, word.at):
        return False
    for caller_id in ends:
        record(connection, caller_id, "join_undone", f"{word.by}: {join_id}", word.at)
    return True


# -- Looking -----------------------------------------------------------------------------------------------------------


def _sheet(connection: Connection, keyring: Keyring, named: str) -> Sheet:
    callers = callers_of(connection, _caller(connection, named))
    contacts = select(CONTACTS).where(CONTACTS.c.caller_id.in_(callers)).order_by(CONTACTS.c.at, CONTACTS.c.mark)
    return Sheet(
        person_id=callers[0],
        callers=callers,
        contacts=tuple(
            (row.caller_id, Contact(type=row.type, value=row.value, assurance=Assurance(row.assurance)))
            for row in connection.execute(contacts)
        ),
        proofs=_proofs(connection, callers),
        joins=_joins(connection, callers),
        hints=tuple(_hints(connection, keyring, callers)),
    )


def _proofs(connection: Connection, callers: Collection[UUID]) -> tuple[Shown, ...]:
    things = {"kind": THINGS.c.kind, "value": THINGS.c.value}
    columns = [things[name] if name in things else PROOFS.c[name] for name in Shown.__slots__]
    rows = select(*columns).join_from(PROOFS, THINGS, THINGS.c.mark == PROOFS.c.thing_mark)
    his = rows.where(PROOFS.c.caller_id.in_(callers)).order_by(PROOFS.c.shown_at, PROOFS.c.id)
    return tuple(Shown(*row) for row in connection.execute(his))


def _joins(connection: Connection, callers: Collection[UUID]) -> tuple[Joined, ...]:
    """Also those that were undone, by which he was another for a time."""
    columns = [JOINS.c[name] for name in Joined.__slots__]
    his = select(*columns).where(or_(JOINS.c.one_id.in_(callers), JOINS.c.other_id.in_(callers)))
    return tuple(Joined(*row) for row in connection.execute(his.order_by(JOINS.c.at, JOINS.c.id)))


def _hints(connection: Connection, keyring: Keyring, callers: Collection[UUID]) -> Iterable[Hint]:
    for value in _numbers(connection, callers):
        marks = [
            contact_mark(keyring, Contact(type=ContactType.PHONE, value=value, assurance=one), "") for one in Assurance
        ]
        has = select(CONTACTS.c.caller_id).where(CONTACTS.c.mark.in_(marks))
        showed = select(PROOFS.c.caller_id).where(PROOFS.c.thing_mark == thing_mark(keyring, "phone", value))
        found = {*connection.execute(has).scalars(), *connection.execute(showed).scalars()}
        yield from (Hint(value, caller_id) for caller_id in sorted(found.difference(callers)))


def _numbers(connection: Connection, callers: Collection[UUID]) -> list[str]:
    """Telephone numbers that stand in his matters, those aside in which he stays unnamed."""
    his = (MATTERS.c.caller_id.in_(callers), MATTERS.c.sealed_at.is_(None))
    newest = select(MATTERS.c.document).where(*his).order_by(MATTERS.c.filed_at.desc())
    found: dict[str, None] = {}
    for row in connection.execute(newest.limit(LOOKED_AT)):
        party: dict[str, Any] = row.document["party"]
        stated = [one["value"] for one in party.get("contacts", ()) if one["type"] == ContactType.PHONE]
        found |= dict.fromkeys([*stated, *([party["contact_phone"]] if party.get("contact_phone") else [])])
    return list(found)


def masked(contact_type: str, value: str) -> str:
    """Enough to tell one from another, and no more: ``+86138****8000``, ``z***@example.com``."""
    if contact_type == ContactType.MAIL and "@" in value:
        return f"{value[0]}***@{value.rpartition('@')[2]}"
    if contact_type == ContactType.PHONE and len(value) > 10:
        return f"{value[:-8]}****{value[-4:]}"
    return f"{value[:2]}***{value[-2:]}" if len(value) > 8 else "***"
