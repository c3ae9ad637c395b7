"""Weibo through the running gateway: answers that ride, and a Weibo that misbehaves in every way."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels.simulated import Ack, HttpDelivery
from channels.simulated.weibo import WeiboPeer
from channels.weibo import Weibo
from gateway import replies
from gateway.testing import RunningGateway, Start
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, FakeWeibo, balanced, replies_of

OLD_SECRET = "the-secret-before"


class City:
    """A gateway that writes back, Weibo around it, and the fans."""

    def __init__(self, gateway: RunningGateway, weibo: FakeWeibo) -> None:
        self.gateway, self.weibo = gateway, weibo
        self.settings = gateway.channel("weibo").settings
        self.peer = WeiboPeer("weibo", self.settings)
        self.at = datetime.now(UTC).replace(microsecond=0)

    def say(self, text: str, *, sender: str = "42", seconds: float = 0) -> HttpDelivery:
        return self.peer.say(text, sender=sender, message_id="1", at=self.at + timedelta(seconds=seconds))

    async def hear(self, *deliveries: HttpDelivery) -> list[str | None]:
        """Send them one after the other; the words that rode on each acknowledgement."""
        return [self.words(await delivery.send(self.gateway)) for delivery in deliveries]

    def words(self, ack: Ack) -> str | None:
        assert ack.ok, ack
        return self.peer.answered(ack)

    async def at_once(self, *deliveries: HttpDelivery) -> list[str | None]:
        acks = await asyncio.gather(*(delivery.send(self.gateway) for delivery in deliveries))
        return [self.words(ack) for ack in acks]

    def told(self) -> list[str]:
        """What citizens got by customer-service message."""
        return [json.loads(form["data"])["text"] for _, form in self.weibo.given]


@pytest.fixture
async def city(start_gateway: Start) -> AsyncIterator[City]:
    async with FakeWeibo("").running() as fake:

        def change(document: dict[str, Any]) -> None:
            document["replies"] = {"acknowledge": True}
            bases = {"api_base": fake.url, "upload_base": fake.url, "previous_app_secret": OLD_SECRET}
            document["channels"] = {"weibo": document["channels"]["weibo"] | bases}

        async with start_gateway(change) as gateway:
            fake.token = (gateway.secrets / "weibo-access-token").read_text()
            yield City(gateway, fake)


@pytest.fixture
def no_rides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer goes out by itself, at once."""
    monkeypatch.setattr(Weibo, "ride_seconds", 0.0)


async def test_the_same_message_three_times_gets_the_same_answer_and_one_reply(city: City) -> None:
    first = await city.hear(city.say("路灯不亮"))
    again = await city.at_once(city.say("路灯不亮"), city.say("路灯不亮"))
    assert await balanced(city.gateway) == {"filed": 1, "redelivered": 2}
    (matter,) = await city.gateway.matters()
    assert first[0] is not None and matter.tracking_code in first[0]
    assert first * 2 == again
    assert await replies_of(city.gateway) == [("sent", "rode")]
    assert city.weibo.calls == []


async def test_what_shares_a_second_is_parted_by_its_content(city: City) -> None:
    different = [
        city.say("路灯不亮"),
        city.say("路灯不亮，还漏水"),
        city.say("路灯不亮", sender="43"),
        city.peer.position("117.1", "36.6", sender="42", at=city.at),
        city.peer.position("117.2", "36.6", sender="42", at=city.at),
        city.peer.mention("路灯不亮", sender="42", at=city.at, key="35"),
        city.peer.mention("路灯不亮", sender="42", at=city.at, key="36"),
        city.peer.mention("路灯不亮", sender="42", at=city.at, subtype="comment", key="36"),
    ]
    await city.hear(*different)
    assert await balanced(city.gateway) == {"filed": len(different)}
    resigned = [city.say("路灯不亮"), city.peer.mention("路灯不亮", sender="42", at=city.at, key="36")]
    await city.hear(*different, *resigned)
    assert await balanced(city.gateway) == {"filed": len(different), "redelivered": len(different) + 2}


async def test_two_pictures_of_one_second_are_two_and_fetched(city: City) -> None:
    city.weibo.media |= {"11": b"\xff\xd8\xff\xe0" + bytes(60), "12": b"\x89PNG\r\n\x1a\n" + bytes(60)}
    await city.hear(*(city.peer.image(number, sender="42", at=city.at) for number in (11, 12, 11)))
    assert await balanced(city.gateway) == {"filed": 2, "redelivered": 1}
    found = {a.media_type: a.availability for m in await city.gateway.matters() for a in m.attachments}
    assert found == {"image/jpeg": "held", "image/png": "held"}


