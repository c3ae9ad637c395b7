"""Files that API clients uploaded, to be named in their messages: a client sees its own only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from store.bulk import insert_or_ignore
from store.media import Held
from store.tables import FILES, UPLOADS
from store.transactions import Database


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
