"""Mail in which no citizen speaks is a notice, and what it says of our own mail is reported; a citizen's letter never is.

The mails themselves stand in tests/data/mail/machine-*.eml.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from channels.smtp import Smtp
from normalizer.mail import Mail, read
from normalizer.model import Message, Notice, Report

OURS, CITIZEN = "mayor@example.gov.cn", "zhangsan@example.net"
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
FOLDER = Path(__file__).parent.parent / "data" / "mail"
MACHINES, PEOPLE = sorted(FOLDER.glob("machine-[!n]*.eml")), sorted(FOLDER.glob("machine-not-*.eml"))
TOKEN = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnop"


def parsed(raw: bytes, mail_from: str = CITIZEN) -> Message | Notice:
    settings = Smtp.Settings.model_validate({"kind": "smtp", "listen": "127.0.0.1:0", "recipients": [OURS]})
    channel = Smtp("mailbox", settings)
    context = {"mail_from": mail_from, "recipients": OURS, "peer": "192.0.2.1", "helo": "x"}
    found = channel.parse(replace(channel.envelope(raw, NOW), context=context))
    return found if isinstance(found, Notice) else found[0]


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_a_machine_is_a_notice_with_its_reason_and_reports(path: Path) -> None:
    expected = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
    found = parsed(path.read_bytes())
    reason = "loop" if expected.get("loops") else expected["automatic"]
    if reason is None:
        assert isinstance(found, Message) and not found.answerable
        return
    assert isinstance(found, Notice) and found.reason == reason
    reports = [Report(provider_id=ours, state=state, reason=why) for ours, state, why in expected.get("reports", [])]
    assert list(found.reports) == reports


@pytest.mark.parametrize("path", PEOPLE, ids=lambda path: path.stem)
def test_a_person_who_writes_about_machines_is_a_person(path: Path) -> None:
    found = parsed(path.read_bytes())
    assert isinstance(found, Message) and found.answerable and found.text


def letter(*headers: str, body: str = "路灯坏了") -> bytes:
    return "".join(f"{one}\r\n" for one in (f"From: {CITIZEN}", *headers)).encode() + f"\r\n{body}\r\n".encode()


LOOPS = {
    "ours by its Message-ID": (letter(f"Message-ID: <{TOKEN}@example.gov.cn>"), True),
    "a token under another domain": (letter(f"Message-ID: <{TOKEN}@example.net>"), False),
    "another Message-ID under our domain": (letter("Message-ID: <1@example.gov.cn>"), False),
    "an answer to ours": (letter(f"Message-ID: <1@example.net>\r\nIn-Reply-To: <{TOKEN}@example.gov.cn>"), False),
    "X-Loop names us": (letter(f"X-Loop: {OURS}"), True),
    "X-Loop names another": (letter("X-Loop: other@example.org"), False),
}


@pytest.mark.parametrize(("raw", "loop"), LOOPS.values(), ids=LOOPS)
def test_our_own_mail_that_comes_back_is_a_loop(raw: bytes, loop: bool) -> None:
    found = parsed(raw)
    assert isinstance(found, Notice) == loop
    assert not isinstance(found, Notice) or found.reason == "loop"


def test_the_null_sender_is_no_person() -> None:
    found = parsed(letter(), mail_from="")
    assert isinstance(found, Notice) and found.reason == "null_sender"


# -- May it be answered? -----------------------------------------------------------------------------------------------

SILENT = (
    *("List-Id: <x.example.org>", "X-Auto-Response-Suppress: OOF", "Feedback-ID: 1:x", "X-Loop: a@b.example"),
    *("Return-Path: <>", "\r\n".join(["Received: x"] * 51), "Auto-Submitted: auto-replied"),
)
NOBODY = (
    *("no-reply", "noreply", "donotreply", "do-not-reply", "MAILER-DAEMON", "postmaster", "bounces+1", "owner-list"),
    *("list-request", "listserv", "no-reply+abc"),
)
SOMEBODY = ("zhangsan", "reply", "noreen", "post", "systematic", "bouncer", "nobodys.friend")


def answerable(*headers: str, local: str = "zhangsan") -> bool:
    raw = "".join(f"{one}\r\n" for one in (f"From: {local}@example.net", *headers)).encode() + b"\r\nx"
    return read(raw).answerable


@pytest.mark.parametrize("header", SILENT, ids=lambda header: header[:30])
def test_who_asks_not_to_be_answered_is_not(header: str) -> None:
    assert answerable() and not answerable(header)


@pytest.mark.parametrize("local", NOBODY)
def test_who_never_reads_is_not_answered(local: str) -> None:
    assert not answerable(local=local)


@pytest.mark.parametrize("local", SOMEBODY)
def test_who_reads_is_answered(local: str) -> None:
    assert answerable("Auto-Submitted: no", "Precedence: first-class", local=local)


# -- Reports -----------------------------------------------------------------------------------------------------------


def report(*blocks: str, returned: str = "Message-ID: <1@example.gov.cn>") -> Mail:
    status = "Reporting-MTA: dns; x\r\n\r\n" + "\r\n\r\n".join(blocks)
    parts = (("message/delivery-status", status), ("text/rfc822-headers", f"{returned}\r\n"))
    inside = "".join(f"--b\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts)
    head = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    return read(f"{head}{inside}--b--\r\n".encode())


REASONS = {
    "Status: 5.1.1": "no_such_mailbox",
    "Status: 5.2.2 (full)": "mailbox_full",
    "Status: 5.04.004": "no_route",
    "Diagnostic-Code: smtp; 550-5.7.26 not authenticated": "unauthenticated",
    "Status: 5.9.123": "status_5_9_123",
    "Diagnostic-Code: smtp; 550 no": "bounced",
    "Status: nonsense": "bounced",
}


@pytest.mark.parametrize(("field", "reason"), REASONS.items(), ids=REASONS)
def test_why_it_did_not_arrive(field: str, reason: str) -> None:
    (found,) = report(f"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\n{field}").reports
    assert found == Report(provider_id="<1@example.gov.cn>", state="failed", reason=reason)


def test_what_names_none_of_our_mails_reports_nothing() -> None:
    assert report("Action: failed\r\nStatus: 5.1.1", returned="Subject: x").reports == ()
    assert report("Action: delayed").reports == ()


@given(
    st.lists(
        st.sampled_from(["Action: failed", "Status: 5", "\r\n", "Status: 5.1.1", "x", ": ", "\0", "é"]), max_size=12
    )
)
def test_any_report_is_read(pieces: list[str]) -> None:
    assert report("\r\n".join(pieces)).automatic == "delivery_report"
