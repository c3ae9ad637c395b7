"""Links: what belongs together, who said so and why. Append-only; of rows about the same two things the last counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select

from normalizer.model import Level, Link, Share, Tie, TieKind
from store.tables import LINKS

#: The level of a row that says: not, or not any more.
APART = "apart"
RULE = "rule"


@dataclass(frozen=True, slots=True)
class Linked:
    """One link to be written."""

    kind: TieKind
    subject: UUID
    object: UUID
    level: str
    reason: str
    decided_by: str = RULE
    #: 0 to 1.
    score: float = 1.0
    shares: Sequence[Share] = field(default=())


def linked(subject: UUID, tie: Tie, target: UUID | None = None) -> Linked:
    """What the rules propose, as a link from ``subject``, to ``target`` where the rules could not name it."""
    return Linked(tie.kind, subject, target or tie.object, tie.level, tie.reason, RULE, tie.score, tie.shares)


def document_link(link: Linked) -> Link:
    """The link as the matter's document tells of it."""
    return Link(
        id=link.object,
        score=link.score,
        reason=link.reason,
        decided_by=link.decided_by,
        level=Level(link.level),
        shares=tuple(link.shares),
    )


def write_links(connection: Connection, links: Sequence[Linked], at: datetime) -> None:
    """Say so, in the transaction that acts on it."""
    rows = [
        {
            "kind": link.kind,
            "subject": link.subject,
            "object": link.object,
            "level": link.level,
            "score": link.score,
            "decided_by": link.decided_by,
            "why": {"reason": link.reason, "shares": [share.model_dump() for share in link.shares]},
            "at": at,
        }
        for link in links
    ]
    if rows:
        connection.execute(insert(LINKS), rows)


def current(connection: Connection, kind: TieKind, subjects: Collection[UUID]) -> dict[tuple[UUID, UUID], Row[Any]]:
    """What holds of these subjects, by subject and object."""
    if not subjects:
        return {}
    wanted = select(LINKS).where(LINKS.c.kind == kind, LINKS.c.subject.in_(sorted(subjects)))
    return {(row.subject, row.object): row for row in connection.execute(wanted.order_by(LINKS.c.sequence))}


def by_hand(connection: Connection, message_id: UUID) -> dict[UUID, Row[Any]]:
    """The matters and incidents of which an operator had the last word about this message."""
    wanted = select(LINKS).where(LINKS.c.subject == message_id).order_by(LINKS.c.sequence)
    last = {row.object: row for row in connection.execute(wanted)}
    return {object_: row for object_, row in last.items() if row.decided_by != RULE}
