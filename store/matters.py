"""Filing: a message becomes (part of) a matter, with its outcome and the event to the core, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, update

from normalizer.model import (
    Act,
    Contact,
    ContactType,
    HotlineMatter,
    KeptMessage,
    Outcome,
    Past,
    Verdict,
)
from normalizer.reply import ReplyKind, stepped_at
from store.alike import recall_alike
from store.codes import given_back, send_code
from store.conduct import judged, words_mark, write_conduct
from store.documents import amend_matter, insert_matter, lock_matter, replace_document
from store.doors import recipient, reopen, shut
from store.events import extend_event, owe_event
from store.fingerprints import COMPARED, write_fingerprint
from store.identities import queue_identity
from store.incidents import join_incident
from store.keys import Keyring
from store.links import linked, write_links
from store.media import queue_media
from store.past import Reading, document_of, own_matter, recall
from store.persons import Person
from store.proofs import Clerk, lock_sender
from store.queue import finish_work, record
from store.replies import queue_reply
from store.sealing import for_client
from store.tables import FINGERPRINTS, MATTERS, MESSAGES
from store.values import Decide, Filing, Work
from store.windows import first_since

#: How long an address is not answered by itself again (RFC 3834 section 2 asks for days).
ANSWERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Desk:
    """Who files: with these keys, as this node, for these sinks."""

    keyring: Keyring
    node_id: UUID
    sinks: tuple[str, ...]
    #: How long a reply is left to the acknowledgement that it may ride on, seconds.
    ride_seconds: float = 0.0
    #: Whether the channel can be asked whose its contacts are.
    identifies: bool = False


#: Written for every message, so made once.
_SETTLES = update(MESSAGES).where(MESSAGES.c.id == bindparam("message"))


def file_matter(
    connection: Connection, desk: Desk, work: Work, reading: Reading, decide: Decide, at: datetime
) -> Filing:
    """Decide and write, while the caller's row is locked: no two nodes can both look, find nothing, and file."""
    finish_work(connection, desk.node_id, work)
    kept = reading.kept
    given = given_back(connection, desk.keyring, kept)
    shown = (given.proof,) if given and given.proof else ()
    person = lock_sender(connection, Clerk(desk.keyring, desk.sinks, at), kept.message, shown)
    past = recalled(connection, desk.keyring, reading, person)
    past = replace(past, confirmed=given.proof is not None) if given else past
    filing = decide(person.id, past, lambda matter_id: own_matter(connection, matter_id, person, past))
    filing = judged(connection, desk.keyring, work, reading, person, past, filing, at)
    settled = {
        "message": kept.id,
        "caller_id": person.caller_id,
        "matter_id": filing.verdict.matter_id or (filing.matter and filing.matter.matter_id),
        "outcome": filing.verdict.outcome,
        "reason": filing.verdict.reason,
        "settled_at": at,
        "words_mark": words_mark(desk.keyring, kept.message),
    }
    connection.execute(_SETTLES, settled)
    if filing.event_type is not None:
        _write_matter(connection, desk, kept, filing, person, at)
    queue_media(connection, kept.channel, kept.id, filing.media, at)
    expected = given or (filing.asking and send_code(connection, desk.keyring, kept.message, filing.asking, at))
    for draft in filing.replies:
        if (
            expected
            or draft.kind is ReplyKind.WARNING
            or _may_be_answered(connection, desk.keyring, kept.message.sender, at)
        ):
            queue_reply(connection, desk.keyring, draft, at, desk.ride_seconds)
        else:
            record(connection, draft.id, "reply_withheld", "one_a_day", at)
    if desk.identifies:
        queue_identity(connection, desk.keyring, kept.channel, kept.message, person, at)
    if kept.message.sender.type is ContactType.PHONE:
        _mind_the_door(connection, desk.keyring, kept, filing.verdict)
    record(connection, kept.id, filing.verdict.outcome, filing.verdict.reason, at)
    write_conduct(connection, desk.keyring, work, reading, filing, person.caller_id, at)
    if reading.sight is not None and filing.verdict.outcome in COMPARED:
        write_fingerprint(connection, kept.id, person.caller_id, kept.received_at, reading.sight.fingerprint)
    return filing


