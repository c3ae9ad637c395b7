"""Filing: a message becomes (part of) a matter, with its outcome and the event to the core, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, delete, insert, select, update

from normalizer.model import (
    Act,
    Contact,
    ContactType,
    HotlineMatter,
    KeptMessage,
    Message,
    Outcome,
    Verdict,
)
from normalizer.reply import stepped_at
from store.bulk import insert_or_ignore
from store.doors import recipient, reopen, shut
from store.errors import Superseded
from store.events import extend_event, owe_event
from store.keys import Keyring
from store.media import queue_media
from store.past import Reading, contact_mark, document_of, own_matter, recall
from store.queue import finish_work, record
from store.replies import queue_reply
from store.tables import CALLERS, CONTACTS, MATTERS, MESSAGES
from store.values import Decide, Filing, Work
from store.windows import first_since

#: How long an address is not answered by itself again (RFC 3834 section 2 asks for days).
ANSWERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Desk:
    """Who files: with these keys, as this node, for these sinks."""

    keyring: Keyring
    node_id: UUID
    sinks: tuple[str, ...]
    #: How long a reply is left to the acknowledgement that it may ride on, seconds.
    ride_seconds: float = 0.0


def file_matter(
    connection: Connection, desk: Desk, work: Work, reading: Reading, decide: Decide, at: datetime
) -> Filing:
    """Decide and write, while the caller's row is locked: no two nodes can both look, find nothing, and file."""
    finish_work(connection, desk.node_id, work)
    kept = reading.kept
    caller_id = _lock_caller(connection, desk.keyring, kept.message, at)
    past = recall(connection, desk.keyring, reading, caller_id)
    filing = decide(caller_id, past, lambda matter_id: own_matter(connection, matter_id, caller_id, past))
    if filing.event_type is not None:
        _write_matter(connection, desk, kept, filing, at)
    queue_media(connection, kept.channel, kept.id, filing.media, at)
    for draft in filing.replies:
        if _may_be_answered(connection, desk.keyring, kept.message.sender, at):
            queue_reply(connection, desk.keyring, draft, at, desk.ride_seconds)
        else:
            record(connection, draft.id, "reply_withheld", "one_a_day", at)
    if kept.message.sender.type is ContactType.PHONE:
        _mind_the_door(connection, desk.keyring, kept, filing.verdict)
    settled = {
        "caller_id": caller_id,
        "matter_id": filing.verdict.matter_id or (filing.matter and filing.matter.matter_id),
        "outcome": filing.verdict.outcome,
        "reason": filing.verdict.reason,
        "settled_at": at,
    }
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == kept.id).values(settled))
    record(connection, kept.id, filing.verdict.outcome, filing.verdict.reason, at)
    return filing


def _may_be_answered(connection: Connection, keyring: Keyring, sender: Contact, at: datetime) -> bool:
    """By mail each address is answered by itself once in a day: two machines that answer each other fall silent."""
    if sender.type is not ContactType.MAIL:
        return True
    whose = keyring.mark("answered", sender.type, sender.value.lower())
    return first_since(connection, whose, "answered", at, at + ANSWERED)


def _mind_the_door(connection: Connection, keyring: Keyring, kept: KeptMessage, verdict: Verdict) -> None:
    """退订 by SMS is a message like any other: what he says last decides."""
    whose = recipient(keyring, kept.channel, kept.message.account, kept.message.sender)
    since = stepped_at(kept.message.sent_at, kept.received_at)
    if verdict.act is Act.OPTS_OUT:
        shut(connection, whose, "opted_out", since)
    else:
        reopen(connection, whose, since)


def _write_matter(connection: Connection, desk: Desk, kept: KeptMessage, filing: Filing, at: datetime) -> None:
    """The document, and the event that tells of it; a further piece goes into the event that waits for it."""
    matter, verdict = filing.matter, filing.verdict
    if matter is None:
        raise ValueError("an event without a matter")
    if verdict.outcome is Outcome.FILED:
        _insert_matter(connection, matter, at)
        owe_event(connection, kept.id, filing, desk.sinks, at)
        return
    lock_matter(connection, matter.matter_id)
    if verdict.settling and extend_event(connection, filing, at):
        replace_document(connection, matter.model_copy(update={"revision": matter.revision - 1}))
        return
    _amend_matter(connection, matter)
    owe_event(connection, kept.id, filing, desk.sinks, at)
    _write_step(connection, matter.matter_id, verdict, at)


