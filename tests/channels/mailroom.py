"""Mail servers for tests, on loopback: aiosmtpd that keeps what it is given, and one that misbehaves on command."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from functools import cache
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

USER, PASSWORD = "mayor", "geheim-4711"
#: What a misbehaving server does instead of an answer.
CUT, HANG = "cut", "hang"


@dataclass(frozen=True)
class Got:
    """A mail that a server took."""

    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def mail(self) -> Message:
        return message_from_bytes(self.raw)

    def header(self, name: str) -> str:
        """Decoded by the standard library."""
        return str(make_header(decode_header(self.mail[name]))) if self.mail[name] else ""

    @property
    def text(self) -> str:
        content = self.mail.get_payload(decode=True)
        assert isinstance(content, bytes)
        return content.decode("utf-8")


@dataclass
class MailServer:
    """A real server that keeps everything."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    #: Address → what it is refused with at RCPT.
    refuses: dict[str, str] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from
        self.got.append(Got(sender, tuple(envelope.rcpt_tos), envelope.original_content))
        self.came.set()
        return "250 2.0.0 Queued"

    @property
    def settings(self) -> dict[str, Any]:
        """For ``outgoing``."""
        return {"host": "127.0.0.1", "port": self.port, "tls": "none"}

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[MailServer]:
        loop = asyncio.get_running_loop()
        implicit = options.pop("implicit", None)
        server = await loop.create_server(
            lambda: SMTP(self, loop=loop, enable_SMTPUTF8=True, **options), "127.0.0.1", 0, ssl=implicit
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


def knows(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> AuthResult:
    """Lets in who knows the password."""
    right = isinstance(login, LoginPassword) and (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@dataclass
class OddServer:
    """Answers each verb as ``script`` says, ``.`` being the end of the mail; else well."""

    script: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("8BITMIME",)
    port: int = 0
    #: What came, line by line; a mail as one.
    heard: list[bytes] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OddServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._over.set()
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(writer, "220")
            while line := await reader.readline():
                self.heard.append(line)
                verb = line.split()[0].decode().upper() if line.split() else "?"
                if (await self._answer(writer, verb)).startswith("354"):
                    self.heard.append(await reader.readuntil(b"\r\n.\r\n"))
                    await self._answer(writer, ".")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, verb: str) -> str:
        well = {"220": "220 odd.example ESMTP", "DATA": "354 Go on", "QUIT": "221 Bye"}
        if verb == "EHLO":
            well[verb] = "\r\n".join(f"250-{one}" for one in ("odd.example", *self.extensions)) + "\r\n250 HELP"
        how = self.script.get(verb, well.get(verb, "250 OK"))
        if how == HANG:
            await self._over.wait()
        if how in (HANG, CUT):
            writer.transport.abort()
            raise ConnectionResetError
        writer.write(how.encode() + b"\r\n")
        await writer.drain()
        return how


@cache
def rsa_pem(bits: int = 2048) -> str:
    """A private key as openssl writes it (PKCS #8)."""
    key = rsa.generate_private_key(65537, bits)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def dkim_record(pem: str) -> str:
    """What stands in DNS for it (RFC 6376 section 3.6.1)."""
    key = serialization.load_pem_private_key(pem.encode(), None).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A certificate of its own authority: the file to trust, and the server's context."""
    key = rsa.generate_private_key(65537, 2048)
    who, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, both = folder / "ca.pem", folder / "server.pem"
    pem = made.public_bytes(serialization.Encoding.PEM)
    public.write_bytes(pem)
    form = serialization.PrivateFormat.PKCS8
    both.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()) + pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return public, context