def recalled(connection: Connection, keyring: Keyring, reading: Reading, person: Person) -> Past:
    """The person's past, and what may be about the same."""
    past = recall(connection, keyring, reading, person)
    if reading.sight is None:
        return past
    kept = reading.kept
    his = FINGERPRINTS.c.caller_id.in_(person.callers)
    alike, placed = recall_alike(connection, reading.sight, kept.id, his, kept.received_at)
    return replace(past, alike=alike, placed=placed)


def _may_be_answered(connection: Connection, keyring: Keyring, sender: Contact, at: datetime) -> bool:
    """By mail each address is answered by itself once in a day: two machines that answer each other fall silent."""
    if sender.type is not ContactType.MAIL:
        return True
    whose = keyring.mark("answered", sender.type, sender.value.lower())
    return first_since(connection, whose, "answered", at, at + ANSWERED)


def _mind_the_door(connection: Connection, keyring: Keyring, kept: KeptMessage, verdict: Verdict) -> None:
    """退订 by SMS is a message like any other: what he says last decides."""
    whose = recipient(keyring, kept.channel, kept.message.account, kept.message.sender)
    since = stepped_at(kept.message.sent_at, kept.received_at)
    if verdict.act is Act.OPTS_OUT:
        shut(connection, whose, "opted_out", since)
    else:
        reopen(connection, whose, since)


def _write_matter(
    connection: Connection, desk: Desk, kept: KeptMessage, filing: Filing, person: Person, at: datetime
) -> None:
    """The document, and the event that tells of it; a further piece goes into the event that waits for it."""
    matter, verdict = filing.matter, filing.verdict
    if matter is None:
        raise ValueError("an event without a matter")
    if verdict.outcome is Outcome.FILED:
        insert_matter(connection, matter, person.caller_id, at)
        write_links(connection, [linked(matter.matter_id, tie) for tie in verdict.ties], at)
        if filing.joining is not None:
            matter = join_incident(connection, matter, filing.joining, desk.sinks, at)
        owe_event(connection, kept.id, replace(filing, matter=matter), desk.sinks, at)
        return
    write_links(connection, [linked(kept.id, tie) for tie in verdict.ties], at)
    lock_matter(connection, matter.matter_id)
    if verdict.settling and extend_event(connection, filing, at):
        replace_document(connection, matter.model_copy(update={"revision": matter.revision - 1}))
        return
    amend_matter(connection, matter)
    owe_event(connection, kept.id, filing, desk.sinks, at)
    _write_step(connection, matter.matter_id, verdict, at)


def _write_step(connection: Connection, matter_id: UUID, verdict: Verdict, at: datetime) -> None:
    """What the citizen's act changes in the state of his matter."""
    steps: dict[Act, dict[str, Any]] = {
        Act.EVALUATES: {"evaluated_at": at},
        Act.WITHDRAWS: {"withdrawn_at": at},
        Act.OBJECTS: {"answered_at": None, "closed_at": None},
    }
    step = steps.get(verdict.act, {})
    if verdict.answers is not None:
        step = step | {"asked": None, "asked_at": None, "asks": None}
    if step:
        connection.execute(update(MATTERS).where(MATTERS.c.id == matter_id).values(**step))


def get_matter(
    connection: Connection, matter_id: UUID, channel: str | None = None, account: str | None = None
) -> HotlineMatter | None:
    """A matter; with ``channel`` and ``account`` only if a message of it came through that client, and as it may have it."""
    query = select(MATTERS).where(MATTERS.c.id == matter_id)
    if channel is not None:
        through = (MESSAGES.c.matter_id == matter_id, MESSAGES.c.channel == channel, MESSAGES.c.account == account)
        query = query.where(select(MESSAGES.c.id).where(*through).exists())
    row = connection.execute(query).one_or_none()
    if row is None or channel is None or account is None:
        return document_of(row) if row else None
    return for_client(connection, document_of(row), channel, account)


def all_matters(connection: Connection) -> list[HotlineMatter]:
    """Every matter, in order of filing; for tests and small stores."""
    return [document_of(row) for row in connection.execute(select(MATTERS).order_by(MATTERS.c.filed_at, MATTERS.c.id))]
