"""Space kept back on a disk, so that what is under way can be finished when somebody else has filled it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

#: Between two looks at the disk, seconds.
LOOK_SECONDS = 1.0
#: Of the whole disk at most.
SHARE = 0.05


class Reserve:
    """A file of ``size`` bytes. It is given up when the disk is full, and made again when there is room for it twice.

    ``low`` says that nothing new may be taken: what is left is for the work on what is ours already.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._path, self._size = folder / ".reserve", size
        self.low = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look now, then in the background."""
        if self._size:
            await asyncio.to_thread(self.look)
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Look no more; the file stays for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Compare what is free with what should be."""
        try:
            disk = os.statvfs(self._path.parent)
            size = min(self._size, int(disk.f_blocks * disk.f_frsize * SHARE))
            free = disk.f_bavail * disk.f_frsize
            held = self._held() >= size
            if free < size if held else free < 2 * size:
                self._fall_short()
            else:
                self._recover(size, held=held)
        except OSError as error:  # no disk to look at is a full one
            log.error("disk_unreadable", error=error.strerror)
            self.low = True

    def _held(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return -1

    def _fall_short(self) -> None:
        if not self.low:
            log.error("disk_full", advice="free some space; nothing new is accepted until then")
        self.low = True
        self._path.unlink(missing_ok=True)

    def _recover(self, size: int, *, held: bool) -> None:
        if not held:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
        if self.low:
            log.warning("disk_has_space")
        self.low = False
