"""The city's mail server, and citizens who write to the mayor's mailbox."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from channels.simulated import MailDelivery, Peer

#: By the parity of message_id. Most Chinese mailers wrote the second label over such bytes for years.
_CHARSETS = (("utf-8", "utf-8"), ("gb18030", "GB2312"))


class SmtpPeer(Peer):
    """A mail server that hands over what citizens wrote."""

    kind = "smtp"

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> MailDelivery:
        """A plain mail; the subject is the beginning of the text."""
        codec, label = _CHARSETS[int(message_id) % 2]
        subject = f"关于：{' '.join(text.split())[:12]}"
        headers = self.headers(sender=sender, message_id=message_id, at=at)
        headers |= {
            "Subject": f"=?{label}?B?{base64.b64encode(subject.encode(codec)).decode()}?=",
            "MIME-Version": "1.0",
            "Content-Type": f'text/plain; charset="{label}"',
            "Content-Transfer-Encoding": "base64",
        }
        return self.mail(headers, base64.encodebytes(text.encode(codec)), sender=sender)

    def headers(self, *, sender: str, message_id: str, at: datetime) -> dict[str, str]:
        """What every mail has (RFC 5322 section 3.6)."""
        return {
            "From": self.address(sender),
            "To": self.settings.recipients[0],
            "Date": format_datetime(at),
            "Message-ID": f"<{message_id}@example.net>",
        }

    def mail(
        self, headers: dict[str, str], body: bytes, *, sender: str, recipients: Sequence[str] = ()
    ) -> MailDelivery:
        """Any headers over any body, to the first mailbox unless told otherwise."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        data = lines.encode() + b"\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        to: Any = recipients or self.settings.recipients[:1]
        return MailDelivery(self.name, self.address(sender), tuple(to), data)

    def address(self, sender: str) -> str:
        """A citizen's address, in a domain nobody has (RFC 2606)."""
        return f"citizen{sender}@example.net"
