"""What must be true of a world after its stories have happened, and how much of what belongs together was found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from uuid import UUID

from sqlalchemy import Connection, func, select

from bench.story_world import Lived, Seen, World
from gateway.stories.story import Relation, Truth
from normalizer.model import Level, Outcome, TieKind
from store.store import Store
from store.tables import CALLERS, INCIDENTS, LINKS, MATTERS, MESSAGES

#: Sentences named of one kind of fault.
SHOWN = 5
#: Outcomes by which a message is part of a matter.
INSIDE = (Outcome.FILED, Outcome.ATTACHED, Outcome.CHASED)
#: Promises that hang on how well likeness is judged; all others hold whatever it says.
JUDGED = frozenset(
    {
        "every matter counts",
        "no link to another matter of his",
        "no words in another matter of his",
        "two causes share no incident",
    }
)
#: What a citizen tells again, and what opens a matter.
REPEATS, OPENS = (Relation.CHASE, Relation.ADDS), (Relation.NEW, Relation.INCIDENT, Relation.FOLLOWS)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says at the end."""

    #: Outcome of each message, and the caller who wrote it.
    messages: dict[UUID, tuple[str | None, UUID | None]]
    #: Who stands for each caller.
    persons: dict[UUID, UUID]
    #: Tracking code of each matter.
    codes: dict[UUID, str]
    #: The incident of each matter that is in one.
    incident: dict[UUID, UUID]
    #: Citizens of each incident, as it counts them.
    citizens: dict[UUID, int]
    #: Links of matters to earlier ones of the same citizen that hold: later, earlier, kind.
    links: tuple[tuple[UUID, UUID, str], ...]
    #: Sentences of the books that do not add up.
    books: tuple[str, ...]


@dataclass(slots=True)
class Verdicts:
    """What was found."""

    messages: int
    stories: int
    #: How often each promise was broken; 0 is right.
    faults: Counter[str] = field(default_factory=Counter)
    #: Some of them in words; ids and labels only.
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Of what belongs together, how much was found, and how much there is.
    found: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)

    def broken(self, promise: str, example: str) -> None:
        """Count a fault."""
        self.faults[promise] += 1
        if len(self.examples[promise]) < SHOWN:
            self.examples[promise].append(example)

    def add(self, other: Verdicts) -> None:
        """Count what was found elsewhere."""
        self.messages += other.messages
        self.stories += other.stories
        for mine, theirs in ((self.faults, other.faults), (self.found, other.found), (self.wanted, other.wanted)):
            mine.update(theirs)
        for promise, examples in other.examples.items():
            self.examples[promise] = [*self.examples[promise], *examples][:SHOWN]

    def certain(self) -> dict[str, int]:
        """Faults that no judgement excuses."""
        return {promise: number for promise, number in self.faults.items() if promise not in JUDGED}

    def shares(self) -> dict[str, float]:
        """What was found of what there is."""
        return {name: round(self.found[name] / number, 4) for name, number in sorted(self.wanted.items())}


async def facts(store: Store) -> Facts:
    """Read what there is now."""
    books = await store.reconcile()
    found = await store._database.read(_facts)  # noqa: SLF001 - nobody else asks for everything at once
    return Facts(*found, tuple(books.offending))


def _facts(
    connection: Connection,
) -> tuple[
    dict[UUID, tuple[str | None, UUID | None]],
    dict[UUID, UUID],
    dict[UUID, str],
    dict[UUID, UUID],
    dict[UUID, int],
    tuple[tuple[UUID, UUID, str], ...],
]:
    said = select(MESSAGES.c.id, MESSAGES.c.outcome, MESSAGES.c.caller_id)
    person = func.coalesce(CALLERS.c.person_id, CALLERS.c.id)
    links = select(LINKS.c.kind, LINKS.c.subject, LINKS.c.object, LINKS.c.level).order_by(LINKS.c.sequence)
    last = {(row.kind, row.subject, row.object): row.level for row in connection.execute(links)}
    hold = [key for key, level in last.items() if level == Level.LINK]
    own = {str(TieKind.SAME_MATTER), str(TieKind.FOLLOWS)}
    return (
        {row.id: (row.outcome, row.caller_id) for row in connection.execute(said)},
        {row[0]: row[1] for row in connection.execute(select(CALLERS.c.id, person))},
        {row[0]: row[1] for row in connection.execute(select(MATTERS.c.id, MATTERS.c.tracking_code))},
        {subject: object_ for kind, subject, object_ in hold if kind == TieKind.INCIDENT},
        {row[0]: row[1] for row in connection.execute(select(INCIDENTS.c.id, INCIDENTS.c.citizens))},
        tuple((subject, object_, kind) for kind, subject, object_ in hold if kind in own),
    )


