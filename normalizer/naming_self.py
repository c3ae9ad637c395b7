"""What a citizen says of himself besides his name: what he is, where he works, learns and lives, to whom he belongs. Pure.

His own firm, office or school stays readable where it is what he reports and nothing else says so; his place in it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from normalizer import naming_self_words as words

#: What he is needs no sign of its own unless it is long: in doubt it goes.
_LONG = 14
#: Characters of a sentence before something that may say whose it is.
_LOOKED = 160
#: The clauses that may go on with it.
_CLAUSES = 3
_SENTENCE = re.compile(r"[。！!？?\n]")


class Named(NamedTuple):
    """Words that tell who somebody is."""

    #: The first character.
    start: int
    #: Behind the last.
    end: int
    #: What they are: 姓名, 电话, 证件号码, 地址, …
    label: str


def told(text: str) -> list[Named]:
    """All that he says of himself in so many words."""
    found = [*_being(text), *_working(text), *_learning(text), *_belonging(text), *_english(text)]
    return [*found, *_living(text)]


def is_anothers(text: str, start: int) -> bool:
    """Whether the words before a place in its sentence speak last of somebody else."""
    first = max(0, start - _LOOKED)
    begins = max((match.end() for match in _SENTENCE.finditer(text, first, start)), default=first)
    others = max((match.start() for match in words.OTHERS.finditer(text, begins, start)), default=-1)
    own = max((match.start() for match in words.OWN.finditer(text, begins, start)), default=-1)
    return others > own or (own < 0 and words.HE.search(text, begins, start) is not None)


def _being(text: str) -> Iterator[Named]:
    for match in words.AM.finditer(text):
        if match["what"] is None:
            group = match.lastgroup or 0
            if not words.ANYBODY.fullmatch(match[group]):
                yield from _without_body(text, *match.span(group))
            continue
        what = match["what"].rstrip()
        if words.ANYBODY.fullmatch(what):
            continue
        if len(what) <= _LONG or words.BEING.search(what) or words.HOUSE_SIGN.search(what):
            yield from _without_body(text, match.start("what"), match.start("what") + len(what))


def _working(text: str) -> Iterator[Named]:
    for match in words.WORKS.finditer(text):
        if match["third"] and is_anothers(text, match.start()):
            continue
        if match["kin"]:
            yield Named(match.start("kin"), match.start("what"), "关系")
        yield from _without_body(text, *match.span("what"))
    for match in words.TASKS.finditer(text):
        if match["kin"]:
            yield Named(*match.span("kin"), "关系")
        yield from _without_body(text, *match.span(match.lastgroup or 0))
    for match in words.CAME.finditer(text):
        yield from _without_body(text, *match.span(match.lastgroup or 0))


def _learning(text: str) -> Iterator[Named]:
    for match in words.LEARNS.finditer(text):
        group = match.lastgroup if match["kin"] is None else "what"
        yield from _without_body(text, *match.span(group or 0), "学校")


def _belonging(text: str) -> Iterator[Named]:
    for match in words.BELONGS.finditer(text):
        yield Named(*match.span(match.lastgroup or 0), "关系")


def _living(text: str) -> Iterator[Named]:
    for match in words.LIVES.finditer(text):
        group = "what" if match["what"] else "what2"
        start, end = match.span(group)
        house = words.HOUSE_SIGN.search(text, start, end)
        whose = text.find("的", house.end(), end) if house else -1
        end = whose if whose > 0 else end
        beside = not words.HOUSE_SIGN.search(match[group]) and words.BESIDE_HOME.search(text)
        if not beside and not is_anothers(text, start):
            yield Named(start, end, "地址")


def _english(text: str) -> Iterator[Named]:
    for match in words.ENGLISH.finditer(text):
        yield Named(*match.span("is" if match["is"] else "what"), "身份")
        if match["name"]:
            yield Named(*match.span("name"), "姓名")


def going_on(text: str, last: Named) -> Iterator[Named]:
    """The clauses behind that go on with it."""
    at = last.end
    for _ in range(_CLAUSES):
        match = words.GOES_ON.match(text, at)
        if match is None or (last.label == "关系" and not match["is"]):
            return
        yield from _without_body(text, *match.span(match.lastgroup or 0))
        at = match.end()


def _without_body(text: str, start: int, end: int, label: str = "身份") -> Sequence[Named]:
    """What he says of himself; without the name of his firm or school at its beginning where only that tells what he reports."""
    start, body = _body(text, start, end)
    if body is None or not _is_only_there(body[0], f"{text[:start]}\n{text[end:]}"):
        return (Named(start, end, label),)
    return (Named(body.end(), end, label),) if body.end() < end else ()


def _body(text: str, start: int, end: int) -> tuple[int, re.Match[str] | None]:
    """Where it begins behind 在 and 是, and the name of a body with which it does."""
    into = words.INTO.match(text, start, end)
    start = into.end() if into else start
    body = words.BODY.match(text, start, end)
    return start, None if body is None or words.UNNAMED.search(body[0]) else body


def own_body(text: str) -> str | None:
    """The firm, office or school of his that he reports, though he may call it by name only where he says that it is his."""
    for match in (*words.AM.finditer(text), *words.WORKS.finditer(text), *words.LEARNS.finditer(text)):
        if match["what"] is None:
            continue
        start, body = _body(text, *match.span("what"))
        rest = f"{text[:start]}\n{text[match.end() :]}"
        if body and not words.REPORTED.search(rest) and (body[0] in rest or _is_spoken_of(body[0], rest)):
            return body[0]
    return None


def _is_only_there(body: str, rest: str) -> bool:
    """Whether a body of his is reported, and no other words name it or a person in it."""
    named = body in rest or words.REPORTED.search(rest) or words.PERSON.search(rest)
    return not named and _is_spoken_of(body, rest)


def _is_spoken_of(body: str, rest: str) -> bool:
    """Whether the other words speak of such a body without its name: 厂里, 局长."""
    said = next(said for ends, said in words.KINDS if not ends or body.endswith(ends))
    return said.search(rest) is not None
