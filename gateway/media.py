"""Fetching what citizens sent beside words: after the words are safe, without ever holding them up.

One node at a time fetches for a channel. What cannot be had stays visible in the matter as missing, what could not be
scanned as unscanned, and is scanned again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import filetype
import structlog

from channels.base import AnyChannel, File, State
from channels.errors import Missing, Unavailable
from gateway.carried import Carried
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.offload import Offload
from gateway.rounds import LedRounds
from gateway.scan import Scanner
from normalizer.file_name import shown_name
from store.media import DueFile, Held
from store.mediabox import MediaBox

log = structlog.get_logger(__name__)

#: Files fetched at once for a channel: each may hold 25 MB.
AT_ONCE = 2
#: How often the queue is looked at when nobody rings, seconds.
IDLE_SECONDS = 2.0
#: First and longest wait between tries, seconds.
FIRST_SECONDS, LONGEST_SECONDS = 2.0, 3600.0
#: WeChat's temporary media live three days (vendor page: Get_temporary_materials); nobody keeps them longer for us.
GIVE_UP = timedelta(days=3)
#: How long one file may take, seconds.
FETCH_SECONDS = 120.0
OCTETS = "application/octet-stream"


class Keeper(Protocol):
    """Keeps a file by its content."""

    async def put(self, content: bytes) -> str:
        """The SHA-256, hex."""

    async def get(self, sha256: str) -> bytes | None:
        """The content, if it is held."""


class Media(LedRounds[DueFile]):
    """Fetches one channel's files until cancelled; ring it when one was queued."""

    stage, names, at_once = "media", "file_id", AT_ONCE

    def __init__(
        self,
        channel: AnyChannel,
        box: MediaBox,
        files: Keeper,
        state: State,
        *,
        offload: Offload,
        scanner: Scanner,
        clock: Clock,
        metrics: Metrics,
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        super().__init__(IDLE_SECONDS, channel.name, box)
        self._channel, self._box, self._files, self._state = channel, box, files, state
        self._carried = Carried(channel, box, offload) if channel.carries else None
        self._scanner, self._clock, self._metrics, self._first = scanner, clock, metrics, first_seconds

    async def _due(self, most: int) -> Sequence[DueFile]:
        if self._carried is not None and not self._under_way:
            self._carried.forget()
        return await self._box.due(self._clock(), most)

    async def _do(self, file: DueFile) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                found = await self._found(file)
            held = await self._held(file, found)
        except Missing as error:
            await self._give_up(file, error.reason)
        except Exception as error:  # noqa: BLE001 - a fault of theirs or ours: it is tried again, and then shown as missing
            await self._again(file, error.reason if isinstance(error, Unavailable) else type(error).__name__)
        else:
            await self._box.fetched(file, held, self._clock())
            if held.again_at is None:
                self._metrics.files.labels(self._channel.name, held.scan).inc()

    async def _found(self, file: DueFile) -> File:
        if file.sha256 is not None:
            content = await self._files.get(file.sha256)
            if content is None:
                raise Missing("gone")
            return File(content)
        if self._carried is not None:
            return await self._carried.find(file)
        return await self._channel.download(file.reference, self._state)

    async def _held(self, file: DueFile, found: File) -> Held:
        """Kept before it is scanned: however long that takes, it is ours."""
        sha256 = await self._files.put(found.content)
        look = await self._scanner.look(found.content)
        if look.scan == "infected":
            log.warning("file_infected", channel=self._channel.name, file_id=str(file.id), found=look.reason)
        return Held(
            sha256,
            len(found.content),
            media_type_of(found.content),
            shown_name(found.name),
            look.scan,
            look.reason,
            self._next_try(file, self._clock()) if look.again else None,
        )

    async def _again(self, file: DueFile, reason: str) -> None:
        at = self._clock()
        until = self._next_try(file, at)
        if until is None:
            await self._give_up(file, reason)
            return
        log.warning("fetch_again", channel=self._channel.name, file_id=str(file.id), reason=reason)
        await self._box.put_off(file, reason, at, until)

    def _next_try(self, file: DueFile, at: datetime) -> datetime | None:
        """None: it has been tried long enough."""
        wait = timedelta(seconds=min(LONGEST_SECONDS, self._first * 2 ** min(file.attempts, 20)))
        return None if at + wait - file.created_at > GIVE_UP else at + wait

    async def _give_up(self, file: DueFile, reason: str) -> None:
        log.error("file_missing", channel=self._channel.name, file_id=str(file.id), reason=reason)
        await self._box.missing(file, reason, self._clock())


def media_type_of(content: bytes) -> str:
    """By the content, not by what anybody says: an executable that calls itself a picture is none."""
    for mark, media_type in _VOICE.items():
        if content.startswith(mark):
            return media_type
    guessed: Any = filetype.guess(content[:8192])
    if guessed is not None:
        return str(guessed.mime)
    return "text/plain" if _is_text(content) else OCTETS


#: WeChat's voice formats: AMR (RFC 4867 section 5) and SILK, with and without Tencent's first byte.
_VOICE = {
    b"#!AMR-WB\n": "audio/amr-wb",
    b"#!AMR\n": "audio/amr",
    b"#!SILK_V3": "audio/silk",
    b"\x02#!SILK_V3": "audio/silk",
}


def _is_text(content: bytes) -> bool:
    try:
        head = content[:4096].decode("utf-8", errors="strict" if len(content) <= 4096 else "ignore")
    except UnicodeDecodeError:
        return False
    return bool(head) and "\0" not in head and content[:1] != b"<"
