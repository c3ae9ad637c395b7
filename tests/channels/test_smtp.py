"""The mailbox: who is let in, what is refused and how, and what becomes of a mail."""

from __future__ import annotations

import asyncio
import gc
import smtplib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.base import StateChange
from channels.errors import Malformed, Unavailable
from channels.simulated import Ack, MailDelivery
from channels.simulated.smtp import SmtpPeer
from channels.smtp import Smtp, SmtpSettings
from channels.testing import Cases, Expected, Gateway, check_channel
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Envelope, Kept, Message, Notice

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OURS = "mayor@example.gov.cn"
FROM, TO = "MAIL FROM:<citizen@example.net>", f"RCPT TO:<{OURS}>"


def settings(**more: Any) -> SmtpSettings:
    return SmtpSettings.model_validate({"listen": "127.0.0.1:0", "recipients": [OURS], **more})


def peer(**more: Any) -> SmtpPeer:
    return SmtpPeer("mailbox", settings(**more))


@dataclass
class Running:
    """A mailbox that listens, and what it kept and refused."""

    channel: Smtp
    kept: list[Envelope] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    #: What ``deliver`` does before it keeps.
    before: Callable[[], Any] | None = None

    async def deliver(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        if self.before is not None:
            await self.before()
        self.kept.append(envelope)
        return Kept(envelope.id)

    def listening(self, channel: str) -> tuple[str, int]:
        assert self.channel.address is not None
        return self.channel.address

    http_url = ""


@asynccontextmanager
async def running(**more: Any) -> AsyncIterator[Running]:
    found = Running(Smtp("mailbox", settings(**more)))
    found.channel.refused = found.refused.append
    task = asyncio.create_task(found.channel.run(found.deliver, None))  # type: ignore[arg-type]
    try:
        while found.channel.address is None:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.001)
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert found.channel.address is None


