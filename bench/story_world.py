"""A world in which stories happen: the real store on SQLite, the real judgement, one message after the other.

Time is that of the stories. What a channel's adapter would have read is what a step says; from there on all is as in
``gateway.pipeline``: kept, unpacked, normalised, decided under the caller's lock, filed.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, func, select

from gateway.config import Dedupe
from gateway.filing import Fresh, Habits, decide
from gateway.looking import Looking
from gateway.lookout import Lookout
from gateway.stories.story import Ruled, Step, Story, Told
from normalizer.ids import derived, derived_number
from normalizer.model import Binding, Envelope, HotlineMatter, Message, Outcome, Past
from normalizer.normalize import normalize
from normalizer.reply import ReplyKind
from normalizer.tracking import NUMBERS, tracking_code
from store.messages import Unpacking
from store.people import Word
from store.store import Store
from store.tables import CALLERS, MESSAGES
from store.updates import Reach, Update
from store.values import Draft, Filing, OpenFile, Stage, Work

BEGINS = datetime(2026, 3, 1, tzinfo=UTC)
#: Past messages of a caller that a document counts.
COUNTED = timedelta(days=30)
T = TypeVar("T")
#: Messages that are kept together.
BATCH = 32
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
#: Told how many messages are filed.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a step."""

    message_id: UUID
    outcome: Outcome
    reason: str
    #: Of a redelivery that of the first.
    matter_id: UUID | None
    #: Who wrote, as the gateway knew then.
    person: UUID
    #: Messages of the person in 30 days as the gateway counted them, and as they were; this one included.
    counted: int
    truly: int


@dataclass(frozen=True, slots=True)
class Undone:
    """Who was whom before an operator's join, and after it was undone: by contact's caller."""

    story: int
    before: dict[UUID, UUID]
    after: dict[UUID, UUID]
    #: Matters whose document did not say its citizen's caller then.
    wrong: tuple[UUID, ...]


