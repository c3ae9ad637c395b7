"""Every test of the store runs on SQLite and on PostgreSQL; small builders of what goes in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import Executable, Row, select, update

from normalizer.model import (
    Assurance,
    ChannelRef,
    Contact,
    ContactType,
    Envelope,
    HotlineMatter,
    KeptMessage,
    MatterMessage,
    Message,
    Outcome,
    Parsed,
    Party,
    Past,
    ReplyRoute,
    Verdict,
)
from store import membership
from store.errors import StoreUnavailable
from store.messages import Unpacking
from store.opening import open_store
from store.store import Store
from store.tables import MESSAGES, NODES
from store.values import Decide, DueEvent, Filing, OpenFile, Stage, Work
from tests.postgres import Server, postgresql

__all__ = ["postgresql"]

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
#: When everything is due.
AT_LAST = datetime(3000, 1, 1, tzinfo=UTC)
SENDER = Contact(type=ContactType.APP, value="resident-1", assurance=Assurance.VERIFIED)
TRACKING_CODES = (f"2603{number:012}" for number in itertools.count(1))

Open = Callable[..., Awaitable[Store]]


# -- stores ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """``store.url`` of a database in which nothing is yet."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def postgresql_url(postgresql: Server) -> Iterator[str]:
    with postgresql.database() as url:
        yield url


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/gateway.db"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
async def opened(url: str, key_file: Path) -> AsyncIterator[Open]:
    """Opens the store of ``url``, any number of times; closes what is still open at the end."""
    async with AsyncExitStack() as stack:

        async def open_(**options: Any) -> Store:
            store = await open_store(url, key_file, **options)
            stack.push_async_callback(store.close)
            return store

        yield open_


@pytest.fixture
async def store(opened: Open) -> Store:
    return await opened()


@pytest.fixture
async def nodes(url: str, store: Store, opened: Open) -> tuple[Store, Store]:
    """Two nodes: on PostgreSQL two stores of one database; a SQLite file has one owner, who races with himself."""
    return store, store if url.startswith("sqlite") else await opened()


