"""What waits for a person, for operators: seeing it, reading it, letting it go on, refusing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, select, update

from normalizer.model import KeptMessage, Outcome
from normalizer.model.matter import Flag
from store.conduct import Ending, Lanes, end_holds, write_flags
from store.errors import NobodySuch
from store.keys import Keyring
from store.messages import get_message
from store.people import Word
from store.persons import contact_mark
from store.queue import let_next_go, lock_lane, record
from store.tables import CONTACTS, HOLDS, MESSAGES, WORK
from store.transactions import Database


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits for a person, or behind one that does."""

    message_id: UUID
    channel: str
    received_at: datetime
    #: When it goes on by itself; None: when what is held before it has gone.
    until: datetime | None
    #: What it is held for.
    flags: tuple[Flag, ...]
    #: The same number: the same sender.
    sender: int


class HoldBook:
    """The holds, each method one transaction. Raise NobodySuch for a message that is not held."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database, self._keyring = database, keyring

    async def held(self) -> list[Held]:
        """All that waits, in order of arrival."""
        return await self._database.read(_held)

    async def read(self, message_id: UUID, word: Word) -> KeptMessage:
        """One of them, for somebody to read; that he did is kept."""

        def transaction(connection: Connection) -> KeptMessage:
            _lanes(connection, self._keyring, message_id)
            record(connection, message_id, "read", word.by, word.at, word.reason)
            return get_message(connection, message_id)

        return await self._database.write(transaction)

    async def release(self, message_id: UUID, word: Word, *, every: bool = False) -> int:
        """Let it go on at its place among its sender's, or all of that sender's; how many."""
        return await self._database.write(
            lambda connection: _release(connection, self._keyring, message_id, word, every=every)
        )

    async def refuse(self, message_id: UUID, word: Word, flags_last: timedelta, *, every: bool = False) -> list[str]:
        """End it as ``refused``, or all of that sender's; the channel of each."""
        return await self._database.write(
            lambda connection: _refuse(connection, self._keyring, message_id, word, flags_last, every=every)
        )


def _held(connection: Connection) -> list[Held]:
    columns = (HOLDS, MESSAGES.c.channel, MESSAGES.c.received_at)
    standing = (HOLDS.c.over_at.is_(None), MESSAGES.c.outcome.is_(None))
    rows = select(*columns).join(MESSAGES, MESSAGES.c.id == HOLDS.c.message_id).where(*standing)
    senders: dict[bytes, int] = {}
    return [
        Held(
            message_id=row.message_id,
            channel=row.channel,
            received_at=row.received_at,
            until=row.until,
            flags=_flags(row.flags),
            sender=senders.setdefault(row.lane, len(senders) + 1),
        )
        for row in connection.execute(rows.order_by(MESSAGES.c.received_at, MESSAGES.c.id))
    ]


def _flags(kept: list[dict[str, object]]) -> tuple[Flag, ...]:
    return tuple(Flag.model_validate(flag, strict=False) for flag in kept)


def _lanes(connection: Connection, keyring: Keyring, message_id: UUID) -> Lanes:
    """Of the sender of a message that is held."""
    standing = (HOLDS.c.message_id == message_id, HOLDS.c.over_at.is_(None))
    own = connection.execute(select(HOLDS.c.lane).where(*standing)).scalar()
    if own is None:
        raise NobodySuch(f"{message_id} is not held, or no more: see gateway held list")
    return Lanes.of(keyring, own)


def _locked(connection: Connection, keyring: Keyring, message_id: UUID) -> Lanes:
    """The same, with both lanes locked; asked again, for somebody may have been faster."""
    lanes = _lanes(connection, keyring, message_id)
    lock_lane(connection, lanes.own)
    lock_lane(connection, lanes.beside)
    return _lanes(connection, keyring, message_id)


def _release(connection: Connection, keyring: Keyring, message_id: UUID, word: Word, *, every: bool) -> int:
    lanes = _locked(connection, keyring, message_id)
    which = HOLDS.c.lane == lanes.own if every else HOLDS.c.message_id == message_id
    released = end_holds(connection, which, Ending("released", word.at, word.by, word.reason))
    work = WORK.c.lane == lanes.beside if every else WORK.c.subject == message_id
    going = update(WORK).where(work, WORK.c.holder.is_(None))
    connection.execute(going.values(attempts=0, not_before=word.at, put_off_at=word.at))
    return len(released)


def _refuse(
    connection: Connection, keyring: Keyring, message_id: UUID, word: Word, flags_last: timedelta, *, every: bool
) -> list[str]:
    """A node that holds its work will find it gone."""
    lanes = _locked(connection, keyring, message_id)
    which = HOLDS.c.lane == lanes.own if every else HOLDS.c.message_id == message_id
    refused = end_holds(connection, which, Ending("refused", word.at, word.by, word.reason))
    work = WORK.c.lane == lanes.beside if every else WORK.c.subject == message_id
    connection.execute(delete(WORK).where(work))
    let_next_go(connection, lanes.beside)
    return [_refused(connection, keyring, one, word, flags_last) for one in refused]


def _refused(connection: Connection, keyring: Keyring, message_id: UUID, word: Word, flags_last: timedelta) -> str:
    settled = {"outcome": Outcome.REFUSED, "reason": f"refused by {word.by}", "settled_at": word.at}
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == message_id).values(settled))
    kept = get_message(connection, message_id)
    mark = contact_mark(keyring, kept.message.sender, kept.message.account)
    caller_id: UUID | None = connection.execute(select(CONTACTS.c.caller_id).where(CONTACTS.c.mark == mark)).scalar()
    flags = connection.execute(select(HOLDS.c.flags).where(HOLDS.c.message_id == message_id)).scalar_one()
    write_flags(connection, _flags(flags), kept, (caller_id, None), kept.received_at + flags_last)
    return kept.channel
