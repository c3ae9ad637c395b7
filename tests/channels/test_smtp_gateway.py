"""The mailbox in the running gateway: the conformance suite, and a mail server that misbehaves in every way."""

from __future__ import annotations

import asyncio
import base64
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from channels.simulated import Ack, MailDelivery
from channels.simulated.smtp import SmtpPeer
from channels.testing import Cases, Expected, Gateway, check_channel
from gateway.testing import Start
from normalizer.model import AttachmentKind
from tests.channels.scenes import Scene, Stage, delays_a_day, play, redelivers_and_reorders, sends_twice_at_once
from tests.channels.smtp_line import OURS, RELAYS, Line, bomb
from tests.handing import until


class Liar(MailDelivery):
    """Declares a size it does not have (RFC 1870 section 4)."""

    def _send(self, host: str, port: int) -> Ack:
        with smtplib.SMTP(host, port, local_hostname="citizen.example", timeout=30) as session:
            session.ehlo()
            code, text = session.mail(self.mail_from, [f"SIZE={26 * 1024 * 1024}"])
            return Ack(code == 250, code, text)


FOREIGN = ("foreign", "percent", "ours in percent", "bang", "quoted @", "ours in bang", "two @", "suffix")


def cases(gateway: Gateway) -> Cases:
    """What the conformance suite needs."""
    mailbox = SmtpPeer("mailbox", gateway.channel("mailbox").settings)
    now = datetime.now(UTC).replace(microsecond=0)

    def say(number: int, text: str) -> MailDelivery:
        return mailbox.say(text, sender=str(number), message_id=str(number), at=now)

    def to(*recipients: str) -> MailDelivery:
        return replace(say(9, "转发"), recipients=recipients)

    picture = b"words\r\n--b\r\nContent-Type: image/png\r\n\r\npng\r\n--b--\r\n"
    headers = mailbox.headers(sender="4", message_id="4", at=now)
    mixed = {**headers, "Subject": "road", "Content-Type": "multipart/mixed; boundary=b"}
    return Cases(
        peer=mailbox,
        readable={
            "utf-8": (say(2, "第一号路灯不亮"), Expected(text="第一号路灯不亮", title="关于：第一号路灯不亮")),
            "GBK that says gb2312": (say(3, "朱镕基路井盖破损"), Expected(text="朱镕基路井盖破损")),
            "picture": (
                mailbox.mail(mixed, b"--b\r\n\r\n" + picture, sender="4"),
                Expected(text="words", title="road", attachments=(AttachmentKind.IMAGE,)),
            ),
            "bounce": (replace(say(5, "退信"), mail_from=""), Expected("notice")),
            "vacation": (
                mailbox.mail({**headers, "Auto-Submitted": "auto-replied"}, b"x", sender="4"),
                Expected("notice"),
            ),
        },
        forged={label: to(RELAYS[label]) for label in FOREIGN},
        odd={"a nesting bomb": MailDelivery("mailbox", "a@example.net", (OURS,), b"From: a@example.net\r\n" + bomb())},
        oversized={
            "declared 26 MiB": Liar("mailbox", "a@example.net", (OURS,), b"x\r\n" * 10),
            "51 recipients": to(*[OURS] * 51),
            "a line of 70,000 bytes": MailDelivery("mailbox", "a@example.net", (OURS,), b"a" * 70_000),
        },
        refusals=(421, 450, 452, 500, 501, 503, 550, 552, 553, 554),
        retries=(451,),
    )


async def test_conformance(gateway: Gateway) -> None:
    await check_channel("smtp", cases(gateway), gateway)


# -- A mail server that misbehaves -------------------------------------------------------------------------------------


class Street(Stage):
    """The mailbox's other end, where a session can be torn at any place."""

    @asynccontextmanager
    async def torn(self, delivery: MailDelivery, share: float, end: bytes = b"") -> AsyncIterator[Line]:
        """A session in which so much of the mail has gone, and ``end``; it is reset when the block ends."""
        reader, writer = await asyncio.open_connection(*self.gateway.listening(self.peer.name))
        line = Line(reader, writer)
        try:
            async with asyncio.timeout(20):
                await line.answer()
                to = [f"RCPT TO:<{one}>" for one in delivery.recipients]
                await line.say("EHLO mx.example", f"MAIL FROM:<{delivery.mail_from}>", *to, "DATA")
                writer.write(delivery.data[: int(len(delivery.data) * share)] + end)
                await writer.drain()
                yield line
        finally:
            writer.transport.abort()

    def mail(self) -> MailDelivery:
        """A mail of its own."""
        said = self.say()
        assert isinstance(said, MailDelivery)
        return said


async def truncates(stage: Street) -> dict[str, int]:
    """The line breaks wherever it breaks: nothing is kept, and the whole mail is taken afterwards under its name."""
    said, before = stage.mail(), await stage.kept()
    for share in (0.0, 0.3, 0.9, 1.0):
        async with stage.torn(said, share):
            pass
    async with stage.torn(said, 1.0, b"\r\n.\r") as line:
        line.writer.write_eof()
        assert await line.reader.read() == b""
    assert await stage.kept() == before
    await stage.taken(said)
    return {"filed": 1}


async def hangs_in_data(stage: Street) -> dict[str, int]:
    """It is told so after a while, nothing is kept; meanwhile others are served."""
    said, before = stage.mail(), await stage.kept()
    async with stage.torn(said, 0.5) as line:
        await stage.taken(stage.say("井盖松动"))
        assert await line.answer() == "421 4.4.2 Time is up"
        assert await line.reader.read() == b""
    assert await stage.kept() == before + 1
    await stage.taken(said)
    return {"filed": 2}


async def closes_before_the_answer(stage: Street) -> dict[str, int]:
    """It does not know that we have it, and sends it again (RFC 1047)."""
    said, before = stage.mail(), await stage.kept()
    async with stage.torn(said, 1.0, b".\r\n"):
        await until(lambda: _came(stage, before + 1))
    await stage.taken(said, said)
    return {"filed": 1, "redelivered": 2}


async def _came(stage: Street, number: int) -> bool:
    return await stage.kept() >= number


async def another_mail_under_the_same_name(stage: Street) -> dict[str, int]:
    """A mailer that counts its Message-IDs from 1 again: nothing is swallowed."""
    said = stage.mail()
    other = replace(said, data=said.data.replace(b"\r\n\r\n", b"\r\n\r\n" + base64.b64encode("另一件事。".encode()), 1))
    await stage.taken(said, other, said, other)
    return {"filed": 2, "redelivered": 2}


SCENES: tuple[Scene[Street], ...] = (
    redelivers_and_reorders,
    delays_a_day,
    sends_twice_at_once,
    truncates,
    hangs_in_data,
    closes_before_the_answer,
    another_mail_under_the_same_name,
)


async def test_a_mail_server_that_misbehaves(start_gateway: Start) -> None:
    def change(document: dict[str, Any]) -> None:
        mailbox = document["channels"]["mailbox"]
        document["channels"] = {"mailbox": mailbox | {"timeout_seconds": 2}}

    async with start_gateway(change) as gateway:
        stage = Street(gateway, SmtpPeer("mailbox", gateway.channel("mailbox").settings))
        await play(stage, SCENES, answered=False)
