"""Forms: application/x-www-form-urlencoded and multipart/form-data (RFC 7578), bounded, in memory only."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from channels.errors import Unacceptable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: The parser would log what it stumbled over, which a citizen wrote.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

#: Parts of a form.
MOST_PARTS = 50


@dataclass(slots=True)
class Part:
    """One part of a form."""

    headers: dict[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)

    @property
    def name(self) -> str:
        """The field's name."""
        return self._option(b"name") or ""

    @property
    def file_name(self) -> str | None:
        """As the sender names the file; None where it is none."""
        return self._option(b"filename")

    def _option(self, name: bytes) -> str | None:
        _, options = parse_options_header(self.headers.get("content-disposition"))
        value = options.get(name)
        # The library takes the header for Latin-1; browsers and clients write UTF-8 (RFC 7578 section 5.1).
        return value.decode("utf-8", "replace").replace("\0", "") if value is not None else None


def media_type(content_type: str | None) -> str:
    """The media type of a Content-Type header, without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


def parts(content_type: str | None, body: bytes) -> list[Part]:
    """The parts of multipart/form-data. Raise Unacceptable (400)."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise Unacceptable("form", "The body is not multipart/form-data.", status=400)
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except (FormParserError, _TooMany):
        raise Unacceptable("form", "The body is not multipart/form-data.", status=400) from None
    if not reader.ended:
        raise Unacceptable("form", "The body ends before its last boundary.", status=400)
    return reader.parts


def fields(content_type: str | None, body: bytes) -> dict[str, str]:
    """The text fields of a form of either type, the last of several; files are left out. Raise Unacceptable (400)."""
    try:
        if media_type(content_type) == "multipart/form-data":
            found = [(one.name, one.content.decode()) for one in parts(content_type, body) if one.file_name is None]
        else:
            found = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_PARTS, errors="strict")
    except ValueError:  # UnicodeDecodeError is one
        raise Unacceptable("form", "The body is not a form in UTF-8.", status=400) from None
    return {name: value.replace("\0", "") for name, value in found}


class _TooMany(Exception):
    """More parts than a form may have."""


class _Reader:
    """Gathers what the parser calls back."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._name, self._value = bytearray(), bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MOST_PARTS:
            raise _TooMany
        self.parts.append(Part())

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += data[start:end]

    def _header(self) -> None:
        self.parts[-1].headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self.ended = True
