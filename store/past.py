"""Recalling a caller's past, as much of it as a verdict needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, Integer, Row, and_, bindparam, func, or_, select

from normalizer.fingerprint import Fingerprint
from normalizer.model import (
    Assurance,
    ContactType,
    HotlineMatter,
    KeptMessage,
    Message,
    Past,
    PastMatter,
    PastMessage,
    Status,
)
from store.keys import Keyring
from store.messages import provider_mark
from store.persons import Person, contact_mark
from store.tables import CONTACTS, ENVELOPES, MATTERS, MESSAGES
from store.threads import Thread, thread_of
from store.values import Judge

HISTORY = timedelta(days=30)
#: How far back a call is looked for to which a message may belong, and the kind of channel that tells of calls.
CALL, CALLS = timedelta(minutes=30), "telephone"
#: Matters of a caller that are recalled one by one.
RECALLED = 50
_STEPS = ("answered_at", "closed_at", "withdrawn_at", "evaluated_at", "asked", "asked_at", "asks")
#: What is read of a matter for a verdict.
MATTER_COLUMNS = (MATTERS.c.id, MATTERS.c.filed_at, MATTERS.c.tracking_code, *(MATTERS.c[name] for name in _STEPS))
#: Asked for every message, so made once: what his callers have written since, their newest matters, and how many of
#: theirs are as new, how many without a result.
_CALLERS: BindParameter[Any] = bindparam("callers", expanding=True)
_SINCE: BindParameter[datetime] = bindparam("since")
_HEARD = select(func.count(), func.max(MESSAGES.c.received_at)).where(
    MESSAGES.c.caller_id.in_(_CALLERS), MESSAGES.c.received_at >= _SINCE
)
_UNANSWERED = and_(*(MATTERS.c[name].is_(None) for name in ("answered_at", "closed_at", "withdrawn_at")))
_COUNTED = (
    select(func.count().filter(MATTERS.c.filed_at >= _SINCE), func.count().filter(_UNANSWERED))
    .select_from(MATTERS)
    .where(MATTERS.c.caller_id.in_(_CALLERS))
)
_NEWEST = (
    select(*MATTER_COLUMNS)
    .where(MATTERS.c.caller_id.in_(_CALLERS), MATTERS.c.filed_at >= _SINCE)
    .order_by(MATTERS.c.filed_at.desc(), MATTERS.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Sight:
    """How a message is compared, and what the index found to be like it."""

    fingerprint: Fingerprint
    #: Messages of whomever, with what they are compared by.
    found: Mapping[UUID, Fingerprint]


@dataclass(frozen=True, slots=True)
class Reading:
    """A message, and what its words refer to."""

    kept: KeptMessage
    #: Tracking codes in its words.
    codes: tuple[str, ...] = ()
    #: How it is compared with earlier ones; None: it is not.
    sight: Sight | None = None
    #: How its conduct is judged; None: it is not.
    judge: Judge | None = None


def recall(connection: Connection, keyring: Keyring, reading: Reading, person: Person) -> Past:
    """The person's past, under whichever of his contacts; his row is locked."""
    kept = reading.kept
    since = kept.received_at - HISTORY
    his = {"callers": person.callers, "since": since, "most": RECALLED}
    heard = connection.execute(_HEARD, his).one()
    thread = thread_of(connection, keyring, kept.message, person.callers)
    recent, unanswered = connection.execute(_COUNTED, his).one()
    return Past(
        caller_id=person.id,
        contacts_30d=heard[0],
        last_contact_at=heard[1],
        matters_30d=recent,
        matters=tuple(past_matter(row) for row in connection.execute(_NEWEST, his)),
        coded=_coded(connection, reading, person),
        named=_named(connection, kept.message, person) or _threaded(connection, thread),
        handed_on=thread.matter_id if thread and not thread.own else None,
        amended=_amended(connection, keyring, kept.message, person),
        latest=_latest(connection, kept, person) if heard[0] else None,
        registered=_registered(connection, keyring, kept),
        open_matters=unanswered,
    )


def _coded(connection: Connection, reading: Reading, person: Person) -> tuple[PastMatter, ...]:
    """The matters whose codes he names, if they are his."""
    if not reading.codes:
        return ()
    his = (MATTERS.c.tracking_code.in_(reading.codes), MATTERS.c.caller_id.in_(person.callers))
    return tuple(past_matter(row) for row in connection.execute(select(*MATTER_COLUMNS).where(*his)))


def past_matter(row: Row[Any]) -> PastMatter:
    """As much of a matter as a verdict needs, from a row with MATTER_COLUMNS."""
    steps = {name: getattr(row, name) for name in _STEPS}
    return PastMatter(matter_id=row.id, filed_at=row.filed_at, tracking_code=row.tracking_code, **steps)


