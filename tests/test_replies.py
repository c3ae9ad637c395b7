"""Replies out of the door: every kind of failure, the end of a node, and no citizen told twice whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import select

from channels.base import Channel, State
from channels.errors import NotSent, Uncertain, Undeliverable
from channels.settings import ChannelSettings
from gateway import replies as module
from gateway.clock import now
from gateway.metrics import Metrics
from gateway.replies import Replies
from normalizer.model import Contact, ContactType, Envelope, Parsed
from normalizer.reply import Outgoing, ReplyKind, Sent
from store.errors import StoreUnavailable
from store.opening import open_store
from store.replies import queue_reply
from store.replybox import ReplyBox
from store.store import Store
from store.tables import REPLIES
from store.values import Draft, Way
from tests.handing import Clock, until
from tests.store.conftest import run, sqlite_url

Send = Callable[[Outgoing], Awaitable[Sent]]


class FakeSettings(ChannelSettings):
    kind: Literal["fake"] = "fake"


class Fake(Channel[FakeSettings]):
    """A channel that sends as it is told."""

    kind = "fake"
    Settings = FakeSettings
    summary = "test"
    reaches = frozenset({ContactType.TELEGRAM})

    def __init__(self, send: Send, name: str = "fake") -> None:
        super().__init__(name, FakeSettings())
        self._send = send

    def parse(self, envelope: Envelope) -> Parsed:
        raise NotImplementedError

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        return await self._send(outgoing)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(sqlite_url(tmp_path), tmp_path / "keys.json")
    yield opened
    await opened.close()


def way(channel: str, citizen: int = 1) -> Way:
    contact = Contact(type=ContactType.TELEGRAM, value=str(citizen), assurance="verified")
    return Way(channel, "bot", contact, "已修好")


async def queued(store: Store, *channels: str, citizen: int = 1, reply_id: UUID | None = None) -> UUID:
    one = reply_id or uuid_utils.compat.uuid7()
    draft = Draft(one, ReplyKind.RESULT, tuple(way(name, citizen) for name in channels or ("fake",)), "zh")
    await store._database.write(lambda c: queue_reply(c, store._keyring, draft, now()))
    return one


@asynccontextmanager
async def sending(
    store: Store, send: Send, name: str = "fake", box: ReplyBox | None = None, **more: Any
) -> AsyncIterator[Metrics]:
    metrics, box = Metrics(), box or store.replybox(name)
    more = {"clock": now, "first_seconds": 0.01} | more
    await asyncio.wait_for(box.lead.gained(), 10)
    running = asyncio.create_task(Replies(Fake(send, name), box, None, metrics=metrics, **more).run())  # type: ignore[arg-type]
    try:
        yield metrics
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def counted(metrics: Metrics, name: str = "fake") -> dict[str, float]:
    family = next(iter(metrics.replies.collect()))
    return {
        s.labels["result"]: s.value for s in family.samples if s.name.endswith("_total") and s.labels["channel"] == name
    }


async def states(store: Store) -> list[tuple[str, str | None]]:
    return [tuple(row) for row in await run(store, select(REPLIES.c.state, REPLIES.c.reason).order_by(REPLIES.c.id))]


async def nothing_waits(store: Store) -> bool:
    return not await run(store, select(REPLIES.c.id).where(REPLIES.c.state.in_(["queued", "sending"])))


# -- how it can end ----------------------------------------------------------------------------------------------------


async def hang(_outgoing: Outgoing) -> Sent:
    await asyncio.sleep(3600)
    raise AssertionError


def raising(error: BaseException) -> Send:
    async def send(_outgoing: Outgoing) -> Sent:
        raise error

    return send


def giving(word: Sent) -> Send:
    async def send(_outgoing: Outgoing) -> Sent:
        return word

    return send


ENDS: dict[str, tuple[Send, tuple[str, str | None], str]] = {
    "sent": (giving(Sent("1")), ("sent", None), "sent"),
    "delivered": (giving(Sent(delivered=True)), ("delivered", None), "delivered"),
    "refused": (raising(Undeliverable("window_closed")), ("failed", "window_closed"), "refused"),
    "uncertain": (raising(Uncertain("timeout")), ("unknown", "timeout"), "unknown"),
    "a fault of ours": (raising(KeyError("text of a citizen")), ("unknown", "KeyError"), "unknown"),
    "a fault of a library": (raising(ValueError("year 58861 is out of range")), ("unknown", "ValueError"), "unknown"),
    "hangs": (hang, ("unknown", "TimeoutError"), "unknown"),
    "nonsense": (giving(None), ("unknown", "AttributeError"), "unknown"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("send", "state", "result"), ENDS.values(), ids=ENDS)
async def test_each_end_is_written_and_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch, send: Send, state: tuple[str, str | None], result: str
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    await queued(store)
    async with sending(store, send) as metrics:
        await until(lambda: nothing_waits(store))
        assert (await states(store), counted(metrics)) == ([state], {result: 1.0})


async def test_what_surely_did_not_go_out_is_tried_again_and_then_goes_the_next_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 3)
    tries, got = [], []

    async def busy(outgoing: Outgoing) -> Sent:
        tries.append(outgoing.id)
        raise NotSent("busy")

    async def works(outgoing: Outgoing) -> Sent:
        got.append(outgoing.id)
        return Sent()

    one = await queued(store, "fake", "sms")
    async with sending(store, busy) as metrics, sending(store, works, "sms"):
        await until(lambda: nothing_waits(store))
    assert (tries, got, await states(store)) == ([one] * 3, [one], [("sent", None)])
    assert counted(metrics) == {"retry": 2.0, "refused": 1.0}


@pytest.mark.parametrize(("asked", "waits"), [(0.0, 2.0), (1.0, 2.0), (90.0, 90.0), (1e12, 86_400.0)])
async def test_it_waits_as_long_as_the_provider_asks(store: Store, asked: float, waits: float) -> None:
    clock = Clock()
    await queued(store)
    async with sending(store, raising(NotSent("busy", asked)), clock=clock, first_seconds=2.0):
        await until(lambda: _put_off(store))
    (row,) = await run(store, select(REPLIES))
    assert (row.not_before - clock.now).total_seconds() == waits


async def _put_off(store: Store) -> bool:
    (row,) = await run(store, select(REPLIES))
    return bool(row.state == "queued" and row.attempts == 1)


async def test_the_waits_grow(store: Store) -> None:
    clock, waits = Clock(), []
    await queued(store)

    async def busy(_outgoing: Outgoing) -> Sent:
        raise NotSent("busy")

    async with sending(store, busy, clock=clock, first_seconds=2.0):
        for tries in range(1, module.TRIES):
            await until(lambda tries=tries: _tried(store, tries))  # type: ignore[misc]
            (row,) = await run(store, select(REPLIES))
            waits.append((row.not_before - clock.now).total_seconds())
            clock.now = row.not_before
        await until(lambda: nothing_waits(store))
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512] and await states(store) == [("failed", "busy")]


async def _tried(store: Store, tries: int) -> bool:
    (row,) = await run(store, select(REPLIES))
    return bool(row.attempts == tries and row.state == "queued")


async def test_a_hanging_provider_holds_up_its_own_citizens_only(store: Store) -> None:
    for citizen in (1, 1, 2, 3):
        await queued(store, citizen=citizen)
    got: list[str] = []

    async def send(outgoing: Outgoing) -> Sent:
        if outgoing.to.value == "1":
            await asyncio.sleep(3600)
        got.append(outgoing.to.value)
        return Sent()

    metrics, box = Metrics(), store.replybox("fake")
    await asyncio.wait_for(box.lead.gained(), 10)
    sender = Replies(Fake(send), box, None, clock=now, metrics=metrics)  # type: ignore[arg-type]
    running = asyncio.create_task(sender.run())
    await until(lambda: asyncio.sleep(0, len(got) == 2))
    assert sorted(got) == ["2", "3"]
    assert [state for state, _ in await states(store)] == ["sending", "queued", "sent", "sent"]
    for task in sender._under_way.values():
        task.cancel()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# -- the end of a node -------------------------------------------------------------------------------------------------


async def test_a_node_that_stops_waits_for_what_it_is_sending(store: Store) -> None:
    await queued(store)
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def send(_outgoing: Outgoing) -> Sent:
        begun.set()
        await goes_on.wait()
        return Sent()

    async with sending(store, send):
        await asyncio.wait_for(begun.wait(), 10)
        asyncio.get_running_loop().call_later(0.05, goes_on.set)
    assert await states(store) == [("sent", None)]


async def test_without_the_lead_nothing_is_sent(store: Store) -> None:
    await queued(store)
    box, sent = store.replybox("fake"), []

    async def send(outgoing: Outgoing) -> Sent:
        sent.append(outgoing)
        return Sent()

    async with sending(store, send, box=box):
        await until(lambda: nothing_waits(store))
        box.lead.tell(held=False)
        await queued(store)
        await asyncio.sleep(0.1)
        assert len(sent) == 1 and not await nothing_waits(store)
        box.lead.tell(held=True)
        await until(lambda: nothing_waits(store))


# -- whatever happens --------------------------------------------------------------------------------------------------


class Provider:
    """Gives each reply to its citizen, or not, and says so, or something else."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.got: Counter[UUID] = Counter()

    async def send(self, outgoing: Outgoing) -> Sent:
        how = self._chance.choice(
            ("sent", "sent", "busy", "busy", "refused", "unsure", "unsure, and has it", "fault", "slow")
        )
        await asyncio.sleep(self._chance.random() * 0.005)
        if how == "busy":
            raise NotSent("busy")
        if how == "refused":
            raise Undeliverable("blocked")
        if how == "unsure":
            raise Uncertain("cut")
        self.got[outgoing.id] += 1
        if how == "slow":
            await asyncio.sleep(3600)
        if how == "unsure, and has it":
            raise Uncertain("timeout")
        if how == "fault":
            raise RuntimeError
        return Sent(f"p-{outgoing.id}", delivered=self._chance.random() < 0.5)


