"""Filing: a message becomes (part of) a matter, with its outcome and the event to the core, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection, delete, func, insert, select, update

from normalizer.model import (
    Assurance,
    Contact,
    ContactType,
    HotlineMatter,
    KeptMessage,
    Message,
    Outcome,
    Past,
    PastMatter,
)
from store.bulk import insert_or_ignore
from store.errors import Superseded
from store.events import owe_event
from store.keys import Keyring
from store.queue import finish_work, record
from store.tables import CALLERS, CONTACTS, MATTERS, MESSAGES
from store.values import Decide, Filing, Work

HISTORY = timedelta(days=30)
#: Matters of a caller that are recalled one by one.
RECALLED = 50
#: Contact types whose values mean something only together with our account: an openid belongs to one official account.
SCOPED = frozenset({ContactType.APP, ContactType.WECHAT})


@dataclass(frozen=True, slots=True)
class Desk:
    """Who files: with these keys, as this node, for these sinks."""

    keyring: Keyring
    node_id: UUID
    sinks: tuple[str, ...]


def file_matter(
    connection: Connection, desk: Desk, work: Work, kept: KeptMessage, decide: Decide, at: datetime
) -> Filing:
    """Decide and write, while the caller's row is locked: no two nodes can both look, find nothing, and file."""
    finish_work(connection, desk.node_id, work)
    caller_id = _lock_caller(connection, desk.keyring, kept.message, at)
    filing = decide(caller_id, _recall(connection, kept, caller_id))
    if filing.verdict.outcome is Outcome.FILED:
        _insert_matter(connection, filing.matter, at)
    else:
        _amend_matter(connection, filing.matter)
    owe_event(connection, kept.id, filing, desk.sinks, at)
    settled = {
        "caller_id": caller_id,
        "matter_id": filing.matter.matter_id,
        "outcome": filing.verdict.outcome,
        "reason": filing.verdict.reason,
        "settled_at": at,
    }
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == kept.id).values(settled))
    record(connection, kept.id, filing.verdict.outcome, filing.verdict.reason, at)
    return filing


def _lock_caller(connection: Connection, keyring: Keyring, message: Message, at: datetime) -> UUID:
    """The caller behind the sender's contact, created when new; his row stays locked until the commit."""
    mark = _contact_mark(keyring, message.sender, message.account)
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


def _contact_mark(keyring: Keyring, contact: Contact, account: str) -> bytes:
    """What makes two contacts the same. A spoofable one is never the same as the address it claims to be."""
    scope = account if contact.type in SCOPED else ""
    claimed = "spoofable" if contact.assurance is Assurance.SPOOFABLE else ""
    return keyring.mark("contact", contact.type, scope, contact.value, claimed)


def _recall(connection: Connection, kept: KeptMessage, caller_id: UUID) -> Past:
    since = kept.received_at - HISTORY
    heard = connection.execute(
        select(func.count(), func.max(MESSAGES.c.received_at)).where(
            MESSAGES.c.caller_id == caller_id, MESSAGES.c.received_at >= since
        )
    ).one()
    his = (MATTERS.c.caller_id == caller_id, MATTERS.c.filed_at >= since)
    newest = (
        select(MATTERS.c.id, MATTERS.c.filed_at).where(*his).order_by(MATTERS.c.filed_at.desc(), MATTERS.c.id.desc())
    )
    return Past(
        caller_id=caller_id,
        contacts_30d=heard[0],
        last_contact_at=heard[1],
        matters_30d=connection.execute(select(func.count()).select_from(MATTERS).where(*his)).scalar_one(),
        matters=tuple(
            PastMatter(matter_id=row.id, filed_at=row.filed_at) for row in connection.execute(newest.limit(RECALLED))
        ),
        named=_named(connection, kept.message, caller_id),
    )


def _named(connection: Connection, message: Message, caller_id: UUID) -> HotlineMatter | None:
    """The matter the message says it adds to, if it is the caller's own: a number alone opens nobody's file."""
    try:
        wanted = UUID(message.in_reply_to or "")
    except ValueError:
        return None
    own = select(MATTERS.c.document).where(MATTERS.c.id == wanted, MATTERS.c.caller_id == caller_id)
    document = connection.execute(own).scalar()
    return HotlineMatter.model_validate(document) if document else None


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


def get_matter(
    connection: Connection, matter_id: UUID, channel: str | None = None, account: str | None = None
) -> HotlineMatter | None:
    """A matter; with ``channel`` and ``account`` only if a message of it came through that client."""
    query = select(MATTERS.c.document).where(MATTERS.c.id == matter_id)
    if channel is not None:
        through = (MESSAGES.c.matter_id == matter_id, MESSAGES.c.channel == channel, MESSAGES.c.account == account)
        query = query.where(select(MESSAGES.c.id).where(*through).exists())
    document = connection.execute(query).scalar()
    return HotlineMatter.model_validate(document) if document else None


def all_matters(connection: Connection) -> list[HotlineMatter]:
    """Every matter, in order of filing; for tests and small stores."""
    rows = connection.execute(select(MATTERS.c.document).order_by(MATTERS.c.filed_at, MATTERS.c.id)).scalars()
    return [HotlineMatter.model_validate(document) for document in rows]