def _named(connection: Connection, message: Message, person: Person) -> PastMatter | None:
    """The matter the message says it adds to, if it is the caller's own: a number alone opens nobody's file."""
    try:
        wanted = UUID(message.in_reply_to or "")
    except ValueError:
        return None
    asked = select(*MATTER_COLUMNS).where((MATTERS.c.id == wanted) | (MATTERS.c.asked == wanted))
    row = connection.execute(asked.where(MATTERS.c.caller_id.in_(person.callers))).one_or_none()
    return past_matter(row) if row else None


def _threaded(connection: Connection, thread: Thread | None) -> PastMatter | None:
    if thread is None or not thread.own:
        return None
    row = connection.execute(select(*MATTER_COLUMNS).where(MATTERS.c.id == thread.matter_id)).one_or_none()
    return past_matter(row) if row else None


def _amended(connection: Connection, keyring: Keyring, message: Message, person: Person) -> UUID | None:
    """The matter of the message of which this is the new wording."""
    if message.amends is None:
        return None
    address = (message.key_space, message.account, message.sender.type, message.sender.value)
    first = (
        MESSAGES.c.provider_mark == provider_mark(keyring, address, message.amends),
        MESSAGES.c.caller_id.in_(person.callers),
    )
    found = select(MESSAGES.c.matter_id).where(*first, MESSAGES.c.matter_id.is_not(None)).limit(1)
    matter_id: UUID | None = connection.execute(found).scalar()
    return matter_id


def _latest(connection: Connection, kept: KeptMessage, person: Person) -> PastMessage | None:
    """His message before this one, if it came the same way and belongs to a matter."""
    before = select(MESSAGES).where(MESSAGES.c.caller_id.in_(person.callers), MESSAGES.c.id != kept.id)
    row = connection.execute(before.order_by(MESSAGES.c.received_at.desc()).limit(1)).one_or_none()
    if row is None or row.matter_id is None or (row.channel, row.account) != (kept.channel, kept.message.account):
        return None
    opened = select(func.min(MESSAGES.c.received_at)).where(MESSAGES.c.matter_id == row.matter_id)
    return PastMessage(
        matter_id=row.matter_id,
        received_at=row.received_at,
        began_at=connection.execute(opened).scalar_one(),
        group=row.content.get("group"),
        amends=row.content.get("amends"),
    )


def _registered(connection: Connection, keyring: Keyring, kept: KeptMessage) -> PastMessage | None:
    """The last call from the number he writes from, if it was just now.

    Here the number as such counts, however sure we are of it: all that can be done with it is to add to that matter.
    """
    sender = kept.message.sender
    if sender.type is not ContactType.PHONE or kept.kind == CALLS:
        return None
    sure, unsure = (sender.model_copy(update={"assurance": one}) for one in (Assurance.ASSERTED, Assurance.SPOOFABLE))
    marks = [contact_mark(keyring, contact, "") for contact in (sure, unsure)]
    callers = select(CONTACTS.c.caller_id).where(CONTACTS.c.mark.in_(marks))
    calls = (
        select(MESSAGES.c.matter_id, MESSAGES.c.received_at)
        .join(ENVELOPES, ENVELOPES.c.id == MESSAGES.c.envelope_id)
        .where(
            MESSAGES.c.caller_id.in_(callers),
            MESSAGES.c.received_at.between(kept.received_at - CALL, kept.received_at),
            MESSAGES.c.matter_id.is_not(None),
            ENVELOPES.c.kind == CALLS,
        )
    )
    row = connection.execute(calls.order_by(MESSAGES.c.received_at.desc()).limit(1)).one_or_none()
    return PastMessage(matter_id=row.matter_id, received_at=row.received_at, began_at=row.received_at) if row else None


def own_matter(connection: Connection, matter_id: UUID, person: Person, past: Past) -> HotlineMatter | None:
    """A matter of this person, or one to which his message may belong: of a call, of a mail that it answers."""
    shown = {past.registered and past.registered.matter_id, past.named and past.named.matter_id, past.handed_on}
    placed = {past.placed.matter_id} if past.placed else set()
    own = or_(MATTERS.c.caller_id.in_(person.callers), MATTERS.c.id.in_(shown - {None} | placed))
    row = connection.execute(select(MATTERS).where(MATTERS.c.id == matter_id, own)).one_or_none()
    if row is None:
        return None
    matter = document_of(row)  # which may have been written before its citizen was known to be this person
    return matter.model_copy(update={"caller_id": person.id}) if row.caller_id in person.callers else matter


def document_of(row: Row[Any]) -> HotlineMatter:
    """The document in a row of the matters table; whether it is closed, the row knows."""
    matter = HotlineMatter.model_validate(row.document)
    closed = row.closed_at is not None or row.withdrawn_at is not None
    return matter.model_copy(update={"status": Status.CLOSED}) if closed else matter
