"""Which new matters are one incident: surely like a member, and like the one that speaks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupe import incident, sameness
from dedupe.features import NAMES
from dedupe.incident import BROUGHT, incident_of
from dedupe.likeness import Likeness, Thresholds
from dedupe.sameness import Looks
from normalizer.fingerprint import Fingerprint, fingerprint
from normalizer.model import Joining, Level, Past, PastIncident, PastMatter, PastText, Tie, TieKind
from tests.store.conftest import NOW

#: Letters at places on a line: surely alike within 1, somewhat within 2, and else not.
SURE, SOMEWHAT = 1, 2


class Nothing:
    """No n-gram is known."""

    total = 0

    def of(self, grams: Any) -> Any:
        return np.zeros(len(grams))


class Line:
    """Fingerprints that stand for places on a line, and how alike they are."""

    def __init__(self) -> None:
        self._places: dict[int, float] = {}
        self._prints: dict[float, Fingerprint] = {}

    def at(self, place: float) -> Fingerprint:
        made = self._prints.setdefault(place, fingerprint("", ""))
        self._places[id(made)] = place
        return made

    def likenesses(
        self, new: Fingerprint, others: Sequence[tuple[Fingerprint, bool, float]], *_: Any, **__: Any
    ) -> list[Likeness]:
        return [self._like(abs(self._places[id(new)] - self._places[id(other)])) for other, _, _ in others]

    def likeness(self, a: Fingerprint, b: Fingerprint, *_: Any, **__: Any) -> Likeness:
        return self._like(abs(self._places[id(a)] - self._places[id(b)]))

    def _like(self, away: float) -> Likeness:
        level = Level.LINK if away <= SURE else Level.SUGGESTION if away <= SOMEWHAT else None
        return Likeness(1 / (1 + away), level, (0.0,) * len(NAMES))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line()
    monkeypatch.setattr(sameness, "likenesses", made.likenesses)
    monkeypatch.setattr(incident, "likeness", made.likeness)
    return made


def told(made: Fingerprint, hours: float, known: PastIncident | None = None, **more: Any) -> PastText:
    at = NOW - timedelta(hours=hours)
    given = {"own": False, "received_at": at, "fingerprint": made, "incident": known} | more
    return PastText(message_id=uuid4(), matter=PastMatter(matter_id=uuid4(), filed_at=at), **given)


def judged(line: Line, place: float, *texts: PastText, joins: bool = True) -> Joining | Tie | None:
    looks = Looks(line.at(place), Nothing(), thresholds=Thresholds(), joins=joins)
    return incident_of(looks, Past(alike=texts), NOW)


def test_two_that_are_surely_alike_begin_one_and_the_oldest_speaks_for_it(line: Line) -> None:
    young, old = told(line.at(0), 1), told(line.at(0.5), 5)
    found = judged(line, 0.2, young, old)
    assert isinstance(found, Joining) and (found.incident_id, found.first) == (None, old.matter.matter_id)
    assert [one for one, _ in found.also] == [young.matter.matter_id]
    assert found.tie.kind is TieKind.INCIDENT and found.tie.level is Level.LINK


def test_a_member_is_joined_to_its_incident(line: Line) -> None:
    known = PastIncident(uuid4(), uuid4(), line.at(0))
    found = judged(line, 1.5, told(line.at(1), 2, known))
    assert isinstance(found, Joining) and (found.incident_id, found.first) == (known.id, known.first_id)
    assert found.tie.object == known.id


def test_a_chain_of_likenesses_does_not_lead_on(line: Line) -> None:
    """It is surely like the last of the chain, and not at all like the first."""
    known = PastIncident(uuid4(), uuid4(), line.at(0))
    found = judged(line, 3, told(line.at(2), 2, known))
    assert isinstance(found, Tie) and (found.kind, found.object, found.level) == (
        TieKind.INCIDENT,
        known.id,
        Level.SUGGESTION,
    )


def test_one_between_two_causes_joins_them_not(line: Line) -> None:
    old, young = told(line.at(0), 5), told(line.at(2.5), 1)
    found = judged(line, 1, old, told(line.at(2), 3), young)
    assert isinstance(found, Joining) and found.first == old.matter.matter_id
    assert young.matter.matter_id not in dict(found.also)


def test_what_is_somewhat_alike_is_proposed(line: Line) -> None:
    other = told(line.at(0), 1)
    found = judged(line, 2, other)
    assert isinstance(found, Tie) and (found.kind, found.object) == (TieKind.ALIKE, other.matter.matter_id)
    proposed = judged(line, 0, other, joins=False)
    assert isinstance(proposed, Tie) and proposed.level is Level.SUGGESTION


@pytest.mark.parametrize(
    "text",
    [{"own": True}, {"apart": True}, {"received_at": NOW - timedelta(days=15)}],
    ids=["his own", "an operator said no", "before the window"],
)
def test_what_does_not_count(line: Line, text: dict[str, Any]) -> None:
    assert judged(line, 0, told(line.at(0), 1, **text)) is None


def test_few_are_brought_along(line: Line) -> None:
    found = judged(line, 0, *(told(line.at(0), hours) for hours in range(1, 20)))
    assert isinstance(found, Joining) and len(found.also) == BROUGHT


@given(places=st.lists(st.integers(0, 12).map(lambda half: half / 2), min_size=2, max_size=40))
def test_no_incident_is_wider_than_its_first_allows(places: list[float]) -> None:
    """Whatever comes, in whatever order: every member is at least somewhat like the matter that speaks for it."""
    line, texts = Line(), list[PastText]()
    where: dict[UUID, float] = {}
    member_of: dict[UUID, PastIncident] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sameness, "likenesses", line.likenesses)
        patch.setattr(incident, "likeness", line.likeness)
        for number, place in enumerate(places):
            seen = [told_of(text, member_of.get(text.matter.matter_id)) for text in texts]
            found = judged(line, place, *seen)
            new = told(line.at(place), hours=100 - number)
            texts.append(new)
            where[new.matter.matter_id] = place
            if isinstance(found, Joining):
                first = found.first
                known = PastIncident(found.incident_id or uuid4(), first, line.at(where[first]))
                member_of |= dict.fromkeys((first, new.matter.matter_id, *dict(found.also)), known)
    for matter, known in member_of.items():
        assert abs(where[matter] - where[known.first_id]) <= SOMEWHAT
    assert len({known.id for known in member_of.values()}) <= len(places)


def told_of(text: PastText, known: PastIncident | None) -> PastText:
    return PastText(text.message_id, text.matter, text.own, text.received_at, text.fingerprint, known)


def test_pairs_of_the_line() -> None:
    """The line itself is what the tests take it for."""
    line = Line()
    assert [line.likeness(line.at(a), line.at(b)).level for a, b in pairwise((0, 1, 3, 9))] == [
        Level.LINK,
        Level.SUGGESTION,
        None,
    ]
