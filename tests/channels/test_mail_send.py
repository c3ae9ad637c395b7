"""Answers by mail: what they look like, and how they are signed."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import mail_send
from channels.errors import Undeliverable
from channels.mail_letter import MOST_REFERENCES, Letter, tagged, tags_in, untagged
from channels.smtp import Smtp, SmtpSettings
from normalizer.model import Assurance, Contact, ContactType
from normalizer.reply import Outgoing, ReplyKind
from tests.channels.mailroom import MailServer, dkim_record, rsa_pem

OURS, CITIZEN, CODE = "mayor@example.gov.cn", "citizen@example.net", "2611235356509040"
TOKEN = "a" * 47 + "2"
NOWHERE: Any = None


def channel(outgoing: dict[str, Any] | None, **more: Any) -> Smtp:
    document = {"listen": "127.0.0.1:0", "recipients": [OURS]} | {"outgoing": outgoing} | more
    return Smtp("mailbox", SmtpSettings.model_validate(document))


def reply(text: str = "已转市住建部门办理。", to: str = CITIZEN, **more: Any) -> Outgoing:
    contact = Contact(type=ContactType.MAIL, value=to, assurance=Assurance.SPOOFABLE)
    fields = {"id": uuid4(), "kind": ReplyKind.RESULT, "account": OURS, "to": contact, "text": text, "token": TOKEN}
    return Outgoing.model_validate(fields | {"tracking_code": CODE, "label": "办理结果"} | more)


def letter(
    message_id: str | None = "<1@example.net>",
    thread: tuple[str, ...] = (),
    subject: str | None = "路灯不亮",
    reply_to: str | None = None,
) -> dict[str, str]:
    return {"answers": Letter.of(message_id, thread, subject, reply_to).written()}


async def sent(outgoing: Outgoing, **more: Any) -> Any:
    async with MailServer().running() as server:
        word = await channel(server.settings, **more).send(outgoing, NOWHERE)
        assert word.provider_id == server.got[0].mail["Message-ID"]
        return server.got[0]


# -- What it looks like ------------------------------------------------------------------------------------------------


async def test_an_answer_stands_in_the_citizens_thread() -> None:
    got = await sent(reply(**letter("<3@example.net>", ("<1@example.net>", "<2@x>"))))
    assert (got.mail_from, got.recipients) == (f"mayor+{TOKEN}@example.gov.cn", (CITIZEN,))
    assert got.header("From") == f"12345 <{OURS}>" and got.header("To") == CITIZEN
    assert got.header("Reply-To") == f"mayor+{TOKEN}@example.gov.cn"
    assert got.header("Subject") == f"Re: 路灯不亮[{CODE}]"
    assert got.mail["Message-ID"] == f"<{TOKEN}@example.gov.cn>"
    assert got.mail["In-Reply-To"] == "<3@example.net>"
    assert got.mail["References"].split() == ["<1@example.net>", "<2@x>", "<3@example.net>"]
    assert got.mail["Auto-Submitted"] == "auto-generated"
    assert abs((parsedate_to_datetime(got.mail["Date"]) - datetime.now(UTC)).total_seconds()) < 60
    assert got.text == "已转市住建部门办理。\r\n" and got.mail.get_content_charset() == "utf-8"
    assert got.raw.isascii() and max(map(len, got.raw.split(b"\r\n"))) <= 100


@pytest.mark.parametrize("kind", [ReplyKind.ACKNOWLEDGEMENT, ReplyKind.STATUS])
async def test_what_is_answered_by_itself_says_so_and_takes_no_bounce(kind: ReplyKind) -> None:
    got = await sent(reply(kind=kind, **letter(reply_to="other@example.org")))
    assert got.mail_from == "" and got.mail["Auto-Submitted"] == "auto-replied"
    assert got.recipients == (CITIZEN,), "only to where the mail came from"


async def test_the_cores_word_goes_where_a_trusted_sender_asked_for_it() -> None:
    assert (await sent(reply(**letter(reply_to="other@example.org")))).recipients == ("other@example.org",)


async def test_without_a_mail_to_answer_it_begins_a_thread() -> None:
    got = await sent(reply(account=""))
    assert got.header("Subject") == f"12345: 办理结果 [{CODE}]"
    assert got.mail["In-Reply-To"] is None and got.mail["References"] is None
    english = await sent(reply(account="", language="en", kind=ReplyKind.NOT_ACCEPTED, tracking_code=None))
    assert english.header("Subject") == "12345: not accepted"


async def test_without_plus_addressing_the_message_id_alone_leads_back() -> None:
    got = await sent(reply(**letter()), reply_tags=False)
    assert got.mail["Reply-To"] is None and got.mail_from == OURS and TOKEN in got.mail["Message-ID"]


async def test_a_local_part_without_room_for_a_tag_goes_without() -> None:
    long = "x" * 20 + "@example.gov.cn"
    got = await sent(reply(account=long, **letter()), recipients=[long])
    assert got.mail["Reply-To"] is None and got.header("From") == f"12345 <{long}>"


SUBJECTS = {
    "路灯不亮": f"Re: 路灯不亮[{CODE}]",
    "Re: 路灯": f"Re: 路灯[{CODE}]",
    "回复：答复: RE: Re[2]: 路灯": f"Re: 路灯[{CODE}]",
    f"Re: 路灯[{CODE}]": f"Re: 路灯[{CODE}]",
    "a\r\nBcc: all@example.org": f"Re: a Bcc: all@example.org[{CODE}]",
    "a\x00\x1b\u202eb\u2028c": f"Re: ab c[{CODE}]",
    "中奖 https://evil.example/x 点击www.evil.example": f"Re: 中奖[{CODE}]",
    "": f"Re: [{CODE}]",
    "x" * 500: f"Re: {'x' * 120}[{CODE}]",
}


@pytest.mark.parametrize(("asked", "answered"), SUBJECTS.items(), ids=range(len(SUBJECTS)))
def test_subjects(asked: str, answered: str) -> None:
    assert Letter.of("<1@x>", (), asked, None).answer_subject(CODE) == answered


async def test_a_long_chinese_subject_is_read_by_others_as_it_was_written() -> None:
    subject = "关于朝阳小区三号楼二单元电梯停运三天无人维修请尽快派人处理" * 4
    got = await sent(reply(**letter(subject=subject)))
    assert got.header("Subject") == f"Re: {subject[:120]}[{CODE}]"
    modern = message_from_bytes(got.raw, _class=EmailMessage, policy=policy.default)
    assert modern["Subject"].replace(" ", "") == f"Re:{subject[:120]}[{CODE}]"


@given(st.text(max_size=300), st.text(max_size=80), st.lists(st.text(max_size=80), max_size=30), st.text(min_size=1))
def test_nothing_a_citizen_writes_makes_a_header(subject: str, name: str, thread: list[str], text: str) -> None:
    found = Letter.of(name, thread, subject, None)
    post = mail_send.compose(
        reply(text, answers=found.written()), [OURS], "12345", datetime(2026, 11, 22, tzinfo=UTC), tags=True
    )
    head, _, body = post.content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    assert set(names) <= {
        *(b"From", b"To", b"Reply-To", b"Subject", b"Date", b"Message-ID", b"In-Reply-To", b"References"),
        *(b"Auto-Submitted", b"X-Auto-Response-Suppress", b"X-Loop", b"MIME-Version", b"Content-Type"),
        b"Content-Transfer-Encoding",
    }
    assert len(names) == len(set(names)) and b"\n" not in head.replace(b"\r\n", b"") and head.isascii()
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert Letter.read(found.written()) == found


def test_references_keep_the_first_and_the_nearest() -> None:
    thread = [f"<{number}@x>" for number in range(60)]
    found = Letter.of("<his@x>", thread, None, None).references
    assert len(found) == MOST_REFERENCES and found[0] == "<0@x>" and found[-2:] == ("<59@x>", "<his@x>")


@pytest.mark.parametrize("odd", ["", "no brackets", "<a b@c>", "<a@c>\r\nBcc: x", "<中@c>", "<" + "a" * 300 + "@c>"])
def test_a_message_id_that_cannot_be_repeated_is_left_out(odd: str) -> None:
    assert Letter.of(odd, (odd,), None, None).references == ()


def test_an_answer_never_goes_to_ourselves() -> None:
    for own in (OURS, OURS.upper(), f"mayor+{TOKEN}@example.gov.cn"):
        with pytest.raises(Undeliverable, match="own_address"):
            mail_send.compose(reply(to=own), [OURS], "12345", datetime.now(UTC), tags=True)


def test_tags_are_read_wherever_a_mail_server_writes_them() -> None:
    address = tagged(OURS, TOKEN)
    assert address is not None and untagged(address.upper()) == (OURS, TOKEN)
    other = f"mayor+{TOKEN}@example.org"
    for head in (
        f"To: <{address}>",
        f"Cc: x@y,\r\n {address}",
        f"Delivered-To: {address}",
        f"To: M <{address}>, {other}",
    ):
        assert tags_in(f"From: a@b\r\n{head}\r\n\r\nx".encode(), "", [OURS]) == (f"<{TOKEN}@example.gov.cn>",)
    assert tags_in(b"To: x\r\n\r\nx", f"{address} {OURS}", [OURS]) == (f"<{TOKEN}@example.gov.cn>",)
    assert tags_in(f"Subject: {address}\r\n\r\nTo: {address}".encode(), other, [OURS]) == ()


# -- DKIM --------------------------------------------------------------------------------------------------------------

RECORD = {b"s1._domainkey.example.gov.cn.": dkim_record(rsa_pem()).encode()}
KEY = {"dkim": {"selector": "s1", "domain": "example.gov.cn", "private_key": rsa_pem()}}


def resolve(name: bytes, timeout: int = 5) -> bytes | None:
    return RECORD.get(name)


async def test_the_signature_holds_and_covers_what_matters() -> None:
    got = await sent(reply("路灯。\r\n\r\n 已修好  \r\n\r\n", **letter()), **KEY)
    assert dkim.verify(got.raw, dnsfunc=resolve)
    for old, new in ((b"<1@", b"<2@"), (OURS.encode(), b"other@example.gov.cn"), (b"\r\n\r\n", b"\r\n\r\nQQ==\r\n")):
        changed = got.raw.replace(old, new)
        assert changed != got.raw and not dkim.verify(changed, dnsfunc=resolve)
    assert not dkim.verify(b"From: other@example.gov.cn\r\n" + got.raw, dnsfunc=resolve), "a second From"


def relaxed(name: str, value: str) -> bytes:
    """RFC 6376 section 3.4.2, written from its words."""
    unfolded = value.replace("\r\n", "")
    return f"{name.lower().strip()}:{' '.join(unfolded.split())}".encode()


async def test_openssl_and_the_words_of_rfc_6376_agree(tmp_path: Path) -> None:
    got = await sent(reply(**letter(subject="路灯" * 30)), **KEY)
    head, _, body = got.raw.partition(b"\r\n\r\n")
    fields = [line.decode().partition(":")[::2] for line in re.split(rb"\r\n(?![ \t])", head)]
    assert fields[0][0] == "DKIM-Signature"
    tags = dict(tag.strip().split("=", 1) for tag in re.sub(r"\s+", "", fields[0][1]).split(";") if tag.strip())
    assert tags["c"] == "relaxed/relaxed" and tags["d"] == "example.gov.cn" and "l" not in tags
    assert {"from", "to", "subject", "date", "message-id", "in-reply-to", "references"} <= set(tags["h"].split(":"))
    assert tags["bh"] == base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest()).decode()
    left, signed = list(fields[1:]), []
    for name in tags["h"].split(":"):
        index = next((i for i in reversed(range(len(left))) if left[i][0].lower() == name.lower()), None)
        if index is not None:
            signed.append(relaxed(*left.pop(index)))
    bare = re.sub(r"\bb=[^;]*", "b=", re.sub(r"[\r\n]", "", fields[0][1]))
    text = b"\r\n".join([*signed, relaxed("DKIM-Signature", bare)])
    assert verified_by_openssl(tmp_path, text, base64.b64decode(tags["b"])) == b"Verified OK\n"


def verified_by_openssl(folder: Path, text: bytes, signature: bytes) -> bytes:
    (folder / "signed").write_bytes(text)
    (folder / "signature").write_bytes(signature)
    (folder / "key.pem").write_text(rsa_pem())
    subprocess.run(["openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"], cwd=folder, check=True)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
