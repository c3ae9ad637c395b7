"""STARTTLS (RFC 3207): offered or required, and nothing said before it counts after it."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from tests.channels.smtp_line import FROM, OURS, TO, Line, Running, running, session, settings


def certified(folder: Path, name: str) -> dict[str, Any]:
    """A certificate of its own, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.gov.cn")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.example.gov.cn")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.crt").write_bytes(made.public_bytes(pem))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, *plain))
    return {"certificate": str(folder / f"{name}.crt"), "key": str(folder / f"{name}.key")}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    return certified(tmp_path, "mx")


def trusting(files: dict[str, Any]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files["certificate"])


@asynccontextmanager
async def secured(to: Running, files: dict[str, Any], behind: bytes = b"", **more: Any) -> AsyncIterator[Line]:
    """A session after STARTTLS; ``behind`` is sent in one packet with it, in plain text."""
    async with session(to) as line:
        line.writer.write(b"STARTTLS\r\n" + behind)
        assert (await line.answer()).startswith("220")
        await line.writer.start_tls(
            trusting(files) if not more else more["context"], server_hostname="mx.example.gov.cn"
        )
        yield line


@pytest.mark.parametrize("required", [False, True])
async def test_a_mail_comes_by_tls(files: dict[str, Any], required: bool) -> None:
    async with running(tls=files | {"required": required}) as mailbox, secured(mailbox, files) as line:
        assert (await line.say(FROM)).startswith("503"), "what was said before is forgotten (section 4.2)"
        assert (await line.say("EHLO again.example", FROM, TO)).startswith("250")
        assert await line.data(b"x" * 60_000 + b"\r\n") == "250 2.0.0 Kept"
        assert (await line.say("STARTTLS")).startswith("503")
    assert [envelope.context["helo"] for envelope in mailbox.kept] == ["again.example"]


def says_goodbye(address: tuple[str, int], files: dict[str, Any]) -> ssl.SSLSocket:
    """A peer that ends its session and leaves the line open, neither reading nor closing."""
    line = socket.create_connection(address, 20)
    for command in (b"", b"STARTTLS\r\n"):
        line.sendall(command)
        assert line.recv(1000).startswith(b"220")
    secure = trusting(files).wrap_socket(line, server_hostname="mx.example.gov.cn")
    secure.sendall(b"QUIT\r\n")
    assert secure.recv(1000).startswith(b"221")
    return secure


async def test_who_has_said_goodbye_and_stays_does_not_hinder_the_end(files: dict[str, Any]) -> None:
    async with running(tls=files) as mailbox:
        line = await asyncio.to_thread(says_goodbye, mailbox.listening("mailbox"), files)
        for _ in range(10):
            await asyncio.sleep(0)  # its own end, step by step
    line.close()


async def test_a_login_is_not_offered_by_tls_either(files: dict[str, Any]) -> None:
    async with running(tls=files) as mailbox, secured(mailbox, files) as line:
        line.writer.write(b"EHLO x\r\n")
        offered = (await line.reader.readuntil(b"250 HELP\r\n")).decode()
        assert "AUTH" not in offered and "STARTTLS" not in offered
        assert (await line.say("AUTH PLAIN AGEAYg==")).startswith("502 5.5.1")


async def test_it_is_offered_and_only_where_there_is_a_certificate(files: dict[str, Any]) -> None:
    for tls in (files, None):
        async with running(tls=tls) as mailbox, session(mailbox) as line:
            line.writer.write(b"EHLO x\r\n")
            offered = (await line.reader.readuntil(b"250 HELP\r\n")).decode()
            assert ("250-STARTTLS" in offered) == (tls is not None)


async def test_where_it_is_required_nothing_is_taken_without_it(files: dict[str, Any]) -> None:
    async with running(tls=files | {"required": True}) as mailbox, session(mailbox) as line:
        for command in (FROM, TO, "DATA", "RSET", "VRFY mayor", "HELP", "AUTH PLAIN AGEAYg=="):
            assert (await line.say(command)).startswith("530"), command
        assert (await line.say("NOOP")).startswith("250")
    assert mailbox.kept == []


