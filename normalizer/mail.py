"""A mail, read: pure, bounded in time and memory whatever comes in, and never at a loss for one bad part.

The standard parser does the work (policy compat32: ``default`` spends 10 s and 3 GB on one subject of 20,000
encoded-words). Around it stand limits: lines, delimiters and nesting are counted before it starts, headers are cut and
decoded as it stores them (:class:`_Part`), and it never looks inside a mail that is attached to a mail.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from email.utils import parseaddr, parsedate_to_datetime
from itertools import islice
from typing import Any

from normalizer.charset import decode, decode_words, from_base64
from normalizer.clean import clean, single_line
from normalizer.html import html_text
from normalizer.model import Attachment, AttachmentKind

#: One header and all headers of one part, characters kept, and their number; the longest honest one is References.
MAX_HEADER, MAX_HEADERS, MAX_FIELDS = 16 * 1024, 128 * 1024, 500
#: Levels of multipart; honest mail has four.
MAX_DEPTH = 20
#: Parts of all levels; what follows is skipped.
MAX_PARTS = 500
#: Lines, and lines that look like a delimiter; what follows is skipped. 25 MiB of base64 have 350,000 lines.
MAX_LINES, MAX_DELIMITERS = 1_000_000, 10_000
#: Declared boundaries times lines: the parser asks every open boundary about every line.
MAX_EFFORT = MAX_DEPTH * MAX_LINES
#: Characters of HTML read.
MAX_HTML = 4 * 1024 * 1024
#: References kept, the nearest.
MAX_THREAD = 100
#: Dates outside are no one's clock.
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

#: A byte order mark, blank lines and mbox's separator before the first header (RFC 4155).
_PROLOGUE = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+(?:>?From [^\r\n]*\r?\n)?")
_BOUNDARY = re.compile(rb"boundary[*0-9]*\s*=")
#: The first line that looks like a delimiter, where the boundary is missing or wrong.
_DELIMITER = re.compile(rb"(?:^|\n)--([^\s\"\\][^\r\n\"\\]{0,199}?)[ \t]*\r?\n[Cc]ontent-[A-Za-z-]+:")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_ADDRESS = re.compile(r"(?<![^\s<>()\[\],;:\"@])[^\s<>()\[\],;:\"@]{1,250}@[^\s<>(),;:\"@]{1,250}(?![^\s<>(),;:\"@])")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,998}>")
_META = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
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
    #: ``reference`` is ``part:N``: the N-th part, containers counted, a container before what it holds.
    attachments: tuple[Attachment, ...]
    #: Why no person wrote it: ``delivery_report``, ``auto_submitted`` or ``bulk``; None for a person's mail.
    automatic: str | None
    #: Oddities: ``charset_guessed``, ``mail_cut``, ``headers_cut``, ``broken_mime``, ``odd_time``.
    flags: tuple[str, ...]


def read(raw: bytes) -> Mail:
    """Read one raw mail (RFC 5322). Raise MailError when a limit leaves nothing to read."""
    return _read(raw, _Reader())


def carried(raw: bytes) -> dict[str, bytes]:
    """What the attachments of a mail hold, by their ``reference``. Raise MailError as ``read`` does."""
    contents: dict[str, bytes] = {}
    _read(raw, _Reader(contents))
    return contents


def _read(raw: bytes, reader: _Reader) -> Mail:
    try:
        return reader.mail(reader.parsed(raw))
    except RecursionError:
        raise MailError("nesting") from None


class _Part(Message):
    """A part whose headers are cut, unfolded and free of undecoded bytes, and whose parameters are always text."""

    cut = guessed = False
    _size = 0

    def set_raw(self, name: str, value: str) -> None:
        """Called by the parser for each header."""
        if len(self) >= MAX_FIELDS or self._size >= MAX_HEADERS:
            self.cut = True
            return
        self.cut |= len(value) > MAX_HEADER
        raw = value[:MAX_HEADER].encode("ascii", "surrogateescape")
        text, guessed = decode(raw, "utf-8")
        self.guessed |= guessed
        self._size += len(text)
        super().set_raw(name, text.replace("\r", "").replace("\n", ""))

    def get_content_type(self) -> str:
        """Hide the type of attached mails from the parser: nested ones end in RecursionError, and we want the bytes."""
        return re.sub("^message/", "application/", super().get_content_type())

    def get_param(self, *args: Any, **kwargs: Any) -> Any:
        """RFC 2231's parameters by our own charsets; the standard library fails where sections are numbered oddly."""
        try:
            found = super().get_param(*args, **kwargs)
        except (TypeError, ValueError):
            return kwargs.get("failobj", args[1] if len(args) > 1 else None)
        return decode(found[2].encode("latin-1", "replace"), found[0])[0] if isinstance(found, tuple) else found

    def words(self, name: str) -> str:
        """One header, decoded, in one line."""
        text, guessed = decode_words(self.header(name))
        self.guessed |= guessed
        return single_line(text)

    def header(self, name: str) -> str:
        """The first header of that name as it stands, or nothing."""
        return str(self.get(name, "")).strip()

    def content(self) -> bytes:
        """The content without its transfer encoding; an unknown one counts as none."""
        encoded = self.header("content-transfer-encoding").lower().startswith("base64")
        if encoded:
            del self["content-transfer-encoding"]
        found: Any = self.get_payload(decode=True)
        data = found if isinstance(found, bytes) else b""
        return from_base64(data) if encoded else data

    def file_name(self) -> str | None:
        """As the sender named it, by RFC 2231 or, against RFC 2047 section 5, in encoded-words."""
        named = self.get_param("filename", header="content-disposition") or self.get_param("name")
        return single_line(decode_words(named)[0])[:255].strip() or None if isinstance(named, str) else None


