"""Files that came in the envelope itself: an attachment of a mail lies in the kept mail, and is taken out in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from channels.base import AnyChannel, File
from channels.errors import Missing
from gateway.offload import Offload
from store.media import DueFile
from store.mediabox import MediaBox


class Carried:
    """One channel's. All files of an envelope are taken out at once; those of the last one stay at hand for a while."""

    def __init__(self, channel: AnyChannel, box: MediaBox, offload: Offload) -> None:
        self._channel, self._box, self._offload = channel, box, offload
        self._message: UUID | None = None
        self._files: asyncio.Task[Mapping[str, File]] | None = None

    async def find(self, file: DueFile) -> File:
        """The file. Raise Missing when it cannot be read, OwnFault when we fail."""
        if self._files is None or self._message != file.message_id or _failed(self._files):
            self._message, self._files = file.message_id, asyncio.create_task(self._take_out(file))
        found = (await asyncio.shield(self._files)).get(file.reference)
        if found is None:
            raise Missing("unreadable")
        return found

    def forget(self) -> None:
        """Free the memory."""
        self._message = self._files = None

    async def _take_out(self, file: DueFile) -> Mapping[str, File]:
        return await self._offload.carried(self._channel, await self._box.envelope(file))


def _failed(task: asyncio.Task[Mapping[str, File]]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
