"""Matters whose citizen stays unnamed: since when, and what leaves of them.

What is kept is whole. What leaves goes through here in the moment in which it leaves, so that nothing that waits can leave
in the clear once its matter is sealed, however the event was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select, update

from normalizer.ids import derived
from normalizer.model import HotlineMatter, KeptMessage, TieKind
from normalizer.sealing import Seal, known_of, outward, unnamed
from store.errors import KeyFileError
from store.keys import Keyring
from store.sealed import keyring_of
from store.tables import CALLERS, EVENTS, MATTERS, MESSAGES

#: Whatever is due within this time after the sealing may be under way already when the sealing is committed.
LATE = timedelta(seconds=10)
#: Links between two matters of one citizen.
BETWEEN = ("same_matter_of", "follows")
OF_ONE = frozenset({TieKind.SAME_MATTER, TieKind.FOLLOWS})
#: The kind of channel whose client shows a matter to the citizen himself.
HIS_OWN = "app"
_PERSON = func.coalesce(CALLERS.c.person_id, CALLERS.c.id)

Payload = dict[str, Any]


def alias(keyring: Keyring, matter_id: UUID) -> UUID:
    """In place of the caller's id: of this one matter, the same for ever, and without the keys nobody finds it."""
    return derived(matter_id, "alias", keyring.mark("alias", matter_id.bytes).hex())


def note_seal(connection: Connection, matter: HotlineMatter, at: datetime) -> None:
    """Write down since when a matter is sealed, before its next event is written; its row is locked.

    Whether something has left before is judged on the safe side: also what may be under way in this moment counts.
    """
    if not matter.confidential:
        return
    row = select(MATTERS.c.id).where(MATTERS.c.id == matter.matter_id, MATTERS.c.sealed_at.is_(None))
    if connection.execute(row).scalar() is None:
        return
    under_way = and_(~EVENTS.c.waits, EVENTS.c.not_before <= at + LATE)
    gone = or_(EVENTS.c.state != "waiting", EVENTS.c.attempts > 0, under_way)
    left = connection.execute(select(exists().where(EVENTS.c.matter_id == matter.matter_id, gone))).scalar_one()
    sealed = update(MATTERS).where(MATTERS.c.id == matter.matter_id)
    connection.execute(sealed.values(sealed_at=at, disclosed=bool(left)))


