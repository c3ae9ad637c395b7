"""The documents of matters: written, replaced, told of; whoever changes one holds its row locked."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from normalizer.model import HotlineMatter, Outcome, Verdict
from store.errors import Superseded
from store.events import owe_event
from store.past import document_of
from store.tables import MATTERS
from store.values import Filing

#: Written for every matter, so made once.
_NEW = insert(MATTERS)


def insert_matter(connection: Connection, matter: HotlineMatter, caller_id: UUID, at: datetime) -> None:
    """A new matter. The document names the person; the row, for ever, the caller who wrote."""
    connection.execute(
        _NEW,
        {
            "id": matter.matter_id,
            "tracking_code": matter.tracking_code,
            "caller_id": caller_id,
            "filed_at": at,
            "revision": matter.revision,
            "document": matter.model_dump(mode="json"),
        },
    )


def amend_matter(connection: Connection, matter: HotlineMatter) -> None:
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


def open_document(connection: Connection, matter_id: UUID) -> HotlineMatter:
    """The document as it stands. Raise sqlalchemy's NoResultFound when there is no such matter."""
    return document_of(connection.execute(select(MATTERS).where(MATTERS.c.id == matter_id)).one())


def tell(
    connection: Connection,
    cause: UUID,
    matter: HotlineMatter,
    event_type: str,
    sinks: Collection[str],
    at: datetime,
    reason: str,
) -> None:
    """Write a further revision and the event that tells of it; ``cause`` gives the event its id."""
    told = matter.model_copy(update={"revision": matter.revision + 1})
    amend_matter(connection, told)
    verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=matter.matter_id, reason=reason)
    owe_event(connection, cause, Filing(verdict, told, event_type), sinks, at)
