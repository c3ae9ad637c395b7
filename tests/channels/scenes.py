"""What providers and clients do to a gateway: scenes that every kind plays, over real sockets, and how they are judged.

A scene does something and says what must come of it; then everything must have its end and the books must balance.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import select

from channels.clients import key_hash
from channels.simulated import Ack, Delivery, HttpDelivery, Peer
from channels.simulated.sms_twilio import TwilioDelivery
from gateway import door
from gateway.testing import RunningGateway, Start
from store.tables import REPLIES
from tests.handing import until


@dataclass(frozen=True)
class Came:
    """What has come of something: outcomes, and how each new reply stands, with the reason."""

    outcomes: dict[str, int]
    replies: list[tuple[str, str | None]]


class Books:
    """What comes of what is done; each step looks at the difference."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._outcomes: dict[str, int] = {}
        self._replies: set[UUID] = set()

    async def came(self) -> Came:
        """Since the last time, once everything has its end; the books balance, each message has one outcome."""
        await self._gateway.settle()
        books = await self._gateway.books()
        assert books["balanced"], books["offending"]
        assert sum(books["outcomes"].values()) >= books["messages"] and not books["pending"]
        outcomes = {name: count - self._outcomes.get(name, 0) for name, count in books["outcomes"].items()}
        self._outcomes = books["outcomes"]
        wanted = select(REPLIES.c.id, REPLIES.c.state, REPLIES.c.reason).order_by(REPLIES.c.created_at)
        rows = await self._gateway.node.store._database.read(lambda connection: connection.execute(wanted).all())
        new = [(str(row.state), row.reason) for row in rows if row.id not in self._replies]
        self._replies |= {row.id for row in rows}
        return Came({name: count for name, count in outcomes.items() if count}, new)


async def outcomes(gateway: RunningGateway) -> dict[str, int]:
    """Of everything so far, once it has its end; the books balance."""
    return (await Books(gateway).came()).outcomes


class Place(Protocol):
    """Where scenes are played."""

    @property
    def books(self) -> Books:
        """What comes of them."""


P = TypeVar("P", bound=Place)
Scene = Callable[[P], Awaitable[dict[str, int]]]


async def play(place: P, scenes: Iterable[Scene[P]], *, answered: bool) -> None:
    """One after the other; where we write back each matter gets its one answer, and nothing else goes out."""
    for scene in scenes:
        expected = await scene(place)
        came = await place.books.came()
        assert came.outcomes == expected, scene.__name__
        assert [state for state, _ in came.replies] == ["sent"] * (expected.get("filed", 0) if answered else 0), (
            scene.__name__
        )


@dataclass(frozen=True)
class Step:
    """What becomes of the next calls of a provider's REST interface, and what must come of the reply."""

    script: list[Any]
    #: Its state, and the reason.
    reply: tuple[str, str | None]
    #: How often the citizen was given something.
    given: int


class Scripted(Protocol):
    """A stand-in for a provider's interface."""

    script: list[Any]


class Given(Protocol):
    """What citizens have been given."""

    def __len__(self) -> int: ...

    def clear(self) -> None:
        """Forget it."""


async def walk(
    place: Place,
    steps: Mapping[str, Step],
    provider: Scripted,
    given: Given,
    speak: Callable[[], Awaitable[Any]],
) -> None:
    """Somebody speaks at each step: his matter is filed, his acknowledgement has one end, and never goes out twice."""
    for label, step in steps.items():
        given.clear()
        provider.script = list(step.script)
        await speak()
        came = await place.books.came()
        assert (came.outcomes, came.replies) == ({"filed": 1}, [step.reply]), label
        assert len(given) == step.given and provider.script == [], label


# -- The scenes that every kind plays ----------------------------------------------------------------------------------


