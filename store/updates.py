"""What the case core tells about a matter: kept once per Idempotency-Key, and queued for the citizen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update

from normalizer.ids import derived
from normalizer.model import Assurance, Binding, Contact, ContactType, HotlineMatter, Message
from normalizer.reply import ReplyKind, ReplyState
from store.bulk import insert_or_ignore
from store.errors import BindingReused, Superseded
from store.keys import Keyring
from store.past import document_of
from store.persons import callers_of
from store.proofs import numbers_of
from store.queue import record
from store.replies import NO_WAY, queue_reply
from store.tables import BINDINGS, CONTACTS, MATTERS, MESSAGES, REPLIES, UPDATES
from store.values import Draft

#: How long the same words again are taken for a repetition.
REPETITION = timedelta(days=1)
#: Messages of a citizen in which the ways to him are looked for: as many as one matter holds.
MOST_HEARD = 50
#: In the content of such an update: the id of the one whose reply carries the words.
REPEATS = "repeats"


@dataclass(frozen=True, slots=True)
class Update:
    """One update, checked."""

    id: UUID
    matter_id: UUID
    kind: ReplyKind
    client: str
    binding: Binding
    at: datetime
    #: What it says: text, reason, where to, unit, case number, when it happened.
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What the core is answered."""

    update_id: UUID
    reply_state: ReplyState


@dataclass(frozen=True, slots=True)
class LastWord:
    """How the citizen last spoke on a matter: the way back."""

    channel: str
    message: Message


@dataclass(frozen=True, slots=True)
class Reach:
    """How the citizen of a matter can be reached."""

    #: How he spoke on it, the newest first, each way once.
    spoken: tuple[LastWord, ...]
    #: How he spoke otherwise, in the same order.
    elsewhere: tuple[LastWord, ...] = ()
    #: What is surely his, whichever way he wrote: an openid leads to his telephone once somebody has made sure of it.
    verified: tuple[Contact, ...] = ()


Compose = Callable[[HotlineMatter, Reach, UUID], Draft]
"""From the matter, its citizen's ways and the update's id to the reply."""


def tell(connection: Connection, keyring: Keyring, told: Update, compose: Compose) -> Told | None:
    """Write the update and queue its reply; None when there is no such matter. Raise BindingReused.

    The same key and body again: the first answer again, and nothing is written.
    """
    locked = select(MATTERS).where(MATTERS.c.id == told.matter_id).with_for_update()
    row = connection.execute(locked).one_or_none()
    if row is None:
        return None
    first = _claim(connection, keyring, told)
    if first != told.id:
        return _again(connection, first)
    if told.kind is ReplyKind.QUESTION or told.kind is ReplyKind.RETURN_VISIT or _STEPS.get(told.kind):
        connection.execute(update(MATTERS).where(MATTERS.c.id == row.id).values(**_step(told)))
    if told.kind in _STEPS:  # a question that was open until now is not to be answered any more
        unasked = update(MATTERS).where(MATTERS.c.id == row.id, MATTERS.c.asks == str(ReplyKind.QUESTION))
        connection.execute(unasked.values(asked=None, asked_at=None, asks=None))
    if told.content.get("case_number"):
        number = update(MATTERS).where(MATTERS.c.id == row.id)
        connection.execute(number.values(case_number=told.content["case_number"]))
    repeats = _repeated(connection, told)
    kept = {"id": told.id, "matter_id": row.id, "type": told.kind, "client": told.client}
    content = told.content | ({REPEATS: str(repeats)} if repeats else {})
    connection.execute(insert(UPDATES), kept | {"received_at": told.at, "content": content})
    record(connection, row.id, f"update_{told.kind}", "repeated" if repeats else None, told.at)
    if repeats is not None or not told.content.get("text"):
        return _again(connection, told.id)  # nothing new to be said to the citizen
    draft = compose(document_of(row), _reach(connection, row, told.at), told.id)
    return Told(told.id, queue_reply(connection, keyring, draft, told.at))


def _repeated(connection: Connection, told: Update) -> UUID | None:
    """The update that says the same, if it was the last thing said about the matter by either side, and just now.

    A core that lost our answer may ask again under another key.
    """
    before = select(UPDATES).where(UPDATES.c.matter_id == told.matter_id, UPDATES.c.received_at > told.at - REPETITION)
    newest = before.order_by(UPDATES.c.received_at.desc(), UPDATES.c.id.desc()).limit(1)
    last = connection.execute(newest).one_or_none()
    if last is None or (last.type, last.client) != (told.kind, told.client):
        return None
    said = {name: value for name, value in last.content.items() if name != REPEATS}
    since = select(MESSAGES.c.id).where(
        MESSAGES.c.matter_id == told.matter_id, MESSAGES.c.received_at > last.received_at
    )
    if said != told.content or connection.execute(since.limit(1)).scalar() is not None:
        return None
    return UUID(last.content.get(REPEATS, str(last.id)))