class Line:
    """One session, command by command; every answer is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> str:
        lines = [await self.reader.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(await self.reader.readline())
        return lines[-1].decode().strip()

    async def raw(self, data: bytes) -> str:
        self.writer.write(data)
        return await self.answer()

    async def say(self, *commands: str) -> str:
        """The answer to the last command."""
        return [await self.raw(command.encode("utf-8", "surrogateescape") + b"\r\n") for command in commands][-1]

    async def data(self, mail: bytes = b"Subject: x\r\n\r\nwords\r\n") -> str:
        assert (await self.say("DATA")).startswith("354")
        return await self.raw(mail + b".\r\n")


@asynccontextmanager
async def session(to: Running, greeting: str = "EHLO citizen.example") -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(*to.listening("mailbox"))
    line = Line(reader, writer)
    try:
        async with asyncio.timeout(20):
            assert (await line.answer()).startswith("220 example.gov.cn ")
            assert (await line.say(greeting)).startswith("250")
            yield line
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


# -- Delivery ----------------------------------------------------------------------------------------------------------


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


async def test_lmtp_answers_once_for_each_recipient() -> None:
    other = "office@example.gov.cn"
    async with (
        running(protocol="lmtp", recipients=[OURS, other], max_size=1024) as mailbox,
        session(mailbox, "LHLO mx.example") as line,
    ):
        for body, code in ((b"words\r\n", "250"), (b"a" * 2000 + b"\r\n", "552"), (b"a\nb\r\n", "550")):
            await line.say(FROM, TO, f"RCPT TO:<{other}>")
            assert (await line.data(body))[:3] == (await line.answer())[:3] == code
        assert (await line.say("NOOP")).startswith("250")
        assert (await line.say("EHLO x")).startswith("500")
    assert [envelope.context["recipients"] for envelope in mailbox.kept] == [f"{OURS} {other}"]


# -- Refusals ----------------------------------------------------------------------------------------------------------

RELAYS = {
    "foreign": "<a@example.net>",
    "percent": "<a%example.net@example.gov.cn>",
    "ours in percent": f"<{OURS.replace('@', '%')}@example.net>",
    "bang": "<example.net!a@example.gov.cn>",
    "ours in bang": "<example.gov.cn!mayor@example.net>",
    "quoted @": '<"a@example.net"@example.gov.cn>',
    "quoted": '<"mayor"@example.gov.cn>',
    "source route to us": f"<@example.net:{OURS}>",
    "source route through us": "<@example.gov.cn:a@example.net>",
    "two @": f"<{OURS}@example.net>",
    "two addresses": f"<{OURS},a@example.net>",
    "comment": "<mayor(a@example.net)@example.gov.cn>",
    "subdomain": "<mayor@mx.example.gov.cn>",
    "suffix": "<mayor@example.gov.cn.example.net>",
    "domain literal": "<mayor@[127.0.0.1]>",
    "no domain": "<mayor>",
    "postmaster": "<postmaster>",
    "null": "<>",
    "parent domain": "<mayor@gov.cn>",
    "tag": "<mayor+a@example.gov.cn>",
    "angle in angle": f"<<{OURS}>>",
    "space": "<mayor @example.gov.cn>",
    "bare LF": f"<{OURS}>\nRCPT TO:<a@example.net>",
    "NUL": "<mayor\0@example.gov.cn>",
    "full width @": "<mayor＠example.gov.cn>",
    "escaped": r"<mayor\@example.net@example.gov.cn>",
    "colon": f"<a:{OURS}>",
    "other local part": "<mayors@example.gov.cn>",
    "X.400": "</c=cn/s=mayor/@example.gov.cn>",
    "not ours without brackets": "a@example.net",
}


@pytest.mark.parametrize("path", RELAYS.values(), ids=RELAYS)
async def test_mail_for_others_is_refused(path: str) -> None:
    async with running() as mailbox, session(mailbox) as line:
        assert (await line.say(FROM, f"RCPT TO:{path}")).startswith("550 5.1.1")
        assert (await line.say("DATA")).startswith("503")
    assert mailbox.kept == []
    assert mailbox.refused == ["relay", "command"]


LARGE = b"Subject: x\r\n\r\n" + b"abcdefg\r\n" * 1000
REFUSALS: dict[str, tuple[Any, str, str]] = {
    "one recipient too many": ([FROM, TO, TO, TO], "452 4.5.3", "recipients"),
    "declared too large": ([FROM + " SIZE=9000"], "552", "oversized"),
    "really too large": ([FROM, TO, LARGE], "552", "oversized"),
    "line too long": ([FROM, TO, b"Subject: x\r\n\r\n" + b"a" * 70_000 + b"\r\n"], "500 Line", "line"),
    "bare LF in a mail": ([FROM, TO, b"Subject: x\r\n\r\na\nb\r\n"], "550 5.6.0", "bare_lf"),
    "bare LF in commands": (["NOOP\nNOOP"], "500", "command"),
    "command too long": (["NOOP " + "a" * 600], "500", "command"),
    "unknown command": (["XEXCH50"], "500", "command"),
    "bytes that are no text": ([b"VRFY @\xff".decode("utf-8", "surrogateescape")], "502", "command"),
    "authentication": (["AUTH PLAIN AGEAYg=="], "538", "command"),
    "no sender": ([TO], "503", "command"),
    "verb too often": (["HELP"] * 101, "421 4.7.0", "commands"),
}


@pytest.mark.parametrize(("steps", "answer", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals_are_told_and_counted(steps: list[Any], answer: str, reason: str) -> None:
    async with running(max_size=4096, max_recipients=2) as mailbox, session(mailbox) as line:
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


ENDINGS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\0.\r\n", b"\n.\r"]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_second_mail_is_smuggled(ending: bytes) -> None:
    inner = b"\r\n".join([FROM.encode(), TO.encode(), b"DATA", b"Subject: smuggled\r\n\r\nx"])
    async with running() as mailbox, session(mailbox) as line:
        await line.say(FROM, TO)
        answer = await line.data(b"Subject: x\r\n\r\nx" + ending + inner + b"\r\n")
        assert answer[:3] == ("550" if b"\n" in ending.replace(b"\r\n", b"") else "250")
    assert len(mailbox.kept) == (answer[:3] == "250")


@pytest.mark.parametrize("cap", ["max_connections", "connections_per_address"])
async def test_connections_are_capped_and_others_go_on(cap: str) -> None:
    async with running(**{cap: 1}) as mailbox:
        async with session(mailbox) as line:
            reader, writer = await asyncio.open_connection(*mailbox.listening("mailbox"))
            assert await reader.read() == b"421 4.7.0 Too many connections\r\n"
            writer.close()
            assert mailbox.refused == ["connections"]
            await line.say(FROM, TO)
            assert (await line.data()).startswith("250")
        async with asyncio.timeout(5):
            while mailbox.channel.address:
                with suppress(AssertionError):
                    async with session(mailbox):
                        return


@pytest.mark.parametrize("limit", ["timeout_seconds", "session_seconds"])
async def test_idle_and_endless_sessions_end(limit: str) -> None:
    async with running(**{limit: 0.2}) as mailbox, session(mailbox) as line:
        assert await line.answer() == "421 4.4.2 Time is up"
        assert await line.reader.read() == b""
        assert mailbox.refused == ["timeout"]


async def test_a_session_that_ended_is_not_ended_again() -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with running(session_seconds=0.2) as mailbox:
        async with session(mailbox) as line:
            await line.say("QUIT")
        await asyncio.sleep(0.3)
    assert faults == []


async def test_a_connection_reset_is_no_fault_of_ours() -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with running() as mailbox:
        for commands in (b"", b"EHLO x\r\nHELP\r\n" * 50, f"EHLO x\r\n{FROM}\r\n{TO}\r\nDATA\r\nhalf".encode()):
            with socket.create_connection(mailbox.listening("mailbox")) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(commands)
                await asyncio.sleep(0.05)
        gc.collect()
        await asyncio.sleep(0.05)
    assert faults == [] and mailbox.kept == []


async def test_a_slow_mail_is_not_an_idle_session() -> None:
    async with running(timeout_seconds=0.5) as mailbox, session(mailbox) as line:
        await line.say(FROM, TO, "DATA")
        for _ in range(8):
            line.writer.write(b"slowly\r\n")
            await asyncio.sleep(0.1)
        assert (await line.raw(b".\r\n")).startswith("250")


async def test_sessions_are_told_when_it_shuts_down() -> None:
    async with running() as mailbox:
        reader, writer = await asyncio.open_connection(*mailbox.listening("mailbox"))
        await reader.readline()
    assert await reader.read() == b"421 4.3.2 Shutting down\r\n"
    writer.close()
    assert mailbox.refused == []


async def test_a_busy_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {listen}"):
            async with asyncio.timeout(5):
                await Smtp("mailbox", settings(listen=listen)).run(Running(Smtp("x", settings())).deliver, None)  # type: ignore[arg-type]


async def test_a_hundred_sessions_at_once() -> None:
    async with running() as mailbox:
        delivery = peer().say("路灯不亮", sender="1", message_id="1", at=NOW)
        acks: list[Ack] = await asyncio.gather(*(delivery.send(mailbox) for _ in range(100)))
    assert [ack for ack in acks if not ack.ok] == []
    assert len(mailbox.kept) == 100


WRONG = {
    "no recipient": {"recipients": []},
    "a recipient that is a relay": {"recipients": ["a%b@example.gov.cn"]},
    "a name": {"recipients": ["mayor"]},
    "no port": {"listen": "127.0.0.1"},
    "no such port": {"listen": "127.0.0.1:70000"},
    "unknown protocol": {"protocol": "uucp"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


# -- Reading -----------------------------------------------------------------------------------------------------------


def understood(raw: bytes, mail_from: str = "citizen@example.net", recipients: str = OURS, **more: Any) -> Any:
    channel = Smtp("mailbox", settings(**more))
    context = {"mail_from": mail_from, "recipients": recipients, "peer": "192.0.2.1", "helo": "x"}
    return channel.parse(replace(channel.envelope(raw, NOW), context=context))


def message(raw: bytes, **more: Any) -> Message:
    (found,) = understood(raw, **more)
    assert isinstance(found, Message)
    return found


@pytest.mark.parametrize("message_id", ["1", "2"])
def test_what_a_citizen_wrote(message_id: str) -> None:
    delivery = peer().say("路灯不亮\n请修", sender="9", message_id=message_id, at=NOW)
    assert delivery == peer().say("路灯不亮\n请修", sender="9", message_id=message_id, at=NOW)
    assert (b"GB2312" in delivery.data) == (message_id == "1")
    assert message(delivery.data) == Message(
        key_space="mail",
        account=OURS,
        sender=Contact(type=ContactType.MAIL, value="citizen9@example.net", assurance=Assurance.SPOOFABLE),
        provider_id=f"<{message_id}@example.net>",
        sent_at=NOW,
        text="路灯不亮\n请修",
        title="关于：路灯不亮 请修",
    )


def test_the_account_is_the_first_mailbox_addressed() -> None:
    ours = ["a@example.gov.cn", "b@example.gov.cn", "c@example.gov.cn"]
    found = message(b"From: x@example.net\r\n\r\nx", recipients="c@example.gov.cn b@example.gov.cn")
    assert found.account == OURS, "an envelope kept under other settings is still read"
    channel = Smtp("mailbox", settings(recipients=ours))
    envelope = replace(
        channel.envelope(b"From: x@example.net\r\n\r\nx", NOW), context={"mail_from": "x@y.example", "recipients": " ".join(ours[:0:-1])}
    )  # fmt: skip
    (read,) = channel.parse(envelope)  # type: ignore[misc]
    assert read.account == "b@example.gov.cn"


def test_reply_to_and_thread() -> None:
    raw = b"From: X <x@example.net>\r\nReply-To: %s\r\nReferences: <1@a> <2@a>\r\nIn-Reply-To: <2@a>\r\n\r\nx"
    found = message(raw % b"y@example.net")
    assert (found.name, found.reply_to, found.thread) == ("X", "y@example.net", ("<1@a>", "<2@a>"))
    assert message(raw % b"x@EXAMPLE.net").reply_to is None


def test_without_from_the_envelope_says_who() -> None:
    assert message(b"Subject: x\r\n\r\nx", mail_from="A.b@Example.NET").sender.value == "A.b@example.net"
    with pytest.raises(Malformed, match=r"^no_sender$"):
        understood(b"Subject: x\r\n\r\nx", mail_from="postmaster")


def test_without_message_id_there_is_none() -> None:
    assert message(b"From: a@b.example\r\nMessage-ID: \r\n\r\nx").provider_id is None


@pytest.mark.parametrize("date", [b"Tue, 24 Nov 2026 08:00:00 +0000", b"nonsense", b"Thu, 1 Jan 1970 00:00:00 +0000"])
def test_dates_nobody_can_mean(date: bytes) -> None:
    found = message(b"From: a@b.example\r\nDate: " + date + b"\r\n\r\nx")
    assert (found.sent_at, found.flags) == (None, ("odd_time",))


NOTICES = {
    "null sender": (b"Subject: x\r\n\r\nx", "", "null_sender"),
    "vacation": (b"Auto-Submitted: auto-replied\r\n\r\nx", "a@b.example", "auto_submitted"),
    "bulk": (b"Precedence: bulk\r\n\r\nx", "a@b.example", "bulk"),
    "bounce": (
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nfailed\r\n--b--\r\n",
        "",
        "delivery_report",
    ),
}


@pytest.mark.parametrize(("raw", "mail_from", "reason"), NOTICES.values(), ids=NOTICES)
def test_automatic_mail_is_a_notice(raw: bytes, mail_from: str, reason: str) -> None:
    assert understood(raw, mail_from=mail_from) == Notice(reason=reason)


def bomb() -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(400))


def test_a_nesting_bomb_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"^nesting$"):
        understood(b"From: a@b.example\r\n" + bomb())


HEADERS = st.sampled_from(
    [b"From: ", b"Date: ", b"Message-ID: ", b"References: <", b"\r\n", b"\r\n\r\n", b"@", b"a", b"<", b">", b"\xff"]
)


@given(st.lists(HEADERS | st.binary(max_size=6), max_size=30).map(b"".join), st.text(max_size=9))
def test_reading_raises_malformed_only(raw: bytes, mail_from: str) -> None:
    with suppress(Malformed):
        understood(raw, mail_from=mail_from)


# -- Conformance -------------------------------------------------------------------------------------------------------


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
