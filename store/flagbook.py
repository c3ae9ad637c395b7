"""Signs of conduct, for operators: whose they are, disputing and clearing them, and the evidence for the police.

A flag counts until it expires or is cleared. Who reads a caller's flags, or takes evidence away, is written down before.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from normalizer.ids import derived
from normalizer.model import HotlineMatter
from normalizer.model.matter import Conduct, Flag
from store.documents import lock_matter, open_document, tell
from store.envelopes import get_envelope
from store.errors import IdentitySealed, NobodySuch
from store.events import AMENDED
from store.messages import get_message
from store.people import Word
from store.persons import callers_of, persons_of
from store.queue import record
from store.tables import FLAGS, MATTERS, MESSAGES, TRANSITIONS
from store.transactions import Database

#: By which the police may be called in for what is in the bundle.
ARTICLE = "潍坊市12345政务服务便民热线条例（征求意见稿）第三十四条"
FORM = "hotline.conduct.v1"


@dataclass(frozen=True, slots=True)
class Noticed:
    """A flag as it is kept."""

    message_id: UUID
    matter_id: UUID | None
    kind: str
    score: float
    evidence: tuple[str, ...]
    at: datetime
    expires_at: datetime
    #: Since when it is disputed.
    appealed_at: datetime | None


class FlagBook:
    """The flags, each method one transaction. Raise NobodySuch for what is not there."""

    def __init__(self, database: Database, sinks: Collection[str]) -> None:
        self._database, self._sinks = database, tuple(sinks)

    async def note_reader(self, caller_id: UUID, word: Word) -> None:
        """Write down that somebody reads a caller's flags."""
        await self._database.write(lambda connection: _note_reader(connection, caller_id, word))

    async def note_export(self, named: str, word: Word) -> None:
        """Write down that somebody takes the evidence of a matter away. Raise IdentitySealed."""

        def transaction(connection: Connection) -> None:
            record(connection, _open_matter(connection, named), "conduct_exported", word.by, word.at, word.reason)

        await self._database.write(transaction)

    async def of(self, caller_id: UUID, at: datetime) -> list[Noticed]:
        """What counts of the person behind a caller, the newest first."""
        return await self._database.read(lambda connection: _of(connection, caller_id, at))

    async def appeal(self, named: str, word: Word) -> int:
        """Somebody disputes what was noticed in a matter: a person should look. How many flags."""
        return await self._database.write(
            lambda connection: _decide(connection, self._sinks, named, word, "conduct_appealed")
        )

    async def clear(self, named: str, word: Word) -> int:
        """An operator says that the flags of a matter do not count; the core is told. How many."""
        return await self._database.write(
            lambda connection: _decide(connection, self._sinks, named, word, "conduct_cleared")
        )

    async def bundle(self, named: str) -> dict[str, Any]:
        """The evidence: flags, raw words, times, counts, and a digest of each part. Raise IdentitySealed."""
        return await self._database.read(lambda connection: _bundle(connection, _open_matter(connection, named)))


def _counts(at: datetime) -> ColumnElement[bool]:
    """Whether a flag does."""
    return and_(FLAGS.c.cleared_at.is_(None), FLAGS.c.expires_at > at)


def _note_reader(connection: Connection, caller_id: UUID, word: Word) -> None:
    record(connection, _person(connection, caller_id), "conduct_read", word.by, word.at, word.reason)


def _person(connection: Connection, caller_id: UUID) -> UUID:
    found = persons_of(connection, [caller_id])
    if caller_id not in found:
        raise NobodySuch(f"{caller_id} is no caller: see caller_id of a matter")
    return found[caller_id]


def _of(connection: Connection, caller_id: UUID, at: datetime) -> list[Noticed]:
    callers = callers_of(connection, _person(connection, caller_id))
    his = select(FLAGS).where(FLAGS.c.caller_id.in_(callers), _counts(at)).order_by(FLAGS.c.sequence.desc())
    return [_noticed(row) for row in connection.execute(his)]


def _noticed(row: Row[Any]) -> Noticed:
    columns = {name: getattr(row, name) for name in Noticed.__slots__}
    return Noticed(**columns | {"evidence": tuple(row.evidence)})


def _matter(connection: Connection, named: str) -> UUID:
    try:
        the_matter = MATTERS.c.id == UUID(named)
    except ValueError:
        the_matter = MATTERS.c.tracking_code == "".join(filter(str.isdigit, named))
    found: UUID | None = connection.execute(select(MATTERS.c.id).where(the_matter)).scalar()
    if found is None:
        raise NobodySuch(f"there is no matter {named}: give a tracking code or an id")
    return found


