"""Pictures, recordings and files that are still to be fetched, and what became of them; the words went before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, and_, func, or_, select, text, update

from normalizer.ids import derived
from normalizer.model import Attachment, Envelope, HotlineMatter, Outcome, Verdict
from store.bulk import insert_or_ignore
from store.envelopes import get_envelope
from store.errors import Superseded
from store.events import AMENDED, extend_event, owe_event
from store.nodes import leads
from store.past import document_of
from store.queue import record
from store.tables import FILES, MATTERS, MEDIA, MESSAGES
from store.values import Filing

QUEUED = text("state = 'queued'")


@dataclass(frozen=True, slots=True)
class DueFile:
    """A file to be fetched now."""

    id: UUID
    message_id: UUID
    #: The attachment's id within its message.
    attachment_id: str
    #: Where the provider has it.
    reference: str
    created_at: datetime
    #: Tries that failed.
    attempts: int
    #: Of the content, hex: we hold it, and it is to be scanned once more.
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A file that we hold now."""

    sha256: str
    #: Bytes.
    size: int
    #: By its content.
    media_type: str
    #: As the provider names it.
    file_name: str | None = None
    scan: Literal["clean", "infected", "unscanned"] = "unscanned"
    #: Why it is unscanned, or what was found.
    scan_reason: str | None = None
    #: When it shall be scanned once more; None: that was the last word.
    again_at: datetime | None = None


def lead_name(channel: str) -> str:
    """The name of the lead over what a channel fetches."""
    return f"media:{channel}"


def queue_media(
    connection: Connection, channel: str, message_id: UUID, attachments: Iterable[Attachment], at: datetime
) -> None:
    """Queue what is to be fetched of a message; once, whoever asks again."""
    rows = [
        {
            "id": derived(message_id, "media", attachment.id),
            "channel": channel,
            "message_id": message_id,
            "content": {"attachment": attachment.id, "reference": attachment.reference},
            "state": "queued",
            "created_at": at,
            "attempts": 0,
            "not_before": at,
            "put_off_at": at,
        }
        for attachment in attachments
    ]
    if rows:
        connection.execute(insert_or_ignore(connection, MEDIA), rows)


def due(connection: Connection, channel: str, now: datetime, limit: int) -> list[DueFile]:
    """What to fetch, the oldest first; a clock that was put back holds up nothing."""
    time = or_(MEDIA.c.not_before <= now, MEDIA.c.put_off_at > now)
    rows = select(MEDIA).where(MEDIA.c.channel == channel, QUEUED, time).order_by(MEDIA.c.not_before, MEDIA.c.id)
    return [
        DueFile(
            *(row.id, row.message_id, row.content["attachment"], row.content["reference"]),
            *(row.created_at, row.attempts, row.sha256),
        )
        for row in connection.execute(rows.limit(limit))
    ]


@dataclass(frozen=True, slots=True)
class Fetcher:
    """A node on behalf of a channel: it may write while it leads. ``sinks`` take the events."""

    channel: str
    node_id: UUID
    sinks: tuple[str, ...]

    def check(self, connection: Connection) -> None:
        """Raise Superseded when another node leads, or may."""
        if not leads(connection, self.node_id, lead_name(self.channel)):
            raise Superseded(f"media of {self.channel}")


def put_off(
    connection: Connection, fetcher: Fetcher, file: DueFile, reason: str, at: datetime, until: datetime
) -> None:
    """It may be fetched later."""
    fetcher.check(connection)
    again = {"attempts": file.attempts + 1, "reason": reason, "not_before": until, "put_off_at": at}
    connection.execute(update(MEDIA).where(MEDIA.c.id == file.id, QUEUED).values(**again))


def fetched(connection: Connection, fetcher: Fetcher, file: DueFile, held: Held, at: datetime) -> None:
    """We hold it: the matter says so."""
    kept = {"sha256": held.sha256, "size": held.size, "media_type": held.media_type, "stored_at": at}
    connection.execute(insert_or_ignore(connection, FILES), kept)
    shown = {"availability": "held", "sha256": held.sha256, "size": held.size, "media_type": held.media_type}
    verdict = {"scan": held.scan, "scan_reason": held.scan_reason}
    named = {"file_name": held.file_name} if held.file_name else {}
    ended: dict[str, Any] = {"state": "fetched", "sha256": held.sha256, "reason": held.scan_reason}
    if held.again_at is not None:
        later = {"attempts": file.attempts + 1, "not_before": held.again_at, "put_off_at": at}
        ended |= later | {"state": "queued"}
    _end(connection, fetcher, file, ended, shown | verdict | named, at)


