"""A gateway whose mailbox answers, the mail server that takes its answers, and citizens who write to it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import select

from channels.simulated import Ack, MailDelivery
from gateway.testing import RunningGateway, Start
from normalizer.model import HotlineMatter
from normalizer.reply import ReplyKind
from store.tables import MESSAGES, REPLIES
from tests.channels.carriers import tell
from tests.channels.mailroom import Got, MailServer

OURS, CITIZEN = "mayor@example.gov.cn", "zhang@example.net"
MX = "mx.example.gov.cn"


@dataclass
class Town:
    """Everybody."""

    gateway: RunningGateway
    server: MailServer
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def mail(
        self, text: str, by: str = CITIZEN, *, to: str = OURS, mail_from: str | None = None, **headers: str | None
    ) -> MailDelivery:
        """``in_reply_to=…`` becomes In-Reply-To; None leaves a header out."""
        usual: dict[str, str | None] = {
            "From": f"市民 <{by}>",
            "To": to,
            "Subject": "路灯",
            "Date": format_datetime(datetime.now(UTC)),
            "Message-ID": f"<{next(self._numbers)}.{id(self)}@example.net>",
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=utf-8",
        }
        usual |= {"-".join(part.title() for part in name.split("_")): value for name, value in headers.items()}
        usual["Message-ID"] = usual.pop("Message-Id", usual["Message-ID"])
        head = "".join(f"{name}: {value}\r\n" for name, value in usual.items() if value is not None)
        data = head.encode() + b"\r\n" + "\r\n".join((*text.splitlines(), "")).encode()
        return MailDelivery("mailbox", by if mail_from is None else mail_from, (to,), data)

    async def takes(self, *deliveries: MailDelivery) -> list[str]:
        """Deliver them; the outcome of every message so far, in order, once all is done and sent."""
        for delivery in deliveries:
            ack = await delivery.send(self.gateway)
            assert ack.ok, ack
        await self.gateway.settle()
        books = await self.gateway.books()
        assert books["balanced"], books["offending"]
        return [row.outcome for row in await self.messages()]

    async def refuses(self, delivery: MailDelivery) -> Ack:
        ack = await delivery.send(self.gateway)
        assert not ack.ok, ack
        return ack

    async def writes(self, text: str, by: str = CITIZEN, **more: Any) -> str:
        """The outcome of this mail."""
        return (await self.takes(self.mail(text, by, **more)))[-1]

    async def messages(self) -> list[Any]:
        wanted = select(MESSAGES).order_by(MESSAGES.c.received_at, MESSAGES.c.id)
        rows: list[Any] = await self._read(wanted)
        return rows

    async def replies(self) -> list[Any]:
        rows: list[Any] = await self._read(select(REPLIES).order_by(REPLIES.c.created_at, REPLIES.c.id))
        return rows

    async def _read(self, wanted: Any) -> Any:
        return await self.gateway.node.store._database.read(lambda connection: connection.execute(wanted).all())

    async def matter(self) -> HotlineMatter:
        """The last."""
        return (await self.gateway.matters())[-1]

    async def told(self, text: str = "已派人维修。", kind: ReplyKind = ReplyKind.PROGRESS) -> Got:
        """What the core's word about the last matter became."""
        before = len(self.server.got)
        await self.tells(text, kind)
        (got,) = self.server.got[before:]
        return got

    async def tells(self, text: str, kind: ReplyKind = ReplyKind.PROGRESS) -> None:
        """The core's word about the last matter is out, whatever becomes of it."""
        await tell(self.gateway, (await self.matter()).matter_id, text, kind=kind)
        await self.gateway.settle()

    @property
    def acknowledged(self) -> list[Got]:
        return [got for got in self.server.got if got.mail["Auto-Submitted"] == "auto-replied"]


@asynccontextmanager
async def town(start_gateway: Start, *, acknowledge: bool = True, **mailbox: Any) -> AsyncIterator[Town]:
    """``mailbox``: further settings of it."""
    async with MailServer().running() as server:

        def change(document: dict[str, Any]) -> None:
            ours = document["channels"]["mailbox"] | {"outgoing": server.settings} | mailbox
            document["channels"] = {"mailbox": ours}
            document["replies"] = {"acknowledge": acknowledge}

        async with start_gateway(change) as gateway:
            yield Town(gateway, server)


@pytest.fixture
async def place(start_gateway: Start) -> AsyncIterator[Town]:
    """One that acknowledges."""
    async with town(start_gateway) as found:
        yield found


def changed(text: str) -> str:
    """Another letter in the middle."""
    return text[:20] + ("a" if text[20] != "a" else "b") + text[21:]


def report(to: str, recipient: str, status: str, returned: Mapping[str, str], *, action: str = "failed") -> bytes:
    """A delivery status notification (RFC 3464) as Postfix writes it."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in returned.items())
    return (
        f"From: MAILER-DAEMON@mx.example.net (Mail Delivery System)\r\nTo: {to}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b/1"\r\n\r\n'
        "--b/1\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nI'm sorry to have to inform you.\r\n\r\n"
        "--b/1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; 550 {status} unknown\r\n\r\n"
        f"--b/1\r\nContent-Type: text/rfc822-headers\r\n\r\n{headers}\r\n--b/1--\r\n"
    ).encode()
