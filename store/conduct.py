"""Conduct, as the store remembers it: how often somebody writes, what waits for a person, what was noticed.

What is held steps into a lane beside its sender's, in the same order; what he writes later joins it there, unless it tells
of danger: then all of it goes on at once. So nobody overtakes himself, and a hold is over by itself, whatever falls out.
Whoever locks both lanes of a sender locks his own first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from normalizer.clean import single_line
from normalizer.heard import Heard, Judged, Recent
from normalizer.matter import flagged
from normalizer.model import HotlineMatter, KeptMessage, Message, Outcome, Past
from normalizer.model.matter import Flag
from store.bulk import insert_or_ignore
from store.errors import Superseded
from store.keys import Keyring
from store.messages import sender_mark
from store.past import Reading
from store.persons import Person
from store.queue import held_by, let_next_go, lock_lane, record
from store.tables import FLAGS, HOLDS, MATTERS, MESSAGES, SENDERS, WORK
from store.values import Filing, Work

#: How far back a person's messages are counted, and how many of them at most.
HOUR, COUNTED = timedelta(hours=1), 500
REPEATS = timedelta(days=30)
#: So many held messages go before one that tells of danger, in their order; more would keep it waiting.
BEFORE_DANGER = 20


class SetAside(Exception):
    """The message is not filed now."""

    def __init__(self, until: datetime | None, flags: tuple[Flag, ...] = (), *, danger: bool = False) -> None:
        super().__init__("danger" if danger else "held")
        #: When it goes on by itself; None: after what is held before it.
        self.until = until
        self.flags = flags
        #: What is held before it goes on, and it after them.
        self.danger = danger


@dataclass(frozen=True, slots=True)
class Lanes:
    """A sender's own lane, and the one beside it for what is held."""

    own: bytes
    beside: bytes

    @classmethod
    def of(cls, keyring: Keyring, own: bytes) -> Lanes:
        """The lanes of the sender with this mark."""
        return cls(own, keyring.mark("held", own))


def words_mark(keyring: Keyring, message: Message) -> bytes | None:
    """The same for the same words, whoever says them; None where there are none."""
    words = single_line(message.text)
    return keyring.mark("words", single_line(message.title or ""), words) if words else None


# -- Judging, in the transaction that files ----------------------------------------------------------------------------


def judged(
    connection: Connection,
    keyring: Keyring,
    work: Work,
    reading: Reading,
    person: Person,
    past: Past,
    filing: Filing,
    at: datetime,
) -> Filing:
    """The filing with what was noticed; ``work`` is off the queue. Raise SetAside when it has to wait."""
    if reading.judge is None:
        return filing
    kept = reading.kept
    habits = recent(connection, words_mark(keyring, kept.message), kept, person, past, filing.verdict.outcome)
    found = reading.judge.judge(habits, past, filing)
    lanes = Lanes.of(keyring, sender_mark(keyring, kept.message))
    if work.lane != lanes.beside and (before := _held(connection, lanes)):
        if not found.immediate:
            raise SetAside(None)
        if before <= BEFORE_DANGER:
            raise SetAside(None, danger=True)
        lock_lane(connection, lanes.beside)
        _go_on(connection, lanes, at)
    if found.until is not None and at < found.until and not _over(connection, kept.id):
        raise SetAside(found.until, found.flags)
    return replace(filing, judged=found, matter=filing.matter and _noted(filing.matter, found))


def recent(
    connection: Connection, words: bytes | None, kept: KeptMessage, person: Person, past: Past, outcome: Outcome
) -> Recent:
    """How the person has been writing; his row is locked. Repeats are counted where this one may be one."""
    silent = past.last_contact_at is None or past.last_contact_at < kept.received_at - HOUR
    return Recent(
        words=words,
        messages=() if silent else _lately(connection, person, kept),
        repeats=_repeats(connection, person, kept) if outcome is Outcome.CHASED else 0,
    )