def envelope_of(connection: Connection, file: DueFile) -> Envelope:
    """What the file's message came in."""
    asked = select(MESSAGES.c.envelope_id).where(MESSAGES.c.id == file.message_id)
    return get_envelope(connection, connection.execute(asked).scalar_one())


def missing(connection: Connection, fetcher: Fetcher, file: DueFile, reason: str, at: datetime) -> None:
    """It cannot be had: the matter shows that there was something."""
    _end(connection, fetcher, file, {"state": "missing", "reason": reason}, {"availability": "missing"}, at)


def _end(
    connection: Connection,
    fetcher: Fetcher,
    file: DueFile,
    values: dict[str, Any],
    shown: dict[str, Any],
    at: datetime,
) -> None:
    fetcher.check(connection)
    settled = at if values["state"] != "queued" else None
    ended = update(MEDIA).where(MEDIA.c.id == file.id, QUEUED).values(**values, settled_at=settled)
    if connection.execute(ended).rowcount != 1:
        raise Superseded(f"file {file.id}")
    if settled is not None:
        record(connection, file.id, str(values["state"]), values.get("reason"), at)
    matter_id = connection.execute(select(MESSAGES.c.matter_id).where(MESSAGES.c.id == file.message_id)).scalar()
    if matter_id is None:
        return
    row = connection.execute(select(MATTERS).where(MATTERS.c.id == matter_id).with_for_update()).one()
    matter = document_of(row)
    place = _place(matter, file)
    if place is None:
        return
    changed = _shown(matter.attachments[place], shown)
    if changed == matter.attachments[place]:
        return
    attachments = (*matter.attachments[:place], changed, *matter.attachments[place + 1 :])
    _tell(connection, fetcher, file, matter.model_copy(update={"attachments": attachments}), at)


def _place(matter: HotlineMatter, file: DueFile) -> int | None:
    """Where the attachment stands in the matter: they are in the order of their messages; numbers are renumbered."""
    of_message = [index for index, one in enumerate(matter.attachments) if one.message_id == file.message_id]
    if not file.attachment_id.isdigit():
        return next((index for index in of_message if matter.attachments[index].id == file.attachment_id), None)
    number = int(file.attachment_id)
    return of_message[number] if number < len(of_message) else None


def _shown(attachment: Attachment, shown: dict[str, Any]) -> Attachment:
    name = attachment.file_name or shown.get("file_name")
    return attachment.model_copy(update=shown | {"file_name": name})


def _tell(connection: Connection, fetcher: Fetcher, file: DueFile, matter: HotlineMatter, at: datetime) -> None:
    """In the event that still waits for pieces, else in one of its own."""
    next_one = matter.model_copy(update={"revision": matter.revision + 1})
    verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=matter.matter_id, settling=True, reason="a file was fetched")
    filing = Filing(verdict, next_one, AMENDED, settles_at=at)
    extended = extend_event(connection, filing, at)
    new = matter if extended else next_one
    changed = update(MATTERS).where(MATTERS.c.id == matter.matter_id)
    connection.execute(changed.values(revision=new.revision, document=new.model_dump(mode="json")))
    if not extended:
        # What was held unscanned has been told of once already.
        subject = file.id if file.sha256 is None else derived(file.id, "scanned")
        owe_event(connection, subject, filing, fetcher.sinks, at)


def under_way(connection: Connection, soon: datetime) -> int:
    """Files that nobody has tried to fetch yet, or that are tried again before ``soon``; on all channels."""
    fresh = and_(QUEUED, or_(MEDIA.c.attempts == 0, MEDIA.c.not_before <= soon))
    return connection.execute(select(func.count()).select_from(MEDIA).where(fresh)).scalar_one()
