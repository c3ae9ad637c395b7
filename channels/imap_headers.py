"""What the mail server wrote on a mail when it put it into the mailbox: the envelope that IMAP does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from channels.base import Admission
from channels.mailbox import PLAIN_ADDRESS

#: Bytes of headers looked at.
MOST_HEADERS = 128 * 1024
_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_ADDRESS = re.compile(PLAIN_ADDRESS)
#: Whom the server delivered it to; To and Cc are what the sender claims, and are asked when none of these is there.
_DELIVERED = (b"delivered-to", b"x-original-to", b"envelope-to")
_ADDRESSED = (b"to", b"cc")
#: Stands for a sender that nobody tells: not the null sender, who is told by ``<>``.
NOBODY = "unknown"


def admission(raw: bytes, ours: Callable[[str], bool], flags: tuple[str, ...], place: str) -> Admission:
    """``mail_from`` and ``recipients`` as SMTP would have told them, and where the mail was found."""
    headers = [*_headers(raw)]
    mail_from = _mail_from(headers)
    context = {"mail_from": mail_from, "recipients": " ".join(_recipients(headers, ours)), "place": place}
    return Admission(context=context, flags=flags, apparent_sender=mail_from or "<>")


def _headers(raw: bytes) -> Iterator[tuple[bytes, str]]:
    """Name in lower case and value of each header, unfolded (RFC 5322 section 2.2.3)."""
    head = _END.split(raw[:MOST_HEADERS], maxsplit=1)[0]
    for line in _FOLD.sub(b" ", head).splitlines():
        name, colon, value = line.partition(b":")
        if colon:
            yield name.strip().lower(), value.decode("utf-8", "replace").strip()


def _mail_from(headers: list[tuple[bytes, str]]) -> str:
    """The first Return-Path (RFC 5321 section 4.4), else From; empty only for ``<>``."""
    for name, value in headers:
        if name == b"return-path":
            if value.replace(" ", "") == "<>":
                return ""
            if found := _ADDRESS.search(value):
                return found[0]
            break
    written = (_ADDRESS.search(value) for name, value in headers if name == b"from")
    return next((found[0] for found in written if found), NOBODY)


def _recipients(headers: list[tuple[bytes, str]], ours: Callable[[str], bool]) -> list[str]:
    for names in (_DELIVERED, _ADDRESSED):
        said = " ".join(value for name, value in headers if name in names)
        if found := [one for one in dict.fromkeys(map(str.lower, _ADDRESS.findall(said))) if ours(one)]:
            return found
    return []