def _lately(connection: Connection, person: Person, kept: KeptMessage) -> tuple[Heard, ...]:
    """His messages of the last hour, the newest first."""
    columns = [MESSAGES.c[name] for name in ("received_at", "words_mark", "matter_id", "outcome", "channel")]
    his = (
        MESSAGES.c.caller_id.in_(person.callers),
        MESSAGES.c.received_at.between(kept.received_at - HOUR, kept.received_at),
        MESSAGES.c.id != kept.id,
    )
    rows = connection.execute(select(*columns).where(*his).order_by(MESSAGES.c.received_at.desc()).limit(COUNTED))
    return tuple(
        Heard(row.received_at, row.words_mark, row.matter_id, row.outcome and Outcome(row.outcome), row.channel)
        for row in rows
    )


def _repeats(connection: Connection, person: Person, kept: KeptMessage) -> int:
    """How often he asked again after a result. One that was objected to is none any more."""
    since = kept.received_at - REPEATS
    again = (
        MESSAGES.c.caller_id.in_(person.callers),
        MESSAGES.c.received_at.between(since, kept.received_at),
        MESSAGES.c.outcome == Outcome.CHASED,
        MESSAGES.c.id != kept.id,
        func.coalesce(MATTERS.c.answered_at, MATTERS.c.closed_at) < MESSAGES.c.received_at,
    )
    joined = MESSAGES.join(MATTERS, MATTERS.c.id == MESSAGES.c.matter_id)
    return connection.execute(select(func.count()).select_from(joined).where(*again)).scalar_one()


#: Asked for every message, so made once.
_BESIDE = select(WORK.c.sequence).where(WORK.c.lane == bindparam("lane")).limit(BEFORE_DANGER + 1)


def _held(connection: Connection, lanes: Lanes) -> int:
    """Messages of the sender that are held, or wait behind one that is; a few more than matter."""
    return len(connection.execute(_BESIDE, {"lane": lanes.beside}).all())


def _over(connection: Connection, message_id: UUID) -> bool:
    """Whether it has waited, or somebody has looked at it: nothing is held twice."""
    over = select(HOLDS.c.message_id).where(HOLDS.c.message_id == message_id, HOLDS.c.over_at.is_not(None))
    return connection.execute(over).scalar() is not None


def _noted(matter: HotlineMatter, found: Judged) -> HotlineMatter:
    """The matter with the flags, of each kind the surest; once a person should look, he should."""
    if not found.flags and not found.review:
        return matter
    conduct = flagged(matter.conduct, found.flags)
    if found.review:
        conduct = conduct.model_copy(update={"disposition": "review"})
    return matter.model_copy(update={"conduct": conduct})


def write_conduct(
    connection: Connection,
    keyring: Keyring,
    work: Work,
    reading: Reading,
    filing: Filing,
    caller_id: UUID,
    at: datetime,
) -> None:
    """Write what was noticed of a message that is filed now, and that it is held no more."""
    kept = reading.kept
    if work.lane == Lanes.of(keyring, sender_mark(keyring, kept.message)).beside:
        end_holds(connection, HOLDS.c.message_id == kept.id, Ending("expired", at))
    if reading.judge is not None and filing.judged.flags:
        matter_id = filing.verdict.matter_id or (filing.matter.matter_id if filing.matter else None)
        until = kept.received_at + reading.judge.flags_last
        write_flags(connection, filing.judged.flags, kept, (caller_id, matter_id), until)


def write_flags(
    connection: Connection,
    flags: tuple[Flag, ...],
    kept: KeptMessage,
    whose: tuple[UUID | None, UUID | None],
    expires_at: datetime,
) -> None:
    """One row for each; ``whose``: caller and matter, as far as there are any."""
    of = dict(zip(("caller_id", "matter_id"), whose, strict=True)) | {"message_id": kept.id}
    times = {"at": kept.received_at, "expires_at": expires_at}
    rows = [of | times | {"kind": flag.kind, "score": flag.score, "evidence": list(flag.evidence)} for flag in flags]
    if rows:
        connection.execute(insert(FLAGS), rows)


