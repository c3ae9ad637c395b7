"""Proofs: what contacts have been shown to own, and which callers are one person because of it.

Who shows the same thing is the same person - a unionid always, a telephone number with care: several may have one, and
numbers are given to others again. So a number joins only whoever shows it within FROZEN of each other, from different
kinds of account. Shown from two accounts of one kind by two persons it is shared, and joins nobody any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, Row, insert, or_, select, update

from normalizer.ids import derived
from normalizer.model import Assurance, Contact, ContactType, Message, Proof
from store.bulk import insert_or_ignore
from store.keys import Keyring
from store.persons import (
    SCOPED,
    Join,
    Person,
    callers_of,
    components,
    contact_mark,
    join,
    lock_persons,
    persons_of,
    sender_of,
    standing_joins,
    undo,
)
from store.tables import JOINS, PROOFS, THINGS

#: How long a number that was shown counts.
LASTS = timedelta(days=365)
#: How long carriers keep back a number that was given up; shown by another later than that, it may have been given anew.
FROZEN = timedelta(days=90)
#: How often a number that is shown with every message is written down anew.
RENEWED = timedelta(days=30)
_SAME = {
    "code": "both have confirmed the same telephone number, by a code of ours",
    "phone": "both have confirmed the same telephone number",
    "unionid": "both are the same WeChat user (unionid)",
}
_SHARED = "several persons have confirmed this telephone number"
_REPLACED = "the account belongs to another WeChat user now"


@dataclass(frozen=True, slots=True)
class Owner:
    """A contact that shows something."""

    mark: bytes
    caller_id: UUID
    #: See ``ProofRow.scope``.
    scope: str


@dataclass(frozen=True, slots=True)
class Clerk:
    """Who writes proofs down: with these keys, for these sinks, now."""

    keyring: Keyring
    sinks: Collection[str]
    at: datetime


def lock_sender(connection: Connection, clerk: Clerk, message: Message, given: Sequence[Proof] = ()) -> Person:
    """The person who writes, locked, after what he shows by this message, and has ``given``, was heeded. Raise Superseded."""
    mark = contact_mark(clerk.keyring, message.sender, message.account)
    caller_id, person = sender_of(connection, mark, message, clerk.at)
    owner = Owner(mark, caller_id, scope_of(message.sender, message.account))
    proofs = (*message.proofs, *given, *_itself(message.sender))
    if proofs and heed(connection, clerk, owner, proofs):
        person = persons_of(connection, [caller_id])[caller_id]
    return lock_persons(connection, {caller_id: person})[caller_id]


def heed(connection: Connection, clerk: Clerk, owner: Owner, proofs: Sequence[Proof]) -> bool:
    """Write down what is new of what a contact shows, and what follows; False when nothing is. Raise Superseded."""
    fresh = _fresh(connection, clerk, owner, proofs)
    if fresh:
        _prove(connection, clerk, owner, fresh)
    return bool(fresh)


def scope_of(contact: Contact, account: str) -> str:
    """Where a person has one account and no more, as a rule."""
    return f"{contact.type} {account}" if contact.type in SCOPED else str(contact.type)


def _prove(connection: Connection, clerk: Clerk, owner: Owner, proofs: Sequence[Proof]) -> None:
    """Write down what a contact has shown, and join or part because of it. Raise Superseded.

    The things are locked, in order, before the persons: whoever shows the same at this moment comes after us.
    """
    things = {_mark(clerk, proof): proof for proof in proofs}
    for mark in sorted(things):
        new = {"mark": mark, "kind": things[mark].kind, "value": things[mark].value}
        connection.execute(insert_or_ignore(connection, THINGS), new)
    locked = select(THINGS).where(THINGS.c.mark.in_(things)).order_by(THINGS.c.mark).with_for_update()
    rows = connection.execute(locked).all()
    private = [row.mark for row in rows if row.shared_at is None]
    others = select(PROOFS.c.caller_id).where(PROOFS.c.thing_mark.in_(private)).distinct()
    concerned = {owner.caller_id, *connection.execute(others).scalars()}
    lock_persons(connection, persons_of(connection, concerned))
    for row in rows:
        _heed(connection, clerk, owner, row, things[row.mark])


def numbers_of(connection: Connection, callers: Collection[UUID], at: datetime) -> tuple[Contact, ...]:
    """The telephone numbers that these callers have shown to be theirs, and theirs alone."""
    live = (PROOFS.c.caller_id.in_(callers), PROOFS.c.ended.is_(None), PROOFS.c.shown_at > at - LASTS)
    rows = (
        select(THINGS.c.value).join(PROOFS, PROOFS.c.thing_mark == THINGS.c.mark).where(THINGS.c.kind == "phone", *live)
    )
    values = connection.execute(rows.order_by(PROOFS.c.shown_at, PROOFS.c.id)).scalars()
    return tuple(Contact(type=ContactType.PHONE, value=value, assurance=Assurance.VERIFIED) for value in values)


def _itself(sender: Contact) -> tuple[Proof, ...]:
    """Who writes from a number that cannot be forged shows the number by it."""
    if sender.type is not ContactType.PHONE or sender.assurance is not Assurance.VERIFIED:
        return ()
    return (Proof(kind="phone", value=sender.value, evidence="provider"),)


def thing_mark(keyring: Keyring, kind: str, value: str) -> bytes:
    """What makes two unionids or numbers the same."""
    return keyring.mark("thing", kind, value)


def _mark(clerk: Clerk, proof: Proof) -> bytes:
    return thing_mark(clerk.keyring, proof.kind, proof.value)


def _shown_at(clerk: Clerk, proof: Proof) -> datetime:
    """A clock that runs ahead of ours is not believed."""
    return min(proof.at or clerk.at, clerk.at)


def _fresh(connection: Connection, clerk: Clerk, owner: Owner, proofs: Iterable[Proof]) -> list[Proof]:
    """What has not been written down yet, or not lately."""
    written = select(PROOFS.c.thing_mark, PROOFS.c.shown_at, PROOFS.c.ended).where(PROOFS.c.contact_mark == owner.mark)
    known: dict[bytes, list[Any]] = {}
    for row in connection.execute(written):
        known.setdefault(row.thing_mark, []).append(row)
    return [proof for proof in proofs if not _is_known(clerk, proof, known.get(_mark(clerk, proof), []))]


def _is_known(clerk: Clerk, proof: Proof, rows: Iterable[Any]) -> bool:
    """An app may say with every message that the number was shown just now."""
    if proof.kind == "unionid":
        return any(row.ended is None for row in rows)
    shown_at = _shown_at(clerk, proof)
    return any(
        shown_at <= row.shown_at or (row.ended in {None, "shared"} and shown_at < row.shown_at + RENEWED)
        for row in rows
    )


# -- What a proof means; the thing and the persons who have shown it are locked ----------------------------------------


def _heed(connection: Connection, clerk: Clerk, owner: Owner, thing: Row[Any], proof: Proof) -> None:
    shown_at = _shown_at(clerk, proof)
    rows = connection.execute(select(PROOFS).where(PROOFS.c.thing_mark == thing.mark)).all()
    live = [row for row in rows if row.ended is None and row.contact_mark != owner.mark]
    mine = [row for row in rows if row.ended is None and row.contact_mark == owner.mark]
    _end(connection, clerk, mine, "renewed")
    proof_id = _write(connection, clerk, owner, thing.mark, proof, shown_at)
    if thing.shared_at is not None:
        _end_own(connection, clerk, proof_id, "shared")
    elif proof.kind == "unionid":
        _replace(connection, clerk, owner, thing.mark)
        _join_all(connection, clerk, owner, live, thing.mark, proof_id)
    elif (verdict := _in_time(connection, clerk, owner, live, shown_at)) is not None:
        _end_own(connection, clerk, proof_id, verdict)
    else:
        near = [r for r in live if abs(r.shown_at - shown_at) < FROZEN and clerk.at - r.shown_at <= LASTS]
        if _is_shared(connection, owner, near, thing.mark):
            _part(connection, clerk, thing.mark)
        else:
            _join_all(connection, clerk, owner, near, thing.mark, proof_id)


def _in_time(
    connection: Connection, clerk: Clerk, owner: Owner, live: Sequence[Row[Any]], shown_at: datetime
) -> str | None:
    """Why a number that was shown then does not count; else end what was shown so long before that it may be another's."""
    himself = callers_of(connection, owner.caller_id)
    if clerk.at - shown_at > LASTS:
        return "old"
    if any(row.shown_at - shown_at >= FROZEN and row.caller_id not in himself for row in live):
        return "proven_later"
    before = [row for row in live if shown_at - row.shown_at >= FROZEN and row.caller_id not in himself]
    _end(connection, clerk, before, "proven_later")
    return None