@dataclass(slots=True)
class Lived:
    """A story and what became of it, step by step."""

    story: Story
    seen: list[Seen] = field(default_factory=list)
    #: Caller, and when, of each message.
    heard: list[tuple[UUID, datetime]] = field(default_factory=list)
    #: An operator's joins, and who was whom before.
    joins: dict[Ruled, tuple[UUID, dict[UUID, UUID]]] = field(default_factory=dict)

    @property
    def joining(self) -> bool:
        """Whether several callers may become one in it."""
        return bool(self.story.ruled) or any(step.proofs for step in self.story.steps)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A step that happens now."""

    lived: Lived
    step: Step
    at: datetime
    envelope_id: UUID

    @property
    def message_id(self) -> UUID:
        return derived(self.envelope_id, "message", 0)

    def envelope(self, message: Message) -> Envelope:
        body = message.model_dump_json().encode()
        return Envelope(self.envelope_id, self.step.channel, self.step.channel, self.at, body)


class World:
    """Runs stories through a store."""

    def __init__(self, store: Store) -> None:
        self._store, self._now = store, BEGINS
        settings = Dedupe()
        window = timedelta(days=settings.incident_days)
        self._looking = Looking(settings, Lookout(store.fingerprints(), lambda: self._now, window))
        self.lived: list[Lived] = []
        self.undone: list[Undone] = []
        self._codes: dict[UUID, str] = {}
        self._filed = 0

    async def run(self, stories: Iterable[Story], progress: Progress = lambda _: None) -> None:
        """Let everything happen in order of time; the stories are in the order in which they begin."""
        batch: list[_Letter] = []
        for at, number, what in self._in_order(stories):
            lived, moment = self.lived[number], BEGINS + at
            if isinstance(what, int):
                step = lived.story.steps[what]
                if (
                    len(batch) == BATCH
                    or step.cites is not None
                    or any(_lane(one.step) == _lane(step) for one in batch)
                ):
                    await self._take_in(batch, progress)
                batch.append(_Letter(lived, step, moment, _uuid(moment, number, what)))
                continue
            await self._take_in(batch, progress)
            await (self._core(lived, what, moment) if isinstance(what, Told) else self._operator(number, what, moment))
        await self._take_in(batch, progress)

    def _in_order(self, stories: Iterable[Story]) -> Iterator[tuple[timedelta, int, int | Told | Ruled]]:
        """What happens, by time; only stories that have begun are held in mind."""
        open_: list[tuple[timedelta, int, int, int | Told | Ruled]] = []
        for number, story in enumerate(stories):
            while open_ and open_[0][0] < story.steps[0].at:
                at, whose, _, what = heapq.heappop(open_)
                yield at, whose, what
            self.lived.append(Lived(story))
            for place, (at, what) in enumerate(_moments(story)):
                heapq.heappush(open_, (at, number, place, what))
        while open_:
            at, whose, _, what = heapq.heappop(open_)
            yield at, whose, what

    # -- a citizen -------------------------------------------------------------------------------------------------

    async def _take_in(self, batch: list[_Letter], progress: Progress) -> None:
        """Messages of as many senders: kept and unpacked together, judged one after the other."""
        if not batch:
            return
        messages = [self._message(one) for one in batch]
        envelopes = [one.envelope(message) for one, message in zip(batch, messages, strict=True)]
        await asyncio.gather(*map(self._store.keep, envelopes))
        claimed = await self._claimed(batch[-1].at, len(batch))
        writing = [
            self._store.unpack(Unpacking(claimed[envelope.id], envelope, (message,), one.at))
            for one, envelope, message in zip(batch, envelopes, messages, strict=True)
        ]
        settled = await asyncio.gather(*writing)
        works = {work.subject: work for work in await self._store.claim(Stage.DIGEST, batch[-1].at, len(batch))}
        for one, known in zip(batch, settled, strict=True):
            seen = await self._copy(one, *known) if known else await self._file(one, works[one.message_id])
            one.lived.seen.append(seen)
        self._filed += len(batch)
        batch.clear()
        progress(self._filed)

    async def _claimed(self, at: datetime, number: int) -> dict[UUID, Work]:
        """So many envelopes, by their ids: whoever crowds a claim gets some of its places only, the rest with the next."""
        works: list[Work] = []
        while len(works) < number:
            under_way = tuple(work.sequence for work in works)
            works += await self._store.claim(Stage.UNPACK, at, number - len(works), under_way)
        return {work.subject: work for work in works}

    def _message(self, one: _Letter) -> Message:
        cited = None if one.step.cites is None else one.lived.seen[one.step.cites].matter_id
        return one.step.message(BEGINS, self._codes[cited] if cited else "")

    async def _file(self, one: _Letter, work: Work) -> Seen:
        """As ``Pipeline._digest``."""
        kept = await self._store.message(work.subject)
        fields = normalize(kept.message, kept.id)
        code = tracking_code(one.at.date(), derived_number(kept.id, 0, NUMBERS))
        self._now = one.at
        sight, looks = await self._looking.look(fields, kept)
        decision = partial(decide, kept, fields, Fresh(derived(kept.id, "matter"), code), Habits(looks=looks))
        heard: list[tuple[UUID, int]] = []

        def noting(caller_id: UUID, past: Past, open_file: OpenFile) -> Filing:
            heard.append((caller_id, past.contacts_30d + 1))
            return decision(caller_id, past, open_file)

        filing = await self._store.file_matter(work, kept, noting, one.at, codes=fields.cues.codes, sight=sight)
        verdict, (person, counted) = filing.verdict, heard[-1]
        if verdict.outcome is Outcome.FILED and filing.matter is not None:
            self._codes[filing.matter.matter_id] = filing.matter.tracking_code
        opened = filing.matter.matter_id if filing.matter is not None else None
        truly = await self._truly(one, person)
        return Seen(kept.id, verdict.outcome, verdict.reason, verdict.matter_id or opened, person, counted, truly)

    async def _truly(self, one: _Letter, person: UUID) -> int:
        """The person's messages of 30 days, by our own count; who is he, the store has said."""
        lived = one.lived
        caller = await self._caller(one.message_id) if lived.joining else person
        lived.heard.append((caller, one.at))
        persons = await self.persons(lived) if lived.joining else {other: other for other, _ in lived.heard}
        return sum(persons[other] == persons[caller] and one.at - when <= COUNTED for other, when in lived.heard)

    async def _copy(self, one: _Letter, outcome: Outcome) -> Seen:
        """A redelivery belongs to the matter of the first."""
        again = MESSAGES.alias("again")
        first = select(MESSAGES.c.matter_id, MESSAGES.c.caller_id).join(again, again.c.first_id == MESSAGES.c.id)
        asked = first.where(again.c.id == one.message_id)
        row = await self._read(lambda connection: connection.execute(asked).one())
        return Seen(one.message_id, outcome, "", row.matter_id, row.caller_id, 0, 0)

    # -- the core, and an operator ---------------------------------------------------------------------------------

    async def _core(self, lived: Lived, told: Told, at: datetime) -> None:
        matter_id = lived.seen[told.step].matter_id
        if matter_id is None:
            return
        key = f"core\n{matter_id} {told.at}"
        binding = Binding(key, hashlib.sha256(key.encode()).digest())
        update = Update(
            derived(matter_id, key), matter_id, ReplyKind(told.kind), "core", binding, at, {"text": told.text}
        )
        await self._store.tell(update, _unheard)

    async def _operator(self, number: int, ruled: Ruled, at: datetime) -> None:
        people, lived = self._store.people(), self.lived[number]
        if ruled not in lived.joins:
            before = await self.persons(lived)
            one, other = [await self._caller(lived.seen[step].message_id) for step in (ruled.one, ruled.other)]
            join_id = await people.join(str(one), str(other), Word("operator", ruled.reason, at))
            lived.joins[ruled] = join_id, before
            return
        join_id, before = lived.joins[ruled]
        await people.undo(join_id, Word("operator", "是两个人", at))
        after = await self.persons(lived)
        wrong = [await self._misnamed(seen.matter_id, after) for seen in lived.seen if seen.matter_id is not None]
        self.undone.append(Undone(number, before, after, tuple(one for one in wrong if one is not None)))

    async def _misnamed(self, matter_id: UUID, persons: dict[UUID, UUID]) -> UUID | None:
        """The matter, if its document names another citizen than the one whose it is."""
        matter: HotlineMatter | None = await self._store.matter(matter_id)
        opened_by = select(MESSAGES.c.caller_id).where(
            MESSAGES.c.matter_id == matter_id, MESSAGES.c.outcome == Outcome.FILED
        )
        caller = await self._read(lambda connection: connection.execute(opened_by).scalar_one())
        return None if matter is not None and matter.caller_id == persons[caller] else matter_id

    # -- looking underneath ----------------------------------------------------------------------------------------

    async def persons(self, lived: Lived) -> dict[UUID, UUID]:
        """Who stands for each caller of a story."""
        person = func.coalesce(CALLERS.c.person_id, CALLERS.c.id)
        rows = select(CALLERS.c.id, person).where(CALLERS.c.id.in_({caller for caller, _ in lived.heard}))
        return dict(await self._read(lambda connection: [(one, other) for one, other in connection.execute(rows)]))

    async def _caller(self, message_id: UUID) -> UUID:
        row = select(MESSAGES.c.caller_id).where(MESSAGES.c.id == message_id)
        return await self._read(lambda connection: connection.execute(row).scalar_one())

    async def _read(self, transaction: Callable[[Connection], T]) -> T:
        return await self._store._database.read(transaction)  # noqa: SLF001 - no citizen asks such questions


def _moments(story: Story) -> Iterator[tuple[timedelta, int | Told | Ruled]]:
    yield from ((step.at, place) for place, step in enumerate(story.steps))
    yield from ((told.at, told) for told in story.told)
    for ruled in story.ruled:
        yield ruled.at, ruled
        if ruled.undone_at is not None:
            yield ruled.undone_at, ruled


def _uuid(at: datetime, number: int, place: int) -> UUID:
    """A UUIDv7 of that time."""
    milliseconds = (at - _UNIX) // timedelta(milliseconds=1)
    return derived(UUID(int=milliseconds << 80), "story", number, place)


def _unheard(matter: HotlineMatter, reach: Reach, update_id: UUID) -> Draft:
    """A reply that goes nowhere."""
    del reach
    return Draft(
        derived(update_id, "reply"), ReplyKind.CLOSED, (), "zh", matter.tracking_code, matter.matter_id, update_id
    )


def _lane(step: Step) -> tuple[str, str]:
    """Of whom one message after the other is worked on."""
    return step.sender.type, step.sender.value