@pytest.fixture
async def trio(postgresql_url: str, key_file: Path) -> AsyncIterator[list[Store]]:
    """Three nodes of one PostgreSQL."""
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(3):
            stores.append(await open_store(postgresql_url, key_file))
            stack.push_async_callback(stores[-1].close)
        yield stores


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes beat, and leases lapse, only when a test says so, however busy the machine is."""
    monkeypatch.setattr(membership, "BEAT_SECONDS", 3600)
    monkeypatch.setattr("store.nodes.LEASE", timedelta(hours=1))


async def beat(store: Store) -> None:
    await store._membership._beat()


async def lapse(store: Store) -> None:
    """Its lease has run out, and nobody has told it."""
    long_ago = (
        update(NODES).where(NODES.c.id == store._membership.id).values(expires_at=datetime(2000, 1, 1, tzinfo=UTC))
    )
    await run(store, long_ago)


# -- what goes in ------------------------------------------------------------------------------------------------------


def envelope(body: bytes = b"raw", **more: Any) -> Envelope:
    given = {"channel": "letters", "kind": "letter", "received_at": NOW} | more
    return Envelope(id=uuid_utils.compat.uuid7(), body=body, **given)


def message(text: str = "路灯坏了", provider_id: str | None = "1", **more: Any) -> Message:
    given = {"key_space": "letters", "account": "desk", "sender": SENDER} | more
    return Message(text=text, provider_id=provider_id, **given)


def sender(value: str, **more: Any) -> Contact:
    return SENDER.model_copy(update={"value": value} | more)


def matter(kept: KeptMessage, caller_id: UUID, **more: Any) -> HotlineMatter:
    said = MatterMessage(
        message_id=kept.id,
        channel=kept.channel,
        sent_at=kept.message.sent_at,
        received_at=kept.received_at,
        text=kept.message.text,
    )
    given = {
        "matter_id": uuid_utils.compat.uuid7(),
        "tracking_code": next(TRACKING_CODES),
        "title": kept.message.text,
        "content": kept.message.text,
    }
    return HotlineMatter(
        **given | more,
        sent_at=kept.message.sent_at,
        received_at=kept.received_at,
        channel=ChannelRef(name=kept.channel, kind=kept.kind, account=kept.message.account),
        messages=(said,),
        party=Party(contacts=(kept.message.sender,)),
        caller_id=caller_id,
        reply_route=ReplyRoute(channel=kept.channel),
    )


def new_matter(kept: KeptMessage, seen: list[Past] | None = None, **more: Any) -> Decide:
    """Decides for a new matter; ``seen`` collects the pasts it was shown."""

    def decide(caller_id: UUID, past: Past, _open_file: OpenFile) -> Filing:
        if seen is not None:
            seen.append(past)
        verdict = Verdict(outcome=Outcome.FILED, reason="nothing like it")
        return Filing(verdict, matter(kept, caller_id, **more), "matter.filed")

    return decide


def amendment(earlier: HotlineMatter, **change: Any) -> Decide:
    """Decides that the message adds to ``earlier``."""
    amended = earlier.model_copy(update={"revision": earlier.revision + 1} | change)
    verdict = Verdict(outcome=Outcome.ATTACHED, matter_id=earlier.matter_id, reason="names it")
    return lambda _caller_id, _past, _open_file: Filing(verdict, amended, "matter.amended")


# -- steps -------------------------------------------------------------------------------------------------------------


async def work_of(store: Store, subject: UUID, stage: Stage = Stage.UNPACK) -> Work:
    """The queued work on an envelope or message, whether its time has come or not."""
    found = await store.claim(stage, AT_LAST, 10_000)
    return next(work for work in found if work.subject == subject)


async def unpacking(store: Store, *messages: Message, parsed: Parsed | None = None, **more: Any) -> Unpacking:
    """A kept envelope, claimed and parsed: ready to be written."""
    kept = envelope(**more)
    await store.keep(kept)
    return Unpacking(await work_of(store, kept.id), kept, messages if parsed is None else parsed, NOW)


async def unpacked(store: Store, *messages: Message, **more: Any) -> Envelope:
    """An envelope that has been kept and unpacked."""
    ready = await unpacking(store, *messages, **more)
    await store.unpack(ready)
    return ready.envelope


async def to_digest(store: Store, said: Message, **more: Any) -> tuple[Work, KeptMessage]:
    """A message that waits to be filed, and the work on it."""
    await unpacked(store, said, **more)
    work = (await store.claim(Stage.DIGEST, AT_LAST, 10_000))[-1]
    return work, await store.message(work.subject)


async def filed(store: Store, said: Message | None = None, **more: Any) -> HotlineMatter:
    """A matter that was opened by one message."""
    work, kept = await to_digest(store, said or message(provider_id=str(uuid_utils.compat.uuid7())), **more)
    return (await store.file_matter(work, kept, new_matter(kept), NOW)).matter


async def amended(store: Store, earlier: HotlineMatter, **change: Any) -> HotlineMatter:
    """The matter after one more message."""
    work, kept = await to_digest(store, message(provider_id=str(uuid_utils.compat.uuid7())))
    return (await store.file_matter(work, kept, amendment(earlier, **change), NOW)).matter


async def due(store: Store, at: datetime = NOW) -> list[DueEvent]:
    """What is due of the core's events, for the node that leads it."""
    await asyncio.wait_for(store.outbox().lead.gained(), 30)
    return await store.outbox().due(at, 100)


# -- looking underneath ------------------------------------------------------------------------------------------------


async def run(store: Store, statement: Executable) -> Sequence[Row[Any]]:
    """Run SQL beside the store's methods, to look at rows or to break them on purpose."""

    def transaction(connection: Any) -> Sequence[Row[Any]]:
        result = connection.execute(statement)
        return result.all() if result.returns_rows else []

    return await store._database.write(transaction)


async def said_in(store: Store, envelope_id: UUID) -> tuple[Message, ...]:
    """An envelope's messages as they were read when it was unpacked."""
    rows = select(MESSAGES.c.content).where(MESSAGES.c.envelope_id == envelope_id).order_by(MESSAGES.c.position)
    return tuple(Message.model_validate(row.content) for row in await run(store, rows))


def count_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one with each write transaction of the store."""
    counted: list[None] = []
    write = store._database.write

    async def counting(*arguments: Any, **options: Any) -> Any:
        counted.append(None)
        return await write(*arguments, **options)

    monkeypatch.setattr(store._database, "write", counting)
    return counted


def lose_replies(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store writes is committed, but it never hears so."""
    write = store._database.write

    async def losing(*arguments: Any, **options: Any) -> Any:
        await write(*arguments, **options)
        raise StoreUnavailable("the reply was lost")

    monkeypatch.setattr(store._database, "write", losing)
