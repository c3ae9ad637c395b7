"""An IMAP channel that runs by itself, and what it kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from channels import imap, imap_line, imap_queue
from channels.base import StateChange
from channels.errors import ChannelError
from channels.imap import Imap, ImapSettings
from channels.simulated.imap_server import Mail, Session, StandInMailServer
from normalizer.model import Envelope, Kept
from tests.dovecot import PASSWORD, USERNAME, Dovecot


def settings(host: str = "127.0.0.1", port: int = 143, **more: Any) -> ImapSettings:
    """Of a mailbox on this machine."""
    wanted = {"host": host, "port": port, "tls": False, "username": USERNAME, "password": PASSWORD}
    wanted |= {"folder": "INBOX", "done_folder": "Done", "poll_seconds": 1} | more
    return ImapSettings.model_validate({name: value for name, value in wanted.items() if value is not None})


def mail(number: int, *, size: int = 0, headers: str = "") -> bytes:
    """A citizen's, numbered."""
    head = f"From: citizen{number}@example.net\r\nMessage-ID: <{number}@example.net>\r\nSubject: n{number}\r\n{headers}"
    body = f"第{number}件事\r\n" + ("x" * 70 + "\r\n") * (size // 72)
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode()


class States(dict[str, str]):
    """A channel's own map."""

    async def get(self, key: str) -> str | None:  # type: ignore[override]
        return super().get(key)

    async def change(self, change: StateChange) -> bool:
        if super().get(change.key) != change.expected:
            return False
        self[change.key] = change.value
        return True


@dataclass
class Running:
    """A channel, what it kept, how often it looked, and why its ``run`` ended each time."""

    channel: Imap
    kept: list[Envelope] = field(default_factory=list)
    looks: int = 0
    ended: list[BaseException] = field(default_factory=list)
    #: What ``deliver`` does before it keeps.
    before: Callable[[Envelope], Awaitable[None]] | None = None
    state: States = field(default_factory=States)

    async def deliver(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        if self.before is not None:
            await self.before(envelope)
        self.kept.append(envelope)
        return Kept(envelope.id)

    def looked(self) -> None:
        self.looks += 1

    @property
    def bodies(self) -> list[bytes]:
        return [envelope.body for envelope in self.kept]

    async def run(self) -> None:
        """Again and again, as the supervisor does, but without its waits."""
        while True:
            try:
                await self.channel.run(self.deliver, self.state)
            except Exception as error:  # noqa: BLE001 - what it was is looked at
                self.ended.append(error)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(channel: Imap) -> AsyncIterator[Running]:
    """It runs within the block."""
    found = Running(channel)
    channel.progressed = found.looked
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def stand_in(**more: Any) -> AsyncIterator[StandInMailServer]:
    """A mail server of ours, which misbehaves as it is told."""
    server = StandInMailServer(USERNAME, PASSWORD, **more)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def on(server: Dovecot | StandInMailServer, **more: Any) -> Imap:
    """A channel for its mailbox."""
    port = server.port if isinstance(server, Dovecot) else server.address[1]
    return Imap("imap", settings(port=port, **more))


async def until(true: Callable[[], Any], seconds: float = 20) -> None:
    """Wait for another thread or process."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


Trick = Callable[[Session, str, str, list[str]], Awaitable[bool]]


def answers(verb: str, *lines: str) -> Trick:
    """To one command always the same; ``{tag}`` stands for its tag."""

    async def trick(session: Session, tag: str, asked: str, _words: list[str]) -> bool:
        if asked == verb:
            await session.say(*(line.replace("{tag}", tag) for line in lines))
        return asked == verb

    return trick


def lying(server: StandInMailServer, folder: str) -> dict[int, Mail]:
    """What lies in a folder; nothing where it has not been made yet."""
    return server.folders[folder].mails if folder in server.folders else {}


def words(mailbox: Running) -> set[str]:
    """Why runs ended."""
    assert all(isinstance(error, ChannelError) for error in mailbox.ended), mailbox.ended
    return {error.reason for error in mailbox.ended if isinstance(error, ChannelError)}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long here."""
    monkeypatch.setattr(imap_line, "SILENCE_SECONDS", 0.7)
    monkeypatch.setattr(imap_line, "STEP_SECONDS", 2.0)
    monkeypatch.setattr(imap_queue, "FIRST_SECONDS", 0.3)
    monkeypatch.setattr(imap_queue, "PAUSE", 0.01)
    monkeypatch.setattr(imap, "LIVED_SECONDS", 600.0)
