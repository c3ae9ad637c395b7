"""Words of RTF as Outlook puts them into a winmail.dat: inflated (MS-OXRTFCP), then without markup. Bounded and total."""

from __future__ import annotations

import re
import struct

from normalizer.charset import decode

#: Bytes of RTF read.
MAX_RTF = 4 * 1024 * 1024

#: What every text begins with (MS-OXRTFCP section 2.1.2.1).
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbol"
    rb"ArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
#: Control word with its number, control symbol, escaped byte, group, line end, or text (RTF 1.9.1, "Basic entities").
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
#: Groups that hold no words.
_UNSEEN = {
    b"fonttbl",
    b"colortbl",
    b"stylesheet",
    b"info",
    b"pict",
    b"object",
    b"header",
    b"footer",
    b"listtable",
    b"mmathPr",
}
_BREAKS = {b"par": "\n", b"line": "\n", b"sect": "\n\n", b"row": "\n", b"cell": "\t", b"tab": "\t"}
_SIGNS = {b"emdash": "—", b"endash": "–", b"bullet": "•", b"ldblquote": "“", b"rdblquote": "”"}
_SIGNS |= {b"lquote": "‘", b"rquote": "’"}  # fmt: skip


def inflate(packed: bytes) -> bytes:
    """The RTF inside; as much as can be read of a broken one."""
    if len(packed) < 16:
        return b""
    size, kind = struct.unpack_from("<I4s", packed, 4)
    if kind != _COMPRESSED:
        return packed[16:][:MAX_RTF] if kind == _PLAIN else b""
    return _inflated(packed, min(size, MAX_RTF))


def _inflated(packed: bytes, size: int) -> bytes:
    """Section 3.1.4: runs of eight literals or references into the last 4,096 bytes, told apart by a control byte."""
    text = bytearray(_DICTIONARY)
    start, at = len(_DICTIONARY), 16
    while at < len(packed) and len(text) - start < size:
        control = packed[at]
        at += 1
        for bit in range(8):
            if control >> bit & 1:
                if at + 2 > len(packed):
                    return bytes(text[start:])
                reference = packed[at] << 8 | packed[at + 1]
                at += 2
                if not _copy(text, reference >> 4, (reference & 0xF) + 2):
                    return bytes(text[start : start + size])
            else:
                text += packed[at : at + 1]
                at += 1
    return bytes(text[start : start + size])


def _copy(text: bytearray, offset: int, length: int) -> bool:
    """Copy from the ring of 4,096 bytes; False at its own write position, which means the end."""
    back = (len(text) - offset) % 4096
    if back == 0:
        return False
    for _ in range(length):
        # Before the dictionary the ring holds zeros.
        text.append(text[-back] if back <= len(text) else 0)
    return True


def rtf_text(rtf: bytes) -> str:
    """The words; HTML that was wrapped (MS-OXRTFEX) gives its text, for its tags stand in groups of their own."""
    reader = _Rtf()
    for token in _TOKEN.finditer(rtf[:MAX_RTF]):
        reader.take(token)
    reader.flush()
    return "".join(reader.shown)


class _Rtf:
    """Goes through the tokens once."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self._bytes: list[bytes] = []
        self._codepage = "cp1252"
        #: Whether words are hidden, and how many fallback characters follow a \\u; one pair per open group.
        self._groups: list[tuple[bool, int]] = []
        self._hidden, self._fallback, self._skip = False, 1, 0
        self._star = False

    def take(self, token: re.Match[bytes]) -> None:
        """One token."""
        word, number, escaped, symbol, brace, text = token.groups()
        if brace:
            self._group(opened=brace == b"{")
        elif word:
            self._word(word, int(number) if number else None)
        elif escaped:
            self._text(bytes([int(escaped, 16)]))
        elif symbol:
            self._symbol(symbol)
        elif text:
            self._text(text)

    def flush(self) -> None:
        """Bytes gathered so far become words: a character may lie in two escapes."""
        if self._bytes:
            self.shown.append(decode(b"".join(self._bytes), self._codepage)[0])
            self._bytes = []

    def _group(self, *, opened: bool) -> None:
        self._star = False
        if opened:
            self._groups.append((self._hidden, self._fallback))
        elif self._groups:
            self._hidden, self._fallback = self._groups.pop()

    def _word(self, word: bytes, number: int | None) -> None:
        if self._star or word in _UNSEEN or word == b"htmltag":
            self._hidden = True
        elif word == b"htmlrtf":  # what only RTF readers shall see
            self._hidden = number != 0
        elif word == b"ansicpg" and number:
            self._codepage = f"cp{number}"
        elif word == b"uc":
            self._fallback = number or 0
        elif word == b"u" and number is not None:
            self._say(chr(number % 0x10000))
            self._skip = self._fallback
        elif word in _BREAKS or word in _SIGNS:
            self._say(_BREAKS.get(word) or _SIGNS[word])
        self._star = False

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._star = True
        elif symbol in b"\\{}":
            self._text(symbol)
        elif symbol == b"~":
            self._say("\u00a0")

    def _say(self, words: str) -> None:
        if not self._hidden:
            self.flush()
            self.shown.append(words)

    def _text(self, text: bytes) -> None:
        kept = text[self._skip :]
        self._skip = max(0, self._skip - len(text))
        if not self._hidden and kept:
            self._bytes.append(kept)
