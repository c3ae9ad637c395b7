"""WeChat through the running gateway: answers that ride, and a WeChat that misbehaves in every way."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels import wechat_api
from channels.simulated import Ack, HttpDelivery
from channels.simulated.wechat import WeChatPeer, envelope_xml, openid
from channels.wechat import WeChat
from gateway import replies
from gateway.testing import RunningGateway, Start
from normalizer.model import HotlineMatter
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, FakeWeChat, balanced, replies_of
from tests.handing import until

APP_ID = "wx0123456789abcdef"


class City:
    """A gateway that writes back, WeChat around it, and the followers."""

    def __init__(self, gateway: RunningGateway, wechat: FakeWeChat) -> None:
        self.gateway, self.wechat = gateway, wechat
        self.settings = gateway.channel("wechat").settings
        self.peer = WeChatPeer("wechat", self.settings)

    def say(self, text: str, number: int = 1, sender: str = "42", at: datetime | None = None) -> HttpDelivery:
        moment = at or datetime.now(UTC).replace(microsecond=0)
        return self.peer.say(text, sender=sender, message_id=str(7_000_000_000 + number), at=moment)

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
        return [body["text"]["content"] for call, body in self.wechat.given if call == "custom/send"]


@pytest.fixture
async def city(start_gateway: Start, request: pytest.FixtureRequest) -> AsyncIterator[City]:
    """Its indirect parameter is laid over the channel's settings."""
    async with running(start_gateway, **getattr(request, "param", {})) as city:
        yield city


@asynccontextmanager
async def running(start_gateway: Start, **more: Any) -> AsyncIterator[City]:
    fake = FakeWeChat(APP_ID, "")
    async with fake.running():

        def change(document: dict[str, Any]) -> None:
            document["replies"] = {"acknowledge": True}
            document["channels"] = {"wechat": document["channels"]["wechat"] | {"api_base": fake.url} | more}

        async with start_gateway(change) as gateway:
            fake._secret = (gateway.secrets / "wechat-app-secret").read_text()
            yield City(gateway, fake)