_STEPS = {ReplyKind.RESULT: "answered_at", ReplyKind.CLOSED: "closed_at", ReplyKind.NOT_ACCEPTED: "closed_at"}


def _step(told: Update) -> dict[str, Any]:
    """What it changes in the state of the matter."""
    if told.kind in {ReplyKind.QUESTION, ReplyKind.RETURN_VISIT}:
        return {"asked": told.id, "asked_at": told.at, "asks": str(told.kind)}
    return {_STEPS[told.kind]: told.at}


def _claim(connection: Connection, keyring: Keyring, told: Update) -> UUID:
    """The update that the key stands for: this one, or the first."""
    key = keyring.mark("binding", "updates", told.binding.key)
    digest = keyring.mark("bound", told.binding.digest)
    row = {"key": key, "digest": digest, "envelope_id": told.id}
    connection.execute(insert_or_ignore(connection, BINDINGS), row)
    found = connection.execute(select(BINDINGS).where(BINDINGS.c.key == key)).one()
    if found.digest != digest:
        raise BindingReused("updates: the key already stands for another body")
    first: UUID = found.envelope_id
    return first


def _again(connection: Connection, update_id: UUID) -> Told:
    row = connection.execute(select(UPDATES).where(UPDATES.c.id == update_id)).one_or_none()
    if row is None:
        raise Superseded(f"update {update_id}")
    if not row.content.get("text"):
        return Told(update_id, ReplyState.SENT)
    carried = reply_id(UUID(row.content.get(REPEATS, str(update_id))))
    nowhere = select(REPLIES.c.id).where(REPLIES.c.id == carried, REPLIES.c.reason == NO_WAY)
    return Told(update_id, ReplyState.QUEUED if connection.execute(nowhere).scalar() is None else ReplyState.FAILED)


def _reach(connection: Connection, matter: Row[Any], at: datetime) -> Reach:
    callers = callers_of(connection, matter.caller_id)
    on_it, his = MESSAGES.c.matter_id == matter.id, MESSAGES.c.caller_id.in_(callers)
    elsewhere = and_(his, or_(MESSAGES.c.matter_id.is_(None), MESSAGES.c.matter_id != matter.id))
    verified = _verified(connection, callers, at)
    return Reach(_ways(connection, on_it, callers), _ways(connection, elsewhere, callers), verified)


def _ways(connection: Connection, which: ColumnElement[bool], callers: Collection[UUID]) -> tuple[LastWord, ...]:
    """How these messages came, the newest first, each way once.

    A mail from an address that is not his was written by somebody to whom he showed one of ours: he is told nothing.
    """
    said = select(MESSAGES.c.channel, MESSAGES.c.content, MESSAGES.c.caller_id).where(which)
    rows = connection.execute(said.order_by(MESSAGES.c.received_at.desc()).limit(MOST_HEARD)).all()
    words = [(row.caller_id in callers, LastWord(row.channel, Message.model_validate(row.content))) for row in rows]
    his = {word.message.sender.value.lower() for own, word in words if own}
    found: dict[tuple[str, ...], LastWord] = {}
    for own, word in words:
        sender = word.message.sender
        if own or sender.type is not ContactType.MAIL or sender.value.lower() in his:
            found.setdefault((word.channel, word.message.account, sender.value), word)
    return tuple(found.values())


def _verified(connection: Connection, callers: Collection[UUID], at: datetime) -> tuple[Contact, ...]:
    """The contacts that are known to be the person's, and the numbers that he has shown, in the order in which he did."""
    his = select(CONTACTS).where(CONTACTS.c.caller_id.in_(callers), CONTACTS.c.assurance == str(Assurance.VERIFIED))
    rows = connection.execute(his.order_by(CONTACTS.c.at, CONTACTS.c.mark))
    contacts = [Contact(type=row.type, value=row.value, assurance=Assurance.VERIFIED) for row in rows]
    return tuple(dict.fromkeys((*contacts, *numbers_of(connection, callers, at))))


def updates_of(connection: Connection, matter_id: UUID) -> list[dict[str, Any]]:
    """What was told about a matter, in order, each with the state of its reply."""
    rows = select(UPDATES, REPLIES.c.state).outerjoin(REPLIES, REPLIES.c.update_id == UPDATES.c.id)
    ordered = rows.where(UPDATES.c.matter_id == matter_id).order_by(UPDATES.c.received_at, UPDATES.c.id)
    return [
        {"update_id": row.id, "type": row.type, "received_at": row.received_at, "reply_state": row.state}
        | {name: row.content.get(name) for name in ("text", "unit", "occurred_at")}
        for row in connection.execute(ordered)
    ]


def reply_id(update_id: UUID) -> UUID:
    """The id of the reply that carries an update."""
    return derived(update_id, "reply")
