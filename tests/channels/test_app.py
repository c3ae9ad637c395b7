from __future__ import annotations

import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.app import App
from channels.base import Request
from channels.clients import key_hash
from channels.errors import ChannelError, Malformed, Unacceptable, Unauthenticated
from channels.simulated import HttpDelivery
from channels.simulated.app import AppPeer
from channels.testing import Cases, Expected, check_channel
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, AttachmentKind, ContactType, Message

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = "k" * 43


def channel(**changes: object) -> App:
    client = {"id": "city-app", "key_hash": key_hash(KEY), "scopes": ["messages:write", "messages:read"]} | changes
    return App("app", App.Settings.model_validate({"clients": [client]}))


def request(body: object = None, *, key: str | None = "id-1", authorization: str | None = f"Bearer {KEY}") -> Request:
    raw = body if isinstance(body, bytes) else orjson.dumps(body or {"user": {"id": "u1"}, "text": "路灯不亮"})
    headers = [(b"content-type", b"application/json")]
    if key is not None:
        headers.append((b"idempotency-key", key.encode()))
    if authorization is not None:
        headers.append((b"authorization", authorization.encode("latin-1")))
    return Request("POST", "/v1/messages", "", tuple(headers), raw, "127.0.0.1", "https://h/v1/messages", AT)