class Stage:
    """A gateway and one kind's other end."""

    def __init__(self, gateway: RunningGateway, peer: Peer, *, keeps_cut: bool = False, before: Any = None) -> None:
        self.gateway, self.peer, self.books = gateway, peer, Books(gateway)
        #: Whether what was cut off is kept, as ``malformed``: where nothing in the request covers its body.
        self.keeps_cut = keeps_cut
        #: The peer with the key before, which still opens.
        self.before: Peer | None = before
        self._senders, self._ids = itertools.count(900_000_100), itertools.count(7_000_001)

    def citizen(self) -> str:
        """Somebody who has not written before."""
        return str(next(self._senders))

    def say(
        self, text: str = "路灯不亮", sender: str = "", *, ago: timedelta = timedelta(0), by: Peer | None = None
    ) -> Delivery:
        """A message of its own."""
        at = datetime.now(UTC).replace(microsecond=0) - ago
        sender = sender or self.citizen()
        return (by or self.peer).say(text, sender=sender, message_id=str(next(self._ids)), at=at)

    async def taken(self, *deliveries: Delivery) -> list[Ack]:
        """They come one after the other, and each is acknowledged."""
        acks = [await delivery.send(self.gateway) for delivery in deliveries]
        assert all(ack.ok for ack in acks), acks
        return acks

    async def kept(self) -> int:
        """Envelopes so far."""
        number: int = (await self.gateway.books())["envelopes"]
        return number

    def request(self, delivery: Delivery) -> HttpDelivery:
        """As it goes over the wire, signed."""
        if isinstance(delivery, TwilioDelivery):
            headers = delivery.sign((delivery.public_url or self.gateway.http_url) + delivery.target)
            return HttpDelivery(delivery.target, delivery.body, headers)
        assert isinstance(delivery, HttpDelivery)
        return delivery

    @asynccontextmanager
    async def line(self, delivery: Delivery, share: float) -> AsyncIterator[tuple[asyncio.StreamReader, Any]]:
        """A connection on which the head and so much of the body has gone; in the end it is torn."""
        asked = self.request(delivery)
        named = {"host": "hotline.example", "content-length": str(len(asked.body)), **asked.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        host, _, port = self.gateway.http_url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{asked.method} {asked.target} HTTP/1.1\r\n{head}\r\n".encode())
        writer.write(asked.body[: int(len(asked.body) * share)])
        await writer.drain()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def redelivers_and_reorders(stage: Stage) -> dict[str, int]:
    citizen = stage.citizen()
    one, two, three = (stage.say(f"第{n}件事", citizen) for n in "一二三")
    await stage.taken(three, one, two, one, three, three)
    return {"filed": 3, "redelivered": 3}


async def delays_a_day(stage: Stage) -> dict[str, int]:
    """What was said yesterday comes after what was said today; it keeps its time, where the kind tells one."""
    citizen = stage.citizen()
    late = stage.say("昨天的事", citizen, ago=timedelta(hours=24))
    await stage.taken(stage.say("今天的事", citizen), late, late)
    await stage.gateway.settle()
    today, yesterday = (await stage.gateway.matters())[-2:]
    assert yesterday.content == "昨天的事"
    if today.sent_at is not None and yesterday.sent_at is not None:
        assert today.sent_at - yesterday.sent_at >= timedelta(hours=23, minutes=59)
    return {"filed": 2, "redelivered": 1}


async def truncates(stage: Stage) -> dict[str, int]:
    """What was cut off on its way stands in nobody's way: the whole one is taken afterwards, under the same name."""
    whole = stage.request(stage.say())
    lengths = (0, 10, len(whole.body) // 2, len(whole.body) - 1)
    for length in lengths:
        ack = await dataclasses.replace(whole, body=whole.body[:length]).send(stage.gateway)
        assert ack.ok if stage.keeps_cut else ack.status in {400, 401, 403, 422}, (length, ack)
    await stage.taken(whole)
    return {"filed": 1} | ({"malformed": len(lengths)} if stage.keeps_cut else {})


async def sends_twice_at_once(stage: Stage) -> dict[str, int]:
    said = [stage.say(f"第{n}号楼停水") for n in range(5)]
    acks = await asyncio.gather(*(one.send(stage.gateway) for one in said for _ in range(2)))
    assert all(ack.ok for ack in acks), acks
    assert [ack.body for ack in acks[::2]] == [ack.body for ack in acks[1::2]], "both are told the same"
    return {"filed": 5, "redelivered": 5}


async def hangs_in_mid_body(stage: Stage) -> dict[str, int]:
    """It is told so after a while and nothing is kept; meanwhile others are served."""
    said, before = stage.say(), await stage.kept()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "BODY_SECONDS", 0.3)
        async with stage.line(said, 0.5) as (reader, _):
            await stage.taken(stage.say("井盖松动"))
            status = (await asyncio.wait_for(reader.readline(), 10)).split()[1]
    assert status == b"408" and await stage.kept() == before + 1
    await stage.taken(said)
    return {"filed": 2}


async def breaks_off_in_mid_body(stage: Stage) -> dict[str, int]:
    said, before = stage.say(), await stage.kept()
    async with stage.line(said, 0.5) as (reader, writer):
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""
    assert await stage.kept() == before
    await stage.taken(said)
    return {"filed": 1}


async def hangs_up_before_it_is_answered(stage: Stage) -> dict[str, int]:
    """It does not know that we have it, and tries again: each time it is told the same."""
    said, before = stage.say(), await stage.kept()
    async with stage.line(said, 1.0):
        await until(lambda: _reached(stage, before + 1))
    first, second = await stage.taken(said, said)
    assert first.body == second.body
    return {"filed": 1, "redelivered": 2}


async def _reached(stage: Stage, number: int) -> bool:
    return await stage.kept() >= number


#: Whatever the kind.
COMMON: tuple[Scene[Stage], ...] = (
    redelivers_and_reorders,
    delays_a_day,
    truncates,
    sends_twice_at_once,
    hangs_in_mid_body,
    breaks_off_in_mid_body,
    hangs_up_before_it_is_answered,
)


async def changes_its_key(stage: Stage) -> dict[str, int]:
    """For a while some of it signs with the new key and some with the one before; nobody is turned away."""
    assert stage.before is not None
    refused, citizen = await stage.gateway.refused(stage.peer.name), stage.citizen()
    by = (stage.peer, stage.before, stage.peer, stage.before)
    await stage.taken(*(stage.say(f"第{n}件事", citizen, by=peer) for n, peer in enumerate(by)))
    assert await stage.gateway.refused(stage.peer.name) == refused
    return {"filed": 4}


#: The key before, of a client whose key is being changed.
OLD_KEY = "o" * 43


@asynccontextmanager
async def client_of(start_gateway: Start, kind: str, keys: str, peer: Callable[..., Peer]) -> AsyncIterator[Stage]:
    """A stage on which one client of the kind's only channel has two live keys; ``keys``: the setting that names it."""

    def change(document: dict[str, Any]) -> None:
        document["channels"] = {kind: document["channels"][kind]}
        document["channels"][kind][keys][0]["previous_key_hash"] = key_hash(OLD_KEY)

    async with start_gateway(change) as gateway:
        settings, key = gateway.channel(kind).settings, (gateway.secrets / f"{kind}-key").read_text()
        yield Stage(gateway, peer(kind, settings, key=key), before=peer(kind, settings, key=OLD_KEY))
