"""The rules of live emergencies: what is told, and the evidence that it is happening. Pure, on one text.

What such services come for is no matter of the hotline (Weifang's measures, article 39): the citizen is told the number
at once. Letters to a city are full of fires that were, might be or are to be prevented; so an event counts only with
evidence that it is happening, and the longer a text, the more of it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ahocorasick_rs import AhoCorasick, Implementation

from normalizer import emergency_signs as signs
from normalizer.emergency_scenes import SCENES
from normalizer.emergency_words import EVENTS, Event
from normalizer.model import EmergencyLine
from normalizer.sentences import Reading, ends

#: Evidence that an alarm needs; an event as seen counts two, named only one.
_NEEDED = 3
#: The most that signs of now and cries for help add.
_PRESENT = 3
#: Characters up to which a text is a title or a cry, a short message, no letter.
_CRY, _SHORT, LETTER = 14, 70, 160
#: Characters before and after an event that are about it.
_BEFORE, _AFTER = 60, 40
#: Characters between an event and a cry for help in a letter.
_NEAR = 200
#: Kinds and sentences that are read, and characters of a sentence: whoever is in danger has no time for more.
_PIECES, _SENTENCE = 10, 160
#: Places of one kind in one sentence that are read.
_PLACES = 3
#: Places of a text that are read.
_READ = 10
#: Characters before an event, in its clause, in which a fear of it stands.
_CLAUSE = 16
_LAST_CLAUSE = re.compile("[，,：:]")

#: By number of the anchor, the kinds that it may tell.
_ANCHORS = sorted({anchor for event in EVENTS for anchor in event.anchors})
_KINDS = tuple(tuple(kind for kind, event in enumerate(EVENTS) if anchor in event.anchors) for anchor in _ANCHORS)
#: The anchors, and behind them the words of which one stands in every cry for help.
_FINDER = AhoCorasick([*_ANCHORS, *signs.CRY_ANCHORS.split()], implementation=Implementation.ContiguousNFA)


#: The thing itself, not only what comes of it, which comes so much later in the order of kinds.
_ITSELF = {"fire": re.compile("[火烧燃]|fire|burn"), "collapse": re.compile("[塌垮坍倒]|滑坡|泥石流|collapse")}
_LATER = 8
_FLAMES = re.compile("[着起失]火|火苗|火势|烧起来|烧着了")
_Told = tuple[int, int, tuple[int, ...]]
_VIVID = 3
#: What the clues of a scene are worth together at least, and with what speaks for and against.
_SCENE, _SCENE_NEEDED = 3, 5
#: Characters of a message that leaves everything else out.
_TERSE = 24
#: The most that clues are worth together.
_MOST = 8
#: What is taken off where no clue is vivid.
_UNSEEN = 2
#: What speaks against a live event without ruling it out.
SOFT = (
    signs.MAYBE_OVER,
    signs.HABIT,
    signs.GENERAL,
    signs.COMPLAINS,
    signs.NOTHING,
    signs.TOPICS,
)
#: What no clues outweigh.
HARD = (signs.OVER, signs.SUPPOSED, signs.HEARSAY, signs.FEARED_ANYWHERE)
_CLUE_WORDS = sorted({clue for scene in SCENES for clue in (*scene.vivid, *scene.plain)})
#: What a clue is worth, by scene.
_OWNERS = tuple(
    {
        number: _VIVID if clue in scene.vivid else 1
        for number, scene in enumerate(SCENES)
        if clue in scene.vivid or clue in scene.plain
    }
    for clue in _CLUE_WORDS
)
_CLUES = AhoCorasick(_CLUE_WORDS)
_CRIES = AhoCorasick(signs.CRY_ANCHORS.split())
#: Characters before a cry that tell what it is about.
_TOLD = 120


@dataclass(frozen=True, slots=True)
class Alarm:
    """An emergency that is happening."""

    #: The number that is right.
    line: EmergencyLine
    #: What it is: fire, gas, collapse, drowning, trapped, crime, violence, injury, illness, traffic, ...
    what: str
    #: The words that say so.
    span: tuple[int, int]
    #: The rule behind it: emergency.fire.now.
    rule: str
    #: Further services that it concerns.
    also: tuple[EmergencyLine, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """An event in a text."""

    event: Event
    start: int
    end: int
    #: The words that tell it.
    words: str
    #: The sentence it stands in.
    opens: int
    closes: int
    #: Said as one says it who sees it.
    seen: bool


def ruled(reading: Reading) -> Alarm | None:
    """The live emergency that the rules find in a folded text."""
    live: dict[str, _Place] = {}
    for place in islice(_places(reading.text), _READ):
        if place.event.what not in live and _lives(reading, place):
            live[place.event.what] = place
    if live:
        return _named(list(live.values()))
    return scene(reading) if len(reading.text) <= LETTER else None


def cried(folded: str) -> Iterator[tuple[int, str]]:
    """Where a letter cries for help: where what stands before the cry begins, and it, to be read as a message of its own."""
    for _, start, end in _CRIES.find_matches_as_indexes(folded)[:_PLACES]:
        if signs.CRY.search(folded, max(0, start - _CRY), end + _CRY):
            begins = max(0, start - _TOLD)
            yield begins, folded[begins : end + _AFTER]


def _named(live: list[_Place]) -> Alarm:
    """The alarm of several places: the first kind names it, the others concern further services."""
    first = min(live, key=_rank)
    lines = [line for place in live for line in (place.event.line, *place.event.also)]
    also = tuple(line for line in dict.fromkeys(lines) if line != first.event.line)
    return Alarm(
        first.event.line, first.event.what, (first.start, first.end), f"emergency.{first.event.what}.now", also
    )


def _rank(place: _Place) -> int:
    """The order of kinds; smoke and people under something are where a car crashed too."""
    number = EVENTS.index(place.event)
    itself = _ITSELF.get(place.event.what)
    return number + _LATER if itself and not itself.search(place.words) else number


def _places(folded: str) -> Iterator[_Place]:
    """Where events stand, kind by kind; in a letter only near a cry for help, the nearest of them."""
    hits = _FINDER.find_matches_as_indexes(folded, overlapping=True)
    told = [(start, end, _KINDS[anchor]) for anchor, start, end in hits if anchor < len(_KINDS)]
    if len(folded) > LETTER:
        cries = [start for anchor, start, _ in hits if anchor >= len(_KINDS)]
        told = _near(told, cries)
    if told:
        marks = ends(folded)
        for (kind, sentence), anchors in sorted(_pieces(told, marks).items()):
            opens = marks[sentence - 1] + 1 if sentence else 0
            yield from _in_sentence(EVENTS[kind], folded, (opens, marks[sentence]), anchors)


def _near(told: list[_Told], cries: list[int]) -> list[_Told]:
    """The anchors near the first cries for help, the nearest first."""
    aside = (
        (min((abs(start - cry) for cry in cries[:_PLACES]), default=_NEAR), start, end, kinds)
        for start, end, kinds in told
    )
    return [(start, end, kinds) for _, start, end, kinds in sorted(one for one in aside if one[0] < _NEAR)]


def _pieces(told: list[_Told], marks: list[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """By kind and sentence, from where to where its anchors stand; of so many kinds and sentences."""
    pieces: dict[tuple[int, int], tuple[int, int]] = {}
    for start, end, kinds in told:
        sentence = bisect_left(marks, start)
        for kind in kinds:
            first, last = pieces.get((kind, sentence), (start, end))
            if (kind, sentence) in pieces or len(pieces) < _PIECES:
                pieces[kind, sentence] = (min(first, start), max(last, end))
    return pieces


def _in_sentence(event: Event, folded: str, sentence: tuple[int, int], anchors: tuple[int, int]) -> Iterator[_Place]:
    """The event where somebody saw it; where nobody did, where it is named."""
    opens, closes = sentence
    start, end = max(opens, anchors[0] - _AFTER), min(closes, anchors[1] + _AFTER, anchors[0] + _SENTENCE)
    places = 0
    for words, seen in ((event.seen, True), (event.named, False)):
        for found in islice(words.finditer(folded, start, end), _PLACES):
            places += 1
            yield _Place(event, found.start(), found.end(), found[0], opens, closes, seen)
        if places:
            return


def _lives(reading: Reading, place: _Place) -> bool:
    """Whether the evidence is enough that it is happening."""
    folded, words = reading.text, place.words
    before = folded[max(place.opens, place.start - _BEFORE) : place.start]
    after = folded[place.end : min(place.closes, place.end + _AFTER)]
    if _dead(before, _LAST_CLAUSE.split(before)[-1], words, after):
        return False
    if place.event.what == "fire" and "烟" in words and reading.has(signs.CHIMNEY):
        return False
    around = folded[max(0, place.start - 2 * _BEFORE) : place.end + 2 * _AFTER]
    if len(folded) <= LETTER:
        around = folded
    said = reading.has(signs.SAID, before) and (not place.seen or place.event.line == "110")
    return _evidence(reading, before + words + after, around, 2 * place.seen - 2 * said + (not place.seen)) >= _NEEDED


def _dead(before: str, clause: str, words: str, after: str) -> bool:
    """Whether its own sentence says that it is supposed, feared, denied, asked about."""
    return bool(
        signs.DENIED.search(clause)
        or signs.FEARED.search(clause[-_CLAUSE:])
        or signs.FEARED.search(words)
        or signs.INNER.search(words)
        or signs.SUPPOSED.search(before + words)
        or signs.ASKED.search(after)
    )


def _evidence(reading: Reading, sentence: str, around: str, evidence: int) -> int:
    """What speaks for a live event, and what against it, beside the words themselves."""
    length = len(reading.text)
    short = length <= _SHORT
    scope = reading.text if short else sentence if length <= LETTER else around
    if reading.has(signs.COMPLAINS, around):
        evidence -= 1
    elif short:
        evidence += 2 if length <= _CRY else 1
    evidence -= length > LETTER
    evidence -= 3 * (reading.has(signs.OVER, scope) or reading.has(signs.HEARSAY, scope))
    if evidence + _PRESENT < _NEEDED:
        return evidence
    evidence -= 2 * sum(reading.has(sign, scope) for sign in (signs.GENERAL, signs.MAYBE_OVER, signs.HABIT))
    evidence -= 3 * (short and reading.has(signs.NOTHING))
    if evidence + _PRESENT < _NEEDED:
        return evidence
    return evidence + reading.has(signs.NOW, around) + 2 * reading.has(signs.CRY, around)


def scene(reading: Reading) -> Alarm | None:
    """The alarm of a short message in which enough clues stand together, though it names no event."""
    hits = _CLUES.find_matches_as_indexes(reading.text, overlapping=True)
    worth, number = max((_worth(number, hits), -number) for number in range(len(SCENES)))
    scene, owners = SCENES[-number], [_OWNERS[clue].get(-number) for clue, _, _ in hits]
    if worth < _SCENE or (len(reading.text) > _SHORT and _VIVID not in owners):
        return None
    if worth + _circumstances(reading) < _SCENE_NEEDED:
        return None
    if scene.what == "fire" and reading.has(signs.CHIMNEY) and not reading.has(_FLAMES):
        return None
    clues = [(start, end) for (_, start, end), owner in zip(hits, owners, strict=True) if owner]
    return Alarm(scene.line, scene.what, (clues[0][0], max(end for _, end in clues)), f"emergency.{scene.what}.scene")


def _worth(number: int, hits: list[tuple[int, int, int]]) -> int:
    """What the clues of one scene are worth together, each counted once; less without a vivid one."""
    found = {anchor: _OWNERS[anchor][number] for anchor, _, _ in hits if number in _OWNERS[anchor]}
    told = sum(found.values())
    return min(told if _VIVID in found.values() else told - _UNSEEN, _MOST)


def _circumstances(reading: Reading) -> int:
    """What speaks for a live event in a short message, and what for the past, for what might be, for rules, for a complaint."""
    if any(reading.has(sign) for sign in HARD):
        return -_MOST
    against = sum(reading.has(sign) for sign in SOFT)
    told = reading.has(signs.TOLD)
    present = reading.has(signs.NOW) + 2 * reading.has(signs.CRY)
    return (
        present + (told and not against and len(reading.text) <= _TERSE) - 4 * against - 3 * (not told and not present)
    )
