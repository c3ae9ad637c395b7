"""What goes to people, and what is compared."""

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer import clean as module
from normalizer.clean import clean, for_matching, single_line

FAMILY = "👨\u200d👩\u200d👧"
#: Pieces that meet each other's rules: joiners, marks, halves of pairs, broken artefacts, signs that NFC takes apart.
PIECES = st.sampled_from(
    [
        *("a", "e", "啊", "क", "्", "ا", "👨", "❤", "🏽", "🏴", "ﬃ", "İ", "ß", "ΐ", "ẛ"),
        *"\u0301\u0316\u0323\u0344\u0345\u0958\u0f81\u0fb2\u2329\u2126\u212b\ufdfa\u00a8\u1160\u3164\u09c7\u09be",
        *"\u200b\u200c\u200d\ufe0e\ufe0f\U000e0067\U000e007f\ud83d\ude00\ufffe\x00\x0b\x85\u2028\n\r \u3000\u180e",
        *("_x000D_", "_x00", "0D_", "\u0301" * 29, "\u0344" * 16),
    ]
)
TEXTS = st.one_of(st.text(st.characters()), st.lists(PIECES, max_size=10).map("".join))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("路灯坏了", "路灯坏了"),
        ("路\x00灯\x07坏\x9f了", "路灯坏了"),
        ("a\tb", "a\tb"),
        ("一\r\n二\r三\u2028四\u2029五\x85六\x0b七\x0c八", "一\n二\n三\n四\n五\n六\n七\n八"),
        ("一_x000D_\n二_x000d_三", "一\n二\n三"),
        ("付款\u202e001\u202c元\u2066\u200f\u061c", "付款001元"),
        ("路\u200b灯\ufeff坏\u00ad了\u2060", "路灯坏了"),
        ("\u3164\uffa0名", "名"),
        ("\ud800路", "\ufffd路"),
        ("\ud83d\ude00", "😀"),
        ("\uffff", "\ufffd"),
        ("e\u0301", "é"),
        ("１２３４５", "１２３４５"),
        ("\n \n  路灯  \n坏了\t\n\n", "  路灯\n坏了"),
        ("一\n\n\n二", "一\n\n\n二"),
        ("一\n\n\n\n二", "一\n\n\n二"),
        ("一\n\n \n\n\n二", "一\n\n\n二"),
        (f"{FAMILY}❤\ufe0f\u200d🔥", f"{FAMILY}❤\ufe0f\u200d🔥"),
        ("👩🏽\u200d⚕\ufe0f1\ufe0f\u20e3", "👩🏽\u200d⚕\ufe0f1\ufe0f\u20e3"),
        ("路\u200d灯\u200c", "路灯"),
        ("👨\u200d路", "👨路"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ක්\u200dර", "ක්\u200dර"),
        ("ا\u200c\u200c\u200cب", "ا\u200cب"),
        ("葛\U000e0100城", "葛\U000e0100城"),
        ("a\ufe00\ufe01\ufe02", "a\ufe00"),
        ("\ufe0f", ""),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("路\U000e0068\U000e0069灯", "路灯"),
        ("ᠮᠣᠩᠭᠣᠯ\u180eᠤᠨ", "ᠮᠣᠩᠭᠣᠯ\u180eᠤᠨ"),
        ("H" + "\u0301" * 100, "H" + "\u0301" * 30),
        ("", ""),
    ],
)
def test_clean(written: str, kept: str) -> None:
    assert clean(written) == kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("１２３４５ ＡＢＣ", "12345abc"),
        ("Straße", "STRASSE"),
        ("路 灯\u3000坏\n了", "路灯坏了"),
        ("㎡", "m2"),
        ("路\u200b灯\ufe0f", "路灯"),
        (f"{FAMILY}", "👨👩👧"),
        ("é", "E\u0301"),
    ],
)
def test_the_same_to_a_reader_is_the_same_for_matching(one: str, other: str) -> None:
    assert for_matching(one) == for_matching(other)


def test_other_words_stay_other_for_matching() -> None:
    assert for_matching("三号楼") != for_matching("四号楼")


def test_a_single_line_holds_no_line_end_and_no_edge() -> None:
    assert single_line("  路灯\r\n 坏了\t！\u3000") == "路灯 坏了 ！"


@settings(deadline=None)
@given(TEXTS)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@settings(deadline=None)
@given(TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert for_matching(for_matching(text)) == for_matching(text)
    assert for_matching(for_matching(clean(text))) == for_matching(clean(text))


@settings(deadline=None)
@given(TEXTS)
def test_what_is_clean_can_be_stored_and_shown(text: str) -> None:
    kept = clean(text)
    kept.encode()
    assert unicodedata.is_normalized("NFC", kept)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]", kept
    )
    assert not re.search("[ \t]\n|^\n|\n$|\n{4}", kept)


@settings(deadline=None)
@given(TEXTS)
def test_nothing_without_ink_is_matched(text: str) -> None:
    assert not re.search(r"[\s\u200c\u200d\ufe00-\ufe0f\u3164\u1160]", for_matching(text))


def test_the_quick_look_for_heaps_misses_no_mark() -> None:
    marks = [chr(code) for code in range(0x110000) if unicodedata.combining(chr(code))]
    assert [mark for mark in marks if not re.match(module._FOREIGN, mark)] == []
    assert [mark for mark in marks if not re.match(f"[{module._MARK}]", mark)] == []


@pytest.mark.parametrize(
    "piece",
    ["\u0300\u0316", " ", "\n", "\u200d", "\ufe0f", "\U000e0041", "\ud800", "_x000D_", "\u0344", "❤\u200d", "啊"],
)
def test_a_megabyte_of_anything_is_cleaned_in_linear_time(piece: str) -> None:
    text = "a" + piece * (1_000_000 // len(piece)) + "x"
    started = time.process_time()
    clean(text)
    assert time.process_time() - started < 5  # quadratic would be minutes
