"""A mailbox that listens, what it kept and refused, and sessions with it, command by command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from channels.base import StateChange
from channels.simulated.smtp import SmtpPeer
from channels.smtp import Smtp, SmtpSettings
from normalizer.model import Envelope, Kept

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OURS = "mayor@example.gov.cn"
FROM, TO = "MAIL FROM:<citizen@example.net>", f"RCPT TO:<{OURS}>"
RELAYS = {
    "foreign": "<a@example.net>",
    "percent": "<a%example.net@example.gov.cn>",
    "ours in percent": f"<{OURS.replace('@', '%')}@example.net>",
    "bang": "<example.net!a@example.gov.cn>",
    "ours in bang": "<example.gov.cn!mayor@example.net>",
    "quoted @": '<"a@example.net"@example.gov.cn>',
    "quoted": '<"mayor"@example.gov.cn>',
    "source route to us": f"<@example.net:{OURS}>",
    "source route through us": "<@example.gov.cn:a@example.net>",
    "two @": f"<{OURS}@example.net>",
    "two addresses": f"<{OURS},a@example.net>",
    "comment": "<mayor(a@example.net)@example.gov.cn>",
    "subdomain": "<mayor@mx.example.gov.cn>",
    "suffix": "<mayor@example.gov.cn.example.net>",
    "domain literal": "<mayor@[127.0.0.1]>",
    "no domain": "<mayor>",
    "postmaster": "<postmaster>",
    "null": "<>",
    "parent domain": "<mayor@gov.cn>",
    "tag": "<mayor+a@example.gov.cn>",
    "angle in angle": f"<<{OURS}>>",
    "space": "<mayor @example.gov.cn>",
    "bare LF": f"<{OURS}>\nRCPT TO:<a@example.net>",
    "NUL": "<mayor\0@example.gov.cn>",
    "full width @": "<mayor＠example.gov.cn>",
    "escaped": r"<mayor\@example.net@example.gov.cn>",
    "colon": f"<a:{OURS}>",
    "other local part": "<mayors@example.gov.cn>",
    "X.400": "</c=cn/s=mayor/@example.gov.cn>",
    "not ours without brackets": "a@example.net",
}


def settings(**more: Any) -> SmtpSettings:
    return SmtpSettings.model_validate({"listen": "127.0.0.1:0", "recipients": [OURS], **more})


def peer(**more: Any) -> SmtpPeer:
    return SmtpPeer("mailbox", settings(**more))


@dataclass
class Running:
    """A mailbox that listens, and what it kept and refused."""

    channel: Smtp
    kept: list[Envelope] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    #: What ``deliver`` does before it keeps.
    before: Callable[[], Any] | None = None

    async def deliver(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        if self.before is not None:
            await self.before()
        self.kept.append(envelope)
        return Kept(envelope.id)

    def listening(self, channel: str) -> tuple[str, int]:
        assert self.channel.address is not None
        return self.channel.address

    http_url = ""


@asynccontextmanager
async def running(**more: Any) -> AsyncIterator[Running]:
    found = Running(Smtp("mailbox", settings(**more)))
    found.channel.refused = found.refused.append
    task = asyncio.create_task(found.channel.run(found.deliver, None))  # type: ignore[arg-type]
    try:
        while found.channel.address is None:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.001)
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert found.channel.address is None


class Line:
    """One session, command by command; every answer is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> str:
        lines = [await self.reader.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(await self.reader.readline())
        return lines[-1].decode().strip()

    async def raw(self, data: bytes) -> str:
        self.writer.write(data)
        return await self.answer()

    async def say(self, *commands: str) -> str:
        """The answer to the last command."""
        return [await self.raw(command.encode("utf-8", "surrogateescape") + b"\r\n") for command in commands][-1]

    async def data(self, mail: bytes = b"Subject: x\r\n\r\nwords\r\n") -> str:
        assert (await self.say("DATA")).startswith("354")
        return await self.raw(mail + b".\r\n")


@asynccontextmanager
async def session(to: Running, greeting: str = "EHLO citizen.example") -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(*to.listening("mailbox"))
    line = Line(reader, writer)
    try:
        async with asyncio.timeout(20):
            assert (await line.answer()).startswith("220 example.gov.cn ")
            assert (await line.say(greeting)).startswith("250")
            yield line
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def bomb() -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(400))