def read(body: object) -> Message:
    app = channel()
    asked = request(body)
    (message,) = app.parse(app.envelope(asked.body, AT, admission=app.authenticate(asked)))
    return message


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        pytest.param(None, "no_key", id="none"),
        pytest.param("", "no_key", id="empty"),
        pytest.param("Basic dTpw", "no_key", id="other scheme"),
        pytest.param("Bearer ", "no_key", id="no key"),
        pytest.param(f"bearer {KEY}", "no_key", id="lower case scheme is not ours"),
        pytest.param(f"Bearer {KEY} ", "no_key", id="trailing space"),
        pytest.param(f"Bearer {KEY[:-1]}", "unknown_key", id="prefix"),
        pytest.param(f"Bearer {KEY}x", "unknown_key", id="suffix"),
        pytest.param(f"Bearer {key_hash(KEY)}", "unknown_key", id="the hash itself"),
        pytest.param("Bearer é" + KEY, "no_key", id="not ASCII"),
    ],
)
def test_a_request_without_a_valid_key_is_not_authentic(authorization: str | None, reason: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        channel().authenticate(request(authorization=authorization))
    assert caught.value.reason == reason


def test_a_key_without_the_scope_is_told_so() -> None:
    with pytest.raises(Unacceptable) as caught:
        channel(scopes=["messages:read"]).authenticate(request())
    assert (caught.value.status, caught.value.reason) == (403, "scope")


@pytest.mark.parametrize("key", [None, "", "x" * 256, "with space", "tab\t", "键"])
def test_an_idempotency_key_is_visible_ascii_of_1_to_255(key: str | None) -> None:
    with pytest.raises(Unacceptable) as caught:
        channel().authenticate(request(key=key))
    assert caught.value.status == 400


USER = {"id": "u1"}
ODD = {
    "not json": b"{",
    "not utf-8": '{"user":{"id":"u1"},"text":"你好"}'.encode("gb18030"),
    "100,000 deep": b"[" * 100_000,
    "lone surrogate": rb'{"user":{"id":"u1"},"text":"\ud800"}',
    "NaN": b'{"user":{"id":"u1"},"text":"x","place":{"longitude":NaN,"latitude":1,"crs":"WGS-84"}}',
    "a list": b"[]",
    "a 5000-digit number": b'{"user":{"id":' + b"9" * 5000 + b"}}",
    "NUL in text": {"user": USER, "text": "a\0b"},
    "no user": {"text": "x"},
    "nothing said": {"user": USER},
    "blank text": {"user": USER, "text": " \n"},
    "unknown field": {"user": USER, "text": "x", "txet": "y"},
    "unknown field of user": {"user": USER | {"ssn": "1"}, "text": "x"},
    "text is a number": {"user": USER, "text": 5},
    "text too long": {"user": USER, "text": "字" * 20_001},
    "naive time": {"user": USER, "text": "x", "sent_at": "2026-03-01T08:00:00"},
    "unknown kind": {"user": USER, "text": "x", "kind": "joke"},
    "half a position": {"user": USER, "text": "x", "place": {"longitude": 117.0}},
    "position without system": {"user": USER, "text": "x", "place": {"longitude": 117.0, "latitude": 36.6}},
    "position off the earth": {"user": USER, "text": "x", "place": {"longitude": 217, "latitude": 36, "crs": "WGS-84"}},
    "unionid that is none": {"user": USER | {"wechat_unionid": "o6_bmasd asdsad6_2sgVt7hM"}, "text": "x"},
    "phone not E.164": {"user": USER | {"phone": "13800138000"}, "text": "x"},
    "confidential as text": {"user": USER, "text": "x", "confidential": "false"},
    "attachment with a path": {"user": USER, "attachments": [{"attachment_id": "../../etc/passwd"}]},
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_a_body_that_breaks_the_contract_is_refused_without_an_echo(body: object) -> None:
    with pytest.raises(Unacceptable) as caught:
        channel().authenticate(request(body))
    assert caught.value.status in {400, 422}
    answer = channel().refuse(caught.value)
    problem = json.loads(answer.body)
    assert answer.media_type == "application/problem+json"
    assert problem["status"] == answer.status
    assert "txet" not in problem["detail"]
    assert "passwd" not in problem["detail"]


def test_everything_the_contract_names_is_read() -> None:
    message = read(
        {
            "user": {
                "id": "u1",
                "name": "张三",
                "phone": "+8613800138000",
                "phone_verified_at": "2026-01-01T00:00:00Z",
                "party_type": "legal_person",
                "unit": "某某有限公司",
            },
            "text": " 路灯不亮\n第二行 ",
            "title": "路灯",
            "kind": "complaint",
            "sent_at": "2026-03-01T16:00:00+08:00",
            "place": {"text": "文化路", "longitude": 117.02, "latitude": 36.66, "crs": "GCJ-02"},
            "attachments": [
                {
                    "attachment_id": "a1",
                    "media_type": "image/jpeg",
                    "size": 3,
                    "sha256": "0" * 64,
                    "file_name": "灯.jpg",
                },
                {"attachment_id": "a2", "media_type": "audio/amr"},
                {"attachment_id": "a3"},
            ],
            "confidential": True,
            "in_reply_to": "0198c0de-0000-7000-8000-000000000000",
            "device": {"platform": "harmony", "version": "5.0"},
        }
    )
    assert message.text == " 路灯不亮\n第二行 "
    assert (message.title, message.name, message.unit, message.confidential) == ("路灯", "张三", "某某有限公司", True)
    assert (message.sender.type, message.sender.value, message.sender.assurance) == (
        ContactType.APP,
        "u1",
        Assurance.VERIFIED,
    )
    assert [(c.value, c.assurance) for c in message.contacts] == [("+8613800138000", Assurance.VERIFIED)]
    assert message.sent_at == AT
    assert [a.kind for a in message.attachments] == [AttachmentKind.IMAGE, AttachmentKind.VOICE, AttachmentKind.FILE]
    assert (message.account, message.provider_id) == ("city-app", "id-1")
    assert message.place is not None
    assert (message.place.longitude, message.place.crs) == (117.02, "GCJ-02")


def test_a_phone_that_was_not_verified_is_asserted_only() -> None:
    message = read({"user": {"id": "u1", "phone": "+8613800138000"}, "text": "x"})
    assert message.contacts[0].assurance is Assurance.ASSERTED


def test_what_the_login_vouches_for_is_shown() -> None:
    confirmed = {"phone": "+8613800138000", "phone_verified_at": "2026-01-01T00:00:00Z"}
    both = confirmed | {"wechat_unionid": "o6_bmasdasdsad6_2sgVt7hMZOPfL"}
    shown = [(p.kind, p.value, p.evidence, p.at) for p in read({"user": {"id": "u1"} | both, "text": "x"}).proofs]
    assert shown == [
        ("phone", "+8613800138000", "app_login", datetime(2026, 1, 1, tzinfo=UTC)),
        ("unionid", "o6_bmasdasdsad6_2sgVt7hMZOPfL", "app_login", None),
    ]
    assert read({"user": {"id": "u1", "phone": "+8613800138000"}, "text": "x"}).proofs == ()


def test_an_old_envelope_that_a_stricter_program_refuses_is_malformed() -> None:
    app = channel()
    envelope = app.envelope(b'{"user":{}}', AT, admission=app.authenticate(request()))
    with pytest.raises(Malformed):
        app.parse(envelope)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40), st.text(max_size=40))
def test_whatever_comes_only_channel_errors_are_raised(body: bytes, key: str, authorization: str) -> None:
    headers = (
        (b"idempotency-key", key.encode("utf-8", "replace")),
        (b"authorization", authorization.encode("utf-8", "replace")),
    )
    asked = Request("POST", "/v1/messages", "", headers, body, "127.0.0.1", "https://h/v1/messages", AT)
    with pytest.raises(ChannelError):
        channel().authenticate(asked)


# -- through the real entrance -----------------------------------------------------------------------------------------


