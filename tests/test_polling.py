"""A poller in the whole gateway: its cursor commits with what it brought, so that no restart loses or doubles a message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.testing import Start


class BotApi:
    """Telegram's getUpdates: serves every update from ``offset`` on, again and again, until the offset passes it."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.offsets: list[int | None] = []
        self.fails = False
        self.url = ""

    def citizen_writes(self, text: str) -> None:
        number = len(self.updates) + 1
        sender = {"id": 900000000 + number % 3, "is_bot": False, "first_name": "张三"}
        chat = {"id": sender["id"], "type": "private"}
        message = {"message_id": number, "from": sender, "chat": chat, "date": 1760000000, "text": text}
        self.updates.append({"update_id": number, "message": message})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BotApi]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            self.offsets.append(asked.get("offset"))
            found = [u for u in self.updates if u["update_id"] >= asked.get("offset", 0)]
            status = b"502 Bad Gateway" if self.fails else b"200 OK"
            body = json.dumps({"ok": True, "result": found[:3]}).encode()
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
            await writer.drain()
            if self.fails:
                break
        writer.close()


async def test_polling_goes_on_where_it_stopped(start_gateway: Start) -> None:
    api = BotApi()

    def polling(document: dict[str, Any]) -> None:
        telegram = document["channels"]["telegram"] | {"mode": "poll", "api_base": api.url, "poll_seconds": 1}
        document["channels"] = {"telegram": telegram}

    async with api.serving():
        for n in range(7):
            api.citizen_writes(f"第{n}件事")
        async with start_gateway(polling) as gateway:
            await _until(lambda: api.offsets and api.offsets[-1] == 8)
            await gateway.settle()
            assert len(await gateway.matters()) == 7
            assert await gateway.node.store.state("telegram", "offset") == "8"
            progress, polls = gateway.node.metrics.progress.labels("telegram")._value, len(api.offsets)
            before = progress.get()
            await _until(lambda: len(api.offsets) > polls + 1)
            assert progress.get() > before, "also while nobody writes"
        api.citizen_writes("第7件事")
        async with start_gateway(polling) as gateway:
            await _until(lambda: api.offsets[-1] == 9)
            await gateway.settle()
            books = await gateway.books()
            assert {name: n for name, n in books["outcomes"].items() if n} == {"filed": 8}
            assert books["balanced"]


async def test_a_failing_provider_is_shown_and_polled_again_when_it_is_back(start_gateway: Start) -> None:
    api = BotApi()

    def polling(document: dict[str, Any]) -> None:
        telegram = document["channels"]["telegram"] | {"mode": "poll", "api_base": api.url, "poll_seconds": 1}
        document["channels"] = {"telegram": telegram, "app": document["channels"]["app"]}

    async with api.serving(), start_gateway(polling) as gateway:
        api.fails = True
        async with asyncio.timeout(10):
            while not (complaints := (await gateway.node.condition()).complaints):
                await asyncio.sleep(0.02)
        assert complaints == ["channel telegram: status_502"]
        api.fails = False
        api.citizen_writes("路灯不亮")
        await gateway.node.ready()
        await _until(lambda: api.offsets[-1] == 2)
        await gateway.settle()
        assert [matter.content for matter in await gateway.matters()] == ["路灯不亮"]


async def _until(true: Any) -> None:
    async with asyncio.timeout(15):
        while not true():
            await asyncio.sleep(0.02)
