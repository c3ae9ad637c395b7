"""Weibo: what each push opens, and what becomes of a reply and of a picture, whatever Weibo's REST interface does."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote

import pytest
import structlog

from channels import rest, weibo_api
from channels.base import File, Request
from channels.errors import ChannelError, Missing, NotSent, Unauthenticated, Unavailable, Uncertain, Undeliverable
from channels.simulated import Ack, HttpDelivery
from channels.simulated.weibo import ACCOUNT, WeiboPeer
from channels.weibo import Weibo, WeiboSettings
from normalizer.model import AttachmentKind, ContactType, Message, Notice, Parsed
from normalizer.reply import Limit, Outgoing, Sent
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, LIST, NOTHING, SLOW, FakeWeibo, Notes, outgoing

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
TOKEN, OLD, NEW = "2.00AbCdEfGhIjKl", "7e01cbb7b3a4b1f4c0", "8e01cbb7b3a4b1f4c1"

reply: Callable[..., Outgoing] = partial(outgoing, ContactType.WEIBO, "2489518277", str(ACCOUNT))


def channel(base: str = "https://m.api.weibo.com", **more: Any) -> Weibo:
    chosen = {"app_secret": NEW, "access_token": TOKEN, "api_base": base, "upload_base": base}
    return Weibo("weibo", WeiboSettings.model_validate(chosen | more))


PEER = WeiboPeer("weibo", channel().settings)


@pytest.fixture
async def weibo() -> AsyncIterator[FakeWeibo]:
    async with FakeWeibo(TOKEN).running() as fake:
        yield fake


def request(delivery: HttpDelivery) -> Request:
    path, _, query = delivery.target.partition("?")
    return Request(delivery.method, path, query, (), delivery.body, "192.0.2.1", "", NOW)


def parsed(delivery: HttpDelivery, by: Weibo) -> Parsed:
    asked = request(delivery)
    return by.parse(by.envelope(asked.body, asked.received_at, asked.query, by.authenticate(asked)))


def pushed(kind: str, **data: Any) -> Parsed:
    body = {"type": kind, "receiver_id": ACCOUNT, "sender_id": 2489518277, "text": "路灯", "data": data}
    return parsed(PEER.raw(json.dumps(body).encode(), signed_at=NOW), channel())


# -- What a push opens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "opens", "answer_to"),
    [
        ("text", {}, "message", None),
        ("position", {"longitude": "116.3", "latitude": "39.9"}, "message", None),
        ("voice", {"tovfid": 1}, "message", None),
        ("image", {"tovfid": 1}, "message", None),
        ("hologram", {"tovfid": 1}, "message", None),
        ("mention", {"subtype": "status", "key": "35"}, "mention", "status:35"),
        ("mention", {"subtype": "comment", "key": 36}, "mention", "comment:36"),
        ("mention", {"key": "35"}, "mention", None),
    ],
)
def test_messages(kind: str, data: dict[str, Any], opens: str, answer_to: str | None) -> None:
    found = pushed(kind, **data)
    assert isinstance(found, tuple) and isinstance(found[0], Message)
    assert (found[0].opens, found[0].answer_to) == (opens, answer_to)


@pytest.mark.parametrize(
    ("subtype", "opens", "reachable"),
    [
        ("follow", "message", True),
        ("unfollow", None, False),
        ("subscribe", "message", True),
        ("unsubscribe", None, False),
        ("scan", "message", None),
        ("scan_follow", "message", True),
        ("click", "message", None),
        ("view", "message", None),
        ("FOLLOW", "message", True),
        ("hologram", None, None),
        (None, None, None),
    ],
)
def test_events(subtype: str | None, opens: str | None, reachable: bool | None) -> None:
    found = pushed("event", subtype=subtype, key="K", ticket="T")
    assert isinstance(found, Notice)
    assert (found.account, found.sender and found.sender.value) == (str(ACCOUNT), "2489518277")
    assert (found.opens, found.reachable) == (opens, reachable)


def test_how_it_is_listened_to_and_answered() -> None:
    assert Weibo.reply_limits == {"message": Limit(48 * 3600, None), "mention": Limit(48 * 3600, 1)}
    assert Weibo.conversational and Weibo.reaches == {ContactType.WEIBO} and Weibo.ride_seconds == 2.0
    assert Weibo.fetches == {AttachmentKind.IMAGE, AttachmentKind.VOICE}


def test_both_secrets_count_while_they_are_being_changed() -> None:
    for secret in (OLD, NEW):
        sender = WeiboPeer("weibo", channel(app_secret=secret).settings)
        said = sender.raw(b'{"type":"text","receiver_id":1,"sender_id":2}', signed_at=NOW)
        assert parsed(said, channel(previous_app_secret=OLD))
        assert channel(previous_app_secret=OLD).challenge(request(sender.challenge("e", signed_at=NOW))).body == b"e"
    with pytest.raises(Unauthenticated, match="signature"):
        parsed(WeiboPeer("weibo", channel(app_secret=OLD).settings).raw(b"{}", signed_at=NOW), channel())


# -- The passive reply -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["您的诉求已收到。", '引号" \\ %41 + & =', "一\n二", "😀" * 50])
def test_the_citizen_sees_what_was_written(text: str) -> None:
    answer = channel().ride(reply(text))
    found = json.loads(answer.body)
    assert PEER.answered(Ack(True, answer.status, answer.body)) == text
    assert (found["result"], found["type"]) == (True, "text")
    assert (found["sender_id"], found["receiver_id"]) == (str(ACCOUNT), "2489518277")
    assert found["data"].isascii() and " " not in found["data"]


def test_the_vendors_example() -> None:
    """发送被动响应消息: what ``{"text":"中文消息"}`` is in ``data``."""
    found = json.loads(channel().ride(reply("中文消息")).body)
    assert found["data"] == "%7B%22text%22%3A%22%E4%B8%AD%E6%96%87%E6%B6%88%E6%81%AF%22%7D"


@pytest.mark.parametrize(("length", "shown"), [(299, "长" * 299), (300, "长" * 298 + "…"), (5000, "长" * 298 + "…")])
async def test_a_text_has_fewer_than_300_characters(weibo: FakeWeibo, length: int, shown: str) -> None:
    sender = channel(weibo.url)
    assert json.loads(unquote(json.loads(sender.ride(reply("长" * length)).body)["data"])) == {"text": shown}
    await sender.send(reply("长" * length), Notes())
    assert json.loads(weibo.given[0][1]["data"]) == {"text": shown}


# -- Replies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", ["message", "mention"])
async def test_a_customer_service_message(weibo: FakeWeibo, window: str) -> None:
    assert await channel(weibo.url).send(reply("路灯已修复 100%。😀", window=window), Notes()) == Sent()
    ((_, form),) = weibo.given
    assert json.loads(form.pop("data")) == {"text": "路灯已修复 100%。😀"}
    assert form == {"access_token": TOKEN, "type": "text", "receiver_id": "2489518277", "save_sender_box": "1"}


async def test_out_of_the_window_nothing_is_asked(weibo: FakeWeibo) -> None:
    with pytest.raises(Undeliverable, match=r"^window_closed$"):
        await channel(weibo.url).send(reply(window=None), Notes())
    assert weibo.calls == []


@pytest.mark.parametrize(
    ("step", "error", "reason", "after"),
    [
        (21327, NotSent, "error_21327", 60.0),
        (21332, NotSent, "error_21332", 60.0),
        (10009, NotSent, "error_10009", 60.0),
        (10024, NotSent, "error_10024", 60.0),
        (SLOW, NotSent, "status_429", 7.0),
        (20015, Undeliverable, "error_20015", None),
        ({"result": False}, Undeliverable, "refused", None),
        ({"error_code": "20012", "error": "text too long"}, Undeliverable, "error_20012", None),
        (10001, Uncertain, "error_10001", None),
        (HTML, Uncertain, "not_json", None),
        (LIST, Uncertain, "not_json", None),
        (NOTHING, Uncertain, "status_200", None),
        ({"error_code": "9" * 5000}, Uncertain, "status_200", None),
        (BAD_GATEWAY, Uncertain, "not_json", None),
        (CUT, Uncertain, "cut", None),
        (HANG, Uncertain, "timeout", None),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_weibo_answers_is_what_became_of_it(
    weibo: FakeWeibo,
    monkeypatch: pytest.MonkeyPatch,
    step: Any,
    error: type[ChannelError],
    reason: str,
    after: float | None,
) -> None:
    monkeypatch.setattr(weibo_api, "call", partial(rest.call, seconds=0.3))
    weibo.script = [step]
    with pytest.raises(error) as raised:
        await channel(weibo.url).send(reply(), Notes())
    assert (raised.value.reason, getattr(raised.value, "after_seconds", None)) == (reason, after)
    assert weibo.calls == ["reply"], "one call"


async def test_an_expired_token_is_said_without_the_token(weibo: FakeWeibo) -> None:
    weibo.token = "another"
    with structlog.testing.capture_logs() as logged, pytest.raises(NotSent, match="error_21332") as raised:
        await channel(weibo.url).send(reply(), Notes())
    assert raised.value.after_seconds == 60
    assert [(line["event"], line["channel"]) for line in logged] == [("token_refused", "weibo")]
    assert TOKEN not in f"{raised.value!r}{logged}"


async def test_where_nobody_listens_nothing_has_gone_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent, match="connect"):
        await channel(f"http://127.0.0.1:{port}").send(reply(), Notes())


# -- Pictures and recordings -------------------------------------------------------------------------------------------


async def test_a_picture(weibo: FakeWeibo) -> None:
    weibo.media["821804469"] = b"\xff\xd8\xff\xe0"
    assert await channel(weibo.url).download("media:821804469", Notes()) == File(
        b"\xff\xd8\xff\xe0", "image/jpeg", "ID.jpg"
    )


@pytest.mark.parametrize(
    ("reference", "token", "error", "reason"),
    [
        ("media:1", TOKEN, Missing, "gone"),
        ("media:1", "another", Unavailable, "error_21327"),
        ("status:35", TOKEN, Missing, "reference"),
        ("https://evil.example/a", TOKEN, Missing, "reference"),
    ],
)
async def test_what_cannot_be_had(
    weibo: FakeWeibo, reference: str, token: str, error: type[ChannelError], reason: str
) -> None:
    weibo.token = token
    with pytest.raises(error) as raised:
        await channel(weibo.url).download(reference, Notes())
    assert raised.value.reason == reason
