"""Mails made to hurt (facts of the field: nesting, parts, headers, encoded-words, boundaries, 25 MB): each is read, or refused by
its nesting, in a worker process with its limits, within ten seconds of a processor and 512 MB.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.mail_measure import MEGABYTES, Reading, measure
from gateway.offload import PARENTS, SECONDS, Parents

MEGA = 1_000_000
FULL = 25 * 1024 * 1024
TEXT = b"Subject: Re: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = b"Subject: Re: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"


def filled(head: bytes, piece: bytes) -> bytes:
    """A mail as large as one may be."""
    return head + piece * ((FULL - len(head)) // len(piece))


def nested(levels: int, name: bytes = b"b%d") -> bytes:
    names = [name % n if b"%" in name else name for n in range(levels)]
    return b"".join(b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (n, n) for n in names) + b"\r\nx"


def word(text: str) -> bytes:
    return b"=?utf-8?B?" + base64.b64encode(text.encode()) + b"?="


BOMBS: dict[str, Callable[[], bytes]] = {
    "depth-10000": lambda: nested(10_000),
    "depth-400": lambda: nested(400),
    "depth-19-of-one-name": lambda: nested(19, b"b") + b"\r\n--b\r\n" * 5000,
    "parts-100000": lambda: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
    "header-100-mb": lambda: b"Subject: " + b"a" * (100 * MEGA) + b"\r\n\r\nx",
    "headers-100-mb": lambda: b"X: y\r\n" * (100 * MEGA // 6) + b"\r\nx",
    "header-in-a-part": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: " + b"a" * FULL + b"\r\n\r\nx\r\n--b--\r\n"
    ),
    "words-20000": lambda: b"Subject: " + b"\r\n ".join([word("市")] * 20_000) + b"\r\n\r\nx",
    "words-in-a-name": lambda: b"From: " + b" ".join([word("市")] * 20_000) + b" <a@b.example>\r\n\r\nx",
    "continuations-20000": lambda: (
        b"Content-Disposition: attachment" + b"".join(b"; filename*%d*=%%e8" % n for n in range(20_000)) + b"\r\n\r\nx"
    ),
    "comments-9000": lambda: b"From: " + b"(" * 9000 + b"\r\n\r\nx",
    "mails-900": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 900 + b"Subject: x\r\n\r\nx",
    "mails-100000": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
    "boundary-prefixes": lambda: b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + b"--aa\r\n" * MEGA,
    "boundary-long": lambda: (
        b'Content-Type: multipart/mixed; boundary="' + b"a" * 10_000 + b'"\r\n\r\n' + (b"--" + b"a" * 10_000 + b"\r\n\r\n") * 2000
    ),
    "boundary-empty": lambda: b'Content-Type: multipart/mixed; boundary=""\r\n\r\n' + b"--\r\n\r\nx\r\n" * 100_000,
    "base64-junk": lambda: filled(b"Content-Transfer-Encoding: base64\r\n\r\n", b"\xff=!"),
    "base64-attachment": lambda: filled(
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n", b"QUJD" * 19 + b"\r\n"
    ),
    "text": lambda: filled(TEXT, "路灯不亮。".encode() * 10 + b"\r\n"),
    "quoted-text": lambda: filled(TEXT, "> 路灯不亮。\r\n".encode()),
    "lines": lambda: filled(TEXT, b"\n"),
    "html": lambda: filled(HTML, "<p>路灯不亮</p>".encode()),
    "html-quotations": lambda: filled(HTML, b"<blockquote type=cite>a"),
    "quoted-printable": lambda: filled(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"=E8=B7=AF"),
    "uuencode": lambda: (
        filled(b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n", b"M" + b"A" * 60 + b"\r\n") + b"`\r\nend\r\n"
    ),
    "report": lambda: filled(
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\n",
        b"Action: failed\r\n\r\n",
    ),
}  # fmt: skip
#: Nothing but its nesting may be the reason to give up.
REFUSED = {"depth-10000", "depth-400", "comments-9000"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("name", BOMBS)
async def test_it_is_read_within_the_limits(name: str, folder: Path, worker_parents: Parents) -> None:
    path = folder / name
    path.write_bytes(BOMBS[name]())
    shared = PARENTS.set(worker_parents)  # its start takes longer than most of the mails
    try:
        found: list[Reading] = [one async for one in measure(folder, [path], lambda: None)]
    finally:
        PARENTS.reset(shared)
        path.unlink()
    (one,) = found
    assert one.lost == ("nesting" if name in REFUSED else None)
    assert not one.own_fault
    assert one.seconds <= SECONDS and one.megabytes <= MEGABYTES
