"""A citizen and the city talk: from the first piece of his story to his mark for the answer, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channels.clients import key_hash
from channels.simulated.telegram import TelegramPeer
from gateway.demo.providers import StandInProviders
from gateway.testing import RunningGateway, Start
from normalizer.model import HotlineMatter

KEY = "key-of-the-core"


class Talk:
    """One city, any number of citizens on Telegram, a core that can post updates."""

    def __init__(self, gateway: RunningGateway, told: list[tuple[str, str]]) -> None:
        self.gateway = gateway
        #: What citizens were told: to whom, and the words.
        self.told = told
        self._peer = TelegramPeer("telegram", gateway.channel("telegram").settings)
        self._numbers = itertools.count(1000)

    async def says(self, text: str = "", citizen: str = "900000001", **more: Any) -> None:
        content = {"text": text} | more if text else more
        message = self._peer.message(
            sender=citizen, message_id=str(next(self._numbers)), at=datetime.now(UTC), **content
        )
        assert (await self._peer.update(message).send(self.gateway)).ok
        async with asyncio.timeout(20):
            store = self.gateway.node.store
            while await store.pending() or await store.outward(datetime.now(UTC)):
                await asyncio.sleep(0.01)

    async def updates(self, matter: HotlineMatter, kind: str, text: str = "", key: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {KEY}", "idempotency-key": key or f"{kind}-{next(self._numbers)}"}
        async with httpx.AsyncClient(base_url=self.gateway.http_url, trust_env=False) as client:
            path = f"/v1/matters/{matter.matter_id}/updates"
            answer = await client.post(path, json={"type": kind, "text": text}, headers=headers)
        assert answer.status_code == 202, answer.text
        await self.gateway.settle()
        return answer

    async def matter(self) -> HotlineMatter:
        (found,) = await self.gateway.matters()
        return found

    async def events(self) -> list[str]:
        """The types that the core has, in order."""
        await self.gateway.settle()
        return [event["type"].split(".")[2] for event in self.gateway.core.events.values()]

    def last_event(self) -> dict[str, Any]:
        found: dict[str, Any] = list(self.gateway.core.events.values())[-1]["data"]
        return found


@pytest.fixture
def talking(start_gateway: Start) -> Callable[..., Any]:
    """Starts a talk with a settle window of so many seconds."""

    @asynccontextmanager
    async def start(settle: float = 0) -> AsyncIterator[Talk]:
        told: list[tuple[str, str]] = []
        providers = StandInProviders(lambda _, to, words: told.append((to, words)))
        await providers.start()

        def change(document: dict[str, Any]) -> None:
            telegram = document["channels"]["telegram"] | {"api_base": providers.url}
            document |= {"channels": {"telegram": telegram}, "replies": {"acknowledge": True}}
            document["dedupe"] = {"settle_seconds": settle}
            document["core"]["clients"] = [{"id": "core", "key_hash": key_hash(KEY), "scopes": ["updates:write"]}]

        try:
            async with start_gateway(change) as gateway:
                yield Talk(gateway, told)
        finally:
            await providers.close()

    return start


async def test_the_pieces_of_one_story_are_one_matter_and_one_event(
    talking: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.filing.GRACE", timedelta())
    async with talking(settle=5) as talk:
        await talk.says("文化路口的路灯坏了")
        await talk.says("晚上很黑，老人摔倒过")
        await talk.says(location={"latitude": 36.65, "longitude": 117.12})
        matter = await talk.matter()
        assert [message.text for message in matter.messages][:2] == ["文化路口的路灯坏了", "晚上很黑，老人摔倒过"]
        assert talk.gateway.core.events == {}
        assert await talk.events() == ["filed"]
        assert talk.last_event()["place"]["longitude"] == 117.12
        assert len(talk.told) == 1 and matter.tracking_code in talk.told[0][1]
        books = await talk.gateway.books()
        assert books["outcomes"]["filed"] == 1 and books["outcomes"]["attached"] == 2 and books["balanced"]


async def test_from_the_question_to_the_mark(talking: Callable[..., Any]) -> None:
    async with talking() as talk:
        await talk.says("文化路口的路灯坏了")
        matter = await talk.matter()
        await talk.updates(matter, "question", "是哪一根灯杆？")
        assert "是哪一根灯杆？" in talk.told[-1][1]
        await talk.says("北边第三根")
        assert await talk.events() == ["filed", "amended"]
        answered = talk.last_event()["messages"][-1]
        assert (answered["act"], answered["text"]) == ("answers", "北边第三根")
        await talk.says("怎么还没修？")
        assert (await talk.events())[-1] == "chased"
        await talk.updates(matter, "result", "已经修好")
        assert "已经修好" in talk.told[-1][1]
        await talk.says("不满意，昨晚又不亮了")
        assert (await talk.events())[-1] == "disputed"
        await talk.updates(matter, "result", "更换了灯头")
        await talk.says("5")
        assert (await talk.events())[-1] == "evaluated"
        assert talk.last_event()["evaluation"]["score"] == 5
        await talk.updates(matter, "closed")
        assert (await talk.matter()).status == "closed"
        assert len(await talk.gateway.matters()) == 1
        assert (await talk.gateway.books())["balanced"]


async def test_how_it_stands_is_told_to_him_whose_it_is(talking: Callable[..., Any]) -> None:
    async with talking() as talk:
        await talk.says("文化路口的路灯坏了")
        matter = await talk.matter()
        await talk.updates(matter, "result", "已经修好")
        await talk.says(f"进度 {matter.tracking_code}")
        assert talk.told[-1] == ("900000001", f"受理编号 {matter.tracking_code}：已答复。")
        await talk.says(f"进度 {matter.tracking_code}", citizen="900000002")
        to, words = talk.told[-1]
        assert to == "900000002" and "没有查到" in words
        books = await talk.gateway.books()
        assert books["outcomes"]["answered"] == 2 and books["outcomes"]["filed"] == 1


async def test_a_core_that_repeats_itself_tells_nobody_twice(talking: Callable[..., Any]) -> None:
    async with talking() as talk:
        await talk.says("文化路口的路灯坏了")
        matter = await talk.matter()
        answers = await asyncio.gather(*(talk.updates(matter, "result", "已经修好", key="once") for _ in range(20)))
        assert len({answer.text for answer in answers}) == 1
        assert [words for _, words in talk.told if "已经修好" in words] == [talk.told[-1][1]]


async def test_he_takes_it_back(talking: Callable[..., Any]) -> None:
    async with talking() as talk:
        await talk.says("文化路口的路灯坏了")
        await talk.says("我要撤回诉求")
        assert await talk.events() == ["filed", "withdrawn"]
        assert (await talk.matter()).status == "closed"
        assert (await talk.gateway.books())["outcomes"]["answered"] == 1
