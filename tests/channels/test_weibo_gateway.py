"""Weibo through the running gateway: answers that ride, and a Weibo that misbehaves in every way."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels.simulated import Ack, HttpDelivery
from channels.simulated.weibo import WeiboPeer
from gateway import replies
from gateway.testing import RunningGateway, Start
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, FakeWeibo
from tests.channels.scenes import Books, Scene, Step, play, walk

#: Answers ride on the first and go by themselves on the second.
CHANNELS: dict[str, dict[str, Any]] = {"weibo": {"previous_app_secret": "the-secret-before"}, "alone": {}}


class City:
    """A gateway that writes back, Weibo around it, and the fans."""

    def __init__(self, gateway: RunningGateway, weibo: FakeWeibo) -> None:
        self.gateway, self.weibo, self.books = gateway, weibo, Books(gateway)
        self._citizens = itertools.count(2489518277)

    def fan(self, channel: str = "weibo") -> Fan:
        """Somebody who has not written before."""
        return Fan(self, WeiboPeer(channel, self.gateway.channel(channel).settings), str(next(self._citizens)))


class Fan:
    """One citizen; what he does is sent by Weibo."""

    def __init__(self, city: City, peer: WeiboPeer, name: str) -> None:
        self.city, self.peer, self.name = city, peer, name
        self.at = datetime.now(UTC).replace(microsecond=0)

    def say(self, text: str, seconds: float = 0) -> HttpDelivery:
        return self.peer.say(text, sender=self.name, message_id="1", at=self.at + timedelta(seconds=seconds))

    def does(self, event: str) -> HttpDelivery:
        return self.peer.event(event, sender=self.name, at=self.at)

    def mentions(self, text: str, key: str, subtype: str = "status") -> HttpDelivery:
        return self.peer.mention(text, sender=self.name, at=self.at, subtype=subtype, key=key)

    async def hears(self, *deliveries: HttpDelivery) -> list[str | None]:
        """They come one after the other; the words that ride on each acknowledgement."""
        return [self.words(await delivery.send(self.city.gateway)) for delivery in deliveries]

    def words(self, ack: Ack) -> str | None:
        assert ack.ok, ack
        return self.peer.answered(ack)

    def told(self) -> list[str]:
        """What he got by customer-service message."""
        given = [form for _, form in self.city.weibo.given if form["receiver_id"] == self.name]
        return [json.loads(form["data"])["text"] for form in given]


@pytest.fixture
async def city(start_gateway: Start) -> AsyncIterator[City]:
    async with FakeWeibo("").running() as fake:

        def change(document: dict[str, Any]) -> None:
            common = document["channels"]["weibo"] | {"api_base": fake.url, "upload_base": fake.url}
            document["channels"] = {name: common | more for name, more in CHANNELS.items()}
            document["replies"] = {"acknowledge": True}

        async with start_gateway(change) as gateway:
            fake.token = (gateway.secrets / "weibo-access-token").read_text()
            # No test shall fail on a busy machine.
            gateway.channel("weibo").ride_seconds = 20.0  # type: ignore[attr-defined]
            gateway.channel("alone").ride_seconds = 0.0  # type: ignore[attr-defined]
            await gateway.node.pipeline._offload.warm()
            yield City(gateway, fake)


async def the_same_message_three_times(city: City) -> dict[str, int]:
    """The same words each time, freshly signed or not, and nothing else is sent."""
    citizen = city.fan()
    same = citizen.say("路灯不亮")
    heard = await citizen.hears(same, same, citizen.say("路灯不亮"))
    assert heard[0] is not None and (await city.gateway.matters())[-1].tracking_code in heard[0]
    assert heard == heard[:1] * 3
    assert city.weibo.calls == []
    return {"filed": 1, "redelivered": 2}


async def different_ones_within_a_second(city: City) -> dict[str, int]:
    """There is no id: type and content part them, and tell what is the same."""
    citizen, other = city.fan(), city.fan()
    different = [
        citizen.say("路灯不亮"),
        citizen.say("路灯不亮，还漏水"),
        citizen.peer.position("117.1", "36.6", sender=citizen.name, at=citizen.at),
        citizen.peer.position("117.2", "36.6", sender=citizen.name, at=citizen.at),
        citizen.mentions("路灯不亮", "35"),
        citizen.mentions("路灯不亮", "36"),
        citizen.mentions("路灯不亮", "36", "comment"),
    ]
    await citizen.hears(*different, *different, citizen.say("路灯不亮"), citizen.mentions("路灯不亮", "36"))
    await other.hears(other.say("路灯不亮"))
    return {"filed": len(different) + 1, "redelivered": len(different) + 2}


async def two_pictures_within_a_second(city: City) -> dict[str, int]:
    citizen = city.fan()
    city.weibo.media |= {"11": b"\xff\xd8\xff\xe0" + bytes(60), "12": b"\x89PNG\r\n\x1a\n" + bytes(60)}
    await citizen.hears(*(citizen.peer.image(n, sender=citizen.name, at=citizen.at) for n in (11, 12, 11)))
    await city.gateway.settle()
    found = [a for m in (await city.gateway.matters())[-2:] for a in m.attachments]
    assert [(a.media_type, a.availability) for a in found] == [("image/jpeg", "held"), ("image/png", "held")]
    return {"filed": 2, "redelivered": 1}


async def redelivers_and_reorders(city: City) -> dict[str, int]:
    citizen = city.fan()
    await citizen.hears(*(citizen.say(text, -number) for number, text in ((1, "三"), (3, "一"), (2, "二"), (3, "一"))))
    return {"filed": 3, "redelivered": 1}


async def delays_a_day(city: City) -> dict[str, int]:
    """An old signature, which does not cover the body, is not believed; Weibo signs each try anew."""
    citizen = city.fan()
    late = citizen.say("路灯不亮", -86400)
    ack = await citizen.peer.raw(late.body, signed_at=citizen.at - timedelta(days=1)).send(city.gateway)
    assert not ack.ok and ack.status == 403
    await citizen.hears(late, citizen.say("水管漏了"), citizen.say("路灯不亮", -86400))
    return {"filed": 2, "redelivered": 1}


async def truncates(city: City) -> dict[str, int]:
    """The cut one is bound to its signature; the whole one comes under the next."""
    citizen = city.fan("alone")
    whole = citizen.say("路灯不亮")
    (cut,) = await citizen.hears(dataclasses.replace(whole, body=whole.body[: len(whole.body) // 2]))
    assert cut is None and not (await whole.send(city.gateway)).ok
    await citizen.hears(citizen.say("路灯不亮"))
    return {"malformed": 1, "filed": 1}


async def sends_twice_at_once(city: City) -> dict[str, int]:
    """A copy that is read before the first is filed may hear nothing; nobody hears something else."""
    citizens = [city.fan() for _ in range(5)]
    twice = [(citizen, citizen.say("路灯不亮")) for citizen in citizens for _ in range(2)]
    acks = await asyncio.gather(*(delivery.send(city.gateway) for _, delivery in twice))
    heard = [citizen.words(ack) for (citizen, _), ack in zip(twice, acks, strict=True)]
    for first, second in zip(heard[::2], heard[1::2], strict=True):
        assert {first, second} - {None} and len({first, second} - {None}) == 1
    return {"filed": 5, "redelivered": 5}


async def changes_its_secret(city: City) -> dict[str, int]:
    citizen, settings = city.fan(), city.gateway.channel("weibo").settings
    before = WeiboPeer("weibo", settings.model_copy(update={"app_secret": settings.previous_app_secret}))
    refused = await city.gateway.refused("weibo")
    for number in range(4):
        peer = (citizen.peer, before)[number % 2]
        await citizen.hears(peer.say(f"第{number}件事", sender=citizen.name, message_id="1", at=citizen.at))
    assert await city.gateway.refused("weibo") == refused
    return {"filed": 4}


async def sends_events_between(city: City) -> dict[str, int]:
    citizen = city.fan()
    events = [citizen.does(name) for name in ("follow", "click", "view", "scan", "hologram")]
    await citizen.hears(events[0], citizen.say("路灯不亮"), *events[1:])
    return {"filed": 1, "notice": 5}


async def one_answer_to_a_mention(city: City) -> dict[str, int]:
    citizen = city.fan("alone")
    await citizen.hears(citizen.mentions("路灯不亮", "35"), citizen.mentions("路灯不亮", "35"))
    await city.gateway.settle()
    route = (await city.gateway.matters())[-1].reply_route
    assert route is not None and route.remaining == 1
    assert len(citizen.told()) == 1
    return {"filed": 1, "redelivered": 1}


async def he_unfollows_and_writes_again(city: City) -> dict[str, int]:
    citizen = city.fan("alone")
    await citizen.hears(citizen.does("unfollow"), citizen.say("路灯不亮"))
    await city.gateway.settle()
    assert len(citizen.told()) == 1
    return {"notice": 1, "filed": 1}


SCENES: tuple[Scene[City], ...] = (
    the_same_message_three_times,
    different_ones_within_a_second,
    two_pictures_within_a_second,
    redelivers_and_reorders,
    delays_a_day,
    truncates,
    sends_twice_at_once,
    changes_its_secret,
    sends_events_between,
    one_answer_to_a_mention,
    he_unfollows_and_writes_again,
)


async def test_whatever_weibo_does_each_message_has_one_outcome_and_each_matter_one_answer(city: City) -> None:
    await play(city, SCENES, answered=True)


STEPS = {
    "all is well": Step([], ("sent", None), 1),
    "refused": Step([20015], ("failed", "error_20015"), 0),
    "an error inside 200": Step([{"error_code": 20012}], ("failed", "error_20012"), 1),
    "cut after it was taken": Step([CUT], ("unknown", "cut"), 1),
    "HTML": Step([HTML], ("unknown", "not_json"), 1),
    "502": Step([BAD_GATEWAY], ("unknown", "not_json"), 1),
    "no answer": Step([HANG], ("unknown", "TimeoutError"), 1),
}


async def test_whatever_the_rest_interface_does_a_reply_has_one_end_and_is_never_sent_twice(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "SEND_SECONDS", 3.0)

    async def speaks() -> None:
        citizen = city.fan("alone")
        assert await citizen.hears(citizen.say("路灯不亮")) == [None]

    await walk(city, STEPS, city.weibo, city.weibo.given, speaks)
