"""Reading envelopes together with all that was made of them, for ``gateway replay --diff``. Nothing is written.

What was made is handed out as stored, not validated: that is most of the work, and the reader does it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from normalizer.model import Envelope
from store.envelopes import read_envelope
from store.replay import ended
from store.tables import ENVELOPES, MATTERS, MESSAGES, UNPACKED

#: Bytes of further envelopes that the matters of a page may bring along; beyond, their messages are as they were kept.
MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """One message as it was read when its envelope was unpacked."""

    id: UUID
    envelope_id: UUID
    #: Its place in the envelope, from 0.
    position: int
    channel: str
    kind: str
    received_at: datetime
    #: As stored: the fields of a Message.
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MatterFile:
    """A matter with the messages that its document is made of."""

    id: UUID
    #: As stored: the fields of a HotlineMatter.
    document: dict[str, Any]
    #: In the document's order; a message that is not there any more is left out.
    pieces: tuple[Piece, ...]
    #: The envelopes of pieces that came otherwise than in the dossier's own; without them where they are too large.
    envelopes: Mapping[UUID, Envelope]


@dataclass(frozen=True, slots=True)
class Dossier:
    """An envelope and all that was made of it."""

    envelope: Envelope
    outcomes: tuple[str, ...]
    #: In order of position.
    pieces: tuple[Piece, ...]
    #: Each matter stands in the dossier of the first selected message that belongs to it, and nowhere else.
    matters: tuple[MatterFile, ...]


def count(connection: Connection, outcomes: tuple[str, ...], since: datetime | None) -> int:
    """How many envelopes ended in one of ``outcomes``; see :func:`page`."""
    wanted = select(func.count()).select_from(ENVELOPES).where(ended(outcomes, since))
    return connection.execute(wanted).scalar_one()


def page(
    connection: Connection,
    outcomes: tuple[str, ...],
    since: datetime | None,
    after: UUID | None,
    limit: int,
    most_bytes: int,
) -> tuple[Dossier, ...]:
    """Envelopes from ``since`` on that ended, or hold a message that ended, in one of ``outcomes``; a page after ``after``.

    At most ``limit``, and not more than ``most_bytes`` of raw deliveries unless the first alone is larger.
    """
    # A blob's length is known without reading it, in both databases.
    wanted = select(ENVELOPES.c.id, func.length(ENVELOPES.c.body).label("bytes"))
    wanted = wanted.where(ended(outcomes, since)).order_by(ENVELOPES.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(ENVELOPES.c.id > after)
    ids = _fitting(connection.execute(wanted).all(), most_bytes)
    envelopes = _envelopes(connection, ids)
    own = {row.envelope_id: row.outcome for row in _rows(connection, UNPACKED, UNPACKED.c.envelope_id, ids)}
    rows = _messages(connection, MESSAGES.c.envelope_id, ids)
    files = _files(connection, rows, lambda row: _counts(row, outcomes, since))
    pieces = _grouped(rows, "envelope_id")
    return tuple(_dossier(envelopes[one], own.get(one), pieces.get(one, ()), files) for one in ids)


def _fitting(rows: Sequence[Any], most_bytes: int) -> list[UUID]:
    """As many as fit, and always the first."""
    sums = accumulate(row.bytes for row in rows)
    fitting = sum(1 for _ in takewhile(lambda total: total <= most_bytes, sums))
    return [row.id for row in rows[: max(1, fitting)]]


def _dossier(
    envelope: Envelope, outcome: str | None, rows: Sequence[Row[Any]], files: Mapping[UUID, Sequence[MatterFile]]
) -> Dossier:
    outcomes = (outcome, *(row.outcome for row in rows))
    return Dossier(
        envelope=envelope,
        outcomes=tuple(one for one in outcomes if one is not None),
        pieces=tuple(_piece(row) for row in rows),
        matters=tuple(files.get(envelope.id, ())),
    )


def _files(
    connection: Connection, rows: Sequence[Row[Any]], counts: Callable[[Row[Any]], bool]
) -> dict[UUID, list[MatterFile]]:
    """The matters of these messages, by the envelope in whose dossier they stand."""
    ids, homes = {row.matter_id for row in rows} - {None}, {row.envelope_id for row in rows}
    members = _grouped(_messages(connection, MESSAGES.c.matter_id, ids), "matter_id")
    found: dict[UUID, list[MatterFile]] = {}
    left = MOST_BYTES
    for row in sorted(_rows(connection, MATTERS, MATTERS.c.id, ids), key=lambda row: row.id):
        home = next((member.envelope_id for member in members[row.id] if counts(member)), None)
        if home is not None and home in homes:
            pieces = _told(row.document, members[row.id])
            others = _envelopes_within(connection, {piece.envelope_id for piece in pieces} - {home}, left)
            left -= sum(len(envelope.body) for envelope in others.values())
            found.setdefault(home, []).append(MatterFile(row.id, row.document, pieces, others))
    return found


def _told(document: dict[str, Any], members: Sequence[Row[Any]]) -> tuple[Piece, ...]:
    by_id = {str(row.id): row for row in members}
    ids = [message["message_id"] for message in document["messages"]]
    return tuple(_piece(by_id[one]) for one in ids if one in by_id)


def _counts(row: Row[Any], outcomes: tuple[str, ...], since: datetime | None) -> bool:
    return row.outcome in outcomes and (since is None or row.received_at >= since)


def _envelopes_within(connection: Connection, ids: Collection[UUID], most_bytes: int) -> dict[UUID, Envelope]:
    """All of them, or none where they are too large."""
    total = select(func.coalesce(func.sum(func.length(ENVELOPES.c.body)), 0)).where(ENVELOPES.c.id.in_(ids))
    return _envelopes(connection, ids) if ids and connection.execute(total).scalar_one() <= most_bytes else {}


def _grouped(rows: Iterable[Row[Any]], column: str) -> dict[UUID, list[Row[Any]]]:
    found: dict[UUID, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(getattr(row, column), []).append(row)
    return found


def _piece(row: Row[Any]) -> Piece:
    return Piece(row.id, row.envelope_id, row.position, row.channel, row.kind, row.received_at, row.content)


def _envelopes(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Envelope]:
    return {row.id: read_envelope(row) for row in _rows(connection, ENVELOPES, ENVELOPES.c.id, ids)}


def _messages(connection: Connection, column: Any, ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """In order of arrival."""
    wanted = select(MESSAGES, ENVELOPES.c.kind).join(ENVELOPES, ENVELOPES.c.id == MESSAGES.c.envelope_id)
    ordered = wanted.where(column.in_(sorted(ids))).order_by(MESSAGES.c.envelope_id, MESSAGES.c.position)
    return connection.execute(ordered).all() if ids else ()


def _rows(connection: Connection, table: Any, column: Any, ids: Collection[UUID]) -> Iterable[Row[Any]]:
    return connection.execute(select(table).where(column.in_(sorted(ids)))).all() if ids else ()