@dataclass(frozen=True, slots=True)
class _Text:
    words: str
    html: bool


class _Reader:
    """Goes through one mail once; what attachments hold is put into ``contents``, if given."""

    def __init__(self, contents: dict[str, bytes] | None = None) -> None:
        self._contents = contents
        self._parts = 0
        self._attachments: list[Attachment] = []
        self._flags: dict[str, None] = {}

    def parsed(self, raw: bytes) -> _Part:
        raw = raw if b"\n" in raw else raw.replace(b"\r", b"\n")
        found = _PROLOGUE.match(raw)
        return self._parse(self._bounded(raw[found.end() :] if found else raw))

    def mail(self, top: _Part) -> Mail:
        texts = self._texts(top, 0)
        sender, reply_to = self._mailbox(top, "from"), self._mailbox(top, "reply-to")
        subject, date = top.words("subject") or None, self._date(top)
        self._note("headers_cut", top.cut)
        self._note("charset_guessed", top.guessed)
        return Mail(
            message_id=single_line(top.header("message-id"))[:998] or None,
            date=date,
            subject=subject,
            sender=sender,
            reply_to=reply_to.address if reply_to else None,
            thread=_thread(top),
            text=clean("\n\n".join(text.words.strip("\n") for text in texts)),
            attachments=tuple(self._attachments),
            automatic=_automatic(top),
            flags=tuple(self._flags),
        )

    def _note(self, flag: str, seen: bool = True) -> None:
        if seen:
            self._flags[flag] = None

    def _bounded(self, raw: bytes) -> bytes:
        """What the parser can read in time; raise MailError when its nesting would take too long."""
        kept = _first(_first(raw, b"\n", MAX_LINES), b"\n--", MAX_DELIMITERS)
        self._note("mail_cut", len(kept) < len(raw))
        if len(_BOUNDARY.findall(kept.lower())) * kept.count(b"\n") > MAX_EFFORT:
            raise MailError("nesting")
        return kept

    @staticmethod
    def _parse(raw: bytes) -> _Part:
        part: Any = message_from_bytes(raw, _Part, policy=compat32)
        return part  # type: ignore[no-any-return]  # typeshed does not follow the class given

    def _texts(self, part: _Part, depth: int) -> list[_Text]:
        """The words of a part and what it holds; attachments are noted on the way."""
        if depth > MAX_DEPTH:
            raise MailError("nesting")
        self._parts += 1
        if self._parts > MAX_PARTS:
            self._note("mail_cut")
            return []
        if part.get_content_maintype() == "multipart":
            return self._multipart(part, depth)
        name, disposition = part.file_name(), part.get_content_disposition()
        shown = part.get_content_type() in ("text/plain", "text/html") and disposition != "attachment"
        if shown and (name is None or (disposition is None and depth == 0)):
            return [self._text(part)]
        self._attach(part, name)
        return []

    def _multipart(self, part: _Part, depth: int) -> list[_Text]:
        children: Any = part.get_payload() if part.is_multipart() else self._broken(part)
        texts = [text for child in children for text in self._texts(child, depth + 1)]
        if part.get_content_subtype() == "alternative" and any(t.words.strip() for t in texts if not t.html):
            return [text for text in texts if not text.html]
        return texts

    def _broken(self, part: _Part) -> list[_Part]:
        """The parts of a multipart whose boundary is missing or wrong: by a line that looks like one, else one text."""
        self._note("broken_mime")
        content = part.content()
        found = _DELIMITER.search(content)
        if found is None:
            return [self._parse(b"\n" + content)]
        mended = self._parse(b'Content-Type: multipart/mixed; boundary="' + found[1] + b'"\n\n' + content)
        children: Any = mended.get_payload()
        return children if mended.is_multipart() else [self._parse(b"\n" + content)]

    def _text(self, part: _Part) -> _Text:
        data, charset, html = part.content(), part.get_param("charset"), part.get_content_subtype() == "html"
        if html and not charset and (meta := _META.search(data[:4096])):
            charset = meta[1].decode()
        words, guessed = decode(data, charset if isinstance(charset, str) else None)
        self._note("charset_guessed", guessed)
        self._note("mail_cut", html and len(words) > MAX_HTML)
        return _Text(html_text(words[:MAX_HTML]) if html else words, html)

    def _attach(self, part: _Part, name: str | None) -> None:
        data, declared = part.content(), Message.get_content_type(part)
        reference = f"part:{self._parts - 1}"
        if self._contents is not None:
            self._contents[reference] = data
        self._attachments.append(
            Attachment(
                id=str(len(self._attachments)),
                kind=_KINDS.get(part.get_content_maintype(), AttachmentKind.FILE),
                media_type=declared if _MEDIA_TYPE.fullmatch(declared) else None,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                file_name=name,
                reference=reference,
            )
        )

    def _date(self, top: _Part) -> datetime | None:
        written = top.header("date")
        try:
            found = parsedate_to_datetime(written) if written else None
            # "-0000" gives no zone: the time is UTC (RFC 5322 section 3.3).
            found = found and (found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))
        except (ValueError, TypeError, IndexError, OverflowError):
            found = None
        known = found is not None and EARLIEST <= found < LATEST
        self._note("odd_time", bool(written) and not known)
        return found if known else None

    @staticmethod
    def _mailbox(top: _Part, name: str) -> Mailbox | None:
        """The first mailbox of a header; where the syntax is broken, the first thing that looks like an address."""
        header, words = top.header(name), top.words(name)
        shown, address = parseaddr(header)
        if not _ADDRESS.fullmatch(address):
            found = _ADDRESS.search(words)
            shown, address = "", found[0] if found else ""
        local, _, domain = address.rpartition("@")
        if not local or len(address) > 320:
            return None
        return Mailbox(
            single_line(decode_words(shown)[0]) or None, f"{single_line(local)}@{single_line(domain).lower()}"
        )


def _first(raw: bytes, mark: bytes, most: int) -> bytes:
    """``raw`` up to the mark behind ``most`` of them."""
    if raw.count(mark) <= most:
        return raw
    beyond = next(islice(re.finditer(re.escape(mark), raw), most, None))
    return raw[: beyond.start() + 1]


def _thread(top: _Part) -> tuple[str, ...]:
    """References, then In-Reply-To (RFC 5322 section 3.6.4); each once, at its last place."""
    ids = _MESSAGE_ID.findall(f"{top.header('references')} {top.header('in-reply-to')}")
    return tuple(reversed(list(dict.fromkeys(single_line(one) for one in reversed(ids)))[:MAX_THREAD]))


def _automatic(top: _Part) -> str | None:
    if top.get_content_type() == "multipart/report":  # RFC 6522
        return "delivery_report"
    if top.header("auto-submitted").partition(";")[0].strip().lower() not in ("", "no"):  # RFC 3834 section 5
        return "auto_submitted"
    return "bulk" if top.header("precedence").lower() in ("bulk", "list", "junk") else None