class Forgetful(ReplyBox):
    """The database goes away now and then, before or after it has written."""

    chance: random.Random

    async def take(self, *given: Any, **more: Any) -> Any:
        return await self._now_and_then(super().take(*given, **more))

    async def sent(self, *given: Any) -> None:
        await self._now_and_then(super().sent(*given))

    async def put_off(self, *given: Any) -> None:
        await self._now_and_then(super().put_off(*given))

    async def refused(self, *given: Any, **more: Any) -> None:
        await self._now_and_then(super().refused(*given, **more))

    async def uncertain(self, *given: Any) -> None:
        await self._now_and_then(super().uncertain(*given))

    async def _now_and_then(self, write: Awaitable[Any]) -> Any:
        luck = self.chance.random()
        if luck < 0.1:
            write.close()  # type: ignore[attr-defined]
            raise StoreUnavailable("down")
        done = await write
        if luck < 0.2:
            raise StoreUnavailable("its word was lost")
        return done


async def _a_life(
    store: Store, providers: dict[str, Provider], chance: random.Random, known: list[tuple[UUID, int]]
) -> None:
    """A node works for a while, the core repeats itself, and the node dies in the middle of it."""
    senders, running = [], []
    for name, provider in providers.items():
        box = Forgetful(store._database, store._membership, store._keyring, name)
        box.chance = chance
        await asyncio.wait_for(box.lead.gained(), 10)
        fake = Fake(provider.send, name)
        senders.append(Replies(fake, box, None, clock=now, metrics=Metrics(), first_seconds=0.001))  # type: ignore[arg-type]
        running.append(asyncio.create_task(senders[-1].run()))
    for _ in range(chance.randrange(5, 30)):
        again = chance.choice(known)
        await queued(store, *providers, reply_id=again[0], citizen=again[1])
        await asyncio.sleep(chance.random() * 0.01)
    for task in [task for sender in senders for task in sender._under_way.values()]:
        task.cancel()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("seed", range(6))
