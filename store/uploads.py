"""Files that API clients uploaded, to be named in their messages: a client sees its own only.

What no message has named for a week is forgotten. A file is content: as long as anything else refers to it, it stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, delete, func, insert, or_, select

from store.bulk import insert_or_ignore
from store.media import Held
from store.tables import ENVELOPES, FILES, MEDIA, MESSAGES, UNPACKED, UPLOADS, WORK
from store.transactions import Database
from store.values import Stage

#: How long an upload waits for the message that names it: longer than a file is fetched again and again.
PATIENCE = timedelta(days=7)
#: Files forgotten at a time.
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload; its content lies in ``store.files`` already."""

    id: str
    channel: str
    client: str
    held: Held


class Uploads:
    """What clients uploaded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, upload: Upload, at: datetime) -> None:
        """Remember it. Raise StoreUnavailable."""
        await self._database.write(lambda connection: _add(connection, upload, at))

    async def find(self, channel: str, client: str, upload_id: str) -> Held | None:
        """The client's own upload of that id. Raise StoreUnavailable."""
        return await self._database.read(lambda connection: _find(connection, channel, client, upload_id))

    async def unnamed(self, before: datetime) -> list[str]:
        """SHA-256 of files that were uploaded before, and that nothing needs. Raise StoreUnavailable."""
        return await self._database.read(lambda connection: _unnamed(connection, before)[:AT_ONCE])

    async def forget(self, sha256: str, before: datetime) -> None:
        """The uploads of a file that is gone, unless somebody has come to need it. Raise StoreUnavailable."""
        await self._database.write(lambda connection: _forget(connection, sha256, before))


def _add(connection: Connection, upload: Upload, at: datetime) -> None:
    held = upload.held
    file = {"sha256": held.sha256, "size": held.size, "media_type": held.media_type, "stored_at": at}
    connection.execute(insert_or_ignore(connection, FILES), file)
    row = {"id": upload.id, "channel": upload.channel, "client": upload.client, "sha256": held.sha256}
    connection.execute(insert(UPLOADS), row | {"stored_at": at, "file_name": held.file_name})


def _find(connection: Connection, channel: str, client: str, upload_id: str) -> Held | None:
    own = (UPLOADS.c.id == upload_id, UPLOADS.c.channel == channel, UPLOADS.c.client == client)
    file = select(UPLOADS.c.file_name, FILES.c.sha256, FILES.c.size, FILES.c.media_type).join(FILES)
    row = connection.execute(file.where(*own)).one_or_none()
    return Held(row.sha256, row.size, row.media_type, row.file_name) if row else None


def _unnamed(connection: Connection, before: datetime) -> list[str]:
    rows = connection.execute(_stale(before)).all()
    waiting = {channel: _unsettled_since(connection, channel) for channel in {row.channel for row in rows}}
    wanted = {row.sha256 for row in rows if (last := waiting[row.channel]) is not None and row.stored_at <= last}
    return sorted({row.sha256 for row in rows} - wanted)


def _stale(before: datetime) -> Select[tuple[str, str, datetime]]:
    """By channel, what was uploaded before, not since, and is in no message that was read."""
    named = select(MEDIA.c.sha256).where(MEDIA.c.sha256.is_not(None))
    since = select(UPLOADS.c.sha256).where(UPLOADS.c.stored_at >= before)
    old = (UPLOADS.c.stored_at < before, UPLOADS.c.sha256.not_in(named), UPLOADS.c.sha256.not_in(since))
    first = func.min(UPLOADS.c.stored_at).label("stored_at")
    return select(UPLOADS.c.channel, UPLOADS.c.sha256, first).where(*old).group_by(UPLOADS.c.channel, UPLOADS.c.sha256)


def _unsettled_since(connection: Connection, channel: str) -> datetime | None:
    """When the last of the channel came that may name an upload and cannot be seen to: unread, failed, still fetched."""
    unread = select(func.max(ENVELOPES.c.received_at)).join(WORK, WORK.c.subject == ENVELOPES.c.id)
    failed = select(func.max(ENVELOPES.c.received_at)).join(UNPACKED, UNPACKED.c.envelope_id == ENVELOPES.c.id)
    open_ = select(func.max(MESSAGES.c.received_at)).where(MESSAGES.c.channel == channel)
    fetched = select(func.max(MEDIA.c.created_at)).where(MEDIA.c.channel == channel, MEDIA.c.state == "queued")
    found = [
        connection.execute(asked).scalar()
        for asked in (
            unread.where(WORK.c.stage == Stage.UNPACK, ENVELOPES.c.channel == channel),
            failed.where(UNPACKED.c.outcome.in_(("failed", "malformed")), ENVELOPES.c.channel == channel),
            open_.where(or_(MESSAGES.c.outcome.is_(None), MESSAGES.c.outcome == "failed")),
            fetched,
        )
    ]
    return max((at for at in found if at is not None), default=None)


def _forget(connection: Connection, sha256: str, before: datetime) -> None:
    if sha256 not in _unnamed(connection, before):
        return
    connection.execute(delete(UPLOADS).where(UPLOADS.c.sha256 == sha256))
    connection.execute(delete(FILES).where(FILES.c.sha256 == sha256))