def _is_shared(connection: Connection, owner: Owner, near: Sequence[Row[Any]], mark: bytes) -> bool:
    """Whether another person has it on the same kind of account; who is another, is asked without this very number."""
    same = {row.caller_id for row in near if row.scope == owner.scope} - {owner.caller_id}
    group = {one for caller in (owner.caller_id, *same) for one in callers_of(connection, caller)}
    without = components(group, standing_joins(connection, group, but=mark))
    return any(without[caller] != without[owner.caller_id] for caller in same)


def _part(connection: Connection, clerk: Clerk, mark: bytes) -> None:
    """The number is several persons': nobody is joined by it any more."""
    connection.execute(update(THINGS).where(THINGS.c.mark == mark).values(shared_at=clerk.at))
    live = update(PROOFS).where(PROOFS.c.thing_mark == mark, PROOFS.c.ended.is_(None))
    connection.execute(live.values(ended="shared", ended_at=clerk.at))
    for join_id in _joins_by(connection, mark):
        undo(connection, clerk.sinks, join_id, "rule", _SHARED, clerk.at)


def _replace(connection: Connection, clerk: Clerk, owner: Owner, mark: bytes) -> None:
    """An account is one WeChat user's: that of the last login. What joined it with another's is undone."""
    other = (PROOFS.c.contact_mark == owner.mark, PROOFS.c.thing_mark != mark, PROOFS.c.ended.is_(None))
    of_kind = (
        select(PROOFS).join(THINGS, THINGS.c.mark == PROOFS.c.thing_mark).where(*other, THINGS.c.kind == "unionid")
    )
    rows = connection.execute(of_kind).all()
    _end(connection, clerk, rows, "replaced")
    for row in rows:
        for join_id in _joins_by(connection, row.thing_mark, owner.caller_id):
            undo(connection, clerk.sinks, join_id, "rule", _REPLACED, clerk.at)


