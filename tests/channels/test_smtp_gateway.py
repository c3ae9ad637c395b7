"""The mailbox in the running gateway: the conformance suite, and a mail server that misbehaves in every way."""

from __future__ import annotations

import smtplib
from dataclasses import replace
from datetime import UTC, datetime

from channels.simulated import Ack, MailDelivery
from channels.simulated.smtp import SmtpPeer
from channels.testing import Cases, Expected, Gateway, check_channel
from normalizer.model import AttachmentKind
from tests.channels.smtp_line import OURS, RELAYS, bomb


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