async def test_no_citizen_is_told_twice_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    monkeypatch.setattr(module, "PER_SECOND", 1e6)
    chance = random.Random(seed)
    providers = {name: Provider(chance) for name in ("fake", "sms")}
    known = [(uuid_utils.compat.uuid7(), chance.randrange(6)) for _ in range(30)]
    store = await open_store(sqlite_url(tmp_path), tmp_path / "keys.json")
    for one, citizen in known:
        await queued(store, *providers, reply_id=one, citizen=citizen)
    for _ in range(200):
        await _a_life(store, providers, chance, known)
        if chance.random() < 0.3:
            await store.close()
            store = await open_store(sqlite_url(tmp_path), tmp_path / "keys.json")
        if await nothing_waits(store):
            break
    rows = {row.id: row for row in await run(store, select(REPLIES))}
    await store.close()
    got = sum((provider.got for provider in providers.values()), Counter[UUID]())
    assert len(rows) == len(known) and max(got.values()) == 1, "nobody is told twice"
    fates = Counter((row.state, got[one]) for one, row in rows.items())
    assert set(fates) <= {("sent", 1), ("delivered", 1), ("failed", 0), ("unknown", 0), ("unknown", 1)}
    assert all(isinstance(row.settled_at - row.created_at, timedelta) for row in rows.values()), "each has its end"
    assert len(fates) >= 2, "the test has seen something"