def _joins_by(connection: Connection, mark: bytes, caller_id: UUID | None = None) -> Sequence[UUID]:
    found = select(JOINS.c.id).where(JOINS.c.thing_mark == mark, JOINS.c.undone_at.is_(None))
    if caller_id is not None:
        found = found.where(or_(JOINS.c.one_id == caller_id, JOINS.c.other_id == caller_id))
    return connection.execute(found.order_by(JOINS.c.id)).scalars().all()


def _join_all(
    connection: Connection, clerk: Clerk, owner: Owner, rows: Iterable[Row[Any]], mark: bytes, proof_id: UUID
) -> None:
    """Each caller that is not tied to the owner by this thing yet; where an operator has parted them, they stay so."""
    new = select(PROOFS.c.evidence, THINGS.c.kind).join(THINGS, THINGS.c.mark == PROOFS.c.thing_mark)
    shown = connection.execute(new.where(PROOFS.c.id == proof_id)).one()
    for row in sorted(rows, key=lambda row: row.id):
        one, other = sorted((owner.caller_id, row.caller_id))
        if one == other or _decided(connection, one, other, mark):
            continue
        evidence = "code" if "code" in {shown.evidence, row.evidence} else shown.kind
        joined = Join(derived(proof_id, "join", str(row.id)), one, other, evidence, "rule", _SAME[evidence], mark)
        join(connection, clerk.sinks, joined, clerk.at)


def _decided(connection: Connection, one: UUID, other: UUID, mark: bytes) -> bool:
    """Whether they are joined by it, or somebody else than a rule has undone that."""
    pair = (JOINS.c.one_id == one, JOINS.c.other_id == other, JOINS.c.thing_mark == mark)
    settled = or_(JOINS.c.undone_at.is_(None), JOINS.c.undone_by != "rule")
    return connection.execute(select(JOINS.c.id).where(*pair, settled).limit(1)).scalar() is not None


def _write(connection: Connection, clerk: Clerk, owner: Owner, mark: bytes, proof: Proof, shown_at: datetime) -> UUID:
    proof_id = uuid_utils.compat.uuid7()
    row = {
        "id": proof_id,
        "contact_mark": owner.mark,
        "caller_id": owner.caller_id,
        "scope": owner.scope,
        "thing_mark": mark,
        "evidence": proof.evidence,
        "decided_by": "rule",
        "shown_at": shown_at,
        "at": clerk.at,
    }
    connection.execute(insert(PROOFS), row)
    return proof_id


def _end(connection: Connection, clerk: Clerk, rows: Iterable[Row[Any]], why: str) -> None:
    for row in rows:
        _end_own(connection, clerk, row.id, why)


def _end_own(connection: Connection, clerk: Clerk, proof_id: UUID, why: str) -> None:
    ended = update(PROOFS).where(PROOFS.c.id == proof_id)
    connection.execute(ended.values(ended=why, ended_at=clerk.at))
