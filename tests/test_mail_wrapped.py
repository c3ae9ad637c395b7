"""What is wrapped in mail: winmail.dat, RTF, invitations, signatures. Broken in any way, it never costs the mail or the time.

What is read of whole ones stands in tests/data/mail (winmail-*, calendar-*, sealed-*).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.mail import carried, read
from normalizer.mail_calendar import invitation
from normalizer.mail_parts import unflowed
from normalizer.mail_rtf import inflate, rtf_text
from normalizer.mail_sealed import signed_content
from normalizer.mail_tnef import unwrap

MAILS = Path(__file__).parent / "data" / "mail"
TNEF = carried((MAILS / "winmail-words-and-files.eml").read_bytes())["part:2"]
SIGNED = carried((MAILS / "sealed-smime-opaque-stream.eml").read_bytes())["part:0"]
HEAD = b"\x78\x9f\x3e\x22\x01\x00"


def attribute(number: int, value: bytes) -> bytes:
    return struct.pack("<BHHI", 1, number, 6, len(value)) + value + b"\0\0"


# -- winmail.dat -------------------------------------------------------------------------------------------------------


def test_files_in_a_winmail_dat_are_carried_under_references_of_their_own() -> None:
    raw = (MAILS / "winmail-words-and-files.eml").read_bytes()
    mail, contents = read(raw), carried(raw)
    assert [one.reference for one in mail.attachments] == ["part:2", "part:2/0", "part:2/1"]
    assert {one.reference for one in mail.attachments} == contents.keys()
    assert [len(contents[one.reference or ""]) for one in mail.attachments] == [one.size for one in mail.attachments]
    assert contents["part:2/1"] == b"%PDF-1.4"


@given(st.integers(6, len(TNEF) - 1), st.binary(min_size=1, max_size=8))
def test_a_broken_winmail_dat_is_read_as_far_as_it_goes(at: int, junk: bytes) -> None:
    unwrap(TNEF[:at] + junk + TNEF[at + len(junk) :])
    unwrap(TNEF[:at])


COUNTS = {
    "properties": attribute(0x9003, b"\xff\xff\xff\x7f" + b"\x03\x00\x00\x10\0\0\0\0" * 1000),
    "values": attribute(0x9003, struct.pack("<IHHI", 1, 0x101F, 0x1000, 0xFFFFFFFF)),
    "a length": attribute(0x9003, struct.pack("<IHHII", 1, 0x1F, 0x1000, 1, 0xFFFFFFFF)),
    "recipients": attribute(0x9004, b"\xff\xff\xff\xff"),
    "attributes": attribute(0x8005, b"") * 2_000_000,
    "no type": attribute(0x9003, struct.pack("<IHH", 1, 0x77, 0x1000)),
}


@pytest.mark.parametrize("content", COUNTS.values(), ids=COUNTS)
def test_counts_are_not_believed(content: bytes) -> None:
    started = time.process_time()
    found = unwrap(HEAD + content)
    assert time.process_time() - started < 1
    assert found is not None and not found.text and not found.files


def test_words_come_in_the_code_page_it_names() -> None:
    found = unwrap(HEAD + attribute(0x9007, struct.pack("<I", 936)) + attribute(0x800C, "路灯\0".encode("gbk")))
    assert found is not None and found.text == "路灯"


# -- RTF ---------------------------------------------------------------------------------------------------------------

RTF = {
    rb"{\rtf1\ansi\ansicpg936 \'c2\'b7\'b5\'c6\par}": "路灯\n",
    rb"{\rtf1\uc1 \u-28873?\u28783?}": "\u8f37\u706f",
    rb"{\rtf1 a{\fonttbl{\f0 SimSun;}}b{\*\generator x}c\{d\}}": "abc{d}",
    rb"{\rtf1\fromhtml1 {\*\htmltag64 <p>}\htmlrtf x\htmlrtf0 words{\*\htmltag72 </p>}}": "words",
    rb"{\rtf1 a\line b\tab c\~d\emdash e}": "a\nb\tc\u00a0d\u2014e",
    b"}}}{{{": "",
    b"": "",
}


@pytest.mark.parametrize(("rtf", "words"), RTF.items(), ids=str)
def test_words_of_rtf(rtf: bytes, words: str) -> None:
    assert rtf_text(rtf) == words


def test_rtf_is_inflated_as_its_specification_shows() -> None:
    # [MS-OXRTFCP] sections 4.1.1 and 4.2.1: "hello world", and a text that refers to what it is just writing.
    packed = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    assert inflate(bytes.fromhex(packed)) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    packed = "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0"
    assert inflate(bytes.fromhex(packed)) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


@given(st.binary(max_size=200))
def test_any_bytes_are_inflated_to_something(junk: bytes) -> None:
    rtf_text(inflate(struct.pack("<II", 9, 1000) + b"LZFu\0\0\0\0" + junk))


@pytest.mark.parametrize("piece", [b"{", b"\\u1", b"\\'", b"\\a", b"{\\*", b"\\bin9999999999 ", b"\\'b7", b"}{"])
def test_a_megabyte_of_rtf_is_read_in_time(piece: bytes) -> None:
    started = time.process_time()
    rtf_text(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 5


# -- Invitations -------------------------------------------------------------------------------------------------------


def calendar(*lines: str, method: str = "REQUEST") -> str:
    return "\r\n".join(
        ["BEGIN:VCALENDAR", f"METHOD:{method}", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", ""]
    )


def test_what_when_and_where() -> None:
    told = ("SUMMARY:协调会\\, 第二次", "DTSTART:20261125T060000Z", "DTEND;VALUE=DATE:20261126", "LOCATION:三楼")
    assert invitation(calendar(*told, method="CANCEL")) == [
        "[会议取消]\n主题：协调会, 第二次\n时间：2026-11-25 06:00 (UTC) – 2026-11-26\n地点：三楼"
    ]


HOSTILE = {
    "a long line": ("SUMMARY:" + "a" * 60_000,),
    "many lines": ("X-A:b",) * 1900,
    "many parameters": ("SUMMARY" + ";A=b" * 10_000 + ":x",),
    "a rule of recurrence": ("RRULE:FREQ=SECONDLY;BYSECOND=" + ",".join(["1"] * 9000),),
    "a zone that is a path": ("DTSTART;TZID=../../etc/passwd:20261125T060000",),
    "quotes": ('X;A="' + '"' * 30_000,),
    "events": ("BEGIN:VEVENT",) * 1000,
    "beyond all bounds": ("SUMMARY:" + "a" * 1_000_000,),
}


@pytest.mark.parametrize("lines", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_calendar_costs_no_time(lines: tuple[str, ...]) -> None:
    started = time.process_time()
    assert all(len(paragraph) < 2000 for paragraph in invitation(calendar(*lines)))
    assert time.process_time() - started < 2


def test_the_rules_of_a_zone_of_its_own_are_not_reckoned() -> None:
    rule = ("BEGIN:STANDARD", "RRULE:FREQ=DAILY", "DTSTART:19000101T000000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0100")
    zone = "\r\n".join(["BEGIN:VTIMEZONE", "TZID:x", *rule, "END:STANDARD", "END:VTIMEZONE", ""])
    text = calendar("DTSTART;TZID=x:20261125T060000").replace("BEGIN:VEVENT", f"{zone}BEGIN:VEVENT")
    started = time.process_time()
    assert invitation(text) == ["[会议邀请]\n时间：2026-11-25 06:00"]
    assert time.process_time() - started < 0.5


# -- Signatures --------------------------------------------------------------------------------------------------------


@given(st.integers(0, len(SIGNED) - 1), st.binary(min_size=1, max_size=6))
def test_a_broken_signature_is_none(at: int, junk: bytes) -> None:
    signed_content(SIGNED[:at] + junk + SIGNED[at + len(junk) :])
    signed_content(SIGNED[:at])


@pytest.mark.parametrize(
    "content", [b"\x30\x80" * 500_000, b"\x30\x84\xff\xff\xff\xff", SIGNED.replace(b"\0\0", b"") * 2000]
)
def test_nesting_in_a_signature_costs_no_time(content: bytes) -> None:
    started = time.process_time()
    signed_content(content)
    assert time.process_time() - started < 1


# -- format=flowed -----------------------------------------------------------------------------------------------------

FLOWED: dict[str, tuple[str, bool, str]] = {
    "broken to fit": ("a \nb\n\nc", False, "a b\n\nc"),
    "blanks that are none": ("路 \n灯", True, "路灯"),
    "stuffed": (" From me\n >x", False, "From me\n>x"),
    "a signature's delimiter": ("a\n-- \nb \nc", False, "a\n-- \nb c"),
    "quoted lines stay": ("> a \n> b\nc", False, "> a \n> b\nc"),
    "CR LF": ("a \r\nb\r\nc", False, "a b\nc"),
    "nothing": ("", False, ""),
}


@pytest.mark.parametrize(("text", "delete", "shown"), FLOWED.values(), ids=FLOWED)
def test_flowed_lines(text: str, delete: bool, shown: str) -> None:
    assert unflowed(text, delete) == shown


def test_half_a_million_flowed_lines_are_one_in_time() -> None:
    started = time.process_time()
    assert len(unflowed("a \n" * 500_000, delete_space=True)) == 500_000
    assert time.process_time() - started < 3


READERS: dict[str, Callable[[bytes], object]] = {"tnef": unwrap, "signed": signed_content, "inflate": inflate}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(st.binary(max_size=100))
def test_any_bytes_are_taken(reader: Callable[[bytes], object], junk: bytes) -> None:
    reader(junk)
    reader(HEAD + junk)
