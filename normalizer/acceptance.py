"""Whether the hotline may not be the place for a matter: suggested with a reason, decided by a person. Pure, by rule.

Weifang Art. 19 names the grounds and wants them explained, with the way to go; Jinan Art. 3 serves the city's own area;
Lianyungang sections 3 and 4 leave out discipline and the courts and link lines such as 12315. Complaints about style,
quality and efficiency of staff are taken (Jinan Art. 14, Weifang Art. 10), and so is who objects to an answer (Art. 14).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from normalizer.acceptance_subjects import SUBJECTS
from normalizer.acceptance_words import CERTAIN, CLEAR, PROCEDURES, Hint
from normalizer.model import Acceptance
from normalizer.platform_words import NUMBERS
from normalizer.profile import Ground, GroundRule, PlatformRule, Profile

#: Characters looked at: who is in another procedure says so early.
_READ = 4_000
_READ_TITLE = 200
#: Up to so many characters a letter has one subject; up to so many it says little else.
_SHORT, _FEW_LINES = 260, 120
#: How far around the match a sentence is read: it may turn it into a threat or a question.
_BEFORE, _BEHIND = 48, 16
_SENTENCE_END = re.compile(r"[。！？!?；;\n]")
#: Places looked at for one rule; characters around a word of it that are looked at: more than any of its sentences has.
_MOST, _WINDOW = 20, 64
Place = tuple[int, int]
"""From which character to which."""
#: Municipalities, their districts lie in one city: the first two digits (GB/T 2260).
_MUNICIPALITIES = frozenset({"11", "12", "31", "50"})
#: Counties and cities under the province itself, each on its own: 429004 (GB/T 2260).
_UNDER_PROVINCE = "90"

#: All rules.
_HINTS = (*PROCEDURES, *SUBJECTS)
_TRIGGERS = tuple(dict.fromkeys(word for hint in _HINTS for word in (*hint.triggers, *sorted(hint.gates))))
_HINTS_OF = {word: [number for number, hint in enumerate(_HINTS) if word in hint.triggers] for word in _TRIGGERS}
_FINDER = AhoCorasick(_TRIGGERS, implementation=Implementation.ContiguousNFA)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks for a ground."""

    ground: Ground
    #: Characters of the text that say so; None: the title, or the place.
    span: tuple[int, int] | None
    #: acceptance.litigation.pending.
    rule: str
    #: The number of the linked platform, for OTHER_PLATFORM.
    platform: str | None = None


def doubts(title: str, text: str) -> tuple[Doubt, ...]:
    """What in the words speaks for a ground, one for each, the surest first."""
    title, text = title[:_READ_TITLE], text[:_READ]
    found: dict[Ground, tuple[int, Doubt]] = {}
    for hint, places in _worth_a_look(title, text):
        told = _told(hint, title, text, places)
        if told is not None and told[0] > found.get(hint.ground, (0, None))[0]:
            found[hint.ground] = told
    return tuple(doubt for _, doubt in sorted(found.values(), key=lambda one: -one[0]))


def platform(text: str, profile: Profile) -> tuple[str, tuple[int, int]] | None:
    """The linked platform whose subjects the text names most often, and the first of these words; None: of none."""
    words = _subjects(profile.platforms)
    if words is None:
        return None
    finder, numbers = words
    counts: dict[str, set[int]] = {}
    first: dict[str, tuple[int, int]] = {}
    for word, start, end in finder.find_matches_as_indexes(text[:_READ]):
        for number in numbers[word]:
            counts.setdefault(number, set()).add(word)
            first.setdefault(number, (start, end))
    if not counts:
        return None
    best = max(counts, key=lambda number: (len(counts[number]), -first[number][0]))
    return best, first[best]


def suggest(
    title: str, text: str, profile: Profile, *, division: str | None, city: str
) -> tuple[Acceptance, tuple[Doubt, ...]]:
    """Suggest what to do with a matter, by the grounds that the profile has; the doubt behind it stands first.

    ``division`` is the place told and ``city`` the profile's own, both codes of GB/T 2260. Where several grounds are
    told, a way that is open to him goes before none. The reason in plain words is the ground's ``explain``.
    """
    rules = {rule.ground: rule for rule in profile.grounds}
    found = [*doubts(title, text), *_out_of_area(division, city), *_other_platform(title, text, profile)]
    known = [doubt for doubt in found if doubt.ground in rules]
    known.sort(key=lambda doubt: rules[doubt.ground].suggestion != "refer")
    if not known:
        return Acceptance(), ()
    return _acceptance(rules[known[0].ground]), tuple(known)


def _acceptance(rule: GroundRule) -> Acceptance:
    return Acceptance(suggestion=rule.suggestion, ground=rule.name, article=rule.article, where_to=rule.where_to)


