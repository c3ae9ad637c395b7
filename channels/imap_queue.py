r"""A folder as a queue: what lies in it is fetched, kept, and only then moved away. One session with the server.

Flags are not looked at but for ``\Deleted``: people open the same mailbox, and what they have read must not be lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import structlog

from channels.base import Deliver
from channels.errors import ChannelError, Unavailable
from channels.imap_line import Client, Line, Lost, Refused
from channels.imap_login import Shut

if TYPE_CHECKING:
    from channels.imap import Imap

log = structlog.get_logger(__name__)

#: Bytes asked for at once, and what is kept of a mail that is too large.
PIECE = 1024 * 1024
#: Mails whose sizes are asked for at once.
BATCH = 200
#: A mail that makes trouble is tried again after 5 s, 10 s … 10 min; the others go on.
FIRST_SECONDS, LONGEST_SECONDS = 5.0, 600.0
#: Tries after which a mail shorter than the server said is taken as it is: some servers never count right.
SHORT_TRIES = 2
#: The least between two rounds, however much the server has to say, seconds.
PAUSE = 0.25
#: Times IDLE may end with the connection lost, one after the other, before this mailbox is only polled.
IDLE_LOSSES = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mail lies: UIDs mean something only together with UIDVALIDITY (RFC 9051 section 2.3.1.1)."""

    validity: int
    uid: int


@dataclass(slots=True)
class Trouble:
    """What keeps a mail from being taken."""

    reason: str
    tries: int
    #: By time.monotonic().
    due: float


@dataclass(slots=True)
class Memory:
    """What outlives a connection: mails in trouble, mails kept and not moved yet, and how IDLE fares."""

    troubles: dict[Place, Trouble] = field(default_factory=dict)
    #: Place → SHA-256 of what was kept, until it is gone from there: a server that gives the UID to another mail does not fool us.
    kept: dict[Place, bytes] = field(default_factory=dict)
    #: Since the last look.
    moved: set[Place] = field(default_factory=set)
    idle_losses: int = 0

    def look(self, here: set[Place]) -> None:
        """What is not there any more is nobody's trouble; what was moved and is there all the same is one."""
        self.troubles = {place: trouble for place, trouble in self.troubles.items() if place in here}
        self.kept = {place: mark for place, mark in self.kept.items() if place in here}
        for place in self.moved & here:
            self.note(place, "not_moved")
        self.moved.clear()

    def note(self, place: Place, reason: str) -> None:
        """Once more it could not be taken."""
        tries = self.troubles[place].tries + 1 if place in self.troubles else 1
        wait = min(FIRST_SECONDS * 2 ** min(tries - 1, 16), LONGEST_SECONDS)
        self.troubles[place] = Trouble(reason, tries, time.monotonic() + wait)

    def tries(self, place: Place) -> int:
        """So far in vain."""
        return self.troubles[place].tries if place in self.troubles else 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a mail."""

    content: bytes
    #: There is no more.
    last: bool


class Queue:
    """Empties the folder, over one connection that is logged in."""

    def __init__(self, channel: Imap, line: Line, deliver: Deliver) -> None:
        self._channel, self._settings, self._memory = channel, channel.settings, channel.memory
        self._line, self._deliver = line, deliver
        self._validity = 0

    async def choose(self) -> int:
        """Select the folder, see to it that there is one for what is done; how many mails lie in it. Raise Shut."""
        done = self._settings.done_folder
        try:
            selected = await self._line.step(lambda client: client.select_folder(self._settings.folder))
        except Refused as error:
            raise Shut(folder_word(error), 0) from None
        try:
            if not await self._line.step(lambda client: client.folder_exists(done)):
                await self._line.step(lambda client: client.create_folder(done))
        except Refused:
            raise Shut("done_folder", 0) from None
        self._validity = int(selected.get(b"UIDVALIDITY", 0))
        return int(selected.get(b"EXISTS", 0))

    async def run(self) -> None:
        """Round after round until the connection is lost. Raise Lost or Unavailable."""
        while True:
            began = time.monotonic()
            if not await self._round():
                await self._rest()
                await asyncio.sleep(max(0.0, PAUSE - (time.monotonic() - began)))

    async def _round(self) -> int:
        """Take what waits and is due; how many were taken."""
        since = self._settings.since
        uids = await self._line.step(lambda client: waiting(client, since))
        self._memory.look({Place(self._validity, uid) for uid in uids})
        taken = 0
        due = self._due(uids)
        for some in (due[n : n + BATCH] for n in range(0, len(due), BATCH)):
            sizes = await self._line.step(lambda client, some=some: sizes_of(client, some))  # type: ignore[misc]
            for uid in some:
                taken += await self._try(Place(self._validity, uid), sizes.get(uid))
        self._channel.progressed()
        return taken

    def _due(self, uids: Sequence[int]) -> list[int]:
        """The untried first: one that breaks the connection each time must not stand in the others' way."""
        places = [Place(self._validity, uid) for uid in uids]
        now, troubles = time.monotonic(), self._memory.troubles
        again = [place.uid for place in places if place in troubles and troubles[place].due <= now]
        return [place.uid for place in places if place not in troubles] + again

    async def _try(self, place: Place, size: int | None) -> bool:
        """Whether it was taken. What concerns one mail stays with it; raise Lost or Unavailable for what does not."""
        try:
            await self._take(place, size)
        except (Lost, Unavailable) as error:
            self._memory.note(place, error.reason)
            raise
        except ChannelError as error:
            self._trouble(place, error.reason)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one mail, the others go on
            self._trouble(place, type(error).__name__)
        else:
            self._memory.moved.add(place)
            return True
        return False

    def _trouble(self, place: Place, reason: str) -> None:
        self._memory.note(place, reason)
        log.warning("mail_not_taken", channel=self._channel.name, uid=place.uid, reason=reason)

    async def _take(self, place: Place, size: int | None) -> None:
        """Fetch, keep, move: in this order."""
        raw, flags = await self._fetch(place, size)
        mark = await self._line.step(lambda _: hashlib.sha256(raw).digest())
        if self._memory.kept.get(place) != mark:
            envelope = self._channel.mail(raw, flags, f"{place.validity}/{place.uid}")
            found = await self._channel.looked_up(raw, envelope.context)
            await self._deliver(replace(envelope, context={**envelope.context, **found}))
            self._memory.kept[place] = mark
            self._channel.progressed()
        await self._move(place.uid)

    async def _fetch(self, place: Place, size: int | None) -> tuple[bytes, tuple[str, ...]]:
        """The mail, or the beginning of one that is too large. Raise Refused when it is not whole or not there."""
        if size is None:
            raise Refused("gone")
        most = self._settings.max_size
        if size > most:
            return (await self._piece(place.uid, 0)).content, ("oversized",)
        pieces, have = list[bytes](), 0
        while have <= most:
            piece = await self._piece(place.uid, have, had=have >= size)
            pieces.append(piece.content)
            have += len(piece.content)
            if piece.last:
                break
        if have > most:  # the server counted wrong
            return pieces[0][:PIECE], ("oversized",)
        short = have < size
        if short and self._memory.tries(place) < SHORT_TRIES:
            raise Refused("short")
        return b"".join(pieces), ("mail_short",) if short else ()

    async def _piece(self, uid: int, offset: int, *, had: bool = False) -> Piece:
        """``had``: all that was announced is there, so nothing more is nothing wrong."""
        found = await self._line.step(lambda client: piece_of(client, uid, offset))
        if found is None and not (had and offset):
            raise Refused("gone")
        return found or Piece(b"", last=True)

    async def _move(self, uid: int) -> None:
        """To ``done_folder``; once more after making it, for somebody may have taken it away."""
        done = self._settings.done_folder
        try:
            await self._line.step(lambda client: move(client, uid, done))
        except Refused:
            try:
                await self._line.step(lambda client: client.create_folder(done))
            except Refused:
                raise Refused("not_moved") from None
            await self._line.step(lambda client: move(client, uid, done))

    async def _rest(self) -> None:
        """Until there may be something to do: by IDLE where the server offers it and keeps to it."""
        seconds = float(self._settings.poll_seconds)
        if due := [trouble.due for trouble in self._memory.troubles.values()]:
            seconds = max(0.0, min(seconds, min(due) - time.monotonic()))
        memory = self._memory
        idles = await self._line.step(lambda client: client.has_capability("IDLE"))
        if not idles or memory.idle_losses >= IDLE_LOSSES:
            await asyncio.sleep(seconds)
            return
        memory.idle_losses += 1
        try:
            await self._line.step(lambda client: client.wait(seconds), seconds)
        except Refused:
            memory.idle_losses = IDLE_LOSSES
            return
        memory.idle_losses = 0