async def test_what_was_put_behind_starttls_in_plain_text_is_discarded(files: dict[str, Any]) -> None:
    """CVE-2011-0411 and its kin: a command injected before TLS is run after it."""
    behind = f"EHLO evil.example\r\n{FROM}\r\n{TO}\r\nDATA\r\nSubject: injected\r\n\r\n.\r\n".encode()
    async with running(tls=files) as mailbox:
        async with secured(mailbox, files, behind) as line:
            assert (await line.say("EHLO citizen.example", FROM, TO)).startswith("250")
            assert (await line.data()).startswith("250")
        assert [envelope.context["helo"] for envelope in mailbox.kept] == ["citizen.example"]
        assert mailbox.kept[0].body == b"Subject: x\r\n\r\nwords\r\n"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_versions_are_refused_and_the_next_session_is_served(
    files: dict[str, Any], version: ssl.TLSVersion
) -> None:
    context = trusting(files)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with running(tls=files) as mailbox:
        with pytest.raises(OSError):  # noqa: PT011 - an alert or a closed line, as the library has it
            async with secured(mailbox, files, context=context) as line:
                await line.say("EHLO x")
        async with secured(mailbox, files) as line:
            assert (await line.say("EHLO x", FROM, TO)).startswith("250")


async def test_what_is_no_tls_ends_the_session_alone(files: dict[str, Any]) -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with running(tls=files, connections_per_address=1) as mailbox:
        for junk in (b"EHLO x\r\nMAIL FROM:<>\r\n" * 20, b"\x16\x03\x01\xff\xff" + bytes(100), b""):
            line = await _placed(mailbox)
            assert (await line.say("EHLO x", "STARTTLS")).startswith("220")
            line.writer.write(junk)
            line.writer.write_eof()
            await asyncio.wait_for(line.reader.read(), 10)
            line.writer.close()
        (await _placed(mailbox)).writer.close()
    assert mailbox.kept == [] and faults == []
    assert mailbox.refused.count("tls") == 3 and set(mailbox.refused) <= {"tls", "connections"}


async def _placed(mailbox: Running) -> Line:
    """A session, once the one before has left its place: each counts once, also with TLS."""
    async with asyncio.timeout(20):
        while True:
            line = Line(*await asyncio.open_connection(*mailbox.listening("mailbox")))
            if (await line.answer()).startswith("220"):
                return line
            line.writer.close()


async def test_a_silent_session_ends_with_tls_too(files: dict[str, Any]) -> None:
    async with running(tls=files, timeout_seconds=0.5, connections_per_address=1) as mailbox:
        async with secured(mailbox, files) as line:
            assert await line.answer() == "421 4.4.2 Time is up"
        line = await _placed(mailbox)
        assert (await line.say("EHLO x", "STARTTLS")).startswith("220")
        assert await asyncio.wait_for(line.reader.read(), 10) == b"", "between STARTTLS and the handshake"
        line.writer.close()
        (await _placed(mailbox)).writer.close()


async def test_lmtp_by_tls(files: dict[str, Any]) -> None:
    async with running(tls=files, protocol="lmtp") as mailbox, session(mailbox, "LHLO mx.example") as line:
        assert (await line.say("STARTTLS")).startswith("220")
        await line.writer.start_tls(trusting(files), server_hostname="mx.example.gov.cn")
        assert (await line.say("LHLO mx.example", FROM, f"RCPT TO:<{OURS}>")).startswith("250")
        assert (await line.data()).startswith("250")
    assert len(mailbox.kept) == 1


def test_settings_that_cannot_work_are_refused(files: dict[str, Any], tmp_path: Path) -> None:
    other = certified(tmp_path, "other")
    for wrong in (
        files | {"key": other["key"]},
        files | {"key": files["certificate"]},
        files | {"certificate": str(tmp_path)},
    ):
        with pytest.raises(ValidationError, match="certificate and key"):
            settings(tls=wrong)
    with pytest.raises(ValidationError, match="LMTP is for the server on the same machine"):
        settings(tls=files | {"required": True}, protocol="lmtp")