def peer(gateway: RunningGateway) -> AppPeer:
    key = (gateway.secrets / "app-key").read_text()
    return AppPeer("app", gateway.channel("app").settings, key=key)


def cases(gateway: RunningGateway) -> Cases:
    app = peer(gateway)
    body = {"user": {"id": "77"}, "text": "x"}
    place = {"longitude": 117.02, "latitude": 36.66, "crs": "GCJ-02"}
    return Cases(
        peer=app,
        readable={
            "text": (app.say("路灯不亮", sender="1", message_id="1", at=AT), Expected(text="路灯不亮")),
            "picture only": (
                app.post(
                    {"user": {"id": "2"}, "attachments": [{"attachment_id": "a", "media_type": "image/png"}]}, key="2"
                ),
                Expected(text="", attachments=(AttachmentKind.IMAGE,)),
            ),
            "place and title": (
                app.post({"user": {"id": "3"}, "text": "坑洼", "title": "道路", "place": place}, key="3"),
                Expected(title="道路", position=(117.02, 36.66)),
            ),
        },
        forged={
            "no key": HttpDelivery("/v1/messages", json.dumps(body).encode(), {"idempotency-key": "f1"}),
            "another key": app.post(body, key="f2", authorization="Bearer " + "x" * 43),
            "no idempotency key": app.post(body, key=None),
        },
        odd={label: app.post(odd, key=f"odd-{n}") for n, (label, odd) in enumerate(ODD.items())},
        strict=True,
        oversized={"200 KiB": app.post({"user": {"id": "4"}, "text": "x" * 200_000}, key="big")},
    )


async def test_conformance(gateway: RunningGateway) -> None:
    await check_channel("app", cases(gateway), gateway)


async def test_the_receipt_leads_to_the_matter_and_only_its_own_client_may_follow(start_gateway: Start) -> None:
    other = "o" * 43

    def two_clients(document: dict) -> None:
        clients = document["channels"]["app"]["clients"]
        clients.append({"id": "other", "key_hash": key_hash(other), "scopes": ["messages:write", "messages:read"]})
        clients.append({"id": "writer", "key_hash": key_hash("w" * 43), "scopes": ["messages:write"]})

    async with start_gateway(two_clients) as gateway:
        mine = peer(gateway)
        ack = await mine.say("电梯停运", sender="5", message_id="5", at=AT).send(gateway)
        first = json.loads(ack.body)
        assert first == {"receipt": first["receipt"], "state": "kept", "matter_id": None, "tracking_code": None}
        await gateway.settle()
        (matter,) = await gateway.matters()

        async def get(path: str, key: str) -> tuple[int, dict]:
            answer = await HttpDelivery(path, b"", {"authorization": f"Bearer {key}"}, "GET").send(gateway)
            return answer.status, json.loads(answer.body)

        receipt = f"/v1/receipts/{first['receipt']}"
        assert await get(receipt, mine.key) == (
            200,
            {
                "receipt": first["receipt"],
                "state": "filed",
                "matter_id": str(matter.matter_id),
                "tracking_code": matter.tracking_code,
            },
        )
        status, shown = await get(f"/v1/matters/{matter.matter_id}", mine.key)
        assert (status, shown["content"]) == (200, "电梯停运")
        for path in (receipt, f"/v1/matters/{matter.matter_id}"):
            assert (await get(path, other))[0] == 404
            assert (await get(path, "w" * 43))[0] == 403
            assert (await get(path, "n" * 43))[0] == 401
        assert (await get("/v1/receipts/not-a-uuid", mine.key))[0] == 422


async def test_a_message_that_names_a_matter_adds_to_it_only_for_its_own_citizen(gateway: RunningGateway) -> None:
    app = peer(gateway)
    await app.say("电梯停运", sender="6", message_id="61", at=AT).send(gateway)
    await gateway.settle()
    (matter,) = await gateway.matters()
    addition = {"text": "今天仍未修好", "in_reply_to": str(matter.matter_id)}
    await app.post({"user": {"id": "u-6"}} | addition, key="62").send(gateway)
    await app.post({"user": {"id": "u-7"}} | addition, key="63").send(gateway)
    await gateway.settle()
    first, foreign = await gateway.matters()
    assert (first.revision, first.content, first.times_this_matter) == (2, "电梯停运\n\n今天仍未修好", 2)
    assert (first.contacts_30d, first.matters_30d) == (2, 1)
    assert foreign.content == "今天仍未修好"
    books = await gateway.books()
    assert books["outcomes"]["attached"] == 1
    assert books["balanced"]
    kinds = [event["type"] for event in gateway.core.events.values() if event["subject"] == str(first.matter_id)]
    assert kinds == ["hotline.matter.filed.v1", "hotline.matter.amended.v1"]
