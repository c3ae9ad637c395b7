"""Answers that ride on the acknowledgement: in time or not at all, and never instead of the acknowledgement."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from channels.base import Answer
from channels.simulated.telegram import TelegramPeer
from channels.telegram import Telegram, TelegramSettings
from gateway import rides as module
from gateway.rides import Rides
from gateway.testing import Start
from normalizer.model import Contact, ContactType, Kept
from normalizer.reply import Outgoing, ReplyKind
from store.errors import StoreUnavailable
from store.tables import REPLIES
from tests.rest import Rest, document
from tests.store.conftest import NOW, run
from tests.test_door import only

TO = Contact(type=ContactType.TELEGRAM, value="900000001", assurance="verified")
REPLY = Outgoing(id=uuid4(), kind=ReplyKind.ACKNOWLEDGEMENT, account="bot", to=TO, text="已收到")


class Books:
    """A store that has a reply, or fails."""

    def __init__(self, found: Outgoing | Exception | None = REPLY) -> None:
        self.found, self.asked = found, list[UUID]()
        #: Why the database cannot be worked on.
        self.trouble: str | None = None

    async def ride(self, _channel: str, envelope_id: UUID, _now: datetime) -> Outgoing | None:
        self.asked.append(envelope_id)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Riding(Telegram):
    ride_seconds = 0.2

    def ride(self, outgoing: Outgoing) -> Answer:
        """As https://core.telegram.org/bots/api#making-requests-when-getting-updates has it."""
        said = {"method": "sendMessage", "chat_id": int(outgoing.to.value), "text": outgoing.text}
        return Answer(200, orjson.dumps(said), "application/json")


def channel(kind: type[Telegram] = Riding) -> Telegram:
    settings = {"bot_token": "1:x", "secret_token": "s"}
    return kind("telegram", TelegramSettings.model_validate(settings))


def rides(books: Books) -> Rides:
    return Rides(books, lambda: NOW)  # type: ignore[arg-type]


async def test_it_waits_until_the_message_has_its_outcome() -> None:
    books, kept = Books(), Kept(uuid4())
    waiting = rides(books)
    asked = asyncio.create_task(waiting.wait(channel(), kept))
    await asyncio.sleep(0.01)
    waiting.settled(uuid4())
    assert not asked.done() and books.asked == []
    waiting.settled(kept.receipt)
    assert await asked is REPLY and books.asked == [kept.receipt] and waiting._waiting == {}


@pytest.mark.parametrize(
    ("kind", "asked"), [(Riding, 0), (Telegram, 0)], ids=["nothing in time", "a protocol that has no room for one"]
)
async def test_it_does_not_wait_for_ever(kind: type[Telegram], asked: int) -> None:
    books = Books()
    waiting = rides(books)
    assert await asyncio.wait_for(waiting.wait(channel(kind), Kept(uuid4())), 5) is None
    assert (len(books.asked), waiting._waiting) == (asked, {})


@pytest.mark.parametrize("error", [StoreUnavailable("down"), RuntimeError("text of a citizen")])
async def test_the_delivery_is_acknowledged_whatever_the_store_does(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Kept(uuid4(), again=True)
    assert await rides(Books(error)).wait(channel(), kept) is None
    assert "citizen" not in capsys.readouterr().out


async def test_nobody_waits_for_a_database_that_is_away() -> None:
    books = Books()
    books.trouble = "the store is not available"
    assert await asyncio.wait_for(rides(books).wait(channel(), Kept(uuid4())), 0.1) is None


async def test_the_same_delivery_again_does_not_wait() -> None:
    books, kept = Books(), Kept(uuid4(), again=True)
    assert await rides(books).wait(channel(), kept) is REPLY


async def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    books, first = Books(), Kept(uuid4())
    waiting = rides(books)
    asked = asyncio.create_task(waiting.wait(channel(), first))
    await asyncio.sleep(0.01)
    assert await asyncio.wait_for(waiting.wait(channel(), Kept(uuid4())), 0.1) is None
    assert await waiting.wait(channel(), Kept(uuid4(), again=True)) is REPLY
    waiting.settled(first.receipt)
    assert await asked is REPLY


async def test_a_provider_that_hangs_up_leaves_nothing_behind() -> None:
    waiting = rides(Books())
    asked = asyncio.create_task(waiting.wait(channel(), Kept(uuid4())))
    await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert waiting._waiting == {}


async def test_the_number_comes_back_on_the_same_connection_and_again_on_a_redelivery(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Telegram, "ride_seconds", 10.0)
    monkeypatch.setattr(Telegram, "ride", Riding.ride)
    sent = document({"ok": True, "result": {"message_id": 5}})
    async with Rest(lambda _target, _headers: sent).running() as rest:

        def change(settings: dict[str, Any]) -> None:
            only("telegram", telegram={"api_base": rest.url})(settings)
            settings["replies"] = {"acknowledge": True}

        async with start_gateway(change) as gateway:
            peer = TelegramPeer("telegram", gateway.channel("telegram").settings)
            delivery = peer.say("路灯坏了", sender="900000001", message_id="1", at=datetime.now(UTC))
            first, again = await delivery.send(gateway), await delivery.send(gateway)
            await gateway.settle()
            (matter,) = await gateway.matters()
            assert matter.tracking_code in orjson.loads(first.body)["text"] and again.body == first.body
            assert rest.asked == [], "it is not sent once more by itself"
            ((state, reason),) = [(row.state, row.reason) for row in await run(gateway.node.store, REPLIES.select())]
            assert (state, reason) == ("sent", "rode")
            silent = await peer.update({"update_id": 9, "callback_query": {}}).send(gateway)
            assert (silent.status, silent.body) == (200, b""), "a notice is answered at once"
