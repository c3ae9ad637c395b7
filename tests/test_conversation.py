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
from dedupe.relation import LONGEST_SECONDS
from gateway.demo.providers import StandInProviders
from gateway.filing import GRACE
from gateway.testing import RunningGateway, Start
from normalizer.matter import compose
from normalizer.model import HotlineMatter, Urgency
from tests.handing import Clock

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
    async def start(settle: float = 0, **options: Any) -> AsyncIterator[Talk]:
        told: list[tuple[str, str]] = []
        providers = StandInProviders(lambda _, to, words: told.append((to, words)))
        await providers.start()

        def change(document: dict[str, Any]) -> None:
            telegram = document["channels"]["telegram"] | {"api_base": providers.url}
            document |= {"channels": {"telegram": telegram}, "replies": {"acknowledge": True}}
            document["dedupe"] = {"settle_seconds": settle}
            document["core"]["clients"] = [{"id": "core", "key_hash": key_hash(KEY), "scopes": ["updates:write"]}]

        try:
            async with start_gateway(change, **options) as gateway:
                yield Talk(gateway, told)
        finally:
            await providers.close()

    return start


async def test_the_pieces_of_one_story_are_one_matter_and_one_event(
    talking: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.filing.GRACE", timedelta())
    clock = Clock()
    clock.now -= timedelta(seconds=60)
    async with talking(settle=60, clock=clock) as talk:
        await talk.says("文化路口的路灯坏了")
        await talk.says("晚上很黑，老人摔倒过")
        await talk.says(location={"latitude": 36.65, "longitude": 117.12})
        matter = await talk.matter()
        assert [message.text for message in matter.messages][:2] == ["文化路口的路灯坏了", "晚上很黑，老人摔倒过"]
        assert talk.gateway.core.events == {}
        clock.now += timedelta(seconds=60)
        assert await talk.events() == ["filed"]
        assert talk.last_event()["place"]["longitude"] == 117.12
        assert len(talk.told) == 1 and matter.tracking_code in talk.told[0][1]
        books = await talk.gateway.books()
        assert books["outcomes"]["filed"] == 1 and books["outcomes"]["attached"] == 2 and books["balanced"]


async def test_each_piece_lengthens_the_wait_until_180_seconds_and_later_ones_amend(
    talking: Callable[..., Any],
) -> None:
    clock = Clock()
    start = clock.now = clock.now - timedelta(seconds=LONGEST_SECONDS)  # the core believes no signature of another hour
    async with talking(settle=60, clock=clock) as talk:
        for seconds in (0, 50, 100, 150, 179):
            clock.now = start + timedelta(seconds=seconds)
            await talk.says(f"第{seconds}段话")
            assert talk.gateway.core.events == {}
        clock.now = start + timedelta(seconds=LONGEST_SECONDS) + GRACE
        assert await talk.events() == ["filed"]
        assert [one["text"] for one in talk.last_event()["messages"]] == [f"第{n}段话" for n in (0, 50, 100, 150, 179)]
        clock.now = start + timedelta(seconds=200)
        await talk.says("刚才忘了说")
        assert await talk.events() == ["filed", "amended"]
        clock.now = start + timedelta(seconds=261)
        await talk.says("三号楼电梯也停了")
        clock.now += timedelta(seconds=60) + GRACE
        assert await talk.events() == ["filed", "amended", "filed"]
        assert len(talk.told) == 2, "a number for each matter, not for each piece"


async def test_what_is_danger_to_life_does_not_wait_with_its_conversation(
    talking: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever judges urgency, filing asks the matter; here the word is 燃气."""

    def judged(*given: Any, **more: Any) -> HotlineMatter:
        found = compose(*given, **more)
        urgent = Urgency.IMMEDIATE if "燃气" in found.content else Urgency.ROUTINE
        return found.model_copy(update={"urgency": urgent})

    monkeypatch.setattr("gateway.filing.compose", judged)
    clock = Clock()
    async with talking(settle=60, clock=clock) as talk:
        await talk.says("家里燃气泄漏，很危险")
        assert await talk.events() == ["filed"]
        clock.now += timedelta(seconds=5)
        await talk.says("三号楼二单元")
        assert await talk.events() == ["filed", "amended"] and len(await talk.gateway.matters()) == 1
        await talk.says("路灯坏了", citizen="900000002")
        async with asyncio.timeout(10):
            while await talk.gateway.node.store.pending():
                await asyncio.sleep(0.01)
        assert len(talk.gateway.core.events) == 2, "others wait as ever"
        clock.now += timedelta(seconds=60) + GRACE
        assert await talk.events() == ["filed", "amended", "filed"]


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