def _write_step(connection: Connection, matter_id: UUID, verdict: Verdict, at: datetime) -> None:
    """What the citizen's act changes in the state of his matter."""
    steps: dict[Act, dict[str, Any]] = {
        Act.EVALUATES: {"evaluated_at": at},
        Act.WITHDRAWS: {"withdrawn_at": at},
        Act.OBJECTS: {"answered_at": None, "closed_at": None},
    }
    step = steps.get(verdict.act, {})
    if verdict.answers is not None:
        step = step | {"asked": None, "asked_at": None, "asks": None}
    if step:
        connection.execute(update(MATTERS).where(MATTERS.c.id == matter_id).values(**step))


def _lock_caller(connection: Connection, keyring: Keyring, message: Message, at: datetime) -> UUID:
    """The caller behind the sender's contact, created when new; his row stays locked until the commit."""
    mark = contact_mark(keyring, message.sender, message.account)
    owner = select(CONTACTS.c.caller_id).where(CONTACTS.c.mark == mark)
    if connection.execute(owner).scalar() is None:
        _create_caller(connection, mark, message.sender, at)
    locked = select(CALLERS.c.id).where(CALLERS.c.id == owner.scalar_subquery()).with_for_update()
    found: UUID = connection.execute(locked).scalar_one()
    return found


def _create_caller(connection: Connection, mark: bytes, contact: Contact, at: datetime) -> None:
    """A caller for a contact not seen before. When another node was faster, its caller counts and ours goes."""
    fresh = uuid_utils.compat.uuid7()
    connection.execute(insert(CALLERS), {"id": fresh, "created_at": at})
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


def _insert_matter(connection: Connection, matter: HotlineMatter, at: datetime) -> None:
    connection.execute(
        insert(MATTERS),
        {
            "id": matter.matter_id,
            "tracking_code": matter.tracking_code,
            "caller_id": matter.caller_id,
            "filed_at": at,
            "revision": matter.revision,
            "document": matter.model_dump(mode="json"),
        },
    )


def _amend_matter(connection: Connection, matter: HotlineMatter) -> None:
    """Replace the document of the revision before; another revision in between undoes the transaction."""
    changed = connection.execute(
        update(MATTERS)
        .where(MATTERS.c.id == matter.matter_id, MATTERS.c.revision == matter.revision - 1)
        .values(revision=matter.revision, document=matter.model_dump(mode="json"))
    )
    if changed.rowcount != 1:
        raise Superseded(f"matter {matter.matter_id}")


def lock_matter(connection: Connection, matter_id: UUID) -> None:
    """Nobody else changes the matter, its events or its state until the commit."""
    connection.execute(select(MATTERS.c.id).where(MATTERS.c.id == matter_id).with_for_update())


def replace_document(connection: Connection, matter: HotlineMatter) -> None:
    """Another document under the same revision: what it says has not gone out yet."""
    changed = update(MATTERS).where(MATTERS.c.id == matter.matter_id, MATTERS.c.revision == matter.revision)
    if connection.execute(changed.values(document=matter.model_dump(mode="json"))).rowcount != 1:
        raise Superseded(f"matter {matter.matter_id}")


def get_matter(
    connection: Connection, matter_id: UUID, channel: str | None = None, account: str | None = None
) -> HotlineMatter | None:
    """A matter; with ``channel`` and ``account`` only if a message of it came through that client."""
    query = select(MATTERS).where(MATTERS.c.id == matter_id)
    if channel is not None:
        through = (MESSAGES.c.matter_id == matter_id, MESSAGES.c.channel == channel, MESSAGES.c.account == account)
        query = query.where(select(MESSAGES.c.id).where(*through).exists())
    row = connection.execute(query).one_or_none()
    return document_of(row) if row else None


def all_matters(connection: Connection) -> list[HotlineMatter]:
    """Every matter, in order of filing; for tests and small stores."""
    return [document_of(row) for row in connection.execute(select(MATTERS).order_by(MATTERS.c.filed_at, MATTERS.c.id))]
