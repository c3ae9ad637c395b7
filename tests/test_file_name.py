"""Names of files are shown and never lead anywhere."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.file_name import LONGEST, shown_name

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
NAMES = {
    "路灯.jpg": "路灯.jpg",
    "报告 (终稿).docx": "报告 (终稿).docx",
    "../../etc/cron.d/x": "x",
    "..\\..\\windows\\win.ini": "win.ini",
    "/etc/passwd": "passwd",
    "C:\\Users\\市民\\桌面\\路灯.jpg": "路灯.jpg",
    "C:evil.exe": "C_evil.exe",
    "a.txt:stream": "a.txt_stream",
    "..": None,
    "../": None,
    ".": None,
    "": None,
    " \t ": None,
    "\0\0": None,
    "a\0.jpg": "a.jpg",
    "a.jpg\0.exe": "a.jpg.exe",
    "a\r\nContent-Type: text/html": "html",
    "a\r\nb.txt": "a b.txt",
    "\u202egpj.exe": "gpj.exe",
    "photo\u202egpj.scr": "photogpj.scr",
    "\u2066a\u2069.txt": "a.txt",
    "a\u200b.txt": "a.txt",
    "a\x1b[31m.txt": "a[31m.txt",
    "CON": "_CON",
    "nul.txt": "_nul.txt",
    "com1.tar.gz": "_com1.tar.gz",
    "LPT¹": "_LPT¹",
    "console.txt": "console.txt",
    "name. . .": "name",
    ".htaccess": "htaccess",
    '<img src=x onerror="a">.png': "_img src=x onerror=_a__.png",
    "a／b＼c∕d.txt": "d.txt",
    "file:///etc/passwd": "passwd",
    "a|b?c*.txt": "a_b_c_.txt",
    "\ud800.txt": "\ufffd.txt",
}


@pytest.mark.parametrize(("written", "shown"), NAMES.items(), ids=range(len(NAMES)))
def test_names(written: str, shown: str | None) -> None:
    assert shown_name(written) == shown


def test_nothing_is_nothing() -> None:
    assert shown_name(None) is None


@pytest.mark.parametrize("extension", [".jpg", ".tar.gz", "", "." + "x" * 300])
def test_a_long_name_is_cut_and_keeps_its_extension(extension: str) -> None:
    shown = shown_name("路" * 300 + extension)
    assert shown is not None and LONGEST - 3 <= len(shown.encode()) <= LONGEST
    assert shown.endswith(extension[-3:]) if len(extension) < 10 else shown == "路" * 85
    assert len(shown_name("a" * 1_000_000) or "") == LONGEST


@given(st.text(max_size=300) | st.text("./\\:\0 ~路\u202eCONcon1", max_size=40))
def test_whatever_the_sender_wrote(written: str) -> None:
    shown = shown_name(written)
    if shown is None:
        return
    assert shown_name(shown) == shown
    assert shown not in {".", ".."} and len(shown.encode()) <= LONGEST
    assert not {unicodedata.category(sign) for sign in shown} & {"Cc", "Cs", "Zl", "Zp"} and not set(shown) & BIDI
    assert PurePosixPath(shown).name == shown and not PureWindowsPath(shown).is_reserved()
    assert PureWindowsPath(shown).name == shown
