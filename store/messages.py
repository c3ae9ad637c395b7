"""Unpacking: from a kept envelope to messages, each unique by the database's word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from normalizer.digest import digest
from normalizer.ids import derived
from normalizer.model import ContactType, Envelope, KeptMessage, Message, Notice, Outcome, Parsed
from normalizer.reply import Limit, stepped_at
from store.bulk import insert_or_ignore
from store.doors import recipient, reopen
from store.errors import Superseded
from store.keys import Keyring
from store.queue import Digest, add_digests, finish_work, record, take
from store.replies import heed
from store.tables import ENVELOPES, MESSAGES, SENDERS, UNPACKED
from store.values import Stage, Work
from store.windows import open_window, opened_since


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What an envelope turned out to hold."""

    work: Work
    envelope: Envelope
    parsed: Parsed
    at: datetime
    #: The channel's reply windows, by the name that a message or notice opens.
    limits: Mapping[str, Limit] = field(default_factory=dict)


def give_up(connection: Connection, node_id: UUID, work: Work, outcome: Outcome, reason: str, at: datetime) -> str:
    """End the work with an outcome that is an error of theirs or ours; the name of the channel it came by."""
    finish_work(connection, node_id, work)
    record(connection, work.subject, outcome, reason, at)
    if work.stage is Stage.UNPACK:
        _write_unpacked(connection, [_unpacked_row(work.subject, at, 0, outcome, reason)])
        came_by = select(ENVELOPES.c.channel).where(ENVELOPES.c.id == work.subject)
    else:
        settled = {"outcome": outcome, "reason": reason, "settled_at": at}
        connection.execute(update(MESSAGES).where(MESSAGES.c.id == work.subject).values(settled))
        came_by = select(MESSAGES.c.channel).where(MESSAGES.c.id == work.subject)
    channel: str = connection.execute(came_by).scalar_one()
    return channel


def unpack_many(
    connection: Connection, keyring: Keyring, node_id: UUID, unpackings: Sequence[Unpacking]
) -> list[tuple[Outcome, ...] | Superseded]:
    """Write what the envelopes hold, in this order; per envelope the outcomes that are final already."""
    in_order = sorted(range(len(unpackings)), key=lambda index: unpackings[index].work.sequence)
    taken = {index for index in in_order if take(connection, node_id, unpackings[index].work)}
    mine = [unpacking for index, unpacking in enumerate(unpackings) if index in taken]
    if not mine:
        return [Superseded("unpack")] * len(unpackings)
    _write_unpacked(connection, [_unpacked_row_of(unpacking) for unpacking in mine])
    rows = [
        _message_row(keyring, unpacking, position, message)
        for unpacking in mine
        if not isinstance(unpacking.parsed, Notice)
        for position, message in enumerate(unpacking.parsed)
    ]
    settled: dict[UUID, list[Outcome]] = {unpacking.envelope.id: [] for unpacking in mine}
    new: set[UUID] = set()
    if rows:
        _number(connection, rows)
        new, again = _insert_messages(connection, rows)
        for envelope_id in again:
            settled[envelope_id].append(Outcome.REDELIVERED)
    _open_windows(connection, keyring, mine, new)
    for unpacking in sorted(mine, key=_arrival):
        if isinstance(unpacking.parsed, Notice):
            notice = _as_it_stands(connection, keyring, unpacking, unpacking.parsed)
            heed(connection, keyring, unpacking.envelope, notice, unpacking.at)
            record(connection, unpacking.envelope.id, Outcome.NOTICE, unpacking.parsed.reason, unpacking.at)
            settled[unpacking.envelope.id].append(Outcome.NOTICE)
    return [
        tuple(settled[unpacking.envelope.id]) if index in taken else Superseded("unpack")
        for index, unpacking in enumerate(unpackings)
    ]


def _open_windows(
    connection: Connection, keyring: Keyring, unpackings: Sequence[Unpacking], new: Collection[UUID]
) -> None:
    """Whoever writes to us may be written to; recipients in order, as every node takes them. Copies open nothing.

    By SMS not yet: the word may be 退订 (see store/matters.py).
    """
    steps = [step for unpacking in unpackings for step in _steps(keyring, unpacking, new)]
    for whose, speaks, name, limit, since in sorted(steps, key=lambda step: step[:3]):
        if speaks:
            reopen(connection, whose, since)
        if limit is not None:
            open_window(connection, whose, name, limit, since)


