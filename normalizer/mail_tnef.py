"""What Outlook wraps in a winmail.dat (MS-OXTNEF): its words and its files, bounded whatever comes in."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tnefparse import properties
from tnefparse.mapi import decode_mapi

from normalizer.charset import decode
from normalizer.mail_rtf import inflate, rtf_text

#: Attributes looked at, properties of one of them and values of one property; honest ones have dozens, and the library
#: believes any number it is told.
MAX_ATTRIBUTES, MAX_PROPERTIES = 5000, 1000

_SIGNATURE = b"\x78\x9f\x3e\x22"
#: Level, id, type and length before each attribute's value; two bytes of checksum after it (section 2.1.3).
_HEADER = struct.Struct("<BHHI")
_CODEPAGE, _BODY, _MESSAGE = 0x9007, 0x800C, 0x9003
_RENDERING, _TITLE, _CONTENT, _ATTACHMENT = 0x9002, 0x8010, 0x800F, 0x9005
#: Property types of a fixed size, and those with a length of their own (MS-OXCDATA section 2.11.1).
_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_SIZED = {0x0D, 0x1E, 0x1F, 0x102}
_STRING = 0x1E
_WANTED = {
    *(properties.MAPI_BODY, properties.MAPI_BODY_HTML, properties.MAPI_RTF_COMPRESSED, properties.MAPI_ATTACH_MIME_TAG),
    *(properties.MAPI_ATTACH_LONG_FILENAME, properties.MAPI_ATTACH_FILENAME, properties.MAPI_ATTACH_DATA_OBJ),
}
#: An embedded message is told apart by its interface (IID_IMessage); it is a winmail.dat of its own.
_EMBEDDED = b"\x07\x03\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"

# It would write what citizens sent into our log.
logging.getLogger("tnefparse").disabled = True


@dataclass(frozen=True, slots=True)
class WrappedFile:
    """An attachment inside."""

    name: str
    media_type: str
    content: bytes


@dataclass(slots=True)
class Wrapped:
    """What was inside."""

    #: Plain words, from the plain body or from RTF; else those of ``html``.
    text: str = ""
    html: str = ""
    files: list[WrappedFile] = field(default_factory=list)


def is_tnef(media_type: str, name: str | None) -> bool:
    """Whether a part is a winmail.dat by its type, or by its name where its type says nothing."""
    return media_type in ("application/ms-tnef", "application/vnd.ms-tnef") or (name or "").lower() == "winmail.dat"


def unwrap(content: bytes) -> Wrapped | None:
    """Read a winmail.dat; None when it is none, or broken from the start."""
    if not content.startswith(_SIGNATURE):
        return None
    reading = _Reading()
    for number, value in _attributes(content):
        reading.take(number, value)
    return reading.wrapped()


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Id and value of each attribute, up to the first that is broken."""
    at = 6
    for _ in range(MAX_ATTRIBUTES):
        if at + _HEADER.size > len(content):
            return
        _, number, _, length = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        if at + length > len(content):
            return
        yield number, content[at : at + length]
        at += length + 2