def _open_matter(connection: Connection, named: str) -> UUID:
    """One whose words may be taken away."""
    matter_id = _matter(connection, named)
    if connection.execute(select(MATTERS.c.sealed_at).where(MATTERS.c.id == matter_id)).scalar() is not None:
        raise IdentitySealed(f"the citizen of {named} stays unnamed: two persons can open it, see gateway identity")
    return matter_id


# -- An operator's word ------------------------------------------------------------------------------------------------


def _decide(connection: Connection, sinks: Collection[str], named: str, word: Word, step: str) -> int:
    matter_id = _matter(connection, named)
    lock_matter(connection, matter_id)
    cleared = step == "conduct_cleared"
    open_ = [FLAGS.c.matter_id == matter_id, _counts(word.at)]
    if not cleared:
        open_.append(FLAGS.c.appealed_at.is_(None))
    said = {"cleared_at" if cleared else "appealed_at": word.at}
    flags: int = connection.execute(update(FLAGS).where(*open_).values(**said)).rowcount
    if not flags:
        raise NobodySuch(f"no flag of matter {named} is left to decide on: they expire, and are cleared once")
    record(connection, matter_id, step, word.by, word.at, word.reason)
    matter = open_document(connection, matter_id)
    told = matter.model_copy(update={"conduct": _conduct(matter, cleared=cleared)})
    cause = derived(matter_id, step, word.at.isoformat())
    reason = f"{word.by} has cleared it of its flags" if cleared else "its flags are disputed: a person should look"
    tell(connection, cause, told, AMENDED, sinks, word.at, reason)
    return flags


def _conduct(matter: HotlineMatter, *, cleared: bool) -> Conduct:
    return Conduct() if cleared else matter.conduct.model_copy(update={"disposition": "review"})


# -- Evidence ----------------------------------------------------------------------------------------------------------


def _bundle(connection: Connection, matter_id: UUID) -> dict[str, Any]:
    rows = connection.execute(select(FLAGS).where(FLAGS.c.matter_id == matter_id).order_by(FLAGS.c.sequence)).all()
    standing = [row for row in rows if row.cleared_at is None]
    if not standing:
        raise NobodySuch(f"nothing is noticed in matter {matter_id} that counts: there is no evidence to take away")
    matter = open_document(connection, matter_id)
    messages = [_message(connection, one) for one in dict.fromkeys(row.message_id for row in standing)]
    parts: dict[str, Any] = {
        "form": FORM,
        "article": ARTICLE,
        "matter": {"matter_id": str(matter_id), "tracking_code": matter.tracking_code},
        "party": matter.party.model_dump(mode="json"),
        "counts": dict(Counter(row.kind for row in standing)) | {"messages": _number(connection, matter_id)},
        "flags": [_flag(row) for row in standing],
        "messages": messages,
        "steps": _steps(connection, [matter_id, *(row.message_id for row in standing)]),
    }
    return parts | {"sha256": {name: digest(part) for name, part in parts.items()}}


def digest(part: Any) -> str:
    """SHA-256 (FIPS 180-4), hex, of a part of the bundle: as JSON with sorted keys and no white space, UTF-8."""
    return hashlib.sha256(orjson.dumps(part, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _flag(row: Row[Any]) -> dict[str, Any]:
    flag = Flag(kind=row.kind, score=row.score, evidence=tuple(row.evidence))
    times = {
        name: at.isoformat() if (at := getattr(row, name)) else None for name in ("at", "expires_at", "appealed_at")
    }
    return flag.model_dump(mode="json") | times | {"message_id": str(row.message_id)}


def _message(connection: Connection, message_id: UUID) -> dict[str, Any]:
    """The words as they came, and the digest of the delivery that brought them."""
    kept = get_message(connection, message_id)
    said = kept.message
    return {
        "message_id": str(message_id),
        "channel": kept.channel,
        "account": said.account,
        "sender": said.sender.model_dump(mode="json"),
        "sent_at": said.sent_at.isoformat() if said.sent_at else None,
        "received_at": kept.received_at.isoformat(),
        "title": said.title,
        "text": said.text,
        "envelope_id": str(kept.envelope_id),
        "envelope_sha256": hashlib.sha256(get_envelope(connection, kept.envelope_id).body).hexdigest(),
    }


def _number(connection: Connection, matter_id: UUID) -> int:
    return len(connection.execute(select(MESSAGES.c.id).where(MESSAGES.c.matter_id == matter_id)).all())


def _steps(connection: Connection, subjects: Sequence[UUID]) -> list[dict[str, Any]]:
    """What happened to the matter and the messages, in order: holds, releases, appeals, who took evidence before."""
    rows = select(TRANSITIONS).where(TRANSITIONS.c.subject.in_(set(subjects))).order_by(TRANSITIONS.c.sequence)
    return [
        {"subject": str(row.subject), "step": row.step, "reason": row.reason, "at": row.at.isoformat()}
        for row in connection.execute(rows)
    ]
