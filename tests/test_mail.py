"""What is read of a mail: the ordinary, the mislabelled, the broken and the hostile."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.mail import Mail, Mailbox, MailError, read
from normalizer.model import AttachmentKind

WORDS = "小区北门路灯不亮"


def mail(*headers: str, body: bytes = b"x") -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + body


def multipart(subtype: str, *parts: tuple[str, bytes]) -> bytes:
    inside = b"".join(f"--b\r\n{headers}\r\n\r\n".encode() + body + b"\r\n" for headers, body in parts)
    return f"Content-Type: multipart/{subtype}; boundary=b\r\n\r\n".encode() + inside + b"--b--\r\n"


def word(data: bytes, charset: str) -> str:
    return f"=?{charset}?B?{base64.b64encode(data).decode()}?="


def test_a_plain_mail() -> None:
    found = read(
        mail(
            f"From: {word('张三'.encode('gbk'), 'gb2312')} <Zhang.San@Example.NET>",
            "Reply-To: other@example.net",
            "Date: Sun, 22 Nov 2026 16:00:00 +0800",
            "Message-ID: <a b@c> ",
            f"Subject: {word('路灯'.encode(), 'utf-8')}",
            "References: <1@x>\r\n <2@x>",
            "In-Reply-To: <1@x>",
            "Content-Type: text/plain; charset=utf-8",
            body=f"{WORDS}\r\n\r\n请修\r\n".encode(),
        )
    )
    assert found == Mail(
        message_id="<a b@c>",
        date=datetime(2026, 11, 22, 8, tzinfo=UTC),
        subject="路灯",
        sender=Mailbox("张三", "Zhang.San@example.net"),
        reply_to="other@example.net",
        thread=("<2@x>", "<1@x>"),
        text=f"{WORDS}\n\n请修",
        attachments=(),
        automatic=None,
        flags=(),
    )


def test_an_empty_mail() -> None:
    assert read(b"") == Mail(None, None, None, None, None, (), "", (), None, ())


# -- Text --------------------------------------------------------------------------------------------------------------

GBK, UTF8 = WORDS.encode("gbk"), WORDS.encode()
PLAIN, HTML = ("Content-Type: text/plain", b"plain"), ("Content-Type: text/html", b"<p>html</p>")
TEXTS: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "GBK that says gb2312": (mail("Content-Type: text/plain; charset=gb2312", body="朱镕基堃".encode("gbk")), "朱镕基堃", ()),
    "no charset, GBK": (mail("Subject: x", body=GBK), WORDS, ("charset_guessed",)),
    "no charset, UTF-8": (mail("Subject: x", body=UTF8), WORDS, ("charset_guessed",)),
    "unknown charset": (mail("Content-Type: text/plain; charset=x-y", body=GBK), WORDS, ("charset_guessed",)),
    "utf-7 is not believed": (
        mail("Content-Type: text/plain; charset=utf-7", body=b"+ADw-b"),
        "+ADw-b",
        ("charset_guessed",),
    ),
    "unknown transfer encoding": (
        mail("Content-Type: text/plain; charset=gbk", "Content-Transfer-Encoding: x", body=GBK),
        WORDS,
        (),
    ),
    "quoted-printable": (mail("Content-Transfer-Encoding: Quoted-Printable", body=b"a=3Db=\r\nc"), "a=bc", ()),
    "base64 with junk": (
        mail("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", body=b"!!" + base64.b64encode(UTF8) + b"~"),
        WORDS,
        (),
    ),
    "base64 with a footer": (
        mail("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", body=b"YQ==\r\nYmM="),
        "abc",
        (),
    ),
    "uuencode": (mail("Content-Transfer-Encoding: x-uuencode", body=b"begin 644 a\n#:&DA\n`\nend\n"), "hi!", ()),
    "NUL": (mail("Subject: x", body=b"a\0b"), "ab", ()),
    "a plain alternative": (multipart("alternative", HTML, PLAIN), "plain", ()),
    "an empty plain alternative": (multipart("alternative", ("Content-Type: text/plain", b" "), HTML), "html", ()),
    "two texts": (multipart("mixed", PLAIN, ("Content-Type: text/plain", b"footer")), "plain\n\nfooter", ()),
    "no boundary": (
        mail("Content-Type: multipart/mixed", body=b"--q\r\nContent-Type: text/plain\r\n\r\nwords\r\n--q--\r\n"),
        "words",
        ("broken_mime",),
    ),
    "wrong boundary": (
        mail("Content-Type: multipart/mixed; boundary=z", body=b"--q\r\nContent-Type: text/plain\r\n\r\nwords\r\n--q--\r\n"),
        "words",
        ("broken_mime",),
    ),
    "no parts at all": (mail("Content-Type: multipart/mixed; boundary=z", body=b"words"), "words", ("broken_mime",)),
    "boundary not closed": (multipart("mixed", PLAIN).replace(b"--b--\r\n", b""), "plain", ()),
    "blank lines and mbox before": (b"\r\nFrom x@y Sun\r\nSubject: s\r\n\r\nwords", "words", ()),
    "only CR": (b"Subject: s\r\rwords", "words", ()),
    "oddly numbered parameters": (mail("Content-Type: text/plain; charset*=gbk; charset*0=utf-8", body=b"words"), "words", ()),
    "a number beyond reason": (mail(f"Content-Type: text/plain; charset*{'9' * 5000}=a", body=b"words"), "words", ()),
    "a name for the only text": (mail("Content-Type: text/plain; name=a.txt", body=b"words"), "words", ()),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "flags"), TEXTS.values(), ids=TEXTS)
def test_text(raw: bytes, text: str, flags: tuple[str, ...]) -> None:
    found = read(raw)
    assert (found.text, found.flags, found.attachments) == (text, flags, ())


PAGES: dict[str, tuple[bytes, str]] = {
    "paragraphs": (b"<p>a  b\r\nc</p><p>d<br>e</p><div>f</div>g", "a b c\n\nd\ne\n\nf\ng"),
    "cells": (b"<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n3"),
    "unseen": (b"<head><title>t</title><style>s</style></head>a<script>x</script>b<!-- c -->", "ab"),
    "entities": (b"1 &lt; 2 &amp;&nbsp;3", "1 < 2 & 3"),
    "a quoted >": (b'<img alt="a>b">c', "c"),
    "too many elements": (b"<script>s</script>" + b"<div>a</div>" * 20_001 + b"&lt;", "a\n" * 20_001 + "<"),
    "a script without end": (b"words<script>more", "words"),
    "all of it in a comment's shadow": (b"<title>words", "words"),
}


@pytest.mark.parametrize(("page", "text"), PAGES.values(), ids=PAGES)
def test_html(page: bytes, text: str) -> None:
    assert read(mail("Content-Type: text/html", body=page)).text == text


CHARSETS = {
    "header": ("; charset=gb2312", b"<p>", GBK),
    "meta only": ("", b'<meta http-equiv=x content="text/html; charset=gb2312">', GBK),
    "header gb2312, meta and bytes UTF-8": ("; charset=gb2312", b"<meta charset=utf-8>", UTF8),
    "big5 in meta": ("", b"<meta charset=big5>", "小區北門路燈".encode("big5")),
}


@pytest.mark.parametrize(("declared", "head", "body"), CHARSETS.values(), ids=CHARSETS)
def test_charset_of_html(declared: str, head: bytes, body: bytes) -> None:
    expected = "小區北門路燈" if b"big5" in head else WORDS
    assert read(mail(f"Content-Type: text/html{declared}", body=head + body)).text == expected


# -- Headers -----------------------------------------------------------------------------------------------------------

SUBJECTS: dict[str, tuple[bytes, str | None]] = {
    "a character cut in two": (
        f"{word(UTF8[:4], 'utf-8')}\r\n {word(UTF8[4:], 'utf-8')}".encode(),
        WORDS,
    ),
    "raw GBK": (GBK, WORDS),
    "raw UTF-8": (UTF8, WORDS),
    "a header in it": (word(b"a\r\nBcc: evil@example.net", "utf-8").encode(), "a Bcc: evil@example.net"),
    "NUL in it": (word(b"a\0b", "utf-8").encode(), "ab"),
    "utf-7": (b"=?utf-7?Q?+ADw-b?=", "+ADw-b"),
    "empty": (b"   ", None),
}


@pytest.mark.parametrize(("header", "subject"), SUBJECTS.values(), ids=SUBJECTS)
def test_subject(header: bytes, subject: str | None) -> None:
    assert read(b"Subject: " + header + b"\r\n\r\nx").subject == subject


SENDERS: dict[str, tuple[bytes, Mailbox | None]] = {
    "bare": (b"a@B.Example", Mailbox(None, "a@b.example")),
    "quoted encoded-word": (f'"{word("张三".encode("gbk"), "gb2312")}" <a@b.example>'.encode(), Mailbox("张三", "a@b.example")),
    "raw GBK": ("张三 <a@b.example>".encode("gbk"), Mailbox("张三", "a@b.example")),
    "all in one word": (word("张三 <a@b.example>".encode(), "utf-8").encode(), Mailbox(None, "a@b.example")),
    "two": (b"a@b.example, c@d.example", Mailbox(None, "a@b.example")),
    "no address": (b"undisclosed", None),
    "too long": (b"a@" + b"b" * 400, None),
    "missing": (b"", None),
}  # fmt: skip


@pytest.mark.parametrize(("header", "sender"), SENDERS.values(), ids=SENDERS)
def test_sender(header: bytes, sender: Mailbox | None) -> None:
    assert read(b"From: " + header + b"\r\n\r\nx").sender == sender


DATES: dict[str, tuple[str, datetime | None, tuple[str, ...]]] = {
    "zone": ("Sun, 22 Nov 2026 16:00:00 +0800", datetime(2026, 11, 22, 8, tzinfo=UTC), ()),
    "unknown zone": ("Sun, 22 Nov 2026 08:00:00 -0000", datetime(2026, 11, 22, 8, tzinfo=UTC), ()),
    "nonsense": ("yesterday", None, ("odd_time",)),
    "no such day": ("Sun, 32 Nov 2026 16:00:00 +0800", None, ("odd_time",)),
    "no such zone": ("Sun, 22 Nov 2026 16:00:00 +9999", None, ("odd_time",)),
    "long ago": ("Thu, 1 Jan 1970 00:00:00 +0000", None, ("odd_time",)),
    "far away": ("Thu, 1 Jan 2201 00:00:00 +0000", None, ("odd_time",)),
    "beyond the calendar": ("Fri, 31 Dec 9999 23:59:59 -2300", None, ("odd_time",)),
    "missing": ("", None, ()),
}


@pytest.mark.parametrize(("header", "date", "flags"), DATES.values(), ids=DATES)
def test_date(header: str, date: datetime | None, flags: tuple[str, ...]) -> None:
    found = read(mail(f"Date: {header}"))
    assert (found.date, found.flags) == (date, flags)


AUTOMATIC = {
    "person": ("Subject: x", None),
    "auto-replied": ("Auto-Submitted: auto-replied (vacation)", "auto_submitted"),
    "not automatic": ("Auto-Submitted: No", None),
    "list": ("Precedence: List", "bulk"),
    "first-class": ("Precedence: first-class", None),
    "bounce": ("Content-Type: multipart/report; report-type=delivery-status; boundary=b", "delivery_report"),
}


@pytest.mark.parametrize(("header", "automatic"), AUTOMATIC.values(), ids=AUTOMATIC)
def test_automatic_mail_is_told_apart(header: str, automatic: str | None) -> None:
    assert read(mail(header)).automatic == automatic


# -- Attachments -------------------------------------------------------------------------------------------------------

GBK_NAME = "%C2%B7%B5%C6.jpg"
NAMES = {
    "RFC 2231, GBK": f"filename*=gb2312''{GBK_NAME}",
    "RFC 2231, cut in a character": f"filename*0*=gb2312''{GBK_NAME[:3]}; filename*1*={GBK_NAME[3:]}",
    "encoded-word": f'filename="{word("路灯".encode("gbk"), "gb2312")}.jpg"',
    "raw": "filename=路灯.jpg",
}


@pytest.mark.parametrize("parameter", NAMES.values(), ids=NAMES)
def test_file_names(parameter: str) -> None:
    found = read(mail(f"Content-Disposition: attachment; {parameter}")).attachments
    assert [a.file_name for a in found] == ["路灯.jpg"]


def test_attachments_are_described() -> None:
    picture, note = b"\x89PNG\r\n\0\xff", mail("Subject: inner", body=b"inside")
    raw = multipart(
        "mixed",
        ("Content-Type: text/plain", b"words"),
        ("Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64", base64.encodebytes(picture)),
        ("Content-Type: message/rfc822", note),
        ("Content-Type: application/ms-tnef; name=winmail.dat", b"tnef"),
        ("Content-Type: nonsense", b"later words"),
        ("Content-Type: text/plain\r\nContent-Disposition: attachment; filename=../../x", b"file"),
    )
    found = read(raw)
    assert found.text == "words\n\nlater words"
    described = [(a.id, a.kind, a.media_type, a.size, a.file_name, a.reference) for a in found.attachments]
    assert described == [
        ("0", AttachmentKind.IMAGE, "image/png", len(picture), "a.png", "part:2"),
        ("1", AttachmentKind.FILE, "message/rfc822", len(note), None, "part:3"),
        ("2", AttachmentKind.FILE, "application/ms-tnef", 4, "winmail.dat", "part:4"),
        ("3", AttachmentKind.FILE, "text/plain", 4, "../../x", "part:6"),
    ]
    assert [a.sha256 for a in found.attachments[:2]] == [hashlib.sha256(data).hexdigest() for data in (picture, note)]


# -- Hostile mail ------------------------------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    heads = (f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n".encode() for n in range(levels))
    return b"Subject: deep\r\n" + b"".join(heads) + b"\r\nwords"


def test_honest_nesting_is_read() -> None:
    assert read(nested(20)).text == "words"


@pytest.mark.parametrize("raw", [nested(21), nested(400), nested(3000), b"From: " + b"(" * 9000 + b"\r\n\r\nx"])
def test_nesting_bombs_end_in_a_mail_error(raw: bytes) -> None:
    with pytest.raises(MailError, match=r"^nesting$"):
        read(raw)


HEAD = b"Content-Type: text/html\r\n\r\n"
BOMBS: dict[str, bytes] = {
    "20,000 encoded-words": b"Subject: " + b"\r\n ".join([word("市".encode(), "utf-8").encode()] * 20_000) + b"\r\n\r\nx",
    "20,000 parameters": b"Content-Type: text/plain" + b"".join(b";\r\n a*%d=b" % n for n in range(20_000)) + b"\r\n\r\nx",
    "100,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
    "3,000 attached mails": b"Content-Type: message/rfc822\r\n\r\n" * 3000,
    "deep HTML": HEAD + b"<div>" * 200_000,
    "reopened formatting": HEAD + b"<p>" + b"".join(b"<font a%d>" % n for n in range(2000)) + b"<p>x" * 2000,
    "100,000 attributes": HEAD + b"<a " + b" ".join(b"a%d" % n for n in range(100_000)) + b">x",
    "unclosed tags": HEAD + b"<script>" * 50_000,
}  # fmt: skip


@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS)
def test_bombs_are_read_in_a_second(raw: bytes) -> None:
    started = time.process_time()
    found = read(raw)
    assert time.process_time() - started < 1
    assert len(found.text) + len(found.subject or "") < 20_000


def test_a_deep_mail_of_many_lines_is_not_even_begun() -> None:
    started = time.process_time()
    with pytest.raises(MailError, match=r"^nesting$"):
        read(nested(100) + b"x\r\n" * 900_000)
    assert time.process_time() - started < 1


HEADS = {"many": (b"X: y\r\n", 499), "large": (b"X: " + b"y" * 16_000 + b"\r\n", 8)}


@pytest.mark.parametrize(("header", "most"), HEADS.values(), ids=HEADS)
def test_headers_are_bounded(header: bytes, most: int) -> None:
    after = b"Subject: x\r\n\r\nwords"
    within, beyond = read(header * most + after), read(header * (most + 1) + after)
    assert (within.subject, within.flags, within.text) == ("x", (), "words")
    assert (beyond.subject, beyond.flags, beyond.text) == (None, ("headers_cut",), "words")


def test_what_is_cut_is_said() -> None:
    assert read(BOMBS["20,000 encoded-words"]).flags == ("headers_cut",)
    assert read(BOMBS["100,000 parts"]).flags == ("mail_cut",)


FRAGMENTS: list[Any] = [
    *(b"From: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"multipart/mixed; boundary=b", b"text/html", b"charset="),
    *(
        b"Content-Transfer-Encoding: ",
        b"base64",
        b"quoted-printable",
        b"x-uuencode",
        b"message/rfc822",
        b"--b",
        b"--b--",
    ),
    *(b"Content-Disposition: attachment; ", b"filename*0*=", b"filename*=", b"gb2312''%C2", b"=?gb2312?B?wrc=?="),
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b";", b'"', b"<p>", b"<a@b.example>", b"\xc2\xb7", b"\xff", b"\0"),
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=6), max_size=40).map(b"".join))
def test_reading_raises_mail_error_only(raw: bytes) -> None:
    try:
        found = read(raw)
    except MailError:
        return
    found.text.encode()
    assert "\0" not in found.text and "\n" not in (found.subject or "")
