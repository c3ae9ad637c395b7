"""Whether a file that citizens sent is harmless, as far as can be told; the words never wait for it.

What ClamAV could not look into - bombs, what is encrypted, what it does not know - it calls clean. So our own look into
archives (normalizer/archive.py) decides whether its "nothing found" counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from gateway.clamd import Clamd, ScannerAway, TooLarge
from gateway.config import ScanSettings
from gateway.offload import Offload, OwnFault
from normalizer.archive import is_archive

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known about one file."""

    scan: Literal["clean", "infected", "unscanned"]
    #: Why it is unscanned, or what was found.
    reason: str | None = None
    #: Whether another try may tell more.
    again: bool = False


class Scanner:
    """Looks at files."""

    def __init__(self, settings: ScanSettings | None, offload: Offload) -> None:
        self._clamd = Clamd(settings.clamd, settings.seconds) if settings else None
        self._offload = offload

    async def look(self, content: bytes) -> Look:
        """Never raises: what cannot be told is unscanned."""
        unseen = await self._unseen(content)
        if self._clamd is None:
            return Look("unscanned", unseen or "not_configured")
        try:
            found = await self._clamd.scan(content)
        except ScannerAway as error:
            log.warning("scanner_away", reason=str(error))
            return Look("unscanned", "scanner_away", again=True)
        except TooLarge:
            return Look("unscanned", "too_large")
        if found is not None:
            return Look("infected", found)
        return Look("unscanned", unseen) if unseen else Look("clean")

    async def _unseen(self, content: bytes) -> str | None:
        if not is_archive(content):
            return None
        try:
            return await self._offload.unseen(content)
        except OwnFault:
            return "archive_unreadable"
