"""Charsets and encoded-words: what Chinese mailers write, and what must never be believed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.charset import decode, decode_words, from_base64

NAME = "朱镕基堃"


def word(data: bytes, charset: str, encoding: str = "B") -> str:
    encoded = base64.b64encode(data).decode() if encoding == "B" else "".join(f"={byte:02X}" for byte in data)
    return f"=?{charset}?{encoding}?{encoded}?="


DECODED = {
    "GBK that says gb2312": (NAME.encode("gbk"), "gb2312", NAME, False),
    "GB 18030 that says GBK": ("𠮷路灯".encode("gb18030"), "x-gbk", "𠮷路灯", False),
    "gb_2312-80": (NAME.encode("gbk"), "GB_2312-80", NAME, False),
    "big5": ("路燈不亮".encode("big5"), "Big5", "路燈不亮", False),
    "big5 of Hong Kong": ("邨".encode("big5hkscs"), "big5", "邨", False),
    "UTF-8 that says gb2312": (NAME.encode(), "gb2312", NAME, True),
    "no label, UTF-8": (NAME.encode(), None, NAME, True),
    "no label, GBK": (NAME.encode("gbk"), None, NAME, True),
    "unknown label": (NAME.encode("gbk"), "x-unknown", NAME, True),
    "ascii that is GBK": (NAME.encode("gbk"), "us-ascii", NAME, True),
    "quoted label": (NAME.encode("gbk"), '"gb2312"', NAME, False),
    "hz": (b"~{<:Ky2;S{#,NpJ)l6HK!#~}", "hz-gb-2312", "己所不欲，勿施於人。", False),
    "iso-2022-cn": (b"\x1b$)A\x0eB75F\x0f ok \x0e;5AK\x0f", "ISO-2022-CN", "路灯 ok 坏了", False),
    "iso-2022-cn that is GBK": (NAME.encode("gbk"), "iso-2022-cn", NAME, True),
    "GBK that says iso-8859-1": ("小区北门路灯不亮".encode("gbk"), "iso-8859-1", "小区北门路灯不亮", True),
    "German": ("Straße über Köln, ÄÖÜ äöü".encode("latin-1"), "iso-8859-1", "Straße über Köln, ÄÖÜ äöü", False),
    "French in UTF-8 that says us-ascii": ("Envoyé, Mobilité".encode(), "us-ascii", "Envoyé, Mobilité", True),
    "Russian": ("Привет, фонарь не горит".encode("cp1251"), "windows-1251", "Привет, фонарь не горит", False),
    "one bad byte": (b"\xff" + NAME.encode() * 3, "utf-8", "\ufffd" + NAME * 3, True),
    "plain": (b"hello", None, "hello", False),
    "nothing": (b"", "gb2312", "", False),
}


@pytest.mark.parametrize(("data", "declared", "text", "guessed"), DECODED.values(), ids=DECODED)
def test_bytes_become_text(data: bytes, declared: str | None, text: str, guessed: bool) -> None:
    assert decode(data, declared) == (text, guessed)


@pytest.mark.parametrize(
    "charset", ["utf-7", "unicode_escape", "raw_unicode_escape", "idna", "punycode", "hex", "rot13", "undefined", "\0"]
)
def test_dangerous_codecs_are_never_used(charset: str) -> None:
    for data in (b"+ADw-script+AD4-", rb"\u003cscript\u003e", b"3c736372697074"):
        assert decode(data, charset)[0] == data.decode()
        assert decode_words(word(data, charset))[0] in (data.decode(), word(data, charset))


TITLE = "关于小区噪音扰民投诉"
HALF = len(TITLE.encode()) // 2 + 1
WORDS = {
    "B": (word(TITLE.encode(), "utf-8"), TITLE),
    "Q": (word(TITLE.encode("gbk"), "gb2312", "Q"), TITLE),
    "cut in a character": (
        f"{word(TITLE.encode()[:HALF], 'utf-8')}\r\n {word(TITLE.encode()[HALF:], 'UTF-8')}",
        TITLE,
    ),
    "cut, GBK": (f"{word(TITLE.encode('gbk')[:5], 'gb2312')} {word(TITLE.encode('gbk')[5:], 'gb2312')}", TITLE),
    "two charsets": (f"{word('路灯'.encode(), 'utf-8')} {word('不亮'.encode('gbk'), 'gbk')}", "路灯不亮"),
    "words around": (f"Re: {word('路灯'.encode(), 'utf-8')} ok", "Re: 路灯 ok"),
    "language": (f"=?utf-8*zh?B?{base64.b64encode('路灯'.encode()).decode()}?=", "路灯"),
    "underscore is a space": ("=?utf-8?Q?a_b?=", "a b"),
    "no end": ("=?utf-8?B?5biC", "市"),
    "no end, and words": ("=?utf-8?B?5biC ok", "=?utf-8?B?5biC ok"),
    "none": ("路灯", "路灯"),
}


@pytest.mark.parametrize(("header", "text"), WORDS.values(), ids=WORDS)
def test_encoded_words(header: str, text: str) -> None:
    assert decode_words(header) == (text, False)


BASE64 = {
    "padding missing": (b"QUI", b"AB"),
    "junk between": (b"QU!!\r\nI=", b"AB"),
    "one letter too many": (b"QUJDR", b"ABC"),
    "text after padding": (b"QQ==QUI=", b"AAB"),
    "nothing": (b"==", b""),
}


@pytest.mark.parametrize(("encoded", "data"), BASE64.values(), ids=BASE64)
def test_broken_base64_is_read(encoded: bytes, data: bytes) -> None:
    assert from_base64(encoded) == data


@given(st.binary(), st.none() | st.text(max_size=50))
def test_decode_never_raises(data: bytes, declared: str | None) -> None:
    assert isinstance(decode(data, declared)[0], str)


@given(st.text(alphabet=st.sampled_from("=?utf8gbBQ-* \nAé\udcff5biC")))
def test_decode_words_never_raises(header: str) -> None:
    assert isinstance(decode_words(header)[0], str)


@given(st.binary())
def test_base64_round_trip(data: bytes) -> None:
    assert from_base64(base64.encodebytes(data)) == data
    assert isinstance(from_base64(data), bytes)