@pytest.mark.usefixtures("no_rides")
async def test_a_mention_may_be_answered_once(city: City) -> None:
    await city.hear(*(city.peer.mention("路灯不亮", sender="42", at=city.at, key=key) for key in ("35", "35")))
    await balanced(city.gateway)
    assert len(city.told()) == 1
    (matter,) = await city.gateway.matters()
    assert (matter.reply_route and matter.reply_route.remaining) == 1


@pytest.mark.usefixtures("no_rides")
async def test_who_has_unfollowed_is_written_to_again_once_he_writes(city: City) -> None:
    await city.hear(city.peer.event("unfollow", sender="42", at=city.at), city.say("路灯不亮"))
    assert await balanced(city.gateway) == {"notice": 1, "filed": 1}
    assert len(city.told()) == 1


# -- A Weibo whose REST interface misbehaves ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "state", "reason", "given"),
    [
        ([], "sent", None, 1),
        ([20015], "failed", "error_20015", 0),
        ([{"error_code": 20012}], "failed", "error_20012", 1),
        ([CUT], "unknown", "cut", 1),
        ([HTML], "unknown", "not_json", 1),
        ([BAD_GATEWAY], "unknown", "not_json", 1),
        ([HANG], "unknown", "TimeoutError", 1),
    ],
    ids=str,
)
@pytest.mark.usefixtures("no_rides")
async def test_a_reply_has_one_end_and_is_never_sent_twice(
    city: City, monkeypatch: pytest.MonkeyPatch, script: list[Any], state: str, reason: str | None, given: int
) -> None:
    monkeypatch.setattr(replies, "SEND_SECONDS", 0.5)
    city.weibo.script = script
    await city.hear(city.say("路灯不亮"))
    assert await balanced(city.gateway) == {"filed": 1}
    assert await replies_of(city.gateway) == [(state, reason)]
    assert len(city.weibo.given) == given


# -- A Weibo whose pushes misbehave ------------------------------------------------------------------------------------


async def redelivers(city: City) -> dict[str, int]:
    same = city.say("路灯不亮")
    await city.hear(same, same, city.say("路灯不亮"))
    return {"filed": 1, "redelivered": 2}


async def reorders(city: City) -> dict[str, int]:
    await city.hear(*(city.say(text, seconds=-number) for number, text in ((1, "三"), (3, "一"), (2, "二"), (3, "一"))))
    return {"filed": 3, "redelivered": 1}


async def delays_a_day(city: City) -> dict[str, int]:
    late = city.say("路灯不亮", seconds=-86400)
    stale = city.peer.raw(late.body, signed_at=city.at - timedelta(days=1))
    ack = await stale.send(city.gateway)
    assert not ack.ok and ack.status == 403, "its signature does not cover the body: it counts for five minutes"
    await city.hear(late, city.say("水管漏了"), city.say("路灯不亮", seconds=-86400))
    return {"filed": 2, "redelivered": 1}


async def truncates(city: City) -> dict[str, int]:
    """A cut body is bound to its signature: it is malformed, and the whole comes under the next signature."""
    whole = city.say("路灯不亮")
    ack = await dataclasses.replace(whole, body=whole.body[: len(whole.body) // 2]).send(city.gateway)
    assert ack.ok
    await city.hear(city.say("路灯不亮"))
    return {"malformed": 1, "filed": 1}


async def sends_twice_at_once(city: City) -> dict[str, int]:
    pairs = [city.say(f"第{number}件事", sender=str(number % 3 + 1)) for number in range(8) for _ in range(2)]
    heard = await city.at_once(*pairs)
    assert all(heard[n] == heard[n + 1] is not None for n in range(0, len(heard), 2))
    return {"filed": 8, "redelivered": 8}


async def changes_its_secret(city: City) -> dict[str, int]:
    before = WeiboPeer("weibo", city.settings.model_copy(update={"app_secret": city.settings.previous_app_secret}))
    for number in range(6):
        sender = (city.peer, before)[number % 2]
        await city.hear(sender.say(f"第{number}件事", sender="42", message_id="1", at=city.at))
    return {"filed": 6}


async def sends_events_between(city: City) -> dict[str, int]:
    names = ("follow", "click", "view", "scan", "hologram")
    events = [city.peer.event(name, sender="42", at=city.at) for name in names]
    await city.hear(events[0], city.say("路灯不亮"), *events[1:])
    return {"filed": 1, "notice": 5}


@pytest.mark.parametrize(
    "misbehaves",
    [
        redelivers,
        reorders,
        delays_a_day,
        truncates,
        sends_twice_at_once,
        changes_its_secret,
        sends_events_between,
    ],
    ids=lambda misbehaves: str(misbehaves.__name__),
)
async def test_each_message_has_one_outcome(
    city: City, misbehaves: Callable[[City], Awaitable[dict[str, int]]]
) -> None:
    expected = await misbehaves(city)
    assert await balanced(city.gateway) == expected
    states = [state for state, _ in await replies_of(city.gateway)]
    assert states == ["sent"] * expected["filed"]
