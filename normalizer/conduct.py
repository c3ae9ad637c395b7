"""What is said in a message: insults and threats to the hotline's people, harassment, advertising, links that are traps.

Signs only: they carry the words that they were read from, and at most hold a matter until a person has looked (promise 5).
Harsh words about a grievance are a citizen's right (Constitution, article 41), and who reports what was shouted at him
threatens nobody. Full-width letters, traditional characters, homophones, filling and pictures hide nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Literal

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from normalizer.conduct_aim import THIRD, aim, reported, sentence
from normalizer.conduct_insult import BELITTLES, CALL, CROWD, CURSE, ORDER, SEXUAL, STRONG, TO_FACE
from normalizer.conduct_model import Signs, attack, hashes
from normalizer.conduct_spam import link, offer
from normalizer.conduct_staff import Attack, staff
from normalizer.conduct_threat import menace, threats
from normalizer.conduct_words import ADVANCES, CURSES, NAMES, OATHS, OBSCENE, ORDERS, SLURS, TRIGGERS, spellings
from normalizer.folding import Folded, fold, level

Kind = Literal["insult", "threat", "harassment", "spam"]
#: A sign of at least this score is a flag; weaker ones are a figure of speech, and told nobody.
COUNTS = 0.5
#: Characters that are read.
_READ = 4_000
#: Lists whose words insult by themselves, or nobody.
_CALLS = frozenset(("slur", "obscene", "oath"))
#: Words and sentences that are judged, and places in a sentence for each rule: whoever writes more is read by a person.
_MOST, _EACH = 24, 3
#: Characters of a message that is read as a whole.
_SHORT = 80
#: What a short message leans to that reads like no abuse; by that, the score below which signs give way.
_DOUBTS = ((-1.0, 0.7), (-2.0, 0.95))
_ABUSE = frozenset(("insult", "threat", "harassment"))
#: Whoever is spoken to in a sentence of a longer one, or so many characters before it: else it tells of something else.
_ADDRESSED = re.compile(
    "[你您妳伱]|尼们|泥们|尔等|接线|话务|客服|坐席|接电话|电话那|值班|12345|热线|公务员|当官|领导|[局科处院校站所]长|主任|书记|市长|畜|狗|猪|废物|垃圾"
)
_NEAR = 40
_LATIN = re.compile("[a-z0-9]")
#: What is sworn at that is nobody: a procedure, a promise, a reply.
_THING = re.compile(
    "的?(?:什么|狗屁|破|所谓的?)*(?:已?办结|已?整改|已?受理|满意度?|回访|规定|流程|程序|政策|制度|答复|承诺|系统|平台|网站|通知|证明|材料|标准|预约|排队|天气|路|工作日)"
)


@dataclass(frozen=True, slots=True)
class Sign:
    """Something said that a person may have to look at."""

    kind: Kind
    #: 0 to 1.
    score: float
    #: Where the words stand in the text that was given.
    span: tuple[int, int]
    #: Which rule saw it.
    rule: str


@cache
def _words() -> tuple[AhoCorasick, list[str]]:
    """All words of abuse, with the list each stands in; of two that are the same, the graver."""
    lists = {
        "oath": OATHS,
        "advance": ADVANCES,
        "trigger": TRIGGERS,
        "curse": CURSES,
        "order": ORDERS,
        "name": NAMES,
        "slur": SLURS,
        "obscene": OBSCENE,
    }
    found = {word: name for name, words in lists.items() for word in spellings(words)}
    return AhoCorasick(list(found), matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA), list(
        found.values()
    )


def said(text: str) -> tuple[Sign, ...]:
    """The signs in a cleaned text, strongest first, at most one of each kind and rule."""
    head = text[:_READ]
    folded = fold(head)
    grams = hashes(folded.text)
    leaning, abuse = staff(folded.text, grams)
    ruled = [*_abusive(folded), *_promoted(folded, level(head))]
    if abuse and any(sign.kind == "harassment" for sign in ruled):
        abuse = replace(abuse, kind="harassment")  # what it is, words tell better than their sum
    signs = [*ruled, *_learned(folded, grams, abuse)]
    if len(folded.text) <= _SHORT and (sure := max((one for least, one in _DOUBTS if leaning < least), default=0)):
        signs = [replace(sign, score=round(sign.score / 2, 3)) if _doubted(sign, sure) else sign for sign in signs]
    return _strongest(signs)


def _doubted(sign: Sign, sure: float) -> bool:
    """Whether a sign gives way where the whole message reads like none."""
    return sign.kind in _ABUSE and sign.score < sure and sign.rule != "conduct.model"


def _learned(folded: Folded, grams: list[Signs], abuse: Attack | None) -> Iterator[Sign]:
    """What passages read like as a whole: attacks on a group, and abuse of staff."""
    text = folded.text
    if (passage := attack(text, grams)) and not _all_reported(text, passage.start, passage.end):
        rule = "conduct.model" if passage.named else "conduct.anybody"
        yield Sign("insult", passage.score, folded.place(passage.start, passage.end), rule)
    if abuse and not any(_by_another(text, *word) for word in abuse.words):
        yield Sign(abuse.kind, abuse.score, folded.place(abuse.start, abuse.end), "conduct.staff")


def _strongest(signs: Iterable[Sign]) -> tuple[Sign, ...]:
    """One sign of each kind and rule."""
    best = dict[tuple[str, str], Sign]()
    for sign in sorted(signs, key=lambda one: (-one.score, one.span)):
        best.setdefault((sign.kind, sign.rule), sign)
    return tuple(best.values())


def _promoted(folded: Folded, text: str) -> Iterator[Sign]:
    """What is advertised, and where links lead; of their dots none was taken out of the text."""
    if found := offer(folded.text):
        yield Sign("spam", found.score, folded.place(found.start, found.end), found.rule)
    if found := link(text):
        yield Sign("spam", found.score, (found.start, found.end), found.rule)


def _abusive(folded: Folded) -> Iterator[Sign]:
    """Insults, curses, threats and harassment."""
    text = folded.text
    lookup, lists = _words()
    hits = [(lists[word], start, end) for word, start, end in lookup.find_matches_as_indexes(text, overlapping=True)]
    for name, start, end in islice((hit for hit in hits if hit[0] in _CALLS), _MOST):
        if score := _called(text, start, end, name):
            rule = "conduct.insult.oath" if name == "oath" else "conduct.insult.word"
            yield Sign("insult", score, folded.place(start, end), rule)
    for first, last in islice(_sentences(text, hits), _MOST):
        yield from _in_sentence(folded, first, last)
    if len(text) <= _SHORT and (threat := menace(text)):
        yield from _unless_reported(folded, "threat", *threat, "conduct.threat.staff")
    if any(name == "advance" for name, _, _ in hits) and (sexual := SEXUAL.search(text)):
        yield from _unless_reported(folded, "harassment", 0.8, *sexual.span(), "conduct.harassment.sexual")


def _sentences(text: str, hits: Iterable[tuple[str, int, int]]) -> Iterator[tuple[int, int]]:
    """The sentences in which a word stands that may matter, each once."""
    done = -1
    for name, start, end in hits:
        if name == "oath" or end <= done:
            continue
        first, done = sentence(text, start, end)
        if len(text) <= _SHORT or name in _CALLS or _ADDRESSED.search(text, max(0, first - _NEAR), done):
            yield first, done


def _in_sentence(folded: Folded, first: int, last: int) -> Iterator[Sign]:
    """What a sentence says to the reader that single words do not show."""
    text = folded.text
    part = text[first:last]
    if threat := threats(part):
        score, start, end = threat
        yield from _unless_reported(folded, "threat", score, first + start, first + end, "conduct.threat.staff")
    for found in islice(STRONG.finditer(part), _EACH):
        start, end = first + found.start(), first + found.end()
        if aim(text, start, end) == "reader":
            yield from _unless_reported(folded, "insult", 0.7, start, end, "conduct.insult.face")
    for pattern, score in ((BELITTLES, 0.65), (CROWD, 0.6)):
        for found in islice(pattern.finditer(part), _EACH):
            start, end = first + found.start(), first + found.end()
            whom = aim(text, start, end)
            if whom == "reader" or (whom == "nobody" and not found.groupdict().get("soft")):
                yield from _unless_reported(folded, "insult", score, start, end, "conduct.insult.face")
    for pattern, score, rule in (
        (CALL, 0.6, "face"),
        (TO_FACE, 0.75, "face"),
        (ORDER, 0.7, "order"),
        (CURSE, 0.75, "curse"),
    ):
        for found in islice(pattern.finditer(part), _EACH):
            yield from _unless_reported(
                folded, "insult", score, first + found.start(), first + found.end(), f"conduct.insult.{rule}"
            )


def _unless_reported(folded: Folded, kind: Kind, score: float, start: int, end: int, rule: str) -> Iterator[Sign]:
    """A sign, if the words are the citizen's own."""
    if not (reported(folded.text, start, end) or reported(folded.text, max(start, end - 2), end)):
        yield Sign(kind, score, folded.place(start, end), rule)


def _called(text: str, start: int, end: int, name: str) -> float:
    """How grave it is that somebody is called so: not at all if it is reported or a third person, little if an oath."""
    if _LATIN.match(text[start]) and _LATIN.match(text[start - 1 : start]):
        return 0
    if _LATIN.match(text[end - 1]) and _LATIN.match(text[end : end + 1]):
        return 0
    if reported(text, start, end):
        return 0
    if name == "oath":
        return 0.2
    whom = aim(text, start, end)
    if name == "obscene":
        at_him = 0.9 if whom != "other" else 0.6
        return 0.3 if _THING.match(text, end) else at_him
    return {"reader": 0.85, "nobody": 0.6, "other": 0.3}[whom]


def _by_another(text: str, start: int, end: int) -> bool:
    """Whether words are told of somebody who is named before them."""
    return reported(text, start, end) and bool(THIRD.search(text, sentence(text, start, end)[0], start))


def _all_reported(text: str, start: int, end: int) -> bool:
    """Whether a passage begins inside what is quoted."""
    return reported(text, start, min(start + 1, end))
