"""A mail, read: pure, bounded in time and memory whatever comes in, and never at a loss for one bad part.

Limits stand before every step that could cost more than it reads: headers are cut before they are decoded, parts are
counted before they are opened. The standard parser has no such place (a thousand nested parts end in RecursionError,
20,000 encoded-words in one subject cost 10 s and 3 GB), so the tree is walked here and the standard library reads what
one header says (``email.message.Message.get_param``: RFC 2045 and 2231).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message as Header
from email.utils import parseaddr, parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from selectolax.lexbor import LexborHTMLParser, LexborNode

from normalizer.charset import decode, decode_words, from_base64
from normalizer.clean import clean, single_line
from normalizer.model import Attachment, AttachmentKind

#: One header, bytes; a longer one is cut. The longest honest one is References, some hundred ids.
MAX_HEADER = 16 * 1024
#: All headers of one part, bytes kept, and their number; what follows is skipped.
MAX_HEADERS, MAX_FIELDS = 128 * 1024, 500
#: Levels of multipart; honest mail has four.
MAX_DEPTH = 20
#: Parts of all levels; what follows is skipped.
MAX_PARTS = 500

#: A byte order mark, blank lines and mbox's separator before the first header (RFC 4155).
_PROLOGUE = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+(?:>?From [^\r\n]*\r?\n)?")
#: One header with its continuation lines (RFC 5322 section 2.2.3), bare LF allowed.
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*+)(?:\r?\n|\Z)")
_END_OF_LINE = re.compile(rb"\r?\n|\Z")
_BLANK_LINE = re.compile(rb"\n\r?\n|\Z")
#: The first line that looks like a delimiter, where the boundary is missing or wrong.
_DELIMITER = re.compile(rb"\n--([^\s][^\r\n]{0,199}?)[ \t]*\r?\n[Cc]ontent-[A-Za-z-]+:")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,250}@[^\s<>(),;:\"@]{1,250}")
_ANGLED = re.compile(r"<\s*([^\s<>]{1,250}@[^\s<>@]{1,250})\s*>")
_MESSAGE_ID = re.compile(r"<[^<>]{1,998}>")
_KINDS = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.VOICE, "video": AttachmentKind.VIDEO}


class MailError(Exception):
    """The mail is beyond a limit that leaves nothing to read; ``reason`` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name and an address (RFC 5322 section 3.4)."""

    name: str | None
    #: addr-spec, domain in lower case.
    address: str


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says."""

    #: Message-ID, whole; None when missing or empty.
    message_id: str | None
    #: The Date header, aware; None when missing or unreadable.
    date: datetime | None
    subject: str | None
    #: The first mailbox of From; anyone can write it.
    sender: Mailbox | None
    #: The address of Reply-To.
    reply_to: str | None
    #: References and In-Reply-To, nearest last.
    thread: tuple[str, ...]
    text: str
    attachments: tuple[Attachment, ...]
    #: Why no person wrote it: ``delivery_report``, ``auto_submitted`` or ``bulk``; None for a person's mail.
    automatic: str | None
    #: Oddities: ``charset_guessed``, ``headers_cut``, ``parts_cut``, ``broken_mime``, ``odd_time``.
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    words: str
    html: bool


def read(raw: bytes) -> Mail:
    """Read one raw mail (RFC 5322). Raise MailError when a limit leaves nothing to read."""
    return _Reader(raw).mail()


class _Reader:
    """Goes through one mail once; parts are spans of ``raw``, copied only when they are decoded."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw if b"\n" in raw else raw.replace(b"\r", b"\n")
        self._parts = 0
        self._attachments: list[Attachment] = []
        self._flags: dict[str, None] = {}

    def mail(self) -> Mail:
        prologue = _PROLOGUE.match(self._raw)
        start = prologue.end() if prologue else 0
        fields, _ = self._headers(start, len(self._raw))
        texts = self._part(start, len(self._raw), 1, "text/plain")
        return Mail(
            message_id=_message_id(fields.get("message-id", "")),
            date=self._date(fields.get("date", "")),
            subject=self._words(fields.get("subject", "")) or None,
            sender=self._mailbox(fields.get("from", "")),
            reply_to=(box := self._mailbox(fields.get("reply-to", ""))) and box.address,
            thread=_thread(fields),
            text=clean("\n\n".join(text.words.strip("\n") for text in texts)),
            attachments=tuple(self._attachments),
            automatic=_automatic(fields),
            flags=tuple(self._flags),
        )
