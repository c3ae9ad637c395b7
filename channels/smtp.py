"""A mailbox by SMTP (RFC 5321) or LMTP (RFC 2033), behind the city's own mail server.

No mail transfer agent: it takes mail for the configured recipients and relays nothing. SPF, DKIM, TLS towards the world
and the queue belong to the server in front. A mail is answered with 250 only once it is kept; whatever fails on our side
is a 451, so that the server in front keeps it and tries again.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from channels.base import Deliver, State
from channels.mailbox import MailChannel, MailSettings, PlainAddress
from channels.settings import LocalPath, Strict
from channels.smtp_desk import Desk
from channels.smtp_session import LmtpSession, Session

_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(\d{1,5})")


def _listen(value: str) -> str:
    found = _LISTEN.fullmatch(value)
    if found is None or int(found[2]) > 65535:
        raise ValueError("write host:port")
    return value


class SmtpTls(Strict):
    """TLS by STARTTLS (RFC 3207), version 1.2 or later."""

    certificate: LocalPath
    """Our certificate and those between it and its authority (PEM)."""
    key: LocalPath
    """Its private key (PEM, without a password)."""
    required: bool = False
    """Refuse mail that comes without TLS."""

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        try:
            self.context()
        except OSError:  # ssl.SSLError is one
            raise ValueError("certificate and key cannot be read, or do not belong together") from None
        return self

    def context(self) -> ssl.SSLContext:
        """As the files are now. Raise OSError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key, password="")
        return context


class SmtpSettings(MailSettings):
    """Settings of a mailbox that is delivered to us."""

    kind: Literal["smtp"] = "smtp"
    """Which adapter."""
    listen: Annotated[str, AfterValidator(_listen)]
    """Where to listen, host:port; port 0 takes a free one."""
    protocol: Literal["smtp", "lmtp"] = "smtp"
    """What the mail server in front speaks."""
    recipients: Annotated[tuple[PlainAddress, ...], Field(min_length=1)]
    """The addresses we take mail for; any other is refused."""
    max_size: Annotated[int, Field(ge=1024)] = 25 * 1024 * 1024
    """Largest mail, bytes."""
    max_recipients: Annotated[int, Field(ge=1)] = 50
    """Recipients of one mail."""
    max_connections: Annotated[int, Field(ge=1)] = 128
    """Sessions at a time."""
    connections_per_address: Annotated[int, Field(ge=1)] = 128
    """Sessions at a time from one address; the mail server in front has but one."""
    mails_per_minute: Annotated[int, Field(ge=1)] = 6000
    """Mails a minute from one address; generous, as the mail server in front has but one, and keeps what we put off."""
    tls: SmtpTls | None = None
    """STARTTLS; absent: not offered. Where mail crosses a network, set it here and in the server in front."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 60
    """How long a session may be silent."""
    session_seconds: Annotated[float, Field(gt=0)] = 300
    """How long a session may last."""

    @model_validator(mode="after")
    def _lmtp_stays_at_home(self) -> Self:
        if self.protocol == "lmtp" and self.tls and self.tls.required:
            raise ValueError("tls.required goes with protocol: smtp; LMTP is for the server on the same machine")
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """Ours."""
        return self.recipients


class Smtp(MailChannel[SmtpSettings]):
    """One mailbox, or several that mean the same office."""

    kind = "smtp"
    Settings = SmtpSettings
    summary = "Mailbox (SMTP or LMTP, behind a mail server)"
    listens: ClassVar[bool] = True

    async def run(self, deliver: Deliver, state: State) -> None:
        """Serve until cancelled. Raise OSError when the address cannot be listened on."""
        desk = Desk(self, deliver)
        server = await self._open(desk)
        try:
            self.address = server.sockets[0].getsockname()[:2]
            await asyncio.get_running_loop().create_future()
        finally:
            self.address = None
            server.close()
            await desk.close()
            await server.wait_closed()

    async def _open(self, desk: Desk) -> asyncio.Server:
        host, _, port = self.settings.listen.rpartition(":")
        session = LmtpSession if self.settings.protocol == "lmtp" else Session
        try:
            return await asyncio.get_running_loop().create_server(lambda: session(desk), host.strip("[]"), int(port))
        except OSError as error:
            told = os.strerror(error.errno) if error.errno else "no such address"
            raise OSError(error.errno, f"cannot listen on {self.settings.listen}: {told}; choose another") from None
