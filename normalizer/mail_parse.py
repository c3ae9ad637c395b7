"""Bytes to a tree of parts, bounded in time and memory whatever comes in.

The standard parser does the work (policy compat32: ``default`` spends 10 s and 3 GB on one subject of 20,000
encoded-words). Around it stand limits: lines, delimiters and nesting are counted before it starts, headers are cut and
decoded as it stores them (:class:`Part`), and it never looks inside a mail that is attached to a mail.
"""

from __future__ import annotations

import re
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import compat32
from itertools import islice
from typing import Any

from normalizer.charset import decode, decode_words, from_base64
from normalizer.clean import single_line

#: One header and all headers of one part, characters kept, and their number; the longest honest one is References.
MAX_HEADER, MAX_HEADERS, MAX_FIELDS = 16 * 1024, 128 * 1024, 500
#: The head of the mail as it comes, before it is parsed: the parser takes ten times its size. And the whole of it.
MAX_HEAD, MAX_MAIL = 2 * 1024 * 1024, 32 * 1024 * 1024
#: Levels of multipart; honest mail has four.
MAX_DEPTH = 20
#: Lines, and lines that look like a delimiter; what follows is skipped. 25 MiB of base64 have 350,000 lines.
MAX_LINES, MAX_DELIMITERS = 1_000_000, 10_000
#: Declared boundaries times lines: the parser asks every open boundary about every line.
MAX_EFFORT = MAX_DEPTH * MAX_LINES

#: Bytes given to the parser at once.
_PIECE = 64 * 1024

#: A byte order mark, blank lines and mbox's separator before the first header (RFC 4155).
_PROLOGUE = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+(?:>?From [^\r\n]*\r?\n)?")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_BOUNDARY = re.compile(rb"boundary[*0-9]*\s*=")
#: The first line that looks like a delimiter, where the boundary is missing or wrong.
_DELIMITER = re.compile(rb"(?:^|\n)--([^\s\"\\][^\r\n\"\\]{0,199}?)[ \t]*\r?\n[Cc]ontent-[A-Za-z-]+:")


class MailError(Exception):
    """The mail is beyond a limit that leaves nothing to read; ``reason`` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Part(Message):
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

    @property
    def declared(self) -> str:
        """The media type as its sender says it, in lower case."""
        return super().get_content_type()

    def get_param(self, *args: Any, **kwargs: Any) -> Any:
        """RFC 2231's parameters by our own charsets; the standard library fails where sections are numbered oddly."""
        try:
            found = super().get_param(*args, **kwargs)
        except (TypeError, ValueError):
            return kwargs.get("failobj", args[1] if len(args) > 1 else None)
        return decode(found[2].encode("latin-1", "replace"), found[0])[0] if isinstance(found, tuple) else found

    def parameter(self, name: str) -> str:
        """A parameter of the content type, or nothing."""
        found = self.get_param(name)
        return found.strip() if isinstance(found, str) else ""

    def words(self, name: str) -> str:
        """One header, decoded, in one line."""
        text, guessed = decode_words(self.header(name))
        self.guessed |= guessed
        return single_line(text)

    def header(self, name: str) -> str:
        """The first header of that name as it stands, or nothing."""
        return str(self.get(name, "")).strip()

    def headers(self, name: str) -> list[str]:
        """All headers of that name as they stand."""
        return [str(value).strip() for value in self.get_all(name, [])]

    def content(self) -> bytes:
        """The content without its transfer encoding; an unknown one counts as none."""
        encoding = self.header("content-transfer-encoding")
        encoded = encoding.lower().startswith("base64")
        if encoded:
            del self["content-transfer-encoding"]
        found: Any = self.get_payload(decode=True)
        if encoded:
            self["content-transfer-encoding"] = encoding
        data = found if isinstance(found, bytes) else b""
        return from_base64(data) if encoded else data

    def file_name(self) -> str | None:
        """As the sender named it, by RFC 2231 or, against RFC 2047 section 5, in encoded-words."""
        named = self.get_param("filename", header="content-disposition") or self.get_param("name")
        return single_line(decode_words(named)[0])[:255].strip() or None if isinstance(named, str) else None


def parse(raw: bytes) -> tuple[Part, bool]:
    """The top of a mail, and whether something was cut. Raise MailError when its nesting would take too long."""
    raw = raw if b"\n" in raw else raw.replace(b"\r", b"\n")
    found = _PROLOGUE.match(raw)
    whole = raw[found.end() :] if found else raw
    kept = _first(_first(_short_head(whole[:MAX_MAIL]), b"\n", MAX_LINES), b"\n--", MAX_DELIMITERS)
    if len(_BOUNDARY.findall(kept.lower())) * kept.count(b"\n") > MAX_EFFORT:
        raise MailError("nesting")
    try:
        return _parts(kept), len(kept) < len(whole)
    except RecursionError:
        raise MailError("nesting") from None


def mended(content: bytes) -> list[Part]:
    """The parts of a multipart whose boundary is missing or wrong: by a line that looks like one, else one text."""
    found = _DELIMITER.search(content)
    if found is None:
        return [_parts(b"\n" + content)]
    guessed = _parts(b'Content-Type: multipart/mixed; boundary="' + found[1] + b'"\n\n' + content)
    children: Any = guessed.get_payload()
    return children if guessed.is_multipart() else [_parts(b"\n" + content)]


def _parts(raw: bytes) -> Part:
    """Piece by piece: at once the standard library holds a large mail in three more copies, of up to four times its size."""
    parser: Any = BytesFeedParser(Part, policy=compat32)
    for start in range(0, len(raw), _PIECE):
        parser.feed(raw[start : start + _PIECE])
    return parser.close()  # type: ignore[no-any-return]  # typeshed does not follow the class given


def _short_head(raw: bytes) -> bytes:
    """The mail with the end of a monstrous head left out."""
    if len(raw) <= MAX_HEAD:
        return raw
    end = _HEAD_END.search(raw)
    at = end.start() if end else len(raw)
    return raw if at <= MAX_HEAD else raw[:MAX_HEAD] + b"\n" + raw[at:]


def _first(raw: bytes, mark: bytes, most: int) -> bytes:
    """``raw`` up to the mark behind ``most`` of them."""
    if raw.count(mark) <= most:
        return raw
    beyond = next(islice(re.finditer(re.escape(mark), raw), most, None))
    return raw[: beyond.start() + 1]
