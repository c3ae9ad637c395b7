"""How well citizens with one cause are brought together: the rule of dedupe/incident.py, run over messages in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import comb
from typing import Any
from uuid import UUID

from dedupe.incident import incident_of
from dedupe.sameness import Looks
from gateway.gathering import EVER, Gathered, Progress
from gateway.labelled import Labels, Pair
from gateway.measure_pairs import Judged, flagged, linked
from normalizer.model import Joining, Level, Past, PastIncident, PastMatter, PastText


@dataclass(slots=True)
class Incidents:
    """Which messages are in which incident; each message stands for a matter of its own."""

    #: A message's incident, by the place of the incident's first message; a message that is alone is in none.
    of: dict[int, int] = field(default_factory=dict)

    def together(self, a: int, b: int) -> bool:
        """Whether two messages are in one."""
        return a in self.of and self.of[a] == self.of.get(b)

    def sizes(self) -> Counter[int]:
        """Messages in each."""
        return Counter(self.of.values())


def cluster(gathered: Gathered, progress: Progress) -> Incidents:
    """Let each message join an incident of others', begin one with them, or stay alone; the time it takes is counted."""
    incidents = Incidents()
    looks = Looks(gathered.prints[0], gathered.index, incident=EVER)  # what is too far apart is not found
    for b, at in enumerate(gathered.times):
        others = [_text(gathered, incidents, a) for a in gathered.found[b] if not gathered.same_sender(a, b)]
        mine = replace(looks, fingerprint=gathered.prints[b])
        with gathered.costs.counted("comparing"):
            joining = incident_of(mine, Past(alike=tuple(others)), at)
        if isinstance(joining, Joining):
            first = joining.first.int
            incidents.of.update(dict.fromkeys((first, b, *(matter.int for matter, _ in joining.also)), first))
        progress(b)
    return incidents


def _text(gathered: Gathered, incidents: Incidents, a: int) -> PastText:
    """An earlier message as the rule sees it; ids are places."""
    at, first = gathered.times[a], incidents.of.get(a)
    known = None if first is None else PastIncident(UUID(int=first), UUID(int=first), gathered.prints[first])
    matter = PastMatter.model_construct(matter_id=UUID(int=a), filed_at=at)
    return PastText(UUID(int=a), matter, False, at, gathered.prints[a], known)


def by_incident(incidents: Incidents, judged: Iterable[Judged]) -> Iterator[Judged]:
    """Pairs are linked when they are in one incident, and suggested when they are only alike."""
    for one in judged:
        if incidents.together(one.a, one.b):
            yield replace(one, level=Level.LINK, reason=f"in one incident; {one.reason}")
        elif one.linked:
            yield replace(one, level=Level.SUGGESTION, reason=f"alike, but not in one incident; {one.reason}")
        else:
            yield one


def met_pairs(gathered: Gathered) -> Iterator[Pair]:
    """The pairs of different senders that the gateway would compare."""
    for b, found in enumerate(gathered.found):
        yield from (Pair(a, b) for a in found if not gathered.same_sender(a, b))


def labelled_pairs(gathered: Gathered, incidents: Incidents, labels: Labels) -> tuple[list[Pair], int]:
    """The pairs of different senders that are labelled, and how many they are.

    Where people name incidents, only pairs that can be right or wrong: of one name, in one incident, or compared. All
    others, which are counted too, are told apart by people and by us.
    """
    if isinstance(labels, list):
        pairs = [one for one in labels if not gathered.same_sender(one.a, one.b)]
        return pairs, len(pairs)
    met = ((one.a, one.b) for one in met_pairs(gathered) if {one.a, one.b} <= labels.keys())
    named = _within(labels)
    joined = _within({place: incidents.of.get(place, "") for place in labels})
    different = (pair for pair in sorted({*met, *named, *joined}) if not gathered.same_sender(*pair))
    senders = Counter(gathered.messages[place].sender for place in labels)
    own = sum(comb(count, 2) for sender, count in senders.items() if sender)
    return [Pair(*pair, same=pair in named) for pair in different], comb(len(labels), 2) - own


def _within(groups: Mapping[int, Hashable]) -> set[tuple[int, int]]:
    """The pairs of one group; "" is none."""
    members: dict[Hashable, list[int]] = {}
    for place in sorted(groups):
        members.setdefault(groups[place], []).append(place)
    return {pair for name, places in members.items() if name != "" for pair in combinations(places, 2)}


def shape(incidents: Incidents) -> dict[str, Any]:
    """How many there are, and how many messages the largest holds."""
    sizes = incidents.sizes()
    return {"incidents": len(sizes), "largest": max(sizes.values(), default=0)}


def incident(judged: Sequence[Judged], n: int) -> dict[str, Any]:
    """The figures of ``n`` labelled pairs, of which ``judged`` are those that are not rightly told apart."""
    joined = linked(judged)
    return {"n": n, **flagged(judged).written(), "link": joined.written(), "joined_across": joined.wrong}