# -- Holding and going on ----------------------------------------------------------------------------------------------


def set_aside(
    connection: Connection,
    keyring: Keyring,
    node_id: UUID,
    work: Work,
    kept: KeptMessage,
    aside: SetAside,
    at: datetime,
) -> None:
    """Put the message beside its sender's lane; or let what is held there go on before it. Raise Superseded."""
    lanes = Lanes.of(keyring, sender_mark(keyring, kept.message))
    lock_lane(connection, lanes.own)
    connection.execute(insert_or_ignore(connection, SENDERS), {"mark": lanes.beside, "messages": 0})
    lock_lane(connection, lanes.beside)
    if aside.danger:
        _give_back(connection, node_id, work, {"lane": lanes.own})
        _go_on(connection, lanes, at)
        return
    first = select(WORK.c.sequence).where(WORK.c.lane == lanes.beside, ~WORK.c.waits, WORK.c.sequence != work.sequence)
    place: dict[str, Any] = {"lane": lanes.beside, "waits": connection.execute(first).scalar() is not None}
    if aside.until is not None:  # counted as a try, for only such work looks at the clock
        place |= {"attempts": max(1, work.attempts), "not_before": aside.until, "put_off_at": at}
    _give_back(connection, node_id, work, place)
    if work.lane is not None and work.lane != lanes.beside:
        let_next_go(connection, work.lane)
    _write_hold(connection, lanes, kept.id, aside, at)
    record(connection, kept.id, "held", _reason(aside), at)


def _reason(aside: SetAside) -> str:
    return ", ".join(f"{flag.kind} {flag.score:.2f}" for flag in aside.flags) or "behind one that is held"


def _give_back(connection: Connection, node_id: UUID, work: Work, place: dict[str, Any]) -> None:
    mine = update(WORK).where(*held_by(connection, node_id, work))
    if connection.execute(mine.values(holder=None, **place)).rowcount != 1:
        raise Superseded(f"work {work.sequence}")


def _write_hold(connection: Connection, lanes: Lanes, message_id: UUID, aside: SetAside, at: datetime) -> None:
    flags = [flag.model_dump(mode="json") for flag in aside.flags]
    hold = {"until": aside.until, "flags": flags}
    known = update(HOLDS).where(HOLDS.c.message_id == message_id)
    if connection.execute(known.values(**hold)).rowcount == 0:
        connection.execute(insert(HOLDS), hold | {"message_id": message_id, "lane": lanes.own, "at": at})


def _go_on(connection: Connection, lanes: Lanes, at: datetime) -> None:
    """What is held comes back into its sender's lane, each at its place; what a node works on is nearly through."""
    going = update(WORK).where(WORK.c.lane == lanes.beside, WORK.c.holder.is_(None))
    connection.execute(going.values(lane=lanes.own, waits=True, attempts=0, not_before=at, put_off_at=at))
    waiting = update(WORK).where(WORK.c.lane == lanes.own, WORK.c.holder.is_(None))
    connection.execute(waiting.values(waits=True))
    let_next_go(connection, lanes.own)
    end_holds(connection, HOLDS.c.lane == lanes.own, Ending("danger", at))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a hold ended, and by whose word."""

    #: ``expired``, ``danger``, ``released``, ``refused``.
    how: str
    at: datetime
    #: The operator, and his reason.
    by: str | None = None
    reason: str | None = None


def end_holds(connection: Connection, which: ColumnElement[bool], ending: Ending) -> list[UUID]:
    """These are held no more, and not again; their messages."""
    standing = update(HOLDS).where(which, HOLDS.c.over_at.is_(None)).returning(HOLDS.c.message_id)
    over = {"over_at": ending.at, "ended": ending.how, "decided_by": ending.by}
    ended = list(connection.execute(standing.values(**over)).scalars())
    step = ending.how if ending.by else "hold_over"
    for message_id in ended:
        record(connection, message_id, step, ending.by or ending.how, ending.at, ending.reason)
    return ended
