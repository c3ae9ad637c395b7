"""The mailbox: its settings, what is read of a mail's headers, and who may be let in."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.base import Admission
from channels.errors import ChannelError, Malformed
from channels.imap import Imap
from channels.imap_headers import MOST_HEADERS
from channels.imap_login import Tokens
from channels.imap_queue import FIRST_SECONDS, LONGEST_SECONDS, Memory, Place
from channels.simulated.imap import ImapPeer
from channels.simulated.imap_server import CAPABILITIES, Session
from channels.smtp import Smtp, SmtpSettings
from normalizer.model import Message, Notice
from tests.channels.imap_world import on, running, settings, stand_in, until
from tests.dovecot import USERNAME

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OAUTH2 = {"token_url": "https://login.example/token", "client_id": "x", "refresh_token": "r"}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "neither password nor token": ({"password": None}, "one of them"),
    "both": ({"oauth2": OAUTH2}, "one of them"),
    "a token by http": ({"password": None, "oauth2": OAUTH2 | {"token_url": "http://login.example/"}}, "https"),
    "a password that LOGIN cannot say": ({"password": "密码"}, "ASCII"),
    "a password of two lines": ({"password": "a\r\nX LOGOUT"}, "ASCII"),
    "done is the queue": ({"done_folder": "INBOX"}, "name another"),
    "plain text over a network": ({"host": "imap.example.cn"}, "tls: false shows"),
    "no address": ({"username": "mayor"}, "no address"),
    "a folder of two lines": ({"folder": "a\r\nb"}, "pattern"),
    "no host": ({"host": ""}, "pattern"),
    "two hosts": ({"host": "a b"}, "pattern"),
    "no port": ({"port": 0}, "greater"),
    "never polled": ({"poll_seconds": 0}, "greater"),
    "polled after the server's patience": ({"poll_seconds": 601}, "less"),
    "an alarm before the second look": ({"poll_seconds": 600, "alarm_minutes": 10}, "twice poll_seconds"),
    "certificates that are none": ({"tls": True, "ca_file": __file__}, "PEM"),
    "a recipient that is a relay": ({"recipients": ["a%b@example.gov.cn"]}, "plain address"),
    "no day": ({"since": "yesterday"}, "date"),
}


@pytest.mark.parametrize(("wrong", "mend"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused_with_the_mend(wrong: dict[str, Any], mend: str) -> None:
    with pytest.raises(ValidationError, match=mend):
        settings(**wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"host": "imap.example.cn", "tls": True},
        {"host": "imap.example.cn", "tls": "starttls"},
        {"username": "mayor", "recipients": ["mayor@example.gov.cn"]},
        {"password": None, "oauth2": OAUTH2},
        {"password": None, "oauth2": OAUTH2 | {"token_url": "http://127.0.0.1:1/"}},
        {"host": "::1"},
        {"since": "2026-01-01"},
        {"folder": "投诉/市长信箱", "done_folder": "已处理"},
    ],
)
def test_right_settings_are_taken(right: dict[str, Any]) -> None:
    found = settings(**right)
    assert found.addresses and Imap("imap", found).runs and not Imap("imap", found).listens


def test_our_address_is_the_username_unless_told() -> None:
    assert settings(username="Mayor@Example.gov.cn").addresses == ("mayor@example.gov.cn",)
    assert settings(recipients=["a@example.gov.cn", "b@example.gov.cn"]).addresses == ("a@example.gov.cn", "b@example.gov.cn")  # fmt: skip


def test_no_secret_is_shown() -> None:
    found = settings(password=None, oauth2=OAUTH2 | {"refresh_token": "rrrr", "client_secret": "cccc"})
    assert "rrrr" not in repr(found) and "cccc" not in repr(found)
    assert "secret-of-the-tests" not in repr(settings())


# -- Headers -----------------------------------------------------------------------------------------------------------

#: Headers → mail_from, recipients.
HEADERS: dict[str, tuple[bytes, str, str]] = {
    "Return-Path": (b"Return-Path: <a@b.example>\r\nFrom: c@d.example\r\n", "a@b.example", ""),
    "without brackets": (b"Return-Path: a@b.example\r\n", "a@b.example", ""),
    "the null sender": (b"Return-Path: <>\r\nFrom: c@d.example\r\n", "", ""),
    "the null sender, spaced": (b"Return-Path: < >\r\nFrom: c@d.example\r\n", "", ""),
    "no Return-Path": (b"From: C <c@d.example>\r\n", "c@d.example", ""),
    "an unreadable Return-Path": (b"Return-Path: nobody\r\nFrom: c@d.example\r\n", "c@d.example", ""),
    "a second Return-Path is the sender's": (b"Return-Path: <a@b.example>\r\nReturn-Path: <>\r\n", "a@b.example", ""),
    "nobody": (b"Subject: x\r\n", "unknown", ""),
    "Delivered-To": (b"Delivered-To: <Mayor@example.gov.cn>\r\nTo: x@y.example\r\n", "unknown", USERNAME),
    "X-Original-To": (b"X-Original-To: mayor@example.gov.cn\r\n", "unknown", USERNAME),
    "To, folded": (b"To: X <x@y.example>,\r\n\tMayor\r\n <mayor@example.gov.cn>\r\n", "unknown", USERNAME),
    "Cc": (b"To: x@y.example\r\nCC: mayor@example.gov.cn\r\n", "unknown", USERNAME),
    "delivered to one, addressed to both": (
        b"Delivered-To: office@example.gov.cn\r\nTo: mayor@example.gov.cn\r\n",
        "unknown",
        "office@example.gov.cn",
    ),
    "delivered to another: a forwarded mailbox": (
        b"Delivered-To: x@y.example\r\nTo: mayor@example.gov.cn\r\n",
        "unknown",
        USERNAME,
    ),
    "with a tag": (
        b"Delivered-To: mayor+k7@example.gov.cn\r\n",
        "unknown",
        "",
    ),
    "in the body": (b"Subject: x\r\n\r\nReturn-Path: <>\r\nTo: mayor@example.gov.cn\r\n", "unknown", ""),
    "line feeds only": (b"Return-Path: <a@b.example>\nTo: mayor@example.gov.cn\n", "a@b.example", USERNAME),
    "bytes that are no text": (b"Return-Path: <\xff\xfe@b.example>\r\n", "\ufffd\ufffd@b.example", ""),
}


@pytest.mark.parametrize(("head", "mail_from", "recipients"), HEADERS.values(), ids=HEADERS)
def test_the_envelope_is_read_from_the_headers(head: bytes, mail_from: str, recipients: str) -> None:
    channel = Imap("imap", settings(recipients=[USERNAME, "office@example.gov.cn"]))
    found = channel.mail(head + b"\r\nwords", (), "1/1")
    assert (found.context["mail_from"], found.context["recipients"]) == (mail_from, recipients)
    assert found.apparent_sender == (mail_from or "<>")


@given(st.binary(max_size=400))
def test_whatever_the_headers_are_there_is_an_envelope(raw: bytes) -> None:
    found = Imap("imap", settings()).mail(raw, (), "1/1")
    assert found.body == raw and all(" " not in one for one in found.context["mail_from"])


def test_headers_without_end_are_read_in_no_time() -> None:
    channel, began = Imap("imap", settings()), datetime.now(UTC)
    for piece in (b"To: a@b.example\r\n", b" a@b.example,", b"@", b"a" * 70, b": \r\n ", b"<"):
        channel.mail(b"To: " + piece * (4 * MOST_HEADERS // len(piece)), (), "1/1")
    assert (datetime.now(UTC) - began).total_seconds() < 3


def test_smtp_and_imap_make_the_same_message_of_a_mail() -> None:
    imap = Imap("imap", settings())
    said = ImapPeer("imap", imap.settings).say("路灯不亮", sender="1", message_id="1", at=NOW)
    smtp = Smtp("mailbox", SmtpSettings.model_validate({"listen": "127.0.0.1:0", "recipients": [USERNAME]}))
    context = {"mail_from": "citizen1@example.net", "recipients": USERNAME}
    head, _, body = said.data.partition(b"From: ")  # what the server noted on top came later
    assert b"Delivered-To" in head
    by_smtp = smtp.envelope(b"From: " + body, NOW, admission=Admission(context=context))
    (one,), (other,) = imap.parse(imap.mail(said.data, (), "1/1")), smtp.parse(by_smtp)
    assert one == other and isinstance(one, Message) and one.account == USERNAME


def test_what_nobody_wrote() -> None:
    channel = Imap("imap", settings())
    assert isinstance(channel.parse(channel.mail(b"Return-Path: <>\r\nFrom: a@b.example\r\n\r\nx", (), "1/1")), Notice)
    with pytest.raises(Malformed, match=r"^no_sender$"):
        channel.parse(channel.mail(b"Subject: x\r\n\r\nx", (), "1/1"))


# -- Troubles ----------------------------------------------------------------------------------------------------------


def test_a_mail_is_tried_ever_more_rarely_and_forgotten_with_its_place() -> None:
    memory, place, waits = Memory(), Place(1, 1), list[float]()
    for _ in range(12):
        memory.note(place, "cut")
        waits.append(round(memory.troubles[place].due - time.monotonic()))
    assert memory.tries(place) == 12 and waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (FIRST_SECONDS, 2 * FIRST_SECONDS, LONGEST_SECONDS)
    memory.kept[place] = b"x"
    memory.look({Place(1, 2)})
    assert memory.troubles == {} and memory.kept == {}


def test_at_most_five_are_named() -> None:
    channel = Imap("imap", settings())
    for uid in range(7):
        channel.memory.note(Place(1, uid), "short")
    named = ", ".join(f"UID {uid} (short)" for uid in range(5))
    assert channel.remarks() == (f"mail that cannot be taken now and is tried again: {named} and 2 more",)


# -- Being let in ------------------------------------------------------------------------------------------------------


async def no_starttls(_session: Session, _tag: str, _verb: str, _words: list[str]) -> bool:
    return False


async def injects(session: Session, tag: str, verb: str, _words: list[str]) -> bool:
    """Answers in clear text that would be believed once TLS is on (CVE-2011-0411 and its like)."""
    if verb == "STARTTLS":
        session.writer.write(f"{tag} OK begin\r\n* PREAUTH come in\r\n".encode())
        await session.writer.drain()
        await asyncio.sleep(0.5)
    return verb == "STARTTLS"


async def refuses(session: Session, tag: str, verb: str, _words: list[str]) -> bool:
    if verb == "STARTTLS":
        await session.say(f"{tag} NO not today")
    return verb == "STARTTLS"


STRIPPED = {
    "not offered": (CAPABILITIES, no_starttls, "no_starttls"),
    "refused": ((*CAPABILITIES, "STARTTLS"), refuses, "cut"),
    "words before the handshake": ((*CAPABILITIES, "STARTTLS"), injects, "cut"),
}


@pytest.mark.parametrize(("capabilities", "trick", "word"), STRIPPED.values(), ids=STRIPPED)
async def test_no_password_goes_out_where_somebody_has_taken_starttls_away(
    capabilities: tuple[str, ...], trick: Any, word: str
) -> None:
    async with stand_in(capabilities=capabilities) as server:
        server.trick = trick
        async with running(on(server, tls="starttls")) as mailbox:
            await until(lambda: mailbox.ended)
    assert isinstance(mailbox.ended[0], ChannelError) and mailbox.ended[0].reason == word
    assert "LOGIN" not in server.asked


@pytest.mark.parametrize("username", [r"CITY\mayor\letters", 'a"b(c)', "mayor%letters*"])
async def test_odd_usernames_are_said_as_they_are(username: str) -> None:
    async with stand_in() as server:
        server.username = username
        async with running(on(server, username=username, recipients=[USERNAME])) as mailbox:
            await until(lambda: mailbox.looks or mailbox.ended)
    assert mailbox.looks and mailbox.ended == []


async def test_a_token_is_asked_for_once_while_it_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    from channels.rest import Told  # noqa: PLC0415

    asked: list[dict[str, str]] = []
    answers = [b'{"access_token": "a", "expires_in": 3600}', b'{"access_token": "b", "expires_in": 30}']
    answers += [b'{"access_token": "c"}', b"[]", b'{"expires_in": 3}', b'{"access_token": "d", "expires_in": "x"}']

    async def call(_method: str, _url: str, *, form: dict[str, str]) -> Told:
        asked.append(form)
        return Told(200, answers[len(asked) - 1], {})

    monkeypatch.setattr("channels.imap_login.call", call)
    wanted = settings(password=None, oauth2=OAUTH2 | {"scope": "mail"}).oauth2
    assert wanted is not None
    tokens = Tokens(wanted)
    assert [await tokens.token(None) for _ in range(3)] == ["a"] * 3
    tokens.forget()
    assert [await tokens.token(None) for _ in range(2)] == ["b", "c"], "one that ends within a minute is not used again"
    assert asked[0] == {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "x", "scope": "mail"}
    for _ in range(3):
        tokens.forget()
        with pytest.raises(ChannelError, match=r"^oauth2_garbage$"):
            await tokens.token(None)


def test_certificates_are_found_beside_config_yaml(tmp_path: Path) -> None:
    from channels.imap import ImapSettings  # noqa: PLC0415

    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ValidationError, match="PEM"):
        ImapSettings.model_validate(
            {"host": "h", "port": 1, "username": USERNAME, "password": "p4ssw0rd", "folder": "a", "done_folder": "b", "ca_file": "ca.pem"},
            context={"base": str(tmp_path)},
        )  # fmt: skip
