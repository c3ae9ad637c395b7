"""What an operator decides about the rules' links: a message split off, two matters joined, a link taken back.

Each decision is itself a link, with his name and reason, and it stands when a message is read again. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select, update

from normalizer.ids import derived
from normalizer.model import HotlineMatter, KeptMessage, Level, Outcome, TieKind, Verdict
from store.decision import Decision, tell_decision
from store.documents import insert_matter, lock_matter, open_document
from store.events import owe_event
from store.incidents import incident_of
from store.links import APART, Linked, current, document_link, write_links
from store.members import add, begin_with, remove
from store.messages import get_message
from store.queue import record
from store.tables import MATTERS, MESSAGES
from store.values import Filing

FILED = "hotline.matter.filed.v1"
#: Links between two matters, by the field of the later one that holds it.
BETWEEN = {TieKind.SAME_MATTER: "same_matter_of", TieKind.FOLLOWS: "follows"}


class Refused(ValueError):
    """It cannot be done, and why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Halves:
    """A matter that was split: what stays, and the new one."""

    stays: HotlineMatter
    leaves: HotlineMatter


Divide = Callable[[HotlineMatter, Sequence[KeptMessage], Collection[UUID]], Halves]
"""From the matter as it stands, all its messages in order, and the ids of those that leave."""


def split(
    connection: Connection, matter_id: UUID, leaving: Collection[UUID], divide: Divide, decision: Decision
) -> UUID:
    """Give these messages a matter of their own, which is filed; its id. Raise Refused."""
    lock_matter(connection, matter_id)
    before = open_document(connection, matter_id)
    ids = [one.message_id for one in before.messages]
    if not leaving or not set(leaving) <= set(ids):
        raise Refused("name messages of this matter: gateway links show lists them")
    if ids[0] in leaving:
        raise Refused("the message that opened the matter stays with it: name the others")
    halves = _as_sealed(before, divide(before, [get_message(connection, one) for one in ids], leaving))
    new, moved = halves.leaves, [one for one in ids if one in leaving]
    writer = select(MESSAGES.c.caller_id).where(MESSAGES.c.id == moved[0])
    insert_matter(connection, new, connection.execute(writer).scalar_one(), decision.at)
    connection.execute(update(MESSAGES).where(MESSAGES.c.id.in_(moved)).values(matter_id=new.matter_id))
    opener = update(MESSAGES).where(MESSAGES.c.id == moved[0])
    connection.execute(opener.values(outcome=Outcome.FILED, reason=f"split off by {decision.by}"))
    for message in moved:
        record(connection, message, "split_off", decision.by, decision.at)  # why, sealed, stands in the link
    apart = [_link(TieKind.BELONGS, message, matter_id, APART, decision) for message in moved]
    there = [_link(TieKind.BELONGS, message, new.matter_id, Level.LINK, decision) for message in moved]
    write_links(connection, [*apart, *there], decision.at)
    verdict = Verdict(outcome=Outcome.FILED, reason=decision.said)
    owe_event(connection, derived(new.matter_id, "split"), Filing(verdict, new, FILED), decision.sinks, decision.at)
    tell_decision(connection, halves.stays, decision, "split")
    return new.matter_id


def _as_sealed(before: HotlineMatter, halves: Halves) -> Halves:
    """Whoever wanted to stay unnamed stays so in both, whichever of them his wish stands in."""
    if not before.confidential:
        return halves
    return Halves(*(one.model_copy(update={"confidential": True}) for one in (halves.stays, halves.leaves)))


def join(connection: Connection, later_id: UUID, earlier_id: UUID, decision: Decision) -> None:
    """Say that a matter is about the same as an earlier one; both stay. Raise Refused."""
    if later_id == earlier_id:
        raise Refused("a matter cannot be joined to itself: name two")
    lock_matter(connection, later_id)
    later, earlier = open_document(connection, later_id), open_document(connection, earlier_id)
    if earlier.received_at > later.received_at:
        raise Refused("name the later matter first, then the earlier one")
    link = _link(TieKind.SAME_MATTER, later_id, earlier_id, Level.LINK, decision)
    write_links(connection, [link], decision.at)
    tell_decision(
        connection,
        later.model_copy(update={"same_matter_of": document_link(link)}),
        decision,
        "joined",
    )


def unlink(connection: Connection, matter_id: UUID, other: UUID, decision: Decision) -> None:
    """Take back a link of a matter to another, or to its incident. Raise Refused where there is none."""
    if incident_of(connection, matter_id) == other:
        _bind(connection, matter_id, other, decision)
        remove(connection, matter_id, other, decision)
        return
    lock_matter(connection, matter_id)
    kinds = [kind for kind in (*BETWEEN, TieKind.ALIKE, TieKind.INCIDENT) if _holds(connection, kind, matter_id, other)]
    if not kinds:
        raise Refused("there is no such link: gateway links show lists them")
    write_links(connection, [_link(kind, matter_id, other, APART, decision) for kind in kinds], decision.at)
    _bind(connection, matter_id, other, decision)
    document = open_document(connection, matter_id)
    held = {name: getattr(document, name) for name in ("same_matter_of", "follows", "incident_id")}
    gone = {name: None for name, link in held.items() if link is not None and link.id == other}
    if gone:
        tell_decision(connection, document.model_copy(update=gone), decision, "unlinked")


def join_incident(connection: Connection, matter_id: UUID, other: UUID, decision: Decision) -> UUID:
    """Make a matter a member of an incident, or of the incident of another matter; which. Raise Refused, LookupError."""
    if matter_id == other:
        raise Refused("a matter alone is no incident: name two")
    if incident_of(connection, matter_id) is not None:
        raise Refused("it belongs to an incident already: take it out first, with gateway links unlink")
    is_matter = connection.execute(select(MATTERS.c.id).where(MATTERS.c.id == other)).scalar() is not None
    if is_matter:
        return begin_with(connection, matter_id, other, decision)
    add(connection, matter_id, other, decision)
    return other


def _holds(connection: Connection, kind: TieKind, subject: UUID, object_: UUID) -> bool:
    row = current(connection, kind, [subject]).get((subject, object_))
    return row is not None and row.level != APART


def _bind(connection: Connection, matter_id: UUID, other: UUID, decision: Decision) -> None:
    """The message that opened the matter is not linked there again when it is read anew."""
    opener = open_document(connection, matter_id).messages[0].message_id
    write_links(connection, [_link(TieKind.BELONGS, opener, other, APART, decision)], decision.at)


def _link(kind: TieKind, subject: UUID, object_: UUID, level: str, decision: Decision) -> Linked:
    return Linked(kind, subject, object_, level, decision.reason, decision.by)
