"""Whom and what the mailbox refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from channels.errors import Unavailable
from tests.channels.smtp_line import FROM, OURS, RELAYS, TO, running, session


@pytest.mark.parametrize("path", RELAYS.values(), ids=RELAYS)
async def test_mail_for_others_is_refused(path: str) -> None:
    async with running() as mailbox, session(mailbox) as line:
        assert (await line.say(FROM, f"RCPT TO:{path}")).startswith("550 5.1.1")
        assert (await line.say("DATA")).startswith("503")
    assert mailbox.kept == []
    assert mailbox.refused == ["relay", "command"]


LARGE = b"Subject: x\r\n\r\n" + b"abcdefg\r\n" * 12_000
REFUSALS: dict[str, tuple[Any, str, str]] = {
    "one recipient too many": ([FROM, TO, TO, TO], "452 4.5.3", "recipients"),
    "declared too large": ([FROM + " SIZE=100001"], "552", "oversized"),
    "really too large": ([FROM, TO, LARGE], "552", "oversized"),
    "line too long": ([FROM, TO, b"Subject: x\r\n\r\n" + b"a" * 65_537 + b"\r\n"], "500 Line", "line"),
    "bare LF in a mail": ([FROM, TO, b"Subject: x\r\n\r\na\nb\r\n"], "550 5.6.0", "bare_lf"),
    "bare LF in commands": (["NOOP\nNOOP"], "500", "command"),
    "command too long": (["NOOP " + "a" * 600], "500", "command"),
    "unknown command": (["XEXCH50"], "500", "command"),
    "bytes that are no text": ([b"VRFY @\xff".decode("utf-8", "surrogateescape")], "502", "command"),
    "authentication": (["AUTH PLAIN AGEAYg=="], "502 5.5.1", "command"),
    "no sender": ([TO], "503", "command"),
    "verb too often": (["HELP"] * 101, "421 4.7.0", "commands"),
}


@pytest.mark.parametrize(("steps", "answer", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals_are_told_and_counted(steps: list[Any], answer: str, reason: str) -> None:
    async with running(max_size=100_000, max_recipients=2) as mailbox, session(mailbox) as line:
        for step in steps:
            last = await (line.data(step) if isinstance(step, bytes) else line.say(step))
        assert last.startswith(answer)
        assert mailbox.kept == [] and mailbox.refused == [reason]
        if not answer.startswith("421"):
            await line.say("RSET", FROM, TO)
            assert (await line.data()).startswith("250"), "the session goes on"


FAULTS = {"store down": (Unavailable("down"), "unavailable"), "bug": (RuntimeError("db secret-host"), "internal")}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
async def test_our_faults_ask_for_another_try_and_tell_nothing(fault: Exception, reason: str) -> None:
    async def fails() -> None:
        raise fault

    async with running() as mailbox, session(mailbox) as line:
        mailbox.before = fails
        await line.say(FROM, TO)
        answer = await line.data()
        assert answer.startswith("451 4.3.0") and "secret" not in answer
        assert mailbox.refused == [reason]
        mailbox.before = None
        await line.say(FROM, TO)
        assert (await line.data()).startswith("250")


ENDINGS = [
    *(b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\0.\r\n", b"\n.\r"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n.\r\r\n", b"\r\n..\r\n", b"\r\n\x1a\r\n"),
]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_second_mail_is_smuggled(ending: bytes) -> None:
    inner = b"\r\n".join([FROM.encode(), TO.encode(), b"DATA", b"Subject: smuggled\r\n\r\nx"])
    async with running() as mailbox, session(mailbox) as line:
        await line.say(FROM, TO)
        answer = await line.data(b"Subject: x\r\n\r\nx" + ending + inner + b"\r\n")
        assert answer[:3] == ("550" if b"\n" in ending.replace(b"\r\n", b"") else "250")
    assert len(mailbox.kept) == (answer[:3] == "250")


HARMLESS = {
    "VRFY": ("VRFY mayor", "252", None),
    "VRFY of ours": (f"VRFY {OURS}", "252", None),
    "EXPN": ("EXPN staff", "502", "command"),
    "HELP": ("HELP", "250", None),
    "HELP of a verb": ("HELP RCPT", "250", None),
    "TURN": ("TURN", "500", "command"),
    "ETRN": ("ETRN example.net", "500", "command"),
    "BDAT": ("BDAT 5 LAST", "500", "command"),
    "STARTTLS": ("STARTTLS", "454", "command"),
}


@pytest.mark.parametrize(("command", "answer", "reason"), HARMLESS.values(), ids=HARMLESS)
async def test_commands_that_ask_tell_nothing(command: str, answer: str, reason: str | None) -> None:
    """VRFY and EXPN must not tell who exists (RFC 5321 section 7.3); the rest is not offered."""
    async with running() as mailbox, session(mailbox) as line:
        told = await line.say(command)
        other = await line.say(command.replace("mayor", "nobody"))
    assert told[:3] == other[:3] and told.replace("mayor", "nobody") == other and told.startswith(answer), told
    assert mailbox.refused == [reason, reason][: 2 * bool(reason)]


async def test_ehlo_offers_what_we_do_and_no_login() -> None:
    async with running() as mailbox, session(mailbox) as line:
        line.writer.write(b"EHLO x\r\n")
        offered = [(await line.reader.readline()).decode().strip() for _ in range(5)]
    assert offered == ["250-example.gov.cn", f"250-SIZE {25 * 1024 * 1024}", "250-8BITMIME", "250-SMTPUTF8", "250 HELP"]