def check(world: World, known: Facts) -> Verdicts:
    """Compare what became of every story with its truth."""
    verdicts = Verdicts(sum(len(one.seen) for one in world.lived), len(world.lived))
    opened = {
        seen.matter_id: truth
        for lived in world.lived
        for seen, truth in zip(lived.seen, lived.story.truth, strict=True)
        if seen.outcome is Outcome.FILED and seen.matter_id is not None
    }
    _books(known, verdicts)
    for number, lived in enumerate(world.lived):
        _outcomes(number, lived, known, verdicts)
        _matters(number, lived, opened, verdicts)
        _who(number, lived, known, verdicts)
    _apart(world.lived, known, verdicts)
    _causes(opened, known, verdicts)
    for undone in world.undone:
        if any(undone.after[one] != person for one, person in undone.before.items()) or undone.wrong:
            verdicts.broken("an undone join leaves nothing", f"story {undone.story}")
    _found(world.lived, opened, known, verdicts)
    return verdicts


# -- Promises ----------------------------------------------------------------------------------------------------------


def _books(known: Facts, verdicts: Verdicts) -> None:
    for sentence in known.books:
        verdicts.broken("the books add up", sentence)
    if len(set(known.codes.values())) != len(known.codes):
        verdicts.broken("every matter has a code of its own", "")
    if len(known.messages) != verdicts.messages:
        verdicts.broken("every message is there once", f"{len(known.messages)} of {verdicts.messages}")


def _outcomes(number: int, lived: Lived, known: Facts, verdicts: Verdicts) -> None:
    """One outcome each, and counts that no joining shrinks."""
    for place, (seen, truth) in enumerate(_steps(lived)):
        where = f"story {number} ({lived.story.kind}) step {place}"
        if known.messages[seen.message_id][0] != seen.outcome:
            verdicts.broken("one outcome each", where)
        if (truth.relation is Relation.REDELIVERY) != (seen.outcome is Outcome.REDELIVERED):
            verdicts.broken("a redelivery is the same delivery, and nothing else is", where)
        if seen.counted != seen.truly:
            verdicts.broken("every contact counts", f"{where}: {seen.counted}, not {seen.truly}")
        if truth.relation is Relation.STRANGER and (seen.outcome in INSIDE or seen.matter_id is not None):
            verdicts.broken("a stranger learns nothing", where)


def _matters(number: int, lived: Lived, opened: dict[UUID, Truth], verdicts: Verdicts) -> None:
    """Nobody's words in somebody else's matter, nor in another one of his; as many matters as there are, or more."""
    matters: dict[str, set[str]] = defaultdict(set)
    files: Counter[str] = Counter()
    for place, (seen, truth) in enumerate(_steps(lived)):
        if truth.relation in OPENS:
            matters[truth.caller].add(truth.matter)
        if seen.outcome not in INSIDE or seen.matter_id is None:
            continue
        files[truth.caller] += seen.outcome is Outcome.FILED
        whose, where = opened[seen.matter_id], f"story {number} ({lived.story.kind}) step {place}: {seen.reason}"
        if seen.outcome is not Outcome.FILED:
            _count(verdicts, "right: words put into a matter", whose.matter == truth.matter)
        if whose.caller != truth.caller:
            verdicts.broken("nobody's words in another's matter", where)
        elif whose.matter != truth.matter:
            verdicts.broken("no words in another matter of his", where)
    for caller, labels in matters.items():
        if files[caller] < len(labels):
            verdicts.broken("every matter counts", f"story {number} ({lived.story.kind}) {caller}")


