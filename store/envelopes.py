"""Keeping envelopes: the transaction after which a delivery is ours, and the channel state that commits with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, RowMapping, and_, insert, select, update

from normalizer.model import Envelope, Kept, Outcome
from store.bulk import insert_or_ignore, insert_rows
from store.errors import BindingReused, StateChanged, StoreError
from store.keys import Keyring
from store.queue import record, work_row
from store.tables import BINDINGS, CHANNEL_STATE, ENVELOPES, UNPACKED, WORK
from store.values import Stage


@dataclass(frozen=True, slots=True)
class StateWrite:
    """Set a channel's ``key`` to ``value`` if it still is ``expected`` (None: absent)."""

    channel: str
    key: str
    expected: str | None
    value: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one call of ``keep`` asks for."""

    envelope: Envelope
    write: StateWrite | None = None


def keep_many(connection: Connection, keyring: Keyring, deliveries: Sequence[Delivery]) -> list[Kept | StoreError]:
    """Keep all in one transaction, in this order; a delivery that may not be kept gets its error instead."""
    claimed = iter(_claim_bindings(connection, keyring, [d for d in deliveries if d.write is None]))
    results = [next(claimed) if d.write is None else _claim_both(connection, keyring, d, d.write) for d in deliveries]
    envelopes = [d.envelope for d, result in zip(deliveries, results, strict=True) if isinstance(result, Kept)]
    if envelopes:
        insert_rows(connection, ENVELOPES, [_envelope_row(envelope) for envelope in envelopes])
        insert_rows(connection, WORK, [_work_row(item, _apparent(keyring, item)) for item in envelopes])
    return results


def _apparent(keyring: Keyring, envelope: Envelope) -> bytes:
    return keyring.mark("apparent", envelope.channel, envelope.apparent_sender)


def _work_row(envelope: Envelope, apparent: bytes | None) -> dict[str, Any]:
    return work_row(Stage.UNPACK, envelope.id, envelope.channel, envelope.received_at, apparent)


@dataclass(frozen=True, slots=True)
class Moved:
    """An envelope on its way from a journal, the row of its binding, and what its place in the queue says."""

    envelope: Envelope
    key: bytes | None = None
    digest: bytes | None = None
    #: Mark of whose it seems to be.
    apparent: bytes | None = None


def keep_moved(connection: Connection, moved: Sequence[Moved]) -> int:
    """Keep what was acknowledged elsewhere; what is here already, stays as it is. How many were new.

    A key that stands for another body here cannot be refused any more: such an envelope is kept and ends ``malformed``,
    for a person to see.
    """
    inserted = insert_or_ignore(connection, ENVELOPES).returning(ENVELOPES.c.id)
    rows = sorted((_envelope_row(item.envelope) for item in moved), key=lambda row: row["id"].bytes)
    new = set(connection.execute(inserted, rows).scalars())
    claims = {item.key: item for item in moved if item.key is not None}
    if claims:
        wanted = [
            {"key": key, "digest": claims[key].digest, "envelope_id": claims[key].envelope.id} for key in sorted(claims)
        ]
        insert_rows(connection, BINDINGS, wanted, ignore=True)
    bound = _claimed(connection, claims) if claims else {}
    ours = [item for item in moved if item.envelope.id in new]
    rebound = [item.envelope for item in ours if item.key is not None and bound[item.key]["digest"] != item.digest]
    for envelope in rebound:
        _end_rebound(connection, envelope)
    refused = {envelope.id for envelope in rebound}
    queued = [_work_row(item.envelope, item.apparent) for item in ours if item.envelope.id not in refused]
    if queued:
        insert_rows(connection, WORK, queued)
    return len(new)


def _end_rebound(connection: Connection, envelope: Envelope) -> None:
    ended = {"at": envelope.received_at, "messages": 0, "outcome": Outcome.MALFORMED, "reason": "rebound"}
    connection.execute(insert(UNPACKED), {"envelope_id": envelope.id} | ended)
    record(connection, envelope.id, Outcome.MALFORMED, "rebound", envelope.received_at)


def _claim_both(connection: Connection, keyring: Keyring, delivery: Delivery, write: StateWrite) -> Kept | StoreError:
    """Claim the binding and write the state, or neither."""
    with connection.begin_nested() as both:
        (result,) = _claim_bindings(connection, keyring, [delivery])
        if isinstance(result, Kept) and not write_state(connection, keyring, write):
            both.rollback()
            return StateChanged(f"{write.channel}: {write.key} was changed meanwhile")
    return result


def _envelope_row(envelope: Envelope) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "channel": envelope.channel,
        "kind": envelope.kind,
        "received_at": envelope.received_at,
        "flags": " ".join(envelope.flags),
        "body": envelope.body,
        "context": {"query": envelope.query, "context": dict(envelope.context)},
    }


def read_envelope(row: Row[Any]) -> Envelope:
    """The envelope in a row of the envelopes table."""
    return Envelope(
        id=row.id,
        channel=row.channel,
        kind=row.kind,
        received_at=row.received_at,
        body=row.body,
        query=row.context["query"],
        context=row.context["context"],
        flags=tuple(row.flags.split()),
    )


def get_envelope(connection: Connection, envelope_id: UUID) -> Envelope:
    """One envelope by its id."""
    return read_envelope(connection.execute(select(ENVELOPES).where(ENVELOPES.c.id == envelope_id)).one())


def _claim_bindings(
    connection: Connection, keyring: Keyring, deliveries: Sequence[Delivery]
) -> list[Kept | BindingReused]:
    """Claim each binding for the first that asks; the database decides who that is, row by row in the order of keys."""
    claims = [_claim(keyring, d.envelope) for d in deliveries]
    wanted = {claim["key"]: claim for claim in reversed(claims) if claim is not None}
    if not wanted:
        return [Kept(d.envelope.id) for d in deliveries]
    claimed = insert_rows(connection, BINDINGS, [wanted[mark] for mark in sorted(wanted)], ignore=True)
    found = wanted if claimed == len(wanted) else _claimed(connection, wanted)
    return [
        Kept(d.envelope.id) if claim is None else _decided(d, claim["digest"], found[claim["key"]])
        for claim, d in zip(claims, deliveries, strict=True)
    ]


def _claimed(connection: Connection, marks: Collection[bytes]) -> dict[bytes, RowMapping]:
    """The rows of these keys, whoever was first. asyncpg does not count several rows: PostgreSQL is always asked."""
    rows = connection.execute(select(BINDINGS).where(BINDINGS.c.key.in_(marks))).mappings()
    return {row["key"]: row for row in rows}


def _decided(delivery: Delivery, bound: bytes, found: Mapping[Any, Any]) -> Kept | BindingReused:
    if found["digest"] != bound:
        return BindingReused(f"{delivery.envelope.channel}: the key already stands for another body")
    return Kept(found["envelope_id"], again=found["envelope_id"] != delivery.envelope.id)


def _claim(keyring: Keyring, envelope: Envelope) -> dict[str, Any] | None:
    """The row that claims the envelope's binding.

    The digest is marked: a plain one of a short body would tell the body to whoever tries all of them.
    """
    if envelope.binding is None:
        return None
    key = keyring.mark("binding", envelope.channel, envelope.binding.key)
    return {"key": key, "digest": keyring.mark("bound", envelope.binding.digest), "envelope_id": envelope.id}


def probe(connection: Connection) -> None:
    """Write something, to know whether anything can be written."""
    here = and_(CHANNEL_STATE.c.channel == "", CHANNEL_STATE.c.key == "keys")
    connection.execute(update(CHANNEL_STATE).where(here).values(mark=CHANNEL_STATE.c.mark))


def get_state(connection: Connection, channel: str, key: str) -> str | None:
    """The value last committed."""
    found: str | None = connection.execute(
        select(CHANNEL_STATE.c.value).where(CHANNEL_STATE.c.channel == channel, CHANNEL_STATE.c.key == key)
    ).scalar()
    return found


def write_state(connection: Connection, keyring: Keyring, write: StateWrite) -> bool:
    """Compare and set in the database; False when another value stands there."""
    row = {
        "channel": write.channel,
        "key": write.key,
        "value": write.value,
        "mark": _state_mark(keyring, write, write.value),
    }
    if write.expected is None:
        return bool(connection.execute(insert_or_ignore(connection, CHANNEL_STATE), row).rowcount == 1)
    found = and_(
        CHANNEL_STATE.c.channel == write.channel,
        CHANNEL_STATE.c.key == write.key,
        CHANNEL_STATE.c.mark == _state_mark(keyring, write, write.expected),
    )
    return bool(connection.execute(update(CHANNEL_STATE).where(found).values(row)).rowcount == 1)


def _state_mark(keyring: Keyring, write: StateWrite, value: str) -> bytes:
    return keyring.mark("state", write.channel, write.key, value)