def folder_word(error: Refused) -> str:
    """Why the folder cannot be selected."""
    if error.reason == "read_only":
        return error.reason
    return "unsafe_login" if "unsafe login" in error.told.lower() else "no_folder"


def waiting(client: Client, since: date | None) -> list[int]:
    """UIDs of what lies in the folder, in their order. NOOP first: some servers see new mail only then."""
    client.noop()
    found = client.search(["UNDELETED", *(["SINCE", since] if since else [])])
    return sorted({uid for uid in found if 0 < uid < 2**32})


def sizes_of(client: Client, uids: Sequence[int]) -> dict[int, int]:
    """RFC822.SIZE by UID; of those that are gone, none."""
    found = client.fetch(list(uids), ["RFC822.SIZE"])
    return {uid: size for uid, told in found.items() if isinstance(size := told.get(b"RFC822.SIZE"), int)}


def piece_of(client: Client, uid: int, offset: int) -> Piece | None:
    r"""From ``offset`` on, without ``\Seen``; None when the mail is gone (RFC 9051 section 6.4.5)."""
    told: dict[bytes, Any] = client.fetch([uid], [f"BODY.PEEK[]<{offset}.{PIECE}>"]).get(uid, {})
    asked, whole = told.get(b"BODY[]<%d>" % offset), told.get(b"BODY[]")
    if isinstance(asked, bytes):
        return Piece(asked, last=len(asked) < PIECE)
    return Piece(whole[offset:], last=True) if isinstance(whole, bytes) else None


def move(client: Client, uid: int, folder: str) -> None:
    r"""By MOVE (RFC 6851), else by COPY and ``\Deleted``, expunged alone where the server can (RFC 4315)."""
    if client.has_capability("MOVE"):
        client.move([uid], folder)
        return
    client.copy([uid], folder)
    client.add_flags([uid], [b"\\Deleted"], silent=True)
    if client.has_capability("UIDPLUS"):
        client.uid_expunge([uid])