class _Reading:
    """Goes through the attributes once."""

    def __init__(self) -> None:
        self._codepage = "cp1252"
        self._found = Wrapped()
        self._rtf = b""
        self._files: list[dict[str, Any]] = []

    def take(self, number: int, value: bytes) -> None:
        """One attribute."""
        if number == _CODEPAGE and len(value) >= 4:
            self._codepage = f"cp{int.from_bytes(value[:4], 'little')}"
        elif number == _BODY:
            self._found.text = self._words(value)
        elif number == _MESSAGE:
            self._message(value)
        elif number == _RENDERING:
            self._files.append({})
        elif self._files and number == _TITLE:
            self._files[-1].setdefault("name", self._words(value))
        elif self._files and number == _CONTENT:
            self._files[-1]["content"] = value
        elif self._files and number == _ATTACHMENT:
            self._attachment(self._files[-1], value)

    def wrapped(self) -> Wrapped:
        """What has been found."""
        if not self._found.text.strip() and not self._found.html.strip() and self._rtf:
            self._found.text = rtf_text(inflate(self._rtf))
        self._found.files = [
            WrappedFile(file.get("name", ""), file.get("type", "application/octet-stream"), file["content"])
            for file in self._files
            if file.get("content")
        ]
        return self._found

    def _message(self, value: bytes) -> None:
        for name, data in self._properties(value):
            if name == properties.MAPI_BODY:
                self._found.text = self._found.text or self._words(data)
            elif name == properties.MAPI_BODY_HTML:
                self._found.html = self._words(data)
            elif name == properties.MAPI_RTF_COMPRESSED:
                self._rtf = data if isinstance(data, bytes) else b""

    def _attachment(self, file: dict[str, Any], value: bytes) -> None:
        for name, data in self._properties(value):
            if name == properties.MAPI_ATTACH_LONG_FILENAME:
                file["name"] = self._words(data)
            elif name == properties.MAPI_ATTACH_FILENAME:
                file.setdefault("name", self._words(data))
            elif name == properties.MAPI_ATTACH_MIME_TAG:
                file["type"] = self._words(data).lower()
            elif name == properties.MAPI_ATTACH_DATA_OBJ and isinstance(data, bytes):
                embedded = data.startswith(_EMBEDDED)
                file["content"] = data.removeprefix(_EMBEDDED)
                file.setdefault("type", "application/ms-tnef" if embedded else "application/octet-stream")

    def _properties(self, value: bytes) -> list[tuple[int, Any]]:
        """Name and value of each property; none where the count or a length is beyond reason."""
        if not _measured(value):
            return []
        try:
            # Strings of one byte a character come back as they were: their code page is often wrong.
            found = [one for one in decode_mapi(value, "latin-1") if one.name in _WANTED]
            return [(one.name, one.data.encode("latin-1") if one.attr_type == _STRING else one.data) for one in found]
        except Exception:  # noqa: BLE001 - whatever the library meets, the rest of the mail is read
            return []

    def _words(self, data: Any) -> str:
        if isinstance(data, bytes):
            data = decode(data, self._codepage)[0]
        return data.rstrip("\0") if isinstance(data, str) else ""


def _measured(value: bytes) -> bool:
    """Whether all counts and lengths of a property list are within bounds (section 2.1.3.4), before it is decoded."""
    try:
        count, at = int.from_bytes(value[:4], "little"), 4
        for _ in range(min(count, MAX_PROPERTIES + 1)):
            at = _past_property(value, at)
    except (struct.error, ValueError):
        return False
    return count <= MAX_PROPERTIES


def _past_property(value: bytes, at: int) -> int:
    kind, name = struct.unpack_from("<HH", value, at)
    at += 4
    if name >= 0x8000:
        at = _past_name(value, at)
    several, kind = bool(kind & 0x1000), kind & 0xEFFF
    count = 1
    if several or kind in _SIZED:
        (count,) = struct.unpack_from("<I", value, at)
        at += 4
    if count > MAX_PROPERTIES:
        raise ValueError("count")
    for _ in range(count):
        at = _past_value(value, at, kind)
    return at


def _past_name(value: bytes, at: int) -> int:
    """Past the GUID and the number or text of a named property."""
    kind, length = struct.unpack_from("<II", value, at + 16)
    return at + 24 + (0 if kind == 0 else -(-length // 4) * 4)


def _past_value(value: bytes, at: int, kind: int) -> int:
    if kind in _FIXED:
        return at + _FIXED[kind]
    if kind not in _SIZED:
        raise ValueError("type")
    (length,) = struct.unpack_from("<I", value, at)
    at += 4 + -(-length // 4) * 4
    if at > len(value) + 3:
        raise ValueError("length")
    return at
