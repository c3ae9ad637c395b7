"""How does it stand? Told to him whose matter it is; whoever else knows the number hears what one hears of none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from channels.simulated.app import AppPeer
from gateway.testing import Start
from gateway.texts import STATES
from normalizer.model import HotlineMatter
from tests.test_fallback import City, opened

NUMBER = "900000001"
TOLD, UNKNOWN = STATES["filed"]["zh"], STATES["unknown"]["zh"]


async def asks(city: City, channel: str, sender: str, words: str) -> list[str]:
    """What somebody hears who asks, and that nobody else hears it."""
    city.heard.clear()
    said = city.peers[channel].say(words, sender=sender, message_id=str(uuid4().int % 10**15), at=datetime.now(UTC))
    ack = await said.send(city.gateway)
    assert ack.ok
    await city.gateway.settle()
    rode = city.peers[channel].answered(ack)
    assert all(kind == city.gateway.channel(channel).kind and sender[-6:] in to for kind, to, _ in city.heard)
    return [words for _, _, words in city.heard] + ([rode] if rode else [])


async def from_a_phone(city: City) -> HotlineMatter:
    """By the app, which says that the number is his."""
    app, digits = city.peers["app"], f"+8613{NUMBER}"
    assert isinstance(app, AppPeer)
    user = {"id": "u-1", "phone": digits, "phone_verified_at": "2026-03-01T08:00:00+08:00"}
    assert (await app.post({"user": user, "text": "路灯不亮"}, key="k").send(city.gateway)).ok
    await city.gateway.settle()
    return (await city.gateway.matters())[-1]


async def by_wechat(city: City) -> HotlineMatter:
    return await city.writes("wechat", NUMBER)


async def by_sms(city: City) -> HotlineMatter:
    return await city.writes("sms_aliyun", NUMBER)


async def joined(city: City) -> HotlineMatter:
    """By WeChat, from somebody who is known to use these too."""
    for channel in ("telegram", "sms_aliyun"):
        other = await city.writes(channel, NUMBER)
        await city.joins(await city.writes("wechat", NUMBER), other)
    return await city.writes("wechat", NUMBER)


CASES: dict[str, tuple[Callable[[City], Awaitable[HotlineMatter]], str, str, str]] = {
    "as he wrote": (by_wechat, "wechat", NUMBER, TOLD),
    "as he wrote, by SMS": (by_sms, "sms_aliyun", NUMBER, TOLD),
    "another follower": (by_wechat, "wechat", "900000002", UNKNOWN),
    "the same name on another channel": (by_wechat, "telegram", NUMBER, UNKNOWN),
    "another number": (by_sms, "sms_aliyun", "900000002", UNKNOWN),
    "a number that anybody can claim, of an app's user": (from_a_phone, "sms_aliyun", NUMBER, UNKNOWN),
    "another channel that is surely his": (joined, "telegram", NUMBER, TOLD),
    "a number of his that anybody can claim": (joined, "sms_aliyun", NUMBER, UNKNOWN),
}


@pytest.mark.parametrize(("files", "channel", "sender", "hears"), CASES.values(), ids=CASES)
async def test_who_is_told(
    start_gateway: Start, files: Callable[[City], Awaitable[HotlineMatter]], channel: str, sender: str, hears: str
) -> None:
    async with opened(start_gateway) as city:
        matter = await files(city)
        for words in (f"进度 {matter.tracking_code}", f"查询{matter.tracking_code}"):
            (told,) = await asks(city, channel, sender, words)
            assert told.endswith(hears) and matter.tracking_code in told
        if hears is UNKNOWN:
            (told,) = await asks(city, channel, sender, "进度 2611230000000014")
            assert told.endswith(UNKNOWN), "the same as of a number that nobody has"
        assert not any(TOLD in told for told in await asks(city, channel, sender, "进度")) or hears is TOLD
        assert (await city.gateway.books())["balanced"]