def _who(number: int, lived: Lived, known: Facts, verdicts: Verdicts) -> None:
    """One person where there is proof, and only there: at the end, and when each message was filed."""
    steps = list(enumerate(_steps(lived)))
    persons = {place: known.persons[caller] for place, (seen, _) in steps if (caller := _caller(known, seen))}
    for (place, (seen, truth)), (other_place, (other, its)) in combinations(steps, 2):
        where = f"story {number} ({lived.story.kind}) steps {place} and {other_place}"
        same = truth.caller == its.caller
        if place in persons and other_place in persons and (persons[place] == persons[other_place]) != same:
            verdicts.broken("known where there is proof" if same else "no proof, no join", where)
        if min(place, other_place) >= lived.story.certain_from and seen.person == other.person and not same:
            verdicts.broken("no proof, no join when it was filed", where)


def _caller(known: Facts, seen: Seen) -> UUID | None:
    return known.messages[seen.message_id][1]


def _apart(lived: Iterable[Lived], known: Facts, verdicts: Verdicts) -> None:
    """People of different stories have nothing in common."""
    whose: dict[UUID, int] = {}
    for number, one in enumerate(lived):
        for seen in one.seen:
            caller = _caller(known, seen)
            if caller is not None and whose.setdefault(known.persons[caller], number) != number:
                verdicts.broken("no proof, no join", f"story {number} and another")


def _causes(opened: dict[UUID, Truth], known: Facts, verdicts: Verdicts) -> None:
    """Two causes share no incident; citizens are counted as they are; links stay with one citizen and his matter."""
    members: dict[UUID, list[Truth]] = defaultdict(list)
    for matter_id, incident_id in known.incident.items():
        members[incident_id].append(opened[matter_id])
    for incident_id, truths in members.items():
        causes = Counter(truth.cause for truth in truths)
        _count(verdicts, "right: incidents", len(causes) == 1)
        verdicts.wanted["right: members of incidents"] += len(truths)
        verdicts.found["right: members of incidents"] += max(causes.values())
        if len(causes) > 1:
            verdicts.broken("two causes share no incident", " / ".join(sorted({one.cause for one in truths})[:SHOWN]))
        if known.citizens.get(incident_id) != len({truth.caller for truth in truths}):
            verdicts.broken("an incident counts its citizens", truths[0].cause)
    for later, earlier, kind in known.links:
        one, other = opened[later], opened[earlier]
        if one.caller != other.caller:
            verdicts.broken("no link to another's matter", f"{kind}: {one.matter} / {other.matter}")
        elif one.cause != other.cause:
            verdicts.broken("no link to another matter of his", f"{kind}: {one.matter} / {other.matter}")


# -- What was found ----------------------------------------------------------------------------------------------------


def _found(lived: Iterable[Lived], opened: dict[UUID, Truth], known: Facts, verdicts: Verdicts) -> None:
    linked = {(later, kind): opened[earlier] for later, earlier, kind in known.links}
    first: dict[str, UUID] = {}
    for one in lived:
        for seen, truth in _steps(one):
            if seen.matter_id is None:
                continue
            if truth.relation in REPEATS:
                right = opened[seen.matter_id].matter == truth.matter
                inside = right and seen.outcome is not Outcome.FILED
                again = linked.get((seen.matter_id, str(TieKind.SAME_MATTER)))
                as_meant = Outcome.CHASED if truth.relation is Relation.CHASE else Outcome.ATTACHED
                _count(verdicts, "repeats", inside or (again is not None and again.matter == truth.matter))
                _count(verdicts, f"repeats: {truth.relation}", inside and seen.outcome is as_meant)
            elif truth.relation is Relation.FOLLOWS:
                follows = linked.get((seen.matter_id, str(TieKind.FOLLOWS)))
                _count(verdicts, "follows", follows is not None and follows.cause == truth.cause)
            elif truth.relation is Relation.INCIDENT:
                mine, its = (known.incident.get(matter) for matter in (seen.matter_id, first[truth.cause]))
                _count(verdicts, "incidents", mine is not None and mine == its)
                _count(verdicts, f"incidents: {one.story.kind}", mine is not None and mine == its)
            elif truth.relation is Relation.NEW:
                first.setdefault(truth.cause, seen.matter_id)


def _count(verdicts: Verdicts, name: str, found: bool) -> None:
    verdicts.wanted[name] += 1
    verdicts.found[name] += found


def _steps(lived: Lived) -> Iterator[tuple[Seen, Truth]]:
    return zip(lived.seen, lived.story.truth, strict=True)
