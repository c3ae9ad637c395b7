"""What keeps two messages apart however alike their words are: another place, another line, another year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normalizer.fingerprint import Fingerprint
from normalizer.places import Kind, Scale, by_kind, excluding

#: Named in the title of one and otherwise in the other, these exclude each other; a year only when both titles do, for
#: the text of a letter tells of earlier years too. In plain words, for the reason of a link that is none.
_COUNTED = {
    Kind.LINE: "another line",
    Kind.ROUTE: "another bus route",
    Kind.PHASE: "another phase",
    Kind.BUILDING: "another building",
    Kind.GROUP: "another village group",
}
#: Named in both titles.
_AREAS = {Scale.CITY: "another city", Scale.TOWN: "another town"}
#: Days from which two callers mean something else.
YEARS_APART = 730.0


@dataclass(frozen=True, slots=True)
class Said:
    """Of a message the areas and numbers by their kinds, those of its title, and all."""

    areas: Mapping[int, frozenset[int]]
    titled: Mapping[int, frozenset[int]]
    numbers: Mapping[int, frozenset[int]]

    @classmethod
    def by(cls, message: Fingerprint) -> Said:
        """What it says."""
        titled = by_kind(message.numbers, of_title=True)
        return cls(by_kind(message.areas, of_title=True), titled, by_kind(message.numbers))


def veto(a: Said, b: Said) -> str | None:
    """Return why two messages are not about one matter, in plain words; None: nothing that they name says so."""
    for scale, words in _AREAS.items():
        if excluding(a.areas, b.areas, scale):
            return words
    for kind, words in _COUNTED.items():
        for one, other in ((a.titled, b.numbers), (a.numbers, b.titled)):
            if excluding(one, other, kind):
                return f"{words}: {_listed(one[kind])} / {_listed(other[kind])}"
    if excluding(a.titled, b.titled, Kind.YEAR):
        return f"another year: {_listed(a.titled[Kind.YEAR])} / {_listed(b.titled[Kind.YEAR])}"
    return None


def doubtful(a: Said, b: Said) -> bool:
    """Whether they tell of other buildings, phases and the like: neighbours may mean one thing, but a person should look."""
    return any(excluding(a.numbers, b.numbers, kind) for kind in _COUNTED)


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