def _steps(
    keyring: Keyring, unpacking: Unpacking, new: Collection[UUID]
) -> Iterator[tuple[bytes, bool, str, Limit | None, datetime]]:
    """Who did something, whether he wrote, the window that it opens, and since when; ``new``: ids of messages."""
    parsed, envelope = unpacking.parsed, unpacking.envelope
    speaks = not isinstance(parsed, Notice)
    steps: tuple[Message | Notice, ...] = (parsed,) if isinstance(parsed, Notice) else parsed
    for position, said in enumerate(steps):
        if said.sender is None or said.account is None or (speaks and _id(envelope, position) not in new):
            continue
        whose, name = recipient(keyring, envelope.channel, said.account, said.sender), said.opens or ""
        since = stepped_at(said.sent_at, envelope.received_at)
        yield whose, speaks and said.sender.type is not ContactType.PHONE, name, unpacking.limits.get(name), since


def _as_it_stands(connection: Connection, keyring: Keyring, unpacking: Unpacking, notice: Notice) -> Notice:
    """The notice; where he has come back since he went, it shuts no door: deliveries are read in any order."""
    if notice.reachable is not False or notice.sender is None or notice.account is None:
        return notice
    whose = recipient(keyring, unpacking.envelope.channel, notice.account, notice.sender)
    gone_at = stepped_at(notice.sent_at, unpacking.envelope.received_at)
    back = opened_since(connection, whose, unpacking.limits, gone_at)
    return notice.model_copy(update={"reachable": None}) if back else notice


def _arrival(unpacking: Unpacking) -> int:
    return unpacking.work.sequence


def _unpacked_row_of(unpacking: Unpacking) -> dict[str, Any]:
    if isinstance(unpacking.parsed, Notice):
        return _unpacked_row(unpacking.envelope.id, unpacking.at, 0, Outcome.NOTICE, unpacking.parsed.reason)
    return _unpacked_row(unpacking.envelope.id, unpacking.at, len(unpacking.parsed), None, None)


def _unpacked_row(
    envelope_id: UUID, at: datetime, messages: int, outcome: Outcome | None, reason: str | None
) -> dict[str, Any]:
    return {"envelope_id": envelope_id, "at": at, "messages": messages, "outcome": outcome, "reason": reason}


