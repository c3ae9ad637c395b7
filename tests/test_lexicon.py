"""Every word of the lists is found where it stands, and nothing else is; letters are read no further than they must."""

from __future__ import annotations

import numpy as np
import pytest

from normalizer import fingerprint as module
from normalizer.fingerprint import MOST_GRAMS, fingerprint
from normalizer.lexicon import ENDS, TOPIC_NAMES, UNKNOWN, known
from normalizer.topics import PROBLEMS, SETTINGS
from normalizer.words import COMMON, IDLE, PLACE_ENDINGS

TOPICS = PROBLEMS | SETTINGS
WORDS = sorted(set(f"{COMMON} {IDLE} {PLACE_ENDINGS} {' '.join(TOPICS.values())}".split()))


def looked_up(text: str) -> tuple[list[int], dict[int, int]]:
    """The value of each pair, and of the triples that are words."""
    pairs, triples = known(np.array([ord(sign) for sign in text], np.uint32))
    return pairs.tolist(), triples


@pytest.mark.parametrize("length", [2, 3])
def test_each_word_is_found_and_has_its_topic(length: int) -> None:
    topics = {word: number for number, words in enumerate(TOPICS.values(), 1) for word in words.split()}
    for word in (word for word in WORDS if len(word) == length):
        pairs, triples = looked_up(word + "。。")
        value = triples[0] if length == 3 else pairs[0]
        assert value, word
        if word in topics:
            assert value % ENDS == topics[word], word
        assert (value >= ENDS) == (word in PLACE_ENDINGS.split()), word
    assert len(TOPIC_NAMES) < 126


def test_of_half_a_million_pairs_hardly_one_is_taken_for_a_word() -> None:
    text = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(500_000))
    pairs, triples = looked_up(text)
    wrong = sum(value != UNKNOWN and text[at : at + 2] not in WORDS for at, value in enumerate(pairs))
    assert wrong <= 3 and sum(text[at : at + 3] not in WORDS for at in triples) <= 3


@pytest.mark.parametrize(
    ("blank", "length"), [(0, 50), (0, 140), (0, 160), (0, 1_500), (450, 1_050), (480, 420), (590, 140), (700, 800)]
)
def test_a_long_letter_gives_what_it_gives_read_whole(blank: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = "".join(chr(0x4E00 + number * 17) for number in range(length))
    text = "。" * blank + signs + "。" * 700 + signs[:20]
    first = fingerprint("烧烤店油烟扰民", text)
    monkeypatch.setattr(module, "READ_FIRST", 10_000)
    whole = fingerprint("烧烤店油烟扰民", text)
    assert first.pack() == whole.pack()
    assert (len(first.grams) == MOST_GRAMS) == (length > 150)


def test_two_numbers_are_read_even_if_a_place_told_by_itself_ends_between_them() -> None:
    assert len(fingerprint("", "2号线", "换乘1、").numbers) == len(fingerprint("", "换乘1、2号线").numbers) == 2
