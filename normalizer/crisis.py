"""Danger to the writer's own life: said outright, threatened over a grievance, or hinted at. Pure, by rule, on one text.

Who says it is passed on at once, whatever else the message wants. A figure of speech (气得想死), another's death long past and a
threat to others are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ahocorasick_rs import AhoCorasick

from normalizer import crisis_words as words
from normalizer.emergency import required
from normalizer.emergency_model import CRISIS, danger, unlike
from normalizer.emergency_signs import COMPLAINS, GENERAL, HEARSAY, OVER
from normalizer.sentences import Reading, around, fold, windows

#: Characters up to which a hint needs no second one, and a text is read as a message.
_SHORT, _MESSAGE = 80, 160
#: Places of one sentence that are read.
_PLACES = 3
_OUTRIGHT = AhoCorasick(words.EXPLICIT_ANCHORS.split())
_HINTED = AhoCorasick(words.INDIRECT_ANCHORS.split())
#: What the strokes of despair are worth together: three for a heavy one, one for a light one.
_ENOUGH = 5
#: Characters of a message that says nothing else, for which the heavy stroke is enough, or with one light one.
_TERSE, _BRIEF = 14, 40
_STROKES = words.HEAVY.split()
_HEAVY = AhoCorasick(_STROKES)
_WEAK = frozenset(words.WEAK.split())
_LIGHT = AhoCorasick(words.LIGHT.split())
#: Where a message reads so little like danger, a hint, and the strokes of despair, are none.
_NO_HINT, _NO_DESPAIR = -2.0, -1.2
#: How much a message must read like it that no rule knows: with nothing said outright, more than an emergency.
_READS = 1.0
#: Told by somebody else: 保安说让我去跳楼.
_TOLD_TO = re.compile(
    "(?:他|她|对方|保安|物业|老板|经理|领导|房东|客服|工作人员|们)[^，。]{0,4}(?:说|叫|让|骂|喊)(?:让|叫|要)?(?:我|你|我们|业主)"
)
#: What the writer thinks of a death: of others, or of a time that is over.
_PAST = re.compile("曾经?|以前|当时|那时|小时候|去年|前年|上学期|上次|年前|过去")
_BETTER = re.compile("现在(?:已经)?(?:好|没事|康复|恢复)|(?:已经|早就)好了|走出来了")


@dataclass(frozen=True, slots=True)
class Crisis:
    """Words of danger to the writer's own life, or of somebody close to him."""

    #: The words that say so.
    span: tuple[int, int]
    #: The rule behind it: crisis.explicit, crisis.other, crisis.indirect.
    rule: str
    #: Said outright, not only hinted at.
    explicit: bool


def crisis(text: str) -> Crisis | None:
    """Whether a cleaned text tells of danger to the life of who wrote it; None where it does not."""
    folded = fold(text)
    return _outright(folded) or _hinted(folded) or _despair(folded) or _read(folded)


def _read(folded: str) -> Crisis | None:
    """A short message that reads like one, though no rule knows its words."""
    found = danger(folded) if 0 < len(folded) <= _MESSAGE else None
    if (
        found is None
        or found.kind != CRISIS
        or found.score < max(_READS, required(Reading(folded)))
        or words.FIGURATIVE.search(folded)
        or _BETTER.search(folded)
    ):
        return None
    return Crisis((found.start, found.end), "crisis.read", explicit=False)


def _outright(folded: str) -> Crisis | None:
    for start, end in windows(_OUTRIGHT, folded):
        for found in islice(words.CLOSE_NOW.finditer(folded, start, end), _PLACES):
            if _close(folded, start, found):
                return Crisis(found.span(), "crisis.other", explicit=True)
        for outright in (words.EXPLICIT, words.FRAMES):
            for found in islice(outright.finditer(folded, start, end), _PLACES):
                if _own(folded, start, end, found):
                    return Crisis(found.span(), "crisis.explicit", explicit=True)
    return None


def _close(folded: str, opens: int, found: re.Match[str]) -> bool:
    """Whether somebody close to the writer says or does it now."""
    before = folded[max(opens, found.start() - 30) : found.start()]
    sentence = before + found[0]
    return bool(words.CLOSE.search(before)) and not (
        OVER.search(sentence) or _PAST.search(sentence) or words.FIGURATIVE.search(sentence)
    )


def _own(folded: str, opens: int, closes: int, found: re.Match[str]) -> bool:
    """Whether it is the writer who means himself, and means it."""
    start, end = found.span()
    before = folded[max(opens, start - 30) : start]
    sentence = folded[max(opens, start - 30) : min(closes, end + 12)]
    clause = re.split("[，,]", before)[-1]
    if words.OTHERS.search(clause) or words.OTHERS.search(found[0][:-2]) or _TOLD_TO.search(clause + found[0]):
        return False
    if words.FIGURATIVE.search(sentence) or _BETTER.search(folded, end):
        return False
    return not (HEARSAY.search(sentence) or _PAST.search(before + found[0]))


def _hinted(folded: str) -> Crisis | None:
    """A hint in a short text; in a letter two of them."""
    hints = list(_hints(folded))
    if not hints or _BETTER.search(folded) or words.FIGURATIVE.search(folded):
        return None
    if len(folded) <= _SHORT and unlike(folded, _NO_HINT):
        return None
    enough = len(folded) <= _SHORT or len({found[0] for found in hints}) > 1
    return Crisis(hints[0].span(), "crisis.indirect", explicit=False) if enough else None


def _despair(folded: str) -> Crisis | None:
    """The strokes of a farewell in a short message: 心里只有黑，看不到明天."""
    heavy = _HEAVY.find_matches_as_indexes(folded) if len(folded) <= _SHORT else []
    if not heavy:
        return None
    light = {found for found, _, _ in _LIGHT.find_matches_as_indexes(folded)}
    strokes = {_STROKES[found] for found, _, _ in heavy}
    weak = strokes & _WEAK
    enough = _ENOUGH - (len(folded) <= _BRIEF) - (len(folded) <= _TERSE and strokes != weak)
    if 3 * len(strokes) - len(weak) + len(light) < enough or unlike(folded, _NO_DESPAIR) or _against(folded):
        return None
    return Crisis((heavy[0][1], heavy[-1][2]), "crisis.despair", explicit=False)


def _against(folded: str) -> bool:
    """Whether a short message speaks of a firm or of all, figuratively, of others, or complains of something."""
    return any(
        sign.search(folded) for sign in (words.NOT_LIFE, words.FIGURATIVE, HEARSAY, OVER, GENERAL, COMPLAINS, _BETTER)
    )


def _hints(folded: str) -> Iterator[re.Match[str]]:
    for start, end in windows(_HINTED, folded):
        for found in islice(words.INDIRECT.finditer(folded, start, end), _PLACES):
            sentence = around(folded, start, end, found.start(), found.end())
            if not (words.NOT_LIFE.search(sentence) or HEARSAY.search(sentence)):
                yield found