def sealed_among(connection: Connection, matters: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Those of the matters that are sealed, each with since when and whether something had left before."""
    columns = (MATTERS.c.id, MATTERS.c.sealed_at, MATTERS.c.disclosed)
    wanted: Select[Any] = select(*columns).where(MATTERS.c.id.in_(sorted(matters)), MATTERS.c.sealed_at.is_not(None))
    return {row.id: row for row in connection.execute(wanted)} if matters else {}


def outward_payloads(connection: Connection, payloads: Mapping[UUID, Payload]) -> dict[UUID, Payload]:
    """What events tell, as it may leave; that of a sealed matter which the keys cannot open is left out."""
    told = payloads.values()
    ends = {UUID(one[name]["id"]) for one in told for name in BETWEEN if one.get(name)}
    sealed = sealed_among(connection, {UUID(one["matter_id"]) for one in told} | ends)
    spoken = _spoken_sealed(connection, told)
    found: dict[UUID, Payload] = {}
    for event_id, payload in payloads.items():
        row = sealed.get(UUID(payload["matter_id"]))
        if row is None and not payload["confidential"]:
            found[event_id] = _parted(payload, sealed.keys(), spoken)
        elif (shut := _shut(connection, payload, row)) is not None:
            found[event_id] = shut
    return found


def outward_matter(connection: Connection, matter: HotlineMatter) -> HotlineMatter:
    """A matter as others than its citizen may have it."""
    row = sealed_among(connection, [matter.matter_id]).get(matter.matter_id)
    return outward(matter, _seal(connection, matter, row)) if row is not None or matter.confidential else matter


def for_client(connection: Connection, matter: HotlineMatter, channel: str, account: str) -> HotlineMatter:
    """A matter for a client through which a message of it came: whole only for the app in which its citizen wrote it all."""
    if not matter.confidential:
        return matter
    elsewhere = or_(MESSAGES.c.channel != channel, MESSAGES.c.account != account)
    others = select(MESSAGES.c.id).where(MESSAGES.c.matter_id == matter.matter_id, elsewhere).limit(1)
    his_own = matter.channel.kind == HIS_OWN and connection.execute(others).scalar() is None
    return matter if his_own else outward_matter(connection, matter)


def outward_message(
    connection: Connection, kept: KeptMessage, matter_id: UUID | None, caller_id: UUID
) -> tuple[KeptMessage, UUID]:
    """A message as others than its citizen may have it: its words, and the caller or the matter's alias."""
    if matter_id is None or not sealed_among(connection, [matter_id]):
        return kept, caller_id
    document = connection.execute(select(MATTERS.c.document).where(MATTERS.c.id == matter_id)).scalar_one()
    known = known_of(HotlineMatter.model_validate(document))
    said = kept.message
    title = said.title and unnamed(said.title, known)
    words = said.model_copy(update={"text": unnamed(said.text, known), "title": title, "quoted": ""})
    return replace(kept, message=words), alias(keyring_of(connection), matter_id)


def without_sealed(connection: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Without the links by which a sealed matter could be put together with another one of the same citizen."""
    of_one = [row for row in rows if row.kind in OF_ONE]
    sealed = sealed_among(connection, {row.subject for row in of_one} | {row.object for row in of_one}).keys()
    return [row for row in rows if row.kind not in OF_ONE or not sealed & {row.subject, row.object}]


def _shut(connection: Connection, payload: Payload, row: Row[Any] | None) -> Payload | None:
    """Also by what is known of the citizen only since; None where that cannot be opened."""
    matter = HotlineMatter.model_validate(payload)
    document = select(MATTERS.c.document).where(MATTERS.c.id == matter.matter_id)
    try:
        present = HotlineMatter.model_validate(connection.execute(document).scalar_one())
    except KeyFileError:
        return None
    return outward(matter, _seal(connection, matter, row, known_of(present))).model_dump(mode="json")


def _seal(connection: Connection, matter: HotlineMatter, row: Row[Any] | None, known: tuple[str, ...] = ()) -> Seal:
    """A matter of a store that is older than seals has no row that says since when: since its beginning."""
    since, disclosed = (row.sealed_at, row.disclosed) if row else (matter.received_at, matter.revision > 1)
    return Seal(alias(keyring_of(connection), matter.matter_id), since, disclosed, known)


def _parted(payload: Payload, sealed: Collection[UUID], spoken: Collection[tuple[UUID, datetime]]) -> Payload:
    """Without what would tell that a sealed matter is the same citizen's: a link to it, the time at which he wrote it."""
    gone = {name: None for name in BETWEEN if payload.get(name) and UUID(payload[name]["id"]) in sealed}
    return payload | gone | ({"last_contact_at": None} if _last(payload) in spoken else {})


def _last(payload: Payload) -> tuple[UUID, datetime] | None:
    last = payload.get("last_contact_at")
    return (UUID(payload["caller_id"]), datetime.fromisoformat(last)) if last else None


def _spoken_sealed(connection: Connection, told: Iterable[Payload]) -> set[tuple[UUID, datetime]]:
    """Of the last contacts that events tell of, by person and time, those that belong to a sealed matter."""
    asked = [last for last in map(_last, told) if last is not None]
    people, times = {person for person, _ in asked}, {at for _, at in asked}
    said = (
        select(_PERSON, MESSAGES.c.received_at)
        .join_from(MESSAGES, CALLERS, CALLERS.c.id == MESSAGES.c.caller_id)
        .join(MATTERS, MATTERS.c.id == MESSAGES.c.matter_id)
        .where(or_(CALLERS.c.id.in_(people), CALLERS.c.person_id.in_(people)))
        .where(MESSAGES.c.received_at.in_(times), MATTERS.c.sealed_at.is_not(None))
    )
    return {(row[0], row[1]) for row in connection.execute(said)} if asked else set()
