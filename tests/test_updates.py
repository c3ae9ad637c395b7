"""``POST /v1/matters/{matter_id}/updates`` as the core meets it: over a real socket, with every way to get it wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from channels.clients import key_hash
from channels.simulated.telegram import TelegramPeer
from gateway.testing import RunningGateway, Start
from gateway.updates import MOST_BYTES
from normalizer.model import HotlineMatter
from store.tables import REPLIES, UPDATES
from tests.rest import Rest, document
from tests.store.conftest import run
from tests.test_door import only

KEY, OTHERS_KEY = "key-of-the-core", "key-of-another"
#: What is never to be read in an answer.
SENTINEL = "内容不外传-Kx7"


@dataclass
class City:
    """A running gateway, its Telegram, and one matter."""

    gateway: RunningGateway
    #: Requests of the gateway to Telegram's stand-in.
    asked: list[str]
    matter: HotlineMatter = field(init=False)

    async def file(self) -> None:
        peer = TelegramPeer("telegram", self.gateway.channel("telegram").settings)
        ack = await peer.say("路灯坏了", sender="900000001", message_id="1", at=datetime.now(UTC)).send(self.gateway)
        assert ack.ok
        await self.gateway.settle()
        (self.matter,) = await self.gateway.matters()

    async def post(self, body: Any = None, key: str | None = "k-1", **more: Any) -> httpx.Response:
        client = more.pop("client", KEY)
        headers = ({"authorization": f"Bearer {client}"} if client else {}) | ({"idempotency-key": key} if key else {})
        content = body if isinstance(body, bytes) else json.dumps(RESULT if body is None else body).encode()
        where = more.pop("matter_id", self.matter.matter_id)
        async with httpx.AsyncClient(base_url=self.gateway.http_url, trust_env=False) as core:
            given = {"headers": headers | {"content-type": "application/json"}} | more
            return await core.post(f"/v1/matters/{where}/updates", content=content, **given)

    async def written(self) -> tuple[int, int]:
        """Updates and replies in the books."""
        store = self.gateway.node.store
        return len(await run(store, UPDATES.select())), len(await run(store, REPLIES.select()))


RESULT = {"type": "result", "text": "已修好", "case_number": "2026-117", "unit": "城管局"}


@pytest.fixture
async def city(start_gateway: Start) -> AsyncIterator[City]:
    ok = document({"ok": True, "result": {"message_id": 5}})
    async with Rest(lambda _target, _headers: ok).running() as rest:

        def change(settings: dict[str, Any]) -> None:
            only("telegram", telegram={"api_base": rest.url})(settings)
            clients = [("core", KEY, ["updates:write"]), ("reader", OTHERS_KEY, ["messages:read"])]
            settings["core"]["clients"] = [
                {"id": name, "key_hash": key_hash(key), "scopes": scopes} for name, key, scopes in clients
            ]

        async with start_gateway(change) as gateway:
            found = City(gateway, rest.asked)
            await found.file()
            yield found


async def test_an_update_is_answered_once_and_told_once(city: City) -> None:
    first = await city.post()
    assert first.status_code == 202 and set(first.json()) == {"update_id", "reply_state"}
    assert first.json()["reply_state"] == "queued"
    again = await asyncio.gather(*(city.post() for _ in range(30)))
    await city.gateway.settle()
    assert {one.text for one in again} == {first.text}
    assert await city.written() == (1, 1)
    assert len(city.asked) == 1 and city.asked[0].endswith("/sendMessage")
    assert (await city.post()).text == first.text, "also after it was sent"


TOLD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"type": "accepted"}, "sent"),
    ({"type": "closed", "text": ""}, "sent"),
    ({"type": "accepted", "text": "已转城管局"}, "queued"),
    ({"type": "question", "text": "哪一根灯杆？"}, "queued"),
    ({"type": "progress", "text": "正在维修", "occurred_at": "2026-11-23T10:00:00+08:00"}, "queued"),
    ({"type": "not_accepted", "text": "属于信访事项", "reason": "第十九条", "where_to": "信访局"}, "queued"),
    ({"type": "return_visit", "text": "修好了吗？"}, "queued"),
    ({"type": "result", "text": "字" * 5000}, "queued"),
)


async def test_every_type_and_whether_there_was_something_to_tell(city: City) -> None:
    for number, (body, state) in enumerate(TOLD):
        answer = await city.post(body, key=f"k-{number}")
        assert (answer.status_code, answer.json()["reply_state"]) == (202, state), body
    await city.gateway.settle()
    assert len(city.asked) == 7, "six, the last in two parts"
    other = await city.post(TOLD[0][0] | {"text": "别的"}, key="k-0")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert await city.written() == (8, 6)


def refused(body: Any = None, **more: Any) -> tuple[Any, dict[str, Any]]:
    return body, more


WRONG: dict[str, tuple[tuple[Any, dict[str, Any]], int, str]] = {
    "no key": (refused(client=""), 401, "no-key"),
    "unknown key": (refused(client="somebody-else"), 401, "unknown-key"),
    "key without the scope": (refused(client=OTHERS_KEY), 403, "scope"),
    "no idempotency key": (refused(key=None), 400, "idempotency-key"),
    "idempotency key too long": (refused(key="k" * 256), 400, "idempotency-key"),
    "idempotency key with a space": (refused(key="a b"), 400, "idempotency-key"),
    "no such matter": (refused(matter_id=uuid4()), 404, "not-found"),
    "matter by a word": (refused(matter_id=SENTINEL), 422, "invalid"),
    "too large": (refused(b'"' + b"x" * MOST_BYTES + b'"'), 413, "oversized"),
    "no JSON": (refused(b"{" + SENTINEL.encode()), 400, "json"),
    "not UTF-8": (refused(json.dumps(RESULT, ensure_ascii=False).encode("gb18030")), 400, "json"),
    "lone surrogate": (refused(b'{"type":"result","text":"\\ud800"}'), 400, "json"),
    "deep": (refused(b"[" * 100_000), 400, "json"),
    "a list": (refused([RESULT]), 422, "body"),
    "unknown type": (refused({"type": SENTINEL, "text": "x"}), 422, "body"),
    "no type": (refused({"text": "x"}), 422, "body"),
    "unknown field": (refused(RESULT | {SENTINEL: 1}), 422, "body"),
    "no text": (refused({"type": "result"}), 422, "body"),
    "blank text": (refused({"type": "question", "text": " \n"}), 422, "body"),
    "text too long": (refused(RESULT | {"text": SENTINEL * 1000}), 422, "body"),
    "text as number": (refused(RESULT | {"text": 5}), 422, "body"),
    "NUL in the text": (refused(RESULT | {"text": f"a\0{SENTINEL}"}), 422, "body"),
    "NUL in the case number": (refused(RESULT | {"case_number": f"a\0{SENTINEL}"}), 422, "body"),
    "time without zone": (refused(RESULT | {"occurred_at": "2026-11-23T10:00:00"}), 422, "body"),
    "time as a word": (refused(RESULT | {"occurred_at": SENTINEL}), 422, "body"),
}


async def test_what_is_wrong_is_told_without_an_echo_and_changes_nothing(city: City) -> None:
    """One gateway for the whole table: none of it may leave anything behind."""
    for label, ((body, more), status, kind) in WRONG.items():
        answer = await city.post(body, **more)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), label
        assert answer.json()["type"] == f"/problems/{kind}" and answer.json()["status"] == status, label
        assert SENTINEL not in answer.text and "\\u" not in answer.text, label
        assert ("www-authenticate" in answer.headers) == (status == 401), label
    assert await city.written() == (0, 0) and city.asked == []
    found = await city.gateway.refused("api")
    assert found["unknown_key"] == 1 and found["body"] == 12
    assert (await city.post()).status_code == 202, "no key was used up by it"


async def test_while_the_store_is_away_the_core_is_told_to_come_again(city: City) -> None:
    async with city.gateway.store_down():
        answer = await city.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await city.post()).status_code == 202 and await city.written() == (1, 1)


async def test_the_words_stand_in_no_log_and_no_metric(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    await city.post(RESULT | {"text": SENTINEL, "unit": SENTINEL}, key="k-of-the-core")
    await city.gateway.settle()
    seen = capsys.readouterr()
    exposed = city.gateway.node.metrics.exposition().decode()
    assert not any(word in text for word in (SENTINEL, "900000001", "k-of-the-core") for text in (*seen, exposed))
    assert 'hotline_replies_total{channel="telegram",result="sent"} 1.0' in exposed
