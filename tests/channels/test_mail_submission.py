"""Handing an answer to the submission server: what is said of it when that misbehaves, TLS, the password, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels import mail_send
from channels.base import Probed
from channels.errors import ChannelError, NotSent, Uncertain, Undeliverable
from normalizer.model import ContactType
from tests.channels.mailroom import (
    CUT,
    HANG,
    PASSWORD,
    USER,
    MailServer,
    OddServer,
    certificate,
    knows,
    rsa_pem,
)
from tests.channels.test_mail_send import KEY, NOWHERE, TOKEN, channel, letter, reply, sent

FAULTS: dict[str, tuple[dict[str, str], type[ChannelError], str]] = {
    "greets by 421": ({"220": "421 4.3.2 busy"}, NotSent, "connect"),
    "greets by 554": ({"220": "554 5.7.1 no"}, NotSent, "connect"),
    "is cut at once": ({"220": CUT}, NotSent, "connect"),
    "hangs before greeting": ({"220": HANG}, NotSent, "connect"),
    "sender later": ({"MAIL": "451 4.3.0 later"}, NotSent, "status_451"),
    "sender never": ({"MAIL": "550 5.7.1 no"}, Undeliverable, "status_550"),
    "is cut at MAIL": ({"MAIL": CUT}, NotSent, "cut"),
    "no such citizen": ({"RCPT": "550 5.1.1 unknown"}, Undeliverable, "status_550"),
    "greylisted": ({"RCPT": "451 4.7.1 later"}, NotSent, "status_451"),
    "mailbox full": ({"RCPT": "452 4.2.2 full"}, NotSent, "status_452"),
    "is cut at RCPT": ({"RCPT": CUT}, NotSent, "cut"),
    "hangs at RCPT": ({"RCPT": HANG}, NotSent, "cut"),
    "DATA later": ({"DATA": "451 4.3.0 later"}, NotSent, "status_451"),
    "DATA never": ({"DATA": "554 5.5.1 no"}, Undeliverable, "status_554"),
    "is cut at DATA": ({"DATA": CUT}, NotSent, "cut"),
    "hangs at DATA": ({"DATA": HANG}, NotSent, "timeout"),
    "content later": ({".": "451 4.3.0 later"}, NotSent, "status_451"),
    "content never": ({".": "554 5.7.1 spam"}, Undeliverable, "status_554"),
    "is cut after the mail": ({".": CUT}, Uncertain, "cut"),
    "hangs after the mail": ({".": HANG}, Uncertain, "timeout"),
    "answers garbage after the mail": ({".": "?"}, Uncertain, "answer"),
}


@pytest.mark.parametrize(("script", "error", "reason"), FAULTS.values(), ids=FAULTS)
async def test_faults(
    script: dict[str, str], error: type[ChannelError], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_send, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(mail_send, "TAKING_SECONDS", 0.5)
    async with OddServer(script).running() as server:
        with pytest.raises(error) as raised:
            await channel({"host": "127.0.0.1", "port": server.port, "tls": "none"}).send(reply(), NOWHERE)
        assert (type(raised.value), raised.value.reason) == (error, reason)
        whole = any(line.endswith(b"\r\n.\r\n") for line in server.heard)
        assert whole == ("." in script)


async def test_a_server_that_fails_after_it_took_the_mail_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with OddServer({"QUIT": CUT}).running() as server:
        word = await channel({"host": "127.0.0.1", "port": server.port, "tls": "none"}).send(reply(), NOWHERE)
        assert word.provider_id == f"<{TOKEN}@example.gov.cn>"


async def test_nobody_there() -> None:
    with pytest.raises(NotSent, match="connect"):
        await channel({"host": "127.0.0.1", "port": 1, "tls": "none"}).send(reply(), NOWHERE)


@pytest.mark.parametrize("to", ["a@b\r\nRCPT TO:<c@d>", "a b@c", "@", "a@b>", "<>"])
async def test_an_address_commands_nothing(to: str) -> None:
    async with OddServer().running() as server:
        with pytest.raises(Undeliverable):
            await channel({"host": "127.0.0.1", "port": server.port, "tls": "none"}).send(reply(to=to), NOWHERE)
        assert not any(line.upper().startswith(b"RCPT") for line in server.heard)


async def test_smtputf8_where_the_server_has_it_and_else_not_at_all() -> None:
    got = await sent(reply(to="市民@example.net", **letter()))
    assert got.recipients == ("市民@example.net",) and "To: 市民@example.net".encode() in got.raw
    async with OddServer().running() as server:
        with pytest.raises(Undeliverable, match="smtputf8"):
            await channel({"host": "127.0.0.1", "port": server.port, "tls": "none"}).send(
                reply(to="市民@example.net"), NOWHERE
            )


# -- TLS and the password ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_tls_with_a_password(tls: str, tmp_path: Path) -> None:
    trusted, context = certificate(tmp_path)
    how: dict[str, Any] = {"tls_context": context} if tls == "starttls" else {"implicit": context}
    locked = {"authenticator": knows, "auth_required": tls == "starttls", "auth_require_tls": tls == "starttls"}
    async with MailServer().running(**locked, **how) as server:
        ours = {"host": "localhost", "port": server.port, "tls": tls, "username": USER, "password": PASSWORD}
        await channel({**ours, "ca_file": str(trusted)}).send(reply(), NOWHERE)
        assert len(server.got) == 1
        for wrong, reason in (({"password": "geheim-0"}, "credentials"), ({"host": "127.0.0.1"}, "certificate")):
            with pytest.raises(NotSent, match=reason) as raised:
                await channel({**ours, "ca_file": str(trusted), **wrong}).send(reply(), NOWHERE)
            assert raised.value.after_seconds >= 60
        with pytest.raises(NotSent, match="certificate"):
            await channel(ours).send(reply(), NOWHERE)
        assert len(server.got) == 1


async def test_check_live_logs_in_and_sends_nothing() -> None:
    async with MailServer().running() as server:
        assert await channel(server.settings).probe() == Probed() == await channel(None).probe()
        assert server.got == []
        gone = server.settings
    assert (await channel(gone).probe()).wrong == f"outgoing 127.0.0.1:{server.port}: connect"


async def test_a_server_without_starttls_gets_nothing() -> None:
    async with OddServer().running() as server:
        with pytest.raises(NotSent, match="unsupported"):
            await channel({"host": "127.0.0.1", "port": server.port}).send(reply(), NOWHERE)
        assert not any(line.startswith((b"MAIL", b"AUTH")) for line in server.heard)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "tls none elsewhere": ({"outgoing": {"host": "mail.example", "tls": "none"}}, "starttls"),
    "user alone": ({"outgoing": {"host": "mail.example", "username": "x"}}, "go together"),
    "no key": ({"dkim": {"selector": "s", "domain": "example.gov.cn", "private_key": "key"}}, "openssl genrsa"),
    "short key": ({"dkim": {"selector": "s", "domain": "example.gov.cn", "private_key": rsa_pem(1024)}}, "short"),
    "another's domain": ({"dkim": {**KEY["dkim"], "domain": "example.com"}}, "not that of every address"),
    "a suffix only": ({"dkim": {**KEY["dkim"], "domain": "ample.gov.cn"}}, "not that of every address"),
}  # fmt: skip


@pytest.mark.parametrize(("more", "mend"), WRONG.values(), ids=WRONG)
def test_settings_that_would_not_work(more: dict[str, Any], mend: str) -> None:
    with pytest.raises(ValidationError, match=mend) as raised:
        channel(**{"outgoing": None} | more)
    assert "PRIVATE KEY" not in str(raised.value)


def test_a_mailbox_without_outgoing_only_listens() -> None:
    assert channel(None).reaches == frozenset()
    assert channel({"host": "mail.example"}).reaches == {ContactType.MAIL}
