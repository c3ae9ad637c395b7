"""Bytes of a mail to characters, whatever its labels say: charsets and encoded-words (RFC 2047). Nothing here raises."""

from __future__ import annotations

import binascii
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from itertools import groupby
from operator import itemgetter

#: Label, as ``encodings`` spells it → what such bytes really are, first guess first. Chinese software writes "gb2312"
#: and means GBK or GB 18030, "big5" and means a vendor's superset (WHATWG Encoding Standard, section 4.2). An allow-list:
#: utf_7, unicode_escape, idna, punycode and their like would turn harmless bytes into markup.
_READ_AS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("ascii", "utf_8", "utf_16", "utf_16_be", "utf_16_le", "hz", "euc_jp", "koi8_r")},
    **{name: (name,) for name in ("tis_620", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_kr")},
    **{f"iso8859_{n}": (f"iso8859_{n}",) for n in range(2, 17) if n != 12},
    **{f"cp125{n}": (f"cp125{n}",) for n in range(9)},
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), ("gb18030",)),
    **dict.fromkeys(("big5", "big5hkscs", "cp950"), ("big5hkscs", "cp950")),
    **dict.fromkeys(("latin_1", "cp1252"), ("cp1252", "latin_1")),
    **dict.fromkeys(("shift_jis", "cp932"), ("cp932",)),
    **dict.fromkeys(("euc_kr", "cp949"), ("cp949",)),
}
#: RFC 1922, which Python does not know: GB 2312 in seven bits between two control characters.
_ISO_2022_CN = ("iso2022_cn",)
_SHIFTED = re.compile(rb"\x0e([^\x0f\r\n]*)\x0f?")
_ESCAPE = re.compile(rb"\x1b\$?[)*+]?[A-Z]")
#: Labels seen in mail that Python does not know.
_ALIASES = {
    "x_gbk": "gbk",
    "windows_936": "gbk",
    "gb_2312": "gb2312",
    "gb_2312_80": "gb2312",
    "x_big5": "big5",
    "utf8mb4": "utf_8",
    "iso_2022_cn": "iso2022_cn",
    "iso_2022_cn_ext": "iso2022_cn",
}
#: One bad byte must not turn a letter into another language: so many good characters make up for a bad one.
_GOOD_PER_BAD = 2
#: UTF-8 under another label is common; of 85,600 sentences in GBK none was UTF-8 with a single Chinese character.
_SURELY_UTF_8 = 2
#: Labels that take nearly every byte, and stand on Chinese mail written by software that knew no better.
_WESTERN = {"ascii", "latin_1", "cp1252", *(f"iso8859_{n}" for n in range(2, 17))}
_HIGH = re.compile(rb"[\x80-\xff]+")
#: Characters of the first level of GB 2312, by pronunciation: nine of ten in any Chinese text.
_FIRST_LEVEL = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]")
_CHINESE = re.compile("[\u2e80-\uffef]")

#: RFC 2047 section 2 with RFC 2231 section 5's language; longer words than the 75 characters allowed are read, too,
#: and the last of a header that was cut.
_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?(?:([^?]*)\?=|([^?\s]*)\??$)")
#: Words with nothing but white space between them, which is not shown (RFC 2047 section 6.2).
_RUN = re.compile(r"{0}(?:\s*{0})*+".format(r"=\?[^?\s*]{1,40}(?:\*[^?\s]{0,40})?\?[bBqQ]\?(?:[^?]*\?=|[^?\s]*\??$)"))
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def decode(data: bytes, declared: str | None) -> tuple[str, bool]:
    """The text, and whether its charset had to be guessed because the declared one is missing, unknown or wrong."""
    names = _names(declared)
    if names == _ISO_2022_CN and b"\x1b$)A" in data:
        return _from_iso_2022_cn(data), False
    if _surely_utf_8(data):
        return data.decode(), "utf_8" not in names
    if names and names[-1] in _WESTERN and _surely_gb_2312(data):
        return data.decode("gb18030", "replace"), True
    names = tuple(name for name in names if name not in _ISO_2022_CN)
    for name in names:
        if (text := _exactly(data, name)) is not None:
            return text, False
    return _guess(data, names), bool(declared) or not data.isascii()


