"""Who asks to stay unnamed. Pure, by rule.

Who reports may ask that his personal information is kept confidential (Weifang Art. 11 paragraph 3, Jinan Art. 10).
"""

from __future__ import annotations

from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, Implementation

from normalizer import confidential_words as words

#: Characters looked at for a request; whom a text would tell is looked for in all of it.
_READ = 4_000
#: Characters before a request in which the sentence may still make it another's.
_BEFORE = 16
#: Characters around a word in which a denial makes it worth a look, and which are then looked at.
_NEAR, _AROUND = 16, 36
_FINDER = AhoCorasick((*words.SURE, *words.PERHAPS), implementation=Implementation.ContiguousNFA)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to stay unnamed."""

    #: The words.
    span: tuple[int, int]
    #: confidential.asked: not to be named to others; confidential.anonymous: gives no name, or fears for having told.
    rule: str


def asks_to_stay_unnamed(text: str) -> Request | None:
    """The first request to stay unnamed in a cleaned text; None where there is none."""
    head = text[:_READ]
    windows = _windows(head)
    if windows:
        head = head.translate(words.SIMPLE)
    for rule, pattern in (("confidential.asked", words.ASKED), ("confidential.anonymous", words.ANONYMOUS)):
        for start, end in windows:
            for match in pattern.finditer(head, start, end):
                if not words.NOT_ASKED.search(head[max(0, match.start() - _BEFORE) : match.end() + 8]):
                    return Request(match.span(), rule)
    return None


def _windows(head: str) -> list[tuple[int, int]]:
    """Where a request may stand: around the words that it has."""
    windows = list[tuple[int, int]]()
    for number, first, last in _FINDER.find_matches_as_indexes(head):
        if number >= len(words.SURE) and not words.DENIES.search(head, max(0, first - _NEAR), last + _NEAR):
            continue
        start, end = max(0, first - _AROUND), last + _AROUND
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows
