"""What becomes of a mail that came by SMTP."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import Malformed
from channels.smtp import Smtp
from normalizer.model import Assurance, Contact, ContactType, Message, Notice
from tests.channels.smtp_line import NOW, OURS, bomb, peer, settings


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
    found = message(delivery.data)
    assert found.model_copy(update={"answer_to": None}) == Message(
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
