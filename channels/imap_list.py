"""Looking at a mailbox without touching it: for ``gateway check --live`` and ``gateway reconcile --providers``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from channels.errors import Malformed
from channels.imap_line import Client, Line, Lost, Refused
from channels.imap_login import Shut
from channels.imap_queue import folder_word, waiting
from channels.recount import Listed, Period, Told, Waiting
from normalizer.mail import MailError, read
from normalizer.model import Assurance, Contact, ContactType, Notice

if TYPE_CHECKING:
    from channels.imap import Imap, ImapSettings

#: Mails whose headers are asked for at once, and bytes of headers read of each.
BATCH, MOST_HEADERS = 20, 128 * 1024
#: Stands where a mail names no sender: a bounce is looked for in the raw deliveries.
_NOBODY = Contact(type=ContactType.MAIL, value="unknown", assurance=Assurance.SPOOFABLE)


async def look(line: Line, settings: ImapSettings) -> tuple[int, bool]:
    """How many mails wait, and whether ``done_folder`` is there. Raise Lost or Shut."""
    await _open(line, settings.folder)
    waits = await line.step(lambda client: waiting(client, settings.since))
    try:
        return len(waits), await line.step(lambda client: bool(client.folder_exists(settings.done_folder)))
    except Refused:
        raise Shut("done_folder") from None


async def listed(line: Line, channel: Imap, period: Period) -> AsyncIterator[Told]:
    """The mails of both folders that came since ``period.since``, and how many wait. Raise Lost or Shut."""
    settings = channel.settings
    await _open(line, settings.folder)
    waits = await line.step(lambda client: waiting(client, settings.since))
    async for told in _mails(line, channel, settings.folder, waits):
        yield told
    yield Waiting(len(waits))
    try:
        await _open(line, settings.done_folder)
    except Shut:
        return  # nothing was done yet
    done = await line.step(lambda client: waiting(client, period.since.date()))
    async for told in _mails(line, channel, settings.done_folder, done):
        if told.at is None or told.at >= period.since:
            yield told


async def _mails(line: Line, channel: Imap, folder: str, uids: Sequence[int]) -> AsyncIterator[Listed]:
    for some in (uids[n : n + BATCH] for n in range(0, len(uids), BATCH)):
        try:
            told = await line.step(lambda client, some=some: _headers(client, some))  # type: ignore[misc]
        except Refused:
            raise Lost("refused") from None
        for uid, head, at in told:
            if (found := _named(channel, f"UID {uid} in {folder}", head, at)) is not None:
                yield found


async def _open(line: Line, folder: str) -> None:
    try:
        await line.step(lambda client: client.select_folder(folder, readonly=True))
    except Refused as error:
        raise Shut(folder_word(error)) from None


def _headers(client: Client, uids: Sequence[int]) -> list[tuple[int, bytes, datetime | None]]:
    part = f"BODY.PEEK[HEADER]<0.{MOST_HEADERS}>"
    return [*_read(client.fetch(list(uids), [part, "INTERNALDATE"]))]


def _read(told: dict[int, dict[bytes, Any]]) -> Iterator[tuple[int, bytes, datetime | None]]:
    for uid, one in told.items():
        head = one.get(b"BODY[HEADER]<0>", one.get(b"BODY[HEADER]"))
        at = one.get(b"INTERNALDATE")
        if isinstance(head, bytes):
            yield uid, head, at if isinstance(at, datetime) else None


def _named(channel: Imap, name: str, head: bytes, at: datetime | None) -> Listed | None:
    """As the code that reads the whole mail names it; None where it has no Message-ID to be found by."""
    try:
        parsed, message_id = channel.parse(channel.mail(head, (), name)), read(head).message_id
    except (Malformed, MailError):
        return None
    if message_id is None:
        return None
    if isinstance(parsed, Notice):
        return Listed(name, "mail", channel.settings.addresses[0], _NOBODY, message_id, at)
    (message,) = parsed
    return Listed(name, message.key_space, message.account, message.sender, message_id, at)
