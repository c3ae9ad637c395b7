"""The other end of each channel: what a provider sends when a citizen writes, signed and encrypted as it does.

`gateway demo` and the conformance suite speak through these over real sockets. They share no code with the adapters
beyond constants of the wire, so that a fault in one is seen by the other.
"""

from __future__ import annotations

import asyncio
import smtplib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

import httpx


class Addresses(Protocol):
    """Where a running gateway listens."""

    @property
    def http_url(self) -> str:
        """Scheme, host and port of the HTTP entrance, without a slash at the end."""

    def listening(self, channel: str) -> tuple[str, int]:
        """Host and port of a channel that is a server of its own."""


@dataclass(frozen=True, slots=True)
class Ack:
    """What the provider got back."""

    #: True when the provider would consider the message delivered.
    ok: bool
    #: HTTP status or SMTP code.
    status: int
    body: bytes = b""


class Delivery(ABC):
    """One delivery, ready to send, as often as wanted."""

    @abstractmethod
    async def send(self, to: Addresses) -> Ack:
        """Send it over a real socket."""


@dataclass(frozen=True, slots=True)
class HttpDelivery(Delivery):
    """A webhook call or an API request."""

    #: Path and query.
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"

    async def send(self, to: Addresses) -> Ack:
        """One request on a connection of its own."""
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            answer = await client.request(
                self.method, to.http_url + self.target, content=self.body, headers=dict(self.headers)
            )
        return Ack(answer.is_success, answer.status_code, answer.content)


@dataclass(frozen=True, slots=True)
class MailDelivery(Delivery):
    """One mail by SMTP, in a session of its own."""

    channel: str
    mail_from: str
    recipients: tuple[str, ...]
    data: bytes

    async def send(self, to: Addresses) -> Ack:
        """One session on a thread of its own: smtplib blocks."""
        host, port = to.listening(self.channel)
        return await asyncio.to_thread(self._send, host, port)

    def _send(self, host: str, port: int) -> Ack:
        with smtplib.SMTP(host, port, local_hostname="citizen.example", timeout=30) as session:
            session.ehlo_or_helo_if_needed()
            code, text = session.mail(self.mail_from, ("BODY=8BITMIME", f"SIZE={len(self.data)}"))
            for recipient in self.recipients:
                if code != 250:
                    return Ack(False, code, text)
                code, text = session.rcpt(recipient)
            if code == 250:
                code, text = session.data(self.data)
            return Ack(code == 250, code, text)


class Peer(ABC):
    """A provider and its citizens, for one configured channel."""

    #: The kind it plays.
    kind: ClassVar[str]

    def __init__(self, name: str, settings: Any) -> None:
        #: The channel's name in config.yaml.
        self.name = name
        #: The channel's settings, as the gateway itself holds them.
        self.settings = settings

    @abstractmethod
    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> Delivery:
        """A citizen ``sender`` writes ``text``.

        ``sender`` and ``message_id`` are decimal digits (any length to 18); the peer dresses them as the provider would
        (an openid, a phone number, a mail address). The same arguments give the same message, freshly signed.
        """

    def answered(self, ack: Ack) -> str | None:
        """The words that rode on an acknowledgement, as the citizen sees them; None where there are none."""
        del ack
        return None
