"""The mailbox by SMTP and LMTP: what is taken, and when it is acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.channels.smtp_line import FROM, OURS, TO, running, session, settings


async def test_a_mail_is_kept_byte_for_byte_and_then_acknowledged() -> None:
    body = b"Subject: =?x\r\n\r\n.dots.\r\n.\x80\xff\0 tail \r\n\r\n"
    async with running() as mailbox, session(mailbox) as line:
        await line.say(FROM, f"RCPT TO:<{OURS.upper()}>")
        assert await line.data(body.replace(b"\r\n.", b"\r\n..")) == "250 2.0.0 Kept"
    (envelope,) = mailbox.kept
    assert (envelope.body, envelope.channel, envelope.kind) == (body, "mailbox", "smtp")
    assert envelope.context == {
        "mail_from": "citizen@example.net",
        "recipients": OURS,
        "peer": "127.0.0.1",
        "helo": "citizen.example",
    }
    assert mailbox.refused == []


async def test_nothing_is_acknowledged_before_it_is_kept() -> None:
    keep = asyncio.Event()
    async with running() as mailbox, session(mailbox) as line:
        mailbox.before = keep.wait
        await line.say(FROM, TO)
        answer = asyncio.create_task(line.data())
        done, _ = await asyncio.wait([answer], timeout=0.2)
        assert not done
        keep.set()
        assert await answer == "250 2.0.0 Kept"


async def test_the_null_sender_and_smtputf8_are_accepted() -> None:
    async with running() as mailbox, session(mailbox) as line:
        await line.say("MAIL FROM:<>", TO)
        await line.data()
        await line.say("MAIL FROM:<市民@example.net> SMTPUTF8", TO)
        await line.data()
        await line.raw(b"MAIL FROM:<\xff\0@example.net>\r\n")
        await line.say(TO)
        await line.data()
    senders = [envelope.context["mail_from"] for envelope in mailbox.kept]
    assert senders == ["", "市民@example.net", "\ufffd@example.net"]


async def test_lines_longer_than_rfc_5321_allows_are_accepted() -> None:
    body = b"Subject: x\r\n\r\n" + "路".encode("gbk") * 30_000 + b"\r\n"
    async with running() as mailbox, session(mailbox) as line:
        await line.say(FROM, TO)
        assert (await line.data(body)).startswith("250")
    assert mailbox.kept[0].body == body


async def test_a_mail_may_come_in_pieces_and_with_commands_behind_it() -> None:
    """The end is seen wherever it is cut (RFC 5321 section 4.1.1.4); what follows it are commands (RFC 2920)."""
    mail = b"Subject: x\r\n\r\n..\r\n.x\r\n.\r\n"
    async with running() as mailbox, session(mailbox) as line:
        for size in range(1, len(mail) + 1):
            await line.say(FROM, TO, "DATA")
            for start in range(0, len(mail), size):
                line.writer.write(mail[start : start + size])
                await line.writer.drain()
                await asyncio.sleep(0)
            assert (await line.answer()).startswith("250")
        await line.say(FROM, TO, "DATA")
        assert (await line.raw(mail + f"{FROM}\r\n{TO}\r\nDATA\r\n".encode())).startswith("250")
        assert [(await line.answer())[:3] for _ in range(3)] == ["250", "250", "354"]
        assert (await line.raw(b".\r\n")).startswith("250")
    assert {envelope.body for envelope in mailbox.kept[:-1]} == {b"Subject: x\r\n\r\n.\r\nx\r\n"}
    assert (len(mailbox.kept), mailbox.kept[-1].body) == (len(mail) + 2, b"")


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"x", b"\r\n.", b"\0"]), max_size=40).map(b"".join))
def test_what_is_sent_is_what_is_kept(body: bytes) -> None:
    """As aiosmtpd reads it line by line: undone is what the sender does to dots, nothing else."""
    mail = body.replace(b"\r\n.\r\n", b"") + b"\r\n"
    sent = (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"

    async def deliver() -> tuple[str, list[bytes]]:
        async with running() as mailbox, session(mailbox) as line:
            await line.say(FROM, TO, "DATA")
            answer = await line.raw(sent)
            assert (await line.say("NOOP")).startswith("250"), "nothing of the mail is taken for a command"
            return answer[:3], [envelope.body for envelope in mailbox.kept]

    bare = b"\n" in mail.replace(b"\r\n", b"")
    assert asyncio.run(deliver()) == (("550", []) if bare else ("250", [mail]))


async def test_lmtp_answers_once_for_each_recipient() -> None:
    other = "office@example.gov.cn"

    async def fails() -> None:
        raise RuntimeError("db secret-host")

    async with (
        running(protocol="lmtp", recipients=[OURS, other], max_size=1024) as mailbox,
        session(mailbox, "LHLO mx.example") as line,
    ):
        for body, code in ((b"words\r\n", "250"), (b"a" * 2000 + b"\r\n", "552"), (b"a\nb\r\n", "550")):
            await line.say(FROM, TO, f"RCPT TO:<{other}>")
            assert (await line.data(body))[:3] == (await line.answer())[:3] == code
        mailbox.before = fails
        await line.say(FROM, TO, f"RCPT TO:<{other}>")
        assert (await line.data())[:3] == (await line.answer())[:3] == "451", "our faults too"
        assert (await line.say("NOOP")).startswith("250")
        assert (await line.say("EHLO x")).startswith("500")
    assert [envelope.context["recipients"] for envelope in mailbox.kept] == [f"{OURS} {other}"]


WRONG = {
    "no recipient": {"recipients": []},
    "a recipient that is a relay": {"recipients": ["a%b@example.gov.cn"]},
    "a name": {"recipients": ["mayor"]},
    "no port": {"listen": "127.0.0.1"},
    "no such port": {"listen": "127.0.0.1:70000"},
    "unknown protocol": {"protocol": "uucp"},
    "no certificate": {"tls": {"certificate": "nowhere.pem", "key": "nowhere.pem"}},
    "no key": {"tls": {"certificate": "nowhere.pem"}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)
