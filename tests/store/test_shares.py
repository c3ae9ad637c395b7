"""A flood takes no places from the others, one sender's or a whole channel's: each has a share, and nobody is refused."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from alembic import command
from sqlalchemy import Engine, delete, event, insert, inspect, select, text, update

from normalizer.model import Outcome
from store import schema
from store.queue import work_row
from store.shares import LOOKED_AT
from store.store import Store
from store.tables import WORK
from store.values import Stage, Work
from tests.store.conftest import NOW, envelope, message, run, sender, unpacked, work_of

FLOODER, OTHER = b"flooder", b"other"
STORM, CALM, THIRD = "storm", "calm", "third"
#: A long storm.
LONG = 20_000
BOTH = pytest.mark.parametrize("stage", Stage)


async def waiting(store: Store, *senders: tuple[bytes | None, int]) -> None:
    """Envelopes that seem to be of these senders, so many of each, in this order."""
    for mark, number in senders:
        for _ in range(number):
            kept = envelope()
            await store.keep(kept)
            await run(store, update(WORK).where(WORK.c.subject == kept.id).values(apparent=mark))


async def coming(store: Store, stage: Stage, *channels: tuple[str, int], apparent: bytes | None = None) -> None:
    """Work by these channels, so much of each, in this order; each of another sender, unless it is said of whom."""
    rows = []
    for channel, number in channels:
        for subject in (uuid_utils.compat.uuid7() for _ in range(number)):
            row = work_row(stage, subject, channel, NOW, apparent or subject.bytes)
            rows.append(row | ({"lane": subject.bytes, "arrival": 1} if stage is Stage.DIGEST else {}))
    await store._database.write(lambda connection: connection.execute(insert(WORK), rows))


async def claimed(store: Store, limit: int, under_way: tuple[int, ...] = ()) -> tuple[list[Work], Counter[Any]]:
    found = await store.claim(Stage.UNPACK, NOW, limit, under_way)
    return found, Counter(work.apparent for work in found)


async def by_channel(store: Store, stage: Stage, limit: int, under_way: tuple[int, ...] = ()) -> Counter[str]:
    """How much of a claim came by which channel."""
    found = [work.sequence for work in await store.claim(stage, NOW, limit, under_way)]
    rows = await run(store, select(WORK.c.channel).where(WORK.c.sequence.in_(found)))
    return Counter(row.channel for row in rows)


async def done(store: Store, stage: Stage, limit: int) -> list[str]:
    """All of it, claim after claim: the channels, in the order in which they were given out."""
    channels: list[str] = []
    while found := await store.claim(stage, NOW, limit):
        held = [work.sequence for work in found]
        rows = await run(store, select(WORK.c.channel).where(WORK.c.sequence.in_(held)).order_by(WORK.c.sequence))
        channels += [row.channel for row in rows]
        await run(store, delete(WORK).where(WORK.c.sequence.in_(held)))
    return channels


@contextmanager
def asked() -> Iterator[list[str]]:
    """The questions to the queue that are asked meanwhile."""
    questions: list[str] = []

    def heard(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "work" in statement and statement.startswith("SELECT"):
            questions.append(statement)

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        yield questions
    finally:
        event.remove(Engine, "before_cursor_execute", heard)


# -- one sender --------------------------------------------------------------------------------------------------------


async def test_others_behind_a_flood_get_places_at_once(store: Store) -> None:
    await waiting(store, (FLOODER, 40), (OTHER, 2), (None, 2))
    _, first = await claimed(store, 16)
    assert first == {FLOODER: 2, OTHER: 2, None: 2} | {FLOODER: first[FLOODER]}
    assert first[FLOODER] <= 8, "half of the places stay for those who come next"


async def test_many_others_leave_him_an_eighth(store: Store) -> None:
    await waiting(store, (FLOODER, 40), *((bytes([n]), 1) for n in range(20)))
    _, first = await claimed(store, 16)
    assert sum(first.values()) <= 16 and 1 <= first[FLOODER] <= 2


async def test_alone_he_goes_on_in_order_and_all_of_it_is_done(store: Store) -> None:
    await waiting(store, (FLOODER, 40))
    done: list[int] = []
    while found := (await claimed(store, 16, tuple(done)))[0]:
        done += [work.sequence for work in found]
        assert len(found) <= 8
    assert done == sorted(done) and len(done) == 40


async def test_without_a_crowd_the_order_of_arrival_counts(store: Store) -> None:
    await waiting(store, (FLOODER, 2), (OTHER, 2), (None, 30))
    found, _ = await claimed(store, 16)
    in_order = [row.sequence for row in await run(store, select(WORK.c.sequence).order_by(WORK.c.sequence))]
    assert [work.sequence for work in found] == in_order[:16]


async def test_others_are_looked_for_so_far_behind_him_and_no_further(store: Store) -> None:
    await coming(store, Stage.UNPACK, (CALM, LOOKED_AT + 63), apparent=FLOODER)
    await coming(store, Stage.UNPACK, (CALM, 2))
    _, first = await claimed(store, 64)
    assert len(first) == 2 and first[FLOODER] == 32, "only one of the others stands so near"


# -- one channel -------------------------------------------------------------------------------------------------------


@BOTH
async def test_who_writes_on_another_channel_is_among_the_next(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 300), (CALM, 1))
    assert await by_channel(store, stage, 64) == {STORM: 63, CALM: 1}


@BOTH
async def test_he_is_begun_among_the_first_too(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 300), (CALM, 2))
    first = [work.sequence for work in (await store.claim(stage, NOW, 64))[:4]]
    rows = await run(store, select(WORK.c.channel).where(WORK.c.sequence.in_(first)))
    assert Counter(row.channel for row in rows) == {STORM: 2, CALM: 2}


@BOTH
async def test_a_storm_leaves_half_to_the_others_and_they_leave_it_half(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 300), (CALM, 300))
    assert await by_channel(store, stage, 64) == {STORM: 32, CALM: 32}


@BOTH
async def test_alone_a_channel_gets_everything(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 100))
    assert await by_channel(store, stage, 64) == {STORM: 64}


@BOTH
async def test_behind_storms_on_two_channels_a_third_has_places(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 300), (CALM, 300), (THIRD, 2))
    assert await by_channel(store, stage, 64) == {STORM: 31, CALM: 31, THIRD: 2}


@BOTH
async def test_behind_storms_on_two_channels_at_once_too(store: Store, stage: Stage) -> None:
    await coming(store, stage, *((STORM, 1), (CALM, 1)) * 100, (THIRD, 2))
    assert (await by_channel(store, stage, 64))[THIRD] == 2


@BOTH
async def test_nothing_starves_the_last_of_a_storm_is_done_too(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 100), (CALM, 40), (THIRD, 10), (STORM, 50))
    order = await done(store, stage, 32)
    assert Counter(order) == {STORM: 150, CALM: 40, THIRD: 10}
    assert STORM in order[:32] and {STORM, CALM} <= set(order[32:64]), "who came first does not wait for the others"


async def test_a_flooder_in_a_storm_leaves_places_to_his_channel_and_to_the_others(store: Store) -> None:
    await coming(store, Stage.UNPACK, (STORM, 200), apparent=FLOODER)
    await coming(store, Stage.UNPACK, (STORM, 200), (CALM, 2))
    found, senders = await claimed(store, 64)
    rows = await run(store, select(WORK.c.channel).where(WORK.c.sequence.in_([work.sequence for work in found])))
    assert 1 <= senders[FLOODER] <= 8 and Counter(row.channel for row in rows) == {STORM: 62, CALM: 2}


async def test_a_flooder_among_the_others_takes_no_places_from_them(store: Store) -> None:
    await coming(store, Stage.UNPACK, (STORM, 200))
    await coming(store, Stage.UNPACK, (CALM, 200), apparent=FLOODER)
    await coming(store, Stage.UNPACK, (CALM, 5), (THIRD, 1))
    found, senders = await claimed(store, 64)
    rows = await run(store, select(WORK.c.channel).where(WORK.c.sequence.in_([work.sequence for work in found])))
    channels = Counter(row.channel for row in rows)
    assert channels[STORM] >= 32 and channels[THIRD] == 1 and channels[CALM] - senders[FLOODER] == 5


async def test_the_order_of_one_sender_is_kept_in_a_storm(store: Store) -> None:
    for number in range(30):
        who = ("he", "she")[number % 2]
        await unpacked(store, message(str(number), str(number), sender=sender(who)), channel=CALM, apparent_sender=who)
    for number in range(60):
        await unpacked(store, message("storm", f"s{number}", sender=sender(f"s{number}")), channel=STORM)
    said: list[str] = []
    while found := await store.claim(Stage.DIGEST, NOW, 32):
        for work in reversed(found):  # in whatever order a node does them
            said.append((await store.message(work.subject)).message.text)
            await store.give_up(work, Outcome.FAILED, "bug", NOW)
    numbers = [int(text) for text in said if text != "storm"]
    assert len(said) == 90 and said.index("storm") < 32
    for parity in (0, 1):
        assert [number for number in numbers if number % 2 == parity] == list(range(parity, 30, 2))


# -- what it costs -----------------------------------------------------------------------------------------------------


@BOTH
async def test_a_claim_without_a_crowd_asks_no_more_than_before(store: Store, stage: Stage) -> None:
    await coming(store, stage, *((channel, 1) for channel in (STORM, CALM, THIRD) * 20))
    with asked() as plain:
        assert len(await store.claim(stage, NOW, 7)) == 7, "so few places are not shared"
    with asked() as shared:
        await store.claim(stage, NOW, 32)
    await run(store, delete(WORK))
    await coming(store, stage, (STORM, 20))
    with asked() as fitting:
        assert len(await store.claim(stage, NOW, 32)) == 20, "all that waits has its place"
    assert len(shared) == len(fitting) == len(plain)


@BOTH
async def test_a_storm_costs_a_claim_two_questions_for_each_other_channel(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 300), (CALM, 300), (THIRD, 300))
    with asked() as plain:
        await store.claim(stage, NOW, 7)
    with asked() as questions:
        await store.claim(stage, NOW, 64)
    assert len(questions) == len(plain) + 1 + 3 + 2, "the names of three and that there is no fourth; two are looked at"


async def claims_take(store: Store, stage: Stage) -> float:
    """The best of some claims among what waits, with a message on the calm channel in each, seconds."""
    best = 9.0
    for _ in range(5):
        await coming(store, stage, (CALM, 1))
        began = time.perf_counter()
        found = await store.claim(stage, NOW, 64)
        best = min(best, time.perf_counter() - began)
        rows = await run(store, select(WORK.c.channel).where(WORK.c.sequence.in_([work.sequence for work in found])))
        assert CALM in {row.channel for row in rows}, "however far behind"
        await run(store, delete(WORK).where(WORK.c.sequence.in_([work.sequence for work in found])))
    return best


@BOTH
async def test_however_long_a_storm_a_claim_costs_the_same_and_finds_the_others(store: Store, stage: Stage) -> None:
    await coming(store, stage, (STORM, 1_000))
    short = await claims_take(store, stage)
    await coming(store, stage, (STORM, LONG))
    await gathered(store)
    took = await claims_take(store, stage)
    assert took < 4 * short + 0.03, f"{took * 1000:.1f} ms before {LONG}, {short * 1000:.1f} ms before few"


async def test_an_unread_storm_costs_those_who_are_read_before_it_nothing(store: Store) -> None:
    await coming(store, Stage.DIGEST, (CALM, 300))
    alone = await claims_take(store, Stage.DIGEST)
    await coming(store, Stage.UNPACK, (STORM, LONG))
    await coming(store, Stage.DIGEST, (CALM, 300))
    await run(store, update(WORK).where(WORK.c.stage == Stage.DIGEST).values(arrival=10 * LONG))
    await gathered(store)
    among = await claims_take(store, Stage.DIGEST)
    assert among < 4 * alone + 0.03, f"{among * 1000:.1f} ms behind {LONG}, {alone * 1000:.1f} ms alone"


async def gathered(store: Store) -> None:
    """What the database knows of its tables is up to date, as it is after a while."""
    await run(store, text("ANALYZE"))


# -- where it says which channel ---------------------------------------------------------------------------------------


async def test_whatever_is_queued_says_by_which_channel_it_came(store: Store) -> None:
    one = envelope(channel=CALM)
    await store.keep(one)
    said = await unpacked(store, message(), channel=STORM)
    assert await channels(store) == {Stage.UNPACK: [CALM], Stage.DIGEST: [STORM]}
    (digest,) = await store.claim(Stage.DIGEST, NOW, 10)
    for work in (await work_of(store, one.id), digest):
        await store.give_up(work, Outcome.FAILED, "bug", NOW)
    for kept in (one, said):
        await store.requeue(kept.id, NOW)
    assert await channels(store) == {Stage.UNPACK: [CALM], Stage.DIGEST: [STORM]}


async def test_what_was_queued_by_an_earlier_program_is_told_its_channel(store: Store) -> None:
    await store.keep(envelope(channel=CALM))
    await unpacked(store, message(), channel=STORM)
    await run(store, insert(WORK).values(work_row(Stage.DIGEST, UUID(int=1), THIRD, NOW)))
    before = await store._database.read(indexes)
    await store._database.write(lambda connection: command.downgrade(schema.config(connection), "0006"))
    await store._database.write(schema.upgrade)
    assert await channels(store) == {Stage.UNPACK: [CALM], Stage.DIGEST: [STORM, ""]}, "one without its message too"
    assert await store._database.read(indexes) == before


async def channels(store: Store) -> dict[Stage, list[str]]:
    rows = await run(store, select(WORK.c.stage, WORK.c.channel).order_by(WORK.c.sequence))
    return {stage: [row.channel for row in rows if row.stage == stage] for stage in Stage}


def indexes(connection: Any) -> list[tuple[str, str]]:
    """Of the queue, each with its condition."""
    found = inspect(connection).get_indexes("work")
    where = f"{connection.dialect.name}_where"
    return sorted((str(index["name"]), str(index["dialect_options"][where])) for index in found)