def _worth_a_look(title: str, text: str) -> Iterator[tuple[Hint, list[Place]]]:
    """The rules of which at least one word stands there, and around which places of the text."""
    seen, places = set(_FINDER.find_matches_as_strings(title, overlapping=True)), dict[int, list[Place]]()
    for number in sorted({number for word in seen for number in _HINTS_OF[word]}):
        places[number] = []
    for at, start, end in _FINDER.find_matches_as_indexes(text, overlapping=True):
        word = _TRIGGERS[at]
        seen.add(word)
        for number in _HINTS_OF[word]:
            _widen(places.setdefault(number, []), max(0, start - _WINDOW), end + _WINDOW)
    for number in sorted(places):
        hint = _HINTS[number]
        if not hint.gates or not hint.gates.isdisjoint(seen):
            yield hint, places[number]


def _widen(places: list[Place], start: int, end: int) -> None:
    """Add a place, to the last one where they meet; they come in order of their ends."""
    if places and start <= places[-1][1]:
        places[-1] = (min(places[-1][0], start), end)
    else:
        places.append((start, end))


def _told(hint: Hint, title: str, text: str, places: Iterable[Place]) -> tuple[int, Doubt] | None:
    """How surely a rule's ground is told, and where; None: it is not."""
    in_title = next(_said(hint, title, [(0, len(title))]), None)
    in_text = list(_said(hint, text, places))
    if in_title is None and not _weighs(hint, text, in_text):
        return None
    span = in_text[0].span() if in_text else None
    return hint.sureness * 2 + (in_title is not None), Doubt(hint.ground, span, hint.rule)


def _weighs(hint: Hint, text: str, matches: Sequence[re.Match[str]]) -> bool:
    """Whether it is the matter itself, not something that a long letter passes by."""
    if not matches or hint.sureness >= CERTAIN:
        return bool(matches)
    if hint.sureness == CLEAR:
        return len(text) <= _SHORT or len(matches) > 1
    return len(text) <= _FEW_LINES


def _said(hint: Hint, text: str, places: Iterable[Place]) -> Iterator[re.Match[str]]:
    """Where a rule's words stand and the sentence around does not make them something else."""
    every = (match for start, end in places for match in hint.pattern.finditer(text, start, end))
    for match in islice(every, _MOST):
        around = _around(text, match)
        if hint.unless is not None and hint.unless.search(around):
            continue
        if hint.beside is None or hint.beside.search(around):
            yield match


def _around(text: str, match: re.Match[str]) -> str:
    """The sentence up to the match, and a few words behind it."""
    before = text[max(0, match.start() - _BEFORE) : match.start()]
    ended = [end.end() for end in _SENTENCE_END.finditer(before)]
    behind = _SENTENCE_END.split(text[match.end() : match.end() + _BEHIND], maxsplit=1)[0]
    return (before[ended[-1] :] if ended else before) + match.group() + behind


def _out_of_area(division: str | None, city: str) -> list[Doubt]:
    """Jinan Art. 3: within the administrative area of the city."""
    if not division or not city or not _elsewhere(division, city):
        return []
    return [Doubt(Ground.OUT_OF_AREA, None, "acceptance.out_of_area.place")]


def _elsewhere(division: str, city: str) -> bool:
    if division[:2] != city[:2]:
        return True
    if city[:2] in _MUNICIPALITIES or division[2:4] in {"", "00"} or city[2:4] in {"", "00"}:
        return False
    length = 6 if city[2:4] == _UNDER_PROVINCE else 4
    return division[:length] != city[:length]


def _other_platform(title: str, text: str, profile: Profile) -> list[Doubt]:
    """Lianyungang section 4: lines with a number of their own, as far as the profile wants matters referred there."""
    found = platform(text, profile)
    named = found or platform(title, profile)
    if named is None or not any(rule.number == named[0] and rule.refer for rule in profile.platforms):
        return []
    span = found[1] if found else None
    return [Doubt(Ground.OTHER_PLATFORM, span, f"acceptance.other_platform.{named[0]}", platform=named[0])]


@lru_cache(maxsize=16)
def _subjects(platforms: tuple[PlatformRule, ...]) -> tuple[AhoCorasick, tuple[tuple[str, ...], ...]] | None:
    """The words of all platforms, and whose each is."""
    owners: dict[str, list[str]] = {}
    for rule in platforms:
        for word in dict.fromkeys((*rule.subjects, *NUMBERS.get(rule.number, ()))):
            owners.setdefault(word, []).append(rule.number)
    if not owners:
        return None
    return AhoCorasick(tuple(owners), matchkind=MatchKind.LeftmostLongest), tuple(map(tuple, owners.values()))