def decode_words(value: str) -> tuple[str, bool]:
    """The text of a header with its encoded-words decoded, and whether a charset had to be guessed."""
    text: list[str] = []
    guessed, end = False, 0
    for run in _RUN.finditer(value):
        words, doubtful = _decode_run(run[0])
        text += value[end : run.start()], words
        guessed, end = guessed or doubtful, run.end()
    return "".join(text) + value[end:], guessed


def western(declared: str | None) -> bool:
    """Whether a label says nothing about Chinese: none, an unknown one, or one of Western Europe."""
    names = _names(declared)
    return not names or names[-1] in _WESTERN


def from_base64(encoded: bytes) -> bytes:
    """What can be read of base64: foreign bytes skipped, padding mended, text after padding read on (RFC 2045 6.8)."""
    return b"".join(_letters(run) for run in encoded.split(b"=", maxsplit=1000))


def _names(declared: str | None) -> tuple[str, ...]:
    label = normalize_encoding((declared or "")[:40].strip(" \t\"'").lower())
    label = _ALIASES.get(label, label)
    if label in _ISO_2022_CN:
        return _ISO_2022_CN
    return _READ_AS.get(aliases.get(label, label), ())


def _exactly(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeError:
        return None


def _mostly(data: bytes, name: str) -> str | None:
    text = data.decode(name, "replace")
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", "ignore")) - bad
    return text if good >= bad * _GOOD_PER_BAD else None


def _surely_utf_8(data: bytes) -> bool:
    text = "" if data.isascii() else _exactly(data, "utf_8") or ""
    return len(_CHINESE.findall(text, 0, 10_000)) >= _SURELY_UTF_8


def _from_iso_2022_cn(data: bytes) -> str:
    pieces = _SHIFTED.split(_ESCAPE.sub(b"", data))
    shown = (bytes(byte | 0x80 for byte in piece) if at % 2 else piece for at, piece in enumerate(pieces))
    return b"".join(shown).decode("gb18030", "replace")


def _surely_gb_2312(data: bytes) -> bool:
    """Whether the bytes beyond ASCII come in pairs, nearly all of them common Chinese characters.

    Western words have single ones; the letters of their few pairs are not those of the first level.
    """
    runs = _HIGH.findall(data, 0, 20_000)
    high = sum(map(len, runs))
    if high < 4 or any(len(run) % 2 for run in runs) or _exactly(data, "utf_8") is not None:
        return False
    pairs = b"".join(runs)
    signs = sum(0xA1 <= pairs[at] <= 0xA3 for at in range(0, high, 2))
    common = sum(bool(_FIRST_LEVEL.match(pairs, at)) for at in range(0, high, 2))
    return common * 10 >= (high // 2 - signs) * 8 and common >= _SURELY_UTF_8


def _guess(data: bytes, names: tuple[str, ...]) -> str:
    """The ladder: UTF-8 proves itself, GB 18030 nearly so; latin_1 takes every byte."""
    ways = [(_exactly, "utf_8"), (_mostly, "utf_8"), *((_mostly, name) for name in names[:1])]
    ways += [(_exactly, "gb18030"), (_exactly, "big5hkscs"), (_exactly, "cp950"), (_mostly, "gb18030")]
    for way, name in ways:
        if (text := way(data, name)) is not None:
            return text
    return data.decode("latin_1")


def _decode_run(run: str) -> tuple[str, bool]:
    """Bytes of neighbours are joined before they are decoded: many mailers cut a character in two."""
    words = [(charset.lower(), _word(encoding, whole or cut)) for charset, encoding, whole, cut in _WORD.findall(run)]
    decoded = [decode(b"".join(map(itemgetter(1), some)), charset) for charset, some in groupby(words, itemgetter(0))]
    return "".join(text for text, _ in decoded), any(guessed for _, guessed in decoded)


def _word(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return from_base64(data) if encoding in "bB" else binascii.a2b_qp(data, header=True)


def _letters(run: bytes) -> bytes:
    letters = run.translate(None, _NOT_BASE64)
    return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"==")
