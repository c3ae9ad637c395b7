"""A mailbox that is fetched from, and citizens who write to it: their mail server puts their mail into it by IMAP."""

from __future__ import annotations

import asyncio
import imaplib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from channels.simulated import Ack, Addresses, Delivery
from channels.simulated.smtp import SmtpPeer


@dataclass(frozen=True, slots=True)
class MailboxDelivery(Delivery):
    """A mail put into the mailbox, over a connection of its own; acknowledged when the gateway has moved it away."""

    settings: Any
    data: bytes
    #: How long it may lie there, seconds; then it is taken back.
    patience: float

    async def send(self, to: Addresses) -> Ack:
        """On a thread of its own: imaplib blocks."""
        del to
        return await asyncio.to_thread(self._send)

    def _send(self) -> Ack:
        settings = self.settings
        with imaplib.IMAP4(settings.host, settings.port, timeout=30) as box:
            box.login(settings.username, settings.password.get_secret_value())
            _, told = box.append(settings.folder, "", "", self.data)
            uid = re.search(rb"APPENDUID \d+ (\d+)", told[0])[1].decode()  # type: ignore[index]
            box.select(settings.folder)
            until = time.monotonic() + self.patience
            while time.monotonic() < until:
                box.noop()
                if not box.uid("SEARCH", "UID", uid, "UNDELETED")[1][0]:
                    return Ack(True, 250)
                time.sleep(0.02)
            box.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
            box.uid("EXPUNGE", uid)
            return Ack(False, 451)


class ImapPeer(SmtpPeer):
    """A mail server that puts what citizens wrote into the mailbox."""

    kind = "imap"
    #: How long a mail may lie in the mailbox before the other end gives up, seconds.
    patience = 10.0

    def mail(self, headers: dict[str, str], body: bytes, *, sender: str, recipients: Sequence[str] = ()) -> Any:
        """Any headers over any body, with what the server notes on top of them."""
        to = (recipients or self.settings.addresses)[0]
        noted = {"Return-Path": f"<{self.address(sender)}>", "Delivered-To": to}
        noted["Received"] = f"from mx.example by mail.example; {format_datetime(datetime.now(UTC))}"
        return MailboxDelivery(self.settings, super().mail(noted | headers, body, sender=sender).data, self.patience)
