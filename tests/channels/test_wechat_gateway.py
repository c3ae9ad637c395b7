"""WeChat through the running gateway: answers that ride, and a WeChat that misbehaves in every way."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels import wechat_api
from channels.simulated import Ack, HttpDelivery
from channels.simulated.wechat import WeChatPeer, envelope_xml, openid
from gateway import replies
from gateway.testing import RunningGateway, Start
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, FakeWeChat
from tests.channels.scenes import Books, Scene, Step, play, walk
from tests.handing import until

APP_ID = "wx0123456789abcdef"
OLD = {"previous_token": "the-token-before", "previous_encoding_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"}
#: Channels of the city, all of one account: answers ride, but not on the last two.
CHANNELS: dict[str, dict[str, Any]] = {
    "wechat": OLD,
    "clear": {"mode": "plain"},
    "alone": {},
    "templates": {"template_id": "tpl", "template_fields": {"keyword1": "code", "keyword2": "text"}},
}
ALONE = ("alone", "templates")
#: How long an acknowledgement waits for its answer here, seconds: no test shall fail on a busy machine.
PATIENT = 20.0


class City:
    """A gateway that writes back, WeChat around it, and the followers."""

    def __init__(self, gateway: RunningGateway, wechat: FakeWeChat) -> None:
        self.gateway, self.wechat, self.books = gateway, wechat, Books(gateway)
        self._citizens, self._ids = itertools.count(40), itertools.count(7_000_000_001)

    def follower(self, channel: str = "wechat") -> Follower:
        """Somebody who has not written before."""
        return Follower(self, WeChatPeer(channel, self.gateway.channel(channel).settings), str(next(self._citizens)))

    def next_id(self) -> str:
        return str(next(self._ids))

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """The pipeline does not get on within the block."""
        offload, free = self.gateway.node.pipeline._offload, asyncio.Event()
        normalize = offload.read

        async def waiting(*args: Any, **more: Any) -> Any:
            await free.wait()
            return await normalize(*args, **more)

        offload.read = waiting
        try:
            yield
        finally:
            free.set()
            offload.read = normalize

    async def unpacked(self) -> int:
        number: int = (await self.gateway.books())["unpacked"]
        return number


class Follower:
    """One citizen; what he does is sent by WeChat."""

    def __init__(self, city: City, peer: WeChatPeer, name: str) -> None:
        self.city, self.peer, self.name = city, peer, name

    def say(self, text: str, message_id: str = "", at: datetime | None = None) -> HttpDelivery:
        return self.peer.say(text, sender=self.name, message_id=message_id or self.city.next_id(), at=at or ago())

    def does(self, event: str, **fields: str) -> HttpDelivery:
        return self.peer.event(event, sender=self.name, at=ago(), **fields)

    async def hears(self, *deliveries: HttpDelivery) -> list[str | None]:
        """They come one after the other; the words that ride on each acknowledgement."""
        return [self.words(await delivery.send(self.city.gateway)) for delivery in deliveries]

    def words(self, ack: Ack) -> str | None:
        assert ack.ok, ack
        return self.peer.answered(ack)

    def told(self) -> list[str]:
        """What he got by customer-service message."""
        given = [body for call, body in self.city.wechat.given if call == "custom/send"]
        return [body["text"]["content"] for body in given if body["touser"] == openid(self.name)]


def ago(**time: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**time)


@asynccontextmanager
async def opened(start_gateway: Start) -> AsyncIterator[City]:
    fake = FakeWeChat(APP_ID, "")
    async with fake.running():

        def change(document: dict[str, Any]) -> None:
            common = document["channels"]["wechat"] | {"api_base": fake.url}
            document["channels"] = {name: common | more for name, more in CHANNELS.items()}
            document["replies"] = {"acknowledge": True}

        async with start_gateway(change) as gateway:
            fake._secret = (gateway.secrets / "wechat-app-secret").read_text()
            for name in CHANNELS:
                gateway.channel(name).ride_seconds = 0.0 if name in ALONE else PATIENT  # type: ignore[attr-defined]
            await gateway.node.pipeline._offload.warm()
            yield City(gateway, fake)


@pytest.fixture
async def city(start_gateway: Start, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[City]:
    monkeypatch.setitem(replies.Replies.__init__.__kwdefaults__ or {}, "first_seconds", 0.01)
    monkeypatch.setitem(wechat_api._LATER, -1, 0.0)
    async with opened(start_gateway) as city:
        yield city


# -- Answers that ride -------------------------------------------------------------------------------------------------


async def the_same_message_three_times(city: City) -> dict[str, int]:
    """Within five seconds; each acknowledgement brings the same words, and nothing else is sent."""
    citizen = city.follower()
    heard = await citizen.hears(*(citizen.say("路灯不亮", "7") for _ in range(3)))
    code = (await city.gateway.matters())[-1].tracking_code
    assert heard[0] is not None and code in heard[0]
    assert heard == heard[:1] * 3
    assert city.wechat.calls == []
    return {"filed": 1, "redelivered": 2}


async def in_plain_mode(city: City) -> dict[str, int]:
    citizen = city.follower("clear")
    (heard,) = await citizen.hears(citizen.say("路灯不亮"))
    assert heard is not None and (await city.gateway.matters())[-1].tracking_code in heard
    return {"filed": 1}


async def while_the_keys_are_changed(city: City) -> dict[str, int]:
    """WeChat reads an answer under the key of its question."""
    citizen, settings = city.follower(), city.gateway.channel("wechat").settings
    update = {"token": settings.previous_token, "encoding_aes_key": settings.previous_encoding_aes_key}
    before = Follower(city, WeChatPeer("wechat", settings.model_copy(update=update)), citizen.name)
    for asking in (citizen, before, citizen, before):
        (heard,) = await asking.hears(asking.say("又一件事"))
        assert heard is not None
    assert await city.gateway.refused("wechat") == {}
    return {"filed": 4}


async def a_slow_pipeline(city: City) -> dict[str, int]:
    """``success`` after the time that a ride may take; then the answer comes by itself, once."""
    citizen, channel = city.follower(), city.gateway.channel("wechat")
    channel.ride_seconds = 0.1  # type: ignore[attr-defined]
    async with city.held_up():
        assert await citizen.hears(citizen.say("路灯不亮", "8"), citizen.say("路灯不亮", "8")) == [None, None]
        assert city.wechat.calls == []
    await city.gateway.settle()
    channel.ride_seconds = PATIENT  # type: ignore[attr-defined]
    (told,) = citizen.told()
    assert (await city.gateway.matters())[-1].tracking_code in told
    assert await citizen.hears(citizen.say("路灯不亮", "8")) == [None], "he has it already"
    assert len(citizen.told()) == 1
    return {"filed": 1, "redelivered": 2}


# -- A WeChat whose pushes misbehave -----------------------------------------------------------------------------------


async def redelivers_and_reorders(city: City) -> dict[str, int]:
    citizen = city.follower()
    await citizen.hears(*(citizen.say(text, f"9{text}") for text in ("3", "1", "2", "1", "3", "3")))
    return {"filed": 3, "redelivered": 3}


async def delays_a_day(city: City) -> dict[str, int]:
    citizen = city.follower()
    xml = envelope_xml("text", {"Content": "路灯不亮", "MsgId": "91"}, sender=citizen.name, at=ago(hours=24))
    late, signed_anew = citizen.peer.raw_xml(xml, signed_at=ago(hours=24)), citizen.peer.raw_xml(xml)
    await citizen.hears(citizen.say("水管漏了"), late, signed_anew)
    return {"filed": 2, "redelivered": 1}


async def truncates(city: City) -> dict[str, int]:
    citizen = city.follower()
    whole = citizen.say("路灯不亮")
    for length in (0, 10, len(whole.body) // 2, len(whole.body) - 1):
        ack = await dataclasses.replace(whole, body=whole.body[:length]).send(city.gateway)
        assert not ack.ok and ack.status == 403
    await citizen.hears(whole)
    return {"filed": 1}


async def truncates_before_it_encrypts(city: City) -> dict[str, int]:
    citizen = city.follower()
    xml = envelope_xml("text", {"Content": "路灯不亮", "MsgId": "92"}, sender=citizen.name, at=ago())
    async with asyncio.timeout(PATIENT / 2):  # what cannot be read is acknowledged without waiting for an answer
        heard = await citizen.hears(citizen.peer.raw_xml(xml[: len(xml) // 2]), citizen.peer.raw_xml(xml))
    assert heard[0] is None and heard[1] is not None
    return {"malformed": 1, "filed": 1}


async def sends_twice_at_once(city: City) -> dict[str, int]:
    """A copy that is read before the first is filed may hear nothing; nobody hears something else."""
    citizens = [city.follower() for _ in range(5)]
    twice = [(citizen, delivery) for citizen in citizens for delivery in [citizen.say("路灯不亮")] * 2]
    acks = await asyncio.gather(*(delivery.send(city.gateway) for _, delivery in twice))
    heard = [citizen.words(ack) for (citizen, _), ack in zip(twice, acks, strict=True)]
    for first, second in zip(heard[::2], heard[1::2], strict=True):
        assert {first, second} - {None} and len({first, second} - {None}) == 1
    return {"filed": 5, "redelivered": 5}


async def says_otherwise_under_one_id(city: City) -> dict[str, int]:
    citizen = city.follower()
    await citizen.hears(citizen.say("路灯不亮", "93"), citizen.say("路灯不亮，已有人摔伤", "93"))
    return {"filed": 2}


async def sends_events_between(city: City) -> dict[str, int]:
    citizen = city.follower()
    events = [citizen.does(name) for name in ("subscribe", "CLICK", "VIEW", "subscribe", "hologram")]
    await citizen.hears(events[0], citizen.say("路灯不亮"), *events[1:])
    return {"filed": 1, "notice": 5}


async def cuts_the_line_and_tries_again(city: City) -> dict[str, int]:
    citizen, before = city.follower(), await city.unpacked()
    async with city.held_up():
        for number in (1, 2):
            sending = asyncio.create_task(citizen.say("路灯不亮", "94").send(city.gateway))
            await until(lambda wanted=before + number: _reached(city, wanted))  # type: ignore[misc]
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    await city.gateway.settle()
    await citizen.hears(citizen.say("路灯不亮", "94"))
    return {"filed": 1, "redelivered": 2}


async def _reached(city: City, number: int) -> bool:
    return await city.unpacked() >= number


SCENES: tuple[Scene[City], ...] = (
    the_same_message_three_times,
    in_plain_mode,
    while_the_keys_are_changed,
    a_slow_pipeline,
    redelivers_and_reorders,
    delays_a_day,
    truncates,
    truncates_before_it_encrypts,
    sends_twice_at_once,
    says_otherwise_under_one_id,
    sends_events_between,
    cuts_the_line_and_tries_again,
)


async def test_whatever_wechat_does_each_message_has_one_outcome_and_each_matter_one_answer(city: City) -> None:
    await play(city, SCENES, answered=True)


# -- A WeChat whose REST interface misbehaves --------------------------------------------------------------------------


STEPS = {
    "all is well": Step([], ("sent", None), 1),
    "the token is refused": Step([40001], ("sent", None), 1),
    "busy, then well": Step([-1], ("sent", None), 1),
    "out of the window": Step([45015], ("failed", "errcode_45015"), 0),
    "no follower": Step([43004], ("failed", "errcode_43004"), 0),
    "cut after it was taken": Step([CUT], ("unknown", "cut"), 1),
    "HTML": Step([HTML], ("unknown", "not_json"), 1),
    "502": Step([BAD_GATEWAY], ("unknown", "status_502"), 1),
    "no answer": Step([HANG], ("unknown", "TimeoutError"), 1),
}


async def test_whatever_the_rest_interface_does_a_reply_has_one_end_and_is_never_sent_twice(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "SEND_SECONDS", 3.0)

    async def speaks() -> None:
        citizen = city.follower("alone")
        assert await citizen.hears(citizen.say("路灯不亮")) == [None]

    await walk(city, STEPS, city.wechat, city.wechat.given, speaks)
    raw = await city.gateway.node.store.state("alone", "access_token")
    assert raw is not None and json.loads(raw)["value"] == city.wechat.token


# -- What WeChat tells, and what it keeps for us -----------------------------------------------------------------------


async def test_reports_an_unfollowing_and_a_picture(city: City) -> None:
    for status, state in (("success", "delivered"), ("failed:user block", "failed")):
        city.wechat.script = [45047]
        citizen = city.follower("templates")
        await citizen.hears(citizen.say("路灯不亮"))
        await city.gateway.settle()
        await citizen.hears(citizen.does("TEMPLATESENDJOBFINISH", MsgID=str(city.wechat.numbers), Status=status))
        came = await city.books.came()
        assert (came.outcomes, [state for state, _ in came.replies]) == ({"filed": 1, "notice": 1}, [state])

    # Who unfollows is not written to until he writes again.
    citizen, before = city.follower("alone"), await city.unpacked()
    async with city.held_up():
        steps = citizen.say("路灯不亮", at=ago(seconds=2)), citizen.does("unsubscribe")
        for number, delivery in enumerate(steps, start=1):
            await citizen.hears(delivery)
            await until(lambda wanted=before + number: _reached(city, wanted))  # type: ignore[misc]
    assert (await city.books.came()).replies == [("failed", "unsubscribe")]
    await citizen.hears(citizen.say("又坏了"))
    assert (await city.books.came()).replies == [("sent", None)]
    assert len(citizen.told()) == 1

    city.wechat.media["m1"] = b"\xff\xd8\xff\xe0" + bytes(60)
    await citizen.hears(citizen.peer.image("m1", sender=citizen.name, message_id="95", at=ago()))
    await city.books.came()
    (picture,) = (await city.gateway.matters())[-1].attachments
    assert (picture.availability, picture.media_type, picture.size) == ("held", "image/jpeg", 64)