@pytest.fixture
def no_rides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer goes out by itself, at once."""
    monkeypatch.setattr(WeChat, "ride_seconds", 0.0)


async def code_of(city: City) -> str:
    (matter,) = await city.gateway.matters()
    return matter.tracking_code


# -- Answers that ride -------------------------------------------------------------------------------------------------


async def test_the_same_message_three_times_gets_the_same_answer_and_one_reply(city: City) -> None:
    first = await city.hear(city.say("路灯不亮"))
    again = await city.at_once(city.say("路灯不亮"), city.say("路灯不亮"))
    assert await balanced(city.gateway) == {"filed": 1, "redelivered": 2}
    assert first[0] is not None and await code_of(city) in first[0]
    assert first * 2 == again
    assert await replies_of(city.gateway) == [("sent", "rode")]
    assert city.wechat.calls == []


async def test_three_at_once_get_one_answer(city: City) -> None:
    heard = await city.at_once(*(city.say("路灯不亮") for _ in range(3)))
    assert await balanced(city.gateway) == {"filed": 1, "redelivered": 2}
    assert heard.count(heard[0]) == 3 and heard[0] is not None
    assert await replies_of(city.gateway) == [("sent", "rode")]
    assert city.wechat.calls == []


@pytest.mark.parametrize("city", [{"mode": "plain"}], indirect=True)
async def test_in_plain_mode_it_rides_in_the_clear(city: City) -> None:
    (heard,) = await city.hear(city.say("路灯不亮"))
    await balanced(city.gateway)
    assert heard is not None and await code_of(city) in heard


@asynccontextmanager
async def held_up(city: City) -> AsyncIterator[None]:
    """The pipeline does not get on within the block."""
    offload, free = city.gateway.node.pipeline._offload, asyncio.Event()
    normalize = offload.normalize

    async def waiting(*args: Any, **more: Any) -> Any:
        await free.wait()
        return await normalize(*args, **more)

    offload.normalize = waiting  # type: ignore[method-assign]
    try:
        yield
    finally:
        free.set()
        offload.normalize = normalize  # type: ignore[method-assign]


async def test_a_slow_pipeline_says_success_and_the_answer_comes_by_itself_once(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WeChat, "ride_seconds", 0.2)
    async with held_up(city):
        assert await city.hear(city.say("路灯不亮"), city.say("路灯不亮")) == [None, None]
        assert city.wechat.calls == []
    assert await balanced(city.gateway) == {"filed": 1, "redelivered": 1}
    (told,) = city.told()
    assert await code_of(city) in told
    assert await replies_of(city.gateway) == [("sent", None)]
    assert await city.hear(city.say("路灯不亮")) == [None], "he has it already"
    assert len(city.told()) == 1


async def test_words_about_how_it_stands_ride_too(city: City) -> None:
    await city.hear(city.say("路灯不亮"))
    code = await code_of(city)
    (heard,) = await city.hear(city.say(f"进度 {code}", 2))
    assert await balanced(city.gateway) == {"filed": 1, "answered": 1}
    assert heard is not None and code in heard and "已收到" in heard


async def test_pieces_of_a_conversation_are_one_matter(start_gateway: Start) -> None:
    fake = FakeWeChat(APP_ID, "")
    async with fake.running():

        def change(document: dict[str, Any]) -> None:
            document["dedupe"] = {"settle_seconds": 0.5}
            document["channels"] = {"wechat": document["channels"]["wechat"] | {"api_base": fake.url}}

        async with start_gateway(change) as gateway:
            city = City(gateway, fake)
            await city.hear(city.say("您好"), city.say("小区门口的路灯", 2), city.say("坏了一周", 3))
            assert await balanced(gateway) == {"filed": 1, "attached": 2}


# -- Events ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_rides")
async def test_who_unfollows_is_not_written_to_until_he_writes_again(city: City) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    async with held_up(city):
        await city.hear(city.say("路灯不亮"))
        await city.hear(city.peer.event("unsubscribe", sender="42", at=at))
        await until(lambda: _unpacked(city, 2))
    assert await balanced(city.gateway) == {"filed": 1, "notice": 1}
    assert [state for state, _ in await replies_of(city.gateway)] == ["failed"]
    await city.hear(city.say("又坏了", 2))
    await balanced(city.gateway)
    assert len(city.told()) == 1


async def _unpacked(city: City, number: int) -> bool:
    books = await city.gateway.books()
    return bool(books["unpacked"] == number)


TEMPLATE = {"template_id": "tpl", "template_fields": {"keyword1": "code", "keyword2": "text"}}


@pytest.mark.parametrize("city", [TEMPLATE], indirect=True)
@pytest.mark.parametrize(("status", "state"), [("success", "delivered"), ("failed:user block", "failed")])
@pytest.mark.usefixtures("no_rides")
async def test_what_became_of_a_template_is_written_down(city: City, status: str, state: str) -> None:
    city.wechat.script = [45047]
    await city.hear(city.say("路灯不亮"))
    await balanced(city.gateway)
    assert await replies_of(city.gateway) == [("sent", None)]
    fields = {"MsgID": str(city.wechat.numbers), "Status": status}
    at = datetime.now(UTC).replace(microsecond=0)
    await city.hear(city.peer.event("TEMPLATESENDJOBFINISH", sender="42", at=at, **fields))
    assert await balanced(city.gateway) == {"filed": 1, "notice": 1}
    assert [found for found, _ in await replies_of(city.gateway)] == [state]


# -- A WeChat whose REST interface misbehaves --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "state", "reason", "given"),
    [
        ([], "sent", None, 1),
        ([40001], "sent", None, 1),
        ([45015], "failed", "errcode_45015", 0),
        ([43004], "failed", "errcode_43004", 0),
        ([CUT], "unknown", "cut", 1),
        ([HTML], "unknown", "not_json", 1),
        ([BAD_GATEWAY], "unknown", "status_502", 1),
        ([HANG], "unknown", "TimeoutError", 1),
        ([-1], "sent", None, 1),
    ],
    ids=str,
)
@pytest.mark.usefixtures("no_rides")
async def test_a_reply_has_one_end_and_is_never_sent_twice(
    city: City, monkeypatch: pytest.MonkeyPatch, script: list[Any], state: str, reason: str | None, given: int
) -> None:
    monkeypatch.setattr(replies, "SEND_SECONDS", 0.5)
    monkeypatch.setitem(wechat_api._LATER, -1, 0.0)
    city.wechat.script = script
    await city.hear(city.say("路灯不亮"))
    assert await balanced(city.gateway) == {"filed": 1}
    assert await replies_of(city.gateway) == [(state, "busy" if script == [-1] else reason)]
    assert len(city.wechat.given) == given


# -- A WeChat whose pushes misbehave -----------------------------------------------------------------------------------


def ago(**time: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**time)


async def redelivers(city: City) -> dict[str, int]:
    await city.hear(*(city.say("路灯不亮") for _ in range(3)))
    return {"filed": 1, "redelivered": 2}


async def reorders(city: City) -> dict[str, int]:
    await city.hear(*(city.say(text, number) for number, text in ((3, "三"), (1, "一"), (2, "二"), (1, "一"))))
    return {"filed": 3, "redelivered": 1}


async def delays_a_day(city: City) -> dict[str, int]:
    xml = envelope_xml("text", {"Content": "路灯不亮", "MsgId": "9"}, sender="42", at=ago(hours=24))
    await city.hear(city.say("水管漏了", 2), city.peer.raw_xml(xml, signed_at=ago(hours=24)), city.peer.raw_xml(xml))
    return {"filed": 2, "redelivered": 1}


async def truncates(city: City) -> dict[str, int]:
    whole = city.say("路灯不亮")
    for length in (0, 10, len(whole.body) // 2, len(whole.body) - 1):
        ack = await dataclasses.replace(whole, body=whole.body[:length]).send(city.gateway)
        assert not ack.ok and ack.status == 403
    await city.hear(whole)
    return {"filed": 1}


async def truncates_within(city: City) -> dict[str, int]:
    xml = envelope_xml("text", {"Content": "路灯不亮", "MsgId": "9"}, sender="42", at=ago())
    assert await city.hear(city.peer.raw_xml(xml[: len(xml) // 2]), city.peer.raw_xml(xml)) != [None, None]
    return {"malformed": 1, "filed": 1}


async def sends_twice_at_once(city: City) -> dict[str, int]:
    pairs = [city.say(f"第{number}件事", number, sender=str(number % 3)) for number in range(1, 9) for _ in range(2)]
    heard = await city.at_once(*pairs)
    assert all(heard[n] == heard[n + 1] is not None for n in range(0, len(heard), 2))
    return {"filed": 8, "redelivered": 8}


async def says_otherwise_under_one_id(city: City) -> dict[str, int]:
    await city.hear(city.say("路灯不亮"), city.say("路灯不亮，已有人摔伤"))
    return {"filed": 2}


async def sends_events_between(city: City) -> dict[str, int]:
    events = [city.peer.event(name, sender="42", at=ago()) for name in ("subscribe", "CLICK", "VIEW", "subscribe")]
    await city.hear(events[0], city.say("路灯不亮"), *events[1:])
    return {"filed": 1, "notice": 4}


async def goes_away_before_the_answer(city: City) -> dict[str, int]:
    """It cuts the connection after five seconds; what it sends again gets the answer."""
    async with held_up(city):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await city.say("路灯不亮").send(city.gateway)
        await until(lambda: _unpacked(city, 2))
    (heard,) = await city.hear(city.say("路灯不亮"))
    assert heard is not None
    return {"filed": 1, "redelivered": 2}


@pytest.mark.parametrize(
    "misbehaves",
    [
        redelivers,
        reorders,
        delays_a_day,
        truncates,
        truncates_within,
        sends_twice_at_once,
        says_otherwise_under_one_id,
        sends_events_between,
        goes_away_before_the_answer,
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


@pytest.fixture
async def rotating(start_gateway: Start) -> AsyncIterator[City]:
    old = {
        "previous_token": "the-token-before",
        "previous_encoding_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    }
    async with running(start_gateway, **old) as city:
        yield city


async def test_while_the_keys_are_changed_nothing_is_refused(rotating: City) -> None:
    present = rotating.settings
    update = {"token": present.previous_token, "encoding_aes_key": present.previous_encoding_aes_key}
    before = WeChatPeer("wechat", present.model_copy(update=update))
    heard = []
    for number in range(6):
        sender = (rotating.peer, before)[number % 2]
        delivery = sender.say(f"第{number}件事", sender="42", message_id=f"{number + 1}", at=ago())
        ack = await delivery.send(rotating.gateway)
        assert ack.ok
        heard.append(sender.answered(ack))
    assert await balanced(rotating.gateway) == {"filed": 6}
    assert None not in heard
    assert await rotating.gateway.refused("wechat") == {}


async def test_a_picture_is_fetched_and_kept(city: City) -> None:
    city.wechat.media["m1"] = b"\xff\xd8\xff\xe0" + bytes(60)
    await city.hear(city.peer.image("m1", sender="42", message_id="9", at=ago()))
    assert await balanced(city.gateway) == {"filed": 1}
    matters: list[HotlineMatter] = await city.gateway.matters()
    (picture,) = matters[0].attachments
    assert (picture.availability, picture.media_type, picture.size) == ("held", "image/jpeg", 64)


async def test_the_state_holds_the_token_and_nothing_else_does(city: City) -> None:
    city.wechat.media["m1"] = b"\xff\xd8\xff\xe0"
    await city.hear(city.peer.image("m1", sender="42", message_id="9", at=ago()))
    await balanced(city.gateway)
    raw = await city.gateway.node.store.state("wechat", "access_token")
    assert raw is not None and json.loads(raw)["value"] == "token_1"
    assert openid("42") not in raw