def _write_unpacked(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """A replayed envelope has a row already: the newer word counts."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(UNPACKED)
    newer = {name: statement.excluded[name] for name in ("at", "messages", "outcome", "reason")}
    connection.execute(statement.on_conflict_do_update(index_elements=["envelope_id"], set_=newer), rows)


def _message_row(keyring: Keyring, unpacking: Unpacking, position: int, message: Message) -> dict[str, Any]:
    address = _address(message)
    named = provider_mark(keyring, address, message.provider_id) if message.provider_id else None
    return {
        "id": _id(unpacking.envelope, position),
        "envelope_id": unpacking.envelope.id,
        "position": position,
        "identity": keyring.mark("message", *address, *_name(unpacking, position, message), digest(message)),
        "provider_mark": named,
        "part_mark": part_mark(keyring, message),
        "sender": sender_mark(keyring, message),
        "channel": unpacking.envelope.channel,
        "account": message.account,
        "received_at": unpacking.envelope.received_at,
        "flags": " ".join(dict.fromkeys((*unpacking.envelope.flags, *message.flags))),
        "content": message.model_dump(mode="json"),
        "at": unpacking.at,
        "arrival": unpacking.work.sequence,
        "apparent": unpacking.work.apparent,
    }


def _id(envelope: Envelope, position: int) -> UUID:
    """Ours, of the message that stands there in the envelope."""
    return derived(envelope.id, "message", position)


def _name(unpacking: Unpacking, position: int, message: Message) -> tuple[str | bytes, ...]:
    """What names a message beside its content: the provider's id; else its time, which is in the digest.

    With neither, only its place in the delivery: the same words next month must not be taken for this delivery again.
    """
    if message.provider_id is not None:
        return ("id", message.provider_id)
    return ("time",) if message.sent_at is not None else ("place", unpacking.envelope.id.bytes, str(position))


def _address(message: Message) -> tuple[str, ...]:
    return message.key_space, message.account, message.sender.type, message.sender.value


def provider_mark(keyring: Keyring, address: tuple[str, ...], provider_id: str) -> bytes:
    """What names a message at its provider; ``address``: key space, account, the sender's type and value."""
    return keyring.mark("provider", *address, provider_id)


def part_mark(keyring: Keyring, message: Message) -> bytes | None:
    """What the pieces of one long message have in common; None for a whole one."""
    return keyring.mark("part", *_address(message), message.part.reference) if message.part else None


def sender_mark(keyring: Keyring, message: Message) -> bytes:
    """Whose messages are digested one after the other."""
    return keyring.mark("sender", *_address(message))


def _number(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Give each message its place in the order of its sender; the upsert holds the sender's row until the commit."""
    per_sender: dict[bytes, list[dict[str, Any]]] = {}
    for row in rows:
        per_sender.setdefault(row["sender"], []).append(row)
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    for mark in sorted(per_sender):
        statement = dialect.insert(SENDERS).values(mark=mark, messages=len(per_sender[mark]))
        counted = statement.on_conflict_do_update(
            index_elements=["mark"], set_={"messages": SENDERS.c.messages + statement.excluded.messages}
        ).returning(SENDERS.c.messages)
        last = connection.execute(counted).scalar_one()
        for place, row in enumerate(per_sender[mark], start=last - len(per_sender[mark]) + 1):
            row["sender_position"] = place


def _insert_messages(connection: Connection, rows: list[dict[str, Any]]) -> tuple[set[UUID], list[UUID]]:
    """Insert or conflict: the unique identity decides. What is new, and the envelopes of what were redeliveries."""
    inserted = insert_or_ignore(connection, MESSAGES).returning(MESSAGES.c.id)
    won = set(connection.execute(inserted, [_columns(row) for row in rows]).scalars())
    new, again = [r for r in rows if r["id"] in won], [r for r in rows if r["id"] not in won]
    if new:
        _flag_reused_ids(connection, new)
        queued = ("id", "channel", "sender", "arrival", "apparent", "at")
        add_digests(connection, [Digest(*(row[name] for name in queued)) for row in new])
    return won, _settle_redeliveries(connection, again) if again else []


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    return {column.name: row[column.name] for column in MESSAGES.columns if column.name in row}


def _settle_redeliveries(connection: Connection, rows: list[dict[str, Any]]) -> list[UUID]:
    """A message whose identity is known is kept as a copy that names the first; a replayed address is left alone."""
    identities = {row["identity"] for row in rows}
    found = connection.execute(select(MESSAGES.c.identity, MESSAGES.c.id).where(MESSAGES.c.identity.in_(identities)))
    first = {row.identity: row.id for row in found}
    copies = [_copy(row, first[row["identity"]]) for row in rows if row["identity"] in first]
    if not copies:
        return []
    written = insert_or_ignore(connection, MESSAGES).returning(
        MESSAGES.c.id, MESSAGES.c.envelope_id, MESSAGES.c.settled_at
    )
    settled = connection.execute(written, copies).all()
    for row in settled:
        record(connection, row.id, Outcome.REDELIVERED, None, row.settled_at)
    return [row.envelope_id for row in settled]


def _copy(row: dict[str, Any], first_id: UUID) -> dict[str, Any]:
    return _columns(row) | {
        "identity": None,
        "first_id": first_id,
        "outcome": Outcome.REDELIVERED,
        "reason": "same identity",
        "settled_at": row["at"],
    }


def _flag_reused_ids(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Flag messages whose provider's id already came with another body: kept, and shown as odd."""
    marks = {row["provider_mark"] for row in rows if row["provider_mark"]}
    several = (
        select(MESSAGES.c.provider_mark)
        .where(MESSAGES.c.provider_mark.in_(marks), MESSAGES.c.identity.is_not(None))
        .group_by(MESSAGES.c.provider_mark)
        .having(func.count() > 1)
    )
    reused = set(connection.execute(several).scalars())
    for row in rows:
        if row["provider_mark"] in reused:
            flags = f"{row['flags']} id_reused".strip()
            connection.execute(update(MESSAGES).where(MESSAGES.c.id == row["id"]).values(flags=flags))


def get_message(connection: Connection, message_id: UUID) -> KeptMessage:
    """One message by our id."""
    of = and_(MESSAGES.c.id == message_id, ENVELOPES.c.id == MESSAGES.c.envelope_id)
    row = connection.execute(select(MESSAGES, ENVELOPES.c.kind).where(of)).one()
    return KeptMessage(
        id=row.id,
        envelope_id=row.envelope_id,
        channel=row.channel,
        kind=row.kind,
        received_at=row.received_at,
        message=Message.model_validate(row.content),
        flags=tuple(row.flags.split()),
    )
