"""Weibo: who is believed, what is read, and that nothing else escapes from either."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from channels.base import Request
from channels.errors import Malformed, Unauthenticated
from channels.signed_query import prove
from channels.simulated import HttpDelivery
from channels.simulated.weibo import ACCOUNT, WeiboPeer, created_at
from channels.testing import Cases, Expected, check_channel
from channels.weibo import Weibo, WeiboSettings
from normalizer.model import AttachmentKind, CoordinateSystem, Envelope, Kept, Message, Notice, Parsed
from tests.channels.chats import FakeWeibo

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
REQUIRED = {"app_secret": "7e01cbb7b3a4b1f4c0", "access_token": "2.00AbCdEfGhIjKl"}
CHANNEL = Weibo("weibo", WeiboSettings(**REQUIRED))
PEER = WeiboPeer("weibo", CHANNEL.settings)
IMAGE, VOICE, _, FILE, LINK = AttachmentKind


def request(delivery: HttpDelivery, received_at: datetime = NOW) -> Request:
    path, _, query = delivery.target.partition("?")
    return Request(delivery.method, path, query, (), delivery.body, "192.0.2.1", "", received_at)


def reason(delivery: HttpDelivery) -> str:
    """Why it is refused; fails when it is not."""
    with pytest.raises(Unauthenticated) as refused:
        CHANNEL.authenticate(request(delivery))
    return refused.value.reason


def envelope(delivery: HttpDelivery) -> Envelope:
    asked = request(delivery)
    return CHANNEL.envelope(asked.body, asked.received_at, asked.query, CHANNEL.authenticate(asked))


def raw(body: bytes, seconds: float = 0) -> HttpDelivery:
    return PEER.raw(body, signed_at=NOW + timedelta(seconds=seconds))


PUSH: dict[str, Any] = {
    "type": "text",
    "receiver_id": ACCOUNT,
    "sender_id": 2489518277,
    "created_at": "Mon Jul 16 18:09:20 +0800 2012",
    "text": "路灯不亮",
    "data": {},
}


def parsed(**changes: Any) -> Parsed:
    whole = {name: value for name, value in {**PUSH, **changes}.items() if value is not ...}
    return CHANNEL.parse(envelope(raw(json.dumps(whole).encode())))


def message(**changes: Any) -> Message:
    found = parsed(**changes)
    assert isinstance(found, tuple) and len(found) == 1
    return found[0]


def with_query(delivery: HttpDelivery, change: Callable[[str], str]) -> HttpDelivery:
    path, _, query = delivery.target.partition("?")
    return replace(delivery, target=f"{path}?{change(query)}")


def setting(name: str, value: str) -> Callable[[str], str]:
    return lambda query: re.sub(rf"{name}=[^&]*", f"{name}={value}", query)


# -- Who is believed ---------------------------------------------------------------------------------------------------


def test_the_vendors_example() -> None:
    """消息推送服务: appsecret, timestamp and nonce of the page."""
    signature = "90e4c22c90a58f26526c2dd5b6c56c8822edeaa1"
    prove(signature, (SecretStr("xyz123xyz"),), "1397022061823", "57155157")
    with pytest.raises(Unauthenticated):
        prove(signature, (SecretStr("xyz123xyz"),), "1397022061823", "57155158")


def test_the_vendors_example_is_admitted_in_its_own_minute() -> None:
    channel = Weibo("weibo", WeiboSettings(app_secret="xyz123xyz", access_token="t0ken"))
    query = "signature=90e4c22c90a58f26526c2dd5b6c56c8822edeaa1&timestamp=1397022061823&nonce=57155157"
    delivery = HttpDelivery(f"/channels/weibo?{query}", b"{}")
    assert channel.authenticate(request(delivery, datetime(2014, 4, 9, 5, 41, 2, tzinfo=UTC))).flags == ()
    with pytest.raises(Unauthenticated):
        channel.authenticate(request(delivery))


@pytest.mark.parametrize("seconds", [0, 299, -299])
def test_a_signature_is_bound_to_the_body(seconds: int) -> None:
    delivery = raw(b"{}", seconds)
    binding = CHANNEL.authenticate(request(delivery)).binding
    assert binding is not None
    assert binding.key in delivery.target and len(binding.key) == 40
    assert binding.digest == hashlib.sha256(b"{}").digest()
    other = CHANNEL.authenticate(request(replace(delivery, body=b"{} "))).binding
    assert other is not None and other.key == binding.key and other.digest != binding.digest


def test_a_query_split_elsewhere_has_the_same_binding() -> None:
    """Nothing parts timestamp and nonce: three digits moved from one to the other are signed alike."""
    deliveries = (raw(b"{}", 0.456) for _ in range(1000))
    delivery = next(d for d in deliveries if split_elsewhere(d) is not None)
    forgery = split_elsewhere(delivery)
    assert forgery is not None and forgery.target != delivery.target
    first, second = (CHANNEL.authenticate(request(d)).binding for d in (delivery, replace(forgery, body=b"[]")))
    assert first and second and first.key == second.key and first.digest != second.digest


def split_elsewhere(delivery: HttpDelivery) -> HttpDelivery | None:
    """The delivery with the milliseconds moved into the nonce, where the order lets them."""
    moved = with_query(delivery, lambda q: re.sub(r"(timestamp=\d{10})(\d{3})&nonce=", r"\1&nonce=\2", q))
    try:
        CHANNEL.authenticate(request(moved))
    except Unauthenticated:
        return None
    return moved


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda _: "", "missing", id="no query"),
        pytest.param(lambda q: q + "&signature=" + "0" * 40, "missing", id="signature twice"),
        pytest.param(setting("signature", "0" * 40), "signature", id="another signature"),
        pytest.param(setting("signature", ""), "format", id="empty signature"),
        pytest.param(setting("signature", "%C3%A9" * 40), "format", id="signature not ASCII"),
        pytest.param(setting("nonce", "1"), "signature", id="another nonce"),
        pytest.param(setting("nonce", "1%0A"), "format", id="nonce with newline"),
        pytest.param(setting("nonce", "1" * 33), "format", id="nonce too long"),
        pytest.param(setting("timestamp", "1793329445000"), "signature", id="another timestamp"),
        pytest.param(setting("timestamp", "17933294450"), "format", id="11 digits"),
        pytest.param(setting("timestamp", "%D9%A1" * 13), "format", id="Arabic digits"),
        pytest.param(setting("timestamp", "1793329445000%0A"), "format", id="timestamp with newline"),
    ],
)
def test_a_query_that_is_not_weibos_is_refused(change: Callable[[str], str], why: str) -> None:
    assert reason(with_query(raw(b"{}"), change)) == why


@pytest.mark.parametrize("seconds", [-302, 302, -86400, 10**9])
def test_a_late_delivery_is_refused(seconds: int) -> None:
    assert reason(raw(b"{}", seconds)) == "stale"


def test_no_flipped_bit_is_admitted() -> None:
    deliveries = [raw(b"{}") for _ in range(3)]
    forgeries = [
        replace(delivery, target=flipped(delivery.target.encode(), bit).decode("latin-1"))
        for delivery in deliveries
        for value in re.finditer(r"(?<==)\w+", delivery.target)
        for bit in range(value.start() * 8, value.end() * 8)
    ]
    assert len(forgeries) > 1000
    for forgery in forgeries:
        assert reason(forgery) in {"missing", "format", "signature"}


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_challenge_is_echoed() -> None:
    answer = CHANNEL.challenge(request(PEER.challenge("echo_1-2", signed_at=NOW)))
    assert (answer.status, answer.body, answer.media_type) == (200, b"echo_1-2", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("delivery", "why"),
    [
        pytest.param(PEER.challenge("1", signed_at=NOW - timedelta(seconds=302)), "stale", id="stale"),
        pytest.param(PEER.challenge("<script>", signed_at=NOW), "format", id="markup"),
        pytest.param(raw(b""), "missing", id="no echostr"),
        pytest.param(with_query(PEER.challenge("1", signed_at=NOW), setting("nonce", "1")), "signature", id="forged"),
    ],
)
def test_a_challenge_that_is_not_weibos_is_refused(delivery: HttpDelivery, why: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        CHANNEL.challenge(request(delivery))
    assert refused.value.reason == why


def test_a_blank_body_acknowledges() -> None:
    answer = CHANNEL.acknowledge(Kept(envelope(raw(b"{}")).id))
    assert (answer.status, answer.body) == (200, b"")


def test_routes_name_the_path_secret() -> None:
    hidden = WeiboSettings(**REQUIRED, path_secret="f00d-f00d-f00d")
    assert [(r.path, r.methods) for r in Weibo("wb", hidden).routes()] == [
        ("/channels/wb/f00d-f00d-f00d", ("GET", "POST"))
    ]
    assert WeiboPeer("wb", hidden).raw(b"").target.startswith("/channels/wb/f00d-f00d-f00d?")


@pytest.mark.parametrize(("name", "value"), [("app_secret", ""), ("access_token", "token"), ("kind", "wechat")])
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        WeiboSettings(**{**REQUIRED, name: value})
    assert [fault["loc"] for fault in wrong.value.errors()] == [(name,)]


# -- What is read ------------------------------------------------------------------------------------------------------


def test_all_of_a_text_message() -> None:
    found = message(text=" 路灯\n不亮\u0000 ")
    assert found.text == " 路灯\n不亮\u0000 "
    assert (found.key_space, found.account, found.provider_id) == ("weibo", "1902538057", "1342433360:text")
    assert (found.sender.type, found.sender.value, found.sender.assurance) == ("weibo", "2489518277", "verified")
    assert found.sent_at == datetime(2012, 7, 16, 10, 9, 20, tzinfo=UTC)
    assert (found.flags, found.attachments, found.place) == ((), (), None)


WORDS = "语音"


@pytest.mark.parametrize(
    ("kind", "data", "attachments", "flags"),
    [
        pytest.param("text", None, [], (), id="text without data"),
        pytest.param("text", [1], [], (), id="data is a list"),
        pytest.param("image", {"vfid": 1, "tovfid": 821804469}, [(IMAGE, "media:821804469")], (), id="image"),
        pytest.param("voice", {"vfid": "1", "tovfid": "82180"}, [(VOICE, "media:82180")], (), id="voice"),
        pytest.param("voice", {"vfid": 1}, [(VOICE, None)], (), id="voice without our file id"),
        pytest.param("image", {"tovfid": "../1"}, [(IMAGE, None)], (), id="odd file id"),
        pytest.param("image", {"tovfid": {"a": 1}}, [(IMAGE, None)], (), id="file id of another shape"),
        pytest.param("image", "x", [(IMAGE, None)], (), id="data is a string"),
        pytest.param("mention", {"subtype": "comment", "key": "35"}, [(LINK, "comment:35")], (), id="mention"),
        pytest.param("mention", {"key": "35"}, [(LINK, None)], (), id="mention of what"),
        pytest.param("hologram", {"tovfid": 5}, [(FILE, "media:5")], ("unknown_type",), id="unknown with a file"),
        pytest.param("hologram", {}, [], ("unknown_type",), id="unknown with words"),
        pytest.param("", {}, [], ("unknown_type",), id="no type"),
    ],
)
def test_messages(kind: str, data: Any, attachments: list[Any], flags: tuple[str, ...]) -> None:
    found = message(type=kind, data=data, text=WORDS)
    assert found.text == WORDS
    assert [(a.kind, a.reference) for a in found.attachments] == attachments
    assert found.flags == flags


@pytest.mark.parametrize("text", [None, "", " \n", ...])
def test_an_unknown_type_that_says_nothing_is_a_notice(text: Any) -> None:
    found = parsed(type="typing", text=text)
    assert isinstance(found, Notice) and found.reason == "unknown_type"
    assert message(type="typing", text=text, data={"tovfid": 1}).flags == ("unknown_type",)


@pytest.mark.parametrize("text", [None, "", ...])
def test_a_known_type_without_words_is_a_message(text: Any) -> None:
    assert message(text=text).text == ""
    assert message(type="voice", text=text, data={"tovfid": 1}).attachments


@pytest.mark.parametrize("data", [{"longitude": "116.3", "latitude": "39.98"}, {"longitude": 116.3, "latitude": 39.98}])
def test_a_position(data: dict[str, Any]) -> None:
    found = message(type="position", data=data, text="我在这里")
    assert found.place is not None and found.text == "我在这里"
    assert (found.place.longitude, found.place.latitude, found.place.crs) == (116.3, 39.98, CoordinateSystem.GCJ_02)


@pytest.mark.parametrize("odd", ["nan", "181", "-180.5", "", None, [], True, "1e2"])
def test_an_odd_position_is_dropped_and_said(odd: Any) -> None:
    found = message(type="position", data={"longitude": odd, "latitude": "39.98"})
    assert found.place is not None and found.place.latitude is None
    assert (found.text, found.flags) == (PUSH["text"], ("odd_place",))


@pytest.mark.parametrize(
    ("subtype", "why"),
    [("follow", "follow"), ("SCAN_FOLLOW", "scan_follow"), ("关注", "event"), (None, "event"), ({}, "event")],
)
def test_events_are_notices(subtype: Any, why: str) -> None:
    found = parsed(type="event", data={"subtype": subtype})
    assert isinstance(found, Notice) and found.reason == why


@pytest.mark.parametrize(
    ("stated", "sent_at", "provider_id", "flags"),
    [
        ("Mon Jul 16 18:09:20 +0800 2012", "2012-07-16T18:09:20+08:00", "1342433360:text", ()),
        ("Mon Jul  6 18:09:20 +0800 2012", None, None, ("odd_time",)),
        ("Fri Jul 6 18:09:20 +0000 2012", "2012-07-06T18:09:20+00:00", "1341598160:text", ()),
        ("Mon Jul 16 18:09:20 +0800 1999", None, "932119760:text", ("odd_time",)),
        ("Mon Jul 16 18:09:20 +0800 9999", None, "253387735760:text", ("odd_time",)),
        ("Mon Jul 16 18:09:20 -0000 2012", None, None, ("odd_time",)),
        ("Mon Jul 16 18:09:20 +9999 2012", None, None, ("odd_time",)),
        ("Mon Feb 31 18:09:20 +0800 2012", None, None, ("odd_time",)),
        ("Mon Jux 16 18:09:20 +0800 2012", None, None, ("odd_time",)),
        ("Mon Jul 16 :::::::: +0800 2012", None, None, ("odd_time",)),
        ("2012-07-16 18:09:20", None, None, ("odd_time",)),
        ("", None, None, ("odd_time",)),
        (1342433360, None, None, ("odd_time",)),
        (None, None, None, ()),
    ],
)
def test_created_at(stated: Any, sent_at: str | None, provider_id: str | None, flags: tuple[str, ...]) -> None:
    found = message(created_at=stated)
    assert found.sent_at == (datetime.fromisoformat(sent_at) if sent_at else None)
    assert (found.provider_id, found.flags) == (provider_id, flags)


def test_two_messages_of_one_second_differ_by_type_or_text() -> None:
    words, voice = message(), message(type="voice")
    assert words.provider_id != voice.provider_id
    assert message(text="另一件事").provider_id == words.provider_id


def test_the_names_of_months_are_english_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """strptime reads them from calendar, for the locale it is told; email.utils does not ask."""
    monkeypatch.setattr("_strptime._getlang", lambda: ("zh_CN", "UTF-8"))
    monkeypatch.setattr("calendar.month_abbr", ["", *(f"{n}月" for n in range(1, 13))])
    with pytest.raises(ValueError, match="does not match format"):
        datetime.strptime(PUSH["created_at"], "%a %b %d %H:%M:%S %z %Y")
    assert created_at(datetime(2012, 7, 16, 10, 9, 20, tzinfo=UTC)) == PUSH["created_at"]
    assert message().sent_at == datetime(2012, 7, 16, 10, 9, 20, tzinfo=UTC)


@pytest.mark.parametrize("value", [2489518277, "2489518277", 2**63 - 1, str(2**63 - 1)])
def test_ids_are_digits_in_full(value: Any) -> None:
    assert message(sender_id=value).sender.value == str(value)
    assert message(receiver_id=value).account == str(value)


# -- What cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sender_id", "receiver_id"])
@pytest.mark.parametrize(
    "value",
    [..., None, 0, "0", -1, "", "a", "1\n", " 1", "１２", 1.0, 1e30, 2**63 * 10, True, [], {}, "1" * 20],
    ids=repr,
)
def test_an_odd_id_is_malformed(name: str, value: Any) -> None:
    with pytest.raises(Malformed, match=r"^fields$"):
        parsed(**{name: value})


UNREADABLE = {
    "json": {
        "nothing": b"",
        "words": b"hello",
        "cut off": b'{"type": "text"',
        "XML": b"<xml/>",
        "NaN": b'{"type": NaN}',
        "million digits": b'{"sender_id": ' + b"9" * 60000 + b"}",
        "60,000 deep": b"[" * 60000,
        "deep within text": b'{"text": ' + b'{"a":' * 10000 + b"}" * 10001,
        "lone surrogate": b'{"text": "\\ud800"}',
        "not UTF-8": b'{"text": "\xff"}',
        "UTF-16": '{"type": "text"}'.encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf{}",
    },
    "fields": {
        "empty object": b"{}",
        "list": b"[]",
        "string": b'"a"',
        "null": b"null",
        "text is a list": json.dumps({**PUSH, "text": ["a"]}).encode(),
        "text is a number": json.dumps({**PUSH, "text": 1}).encode(),
        "type is a number": json.dumps({**PUSH, "type": 1}).encode(),
        "type is null": json.dumps({**PUSH, "type": None}).encode(),
        "1,000 deep": b"[" * 1000 + b"]" * 1000,
    },
}


@pytest.mark.parametrize(
    ("why", "body"),
    [pytest.param(why, body, id=label) for why, table in UNREADABLE.items() for label, body in table.items()],
)
def test_what_cannot_be_read_is_malformed(why: str, body: bytes) -> None:
    with pytest.raises(Malformed) as malformed:
        CHANNEL.parse(envelope(raw(body)))
    assert malformed.value.reason == why


# -- Whatever comes ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3), max_leaves=5)
TYPES = st.sampled_from(["text", "position", "voice", "image", "mention", "event", "hologram"])
CLOCKS = st.from_regex(r"[A-Z][a-z]{2} (Jan|Feb|Dec) [0-9]{1,2} [0-9:]{8} [+-][0-9]{4} [0-9]{4}", fullmatch=True)
DATA = st.dictionaries(st.sampled_from(["tovfid", "longitude", "latitude", "subtype", "key"]), VALUES)


def read_or_malformed(body: bytes) -> None:
    kept = envelope(raw(body))
    with suppress(Malformed):
        assert CHANNEL.parse(kept) == CHANNEL.parse(kept)


@settings(max_examples=500, deadline=None)
@given(TEXT | st.just(raw(b"").target.partition("?")[2]), st.binary(max_size=50))
def test_authenticate_and_challenge_refuse_or_admit(query: str, body: bytes) -> None:
    asked = Request("POST", "/", query, (), body, "192.0.2.1", "", NOW)
    for verb in (CHANNEL.authenticate, CHANNEL.challenge):
        with suppress(Unauthenticated):
            verb(asked)


@settings(max_examples=500, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(PUSH, VALUES)))
def test_parse_reads_any_values_or_says_malformed(changes: dict[str, Any]) -> None:
    read_or_malformed(json.dumps({**PUSH, **changes}).encode())


@settings(max_examples=500, deadline=None)
@given(TYPES, TEXT, DATA | VALUES, CLOCKS | VALUES)
def test_parse_reads_any_content(kind: str, text: str, data: Any, clock: Any) -> None:
    read_or_malformed(json.dumps({**PUSH, "type": kind, "text": text, "data": data, "created_at": clock}).encode())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_parse_reads_any_body_or_says_malformed(body: bytes) -> None:
    read_or_malformed(body)


# -- Against a pusher in another language ------------------------------------------------------------------------------


def test_what_a_pusher_in_node_signs_and_writes_is_read(node: Callable[[str, Any], Any]) -> None:
    script = """
        const crypto = require('crypto');
        const parts = [input.secret, input.timestamp, input.nonce].sort();
        const signature = crypto.createHash('sha1').update(parts.join('')).digest('hex');
        const query = new URLSearchParams({signature, timestamp: input.timestamp, nonce: input.nonce});
        return [query.toString(), JSON.stringify(input.push)];
    """
    signed = {"secret": REQUIRED["app_secret"], "timestamp": str(int(NOW.timestamp() * 1000)), "nonce": "57155157"}
    query, body = node(script, {**signed, "push": {**PUSH, "text": "😀路灯\n不亮"}})
    (found,) = CHANNEL.parse(envelope(HttpDelivery(f"/channels/weibo?{query}", body.encode())))  # type: ignore[misc]
    assert isinstance(found, Message) and found.text == "😀路灯\n不亮"


# -- The conformance suite ---------------------------------------------------------------------------------------------


def cases(gateway: Any) -> Cases:
    peer = WeiboPeer("weibo", gateway.channel("weibo").settings)
    now = datetime.now(UTC).replace(microsecond=0)
    good = peer.say("小区垃圾三天没人清运", sender="800001", message_id="1", at=now)
    return Cases(
        peer=peer,
        readable={
            "text": (good, Expected(text="小区垃圾三天没人清运")),
            "image": (peer.image(821804469, sender="800002", at=now), Expected(attachments=(IMAGE,))),
            "voice": (peer.voice(821804470, sender="800003", at=now), Expected(attachments=(VOICE,))),
            "position": (
                peer.position("117.120095", "36.651216", sender="800004", at=now),
                Expected(text="我在这里", position=(117.120095, 36.651216)),
            ),
            "mention": (
                peer.mention("@市长热线 公交站牌倒了", sender="800005", at=now, key="3565"),
                Expected(text="@市长热线 公交站牌倒了", attachments=(LINK,)),
            ),
            "unknown type": (
                peer.push("hologram", sender="800006", at=now, text="自来水发黄"),
                Expected(text="自来水发黄"),
            ),
            "event": (peer.event("follow", sender="800007", at=now), Expected(outcome="notice")),
        },
        forged={
            "no query": with_query(good, lambda _: ""),
            "signature": with_query(good, setting("signature", "0" * 40)),
            "nonce": with_query(good, setting("nonce", "1")),
            "late": peer.raw(good.body, signed_at=now - timedelta(seconds=302)),
            "early": peer.raw(good.body, signed_at=now + timedelta(hours=1)),
            # ``good`` has been delivered by now: its signature stands for its body.
            "same signature, other body": replace(good, body=good.body.replace(b"800001", b"800008")),
            "challenge": with_query(peer.challenge("1"), setting("signature", "0" * 40)),
            "late challenge": peer.challenge("1", signed_at=now - timedelta(hours=1)),
        },
        odd={
            "no JSON": peer.raw(b"hello"),
            "no sender": peer.raw(b'{"type": "text", "text": "x"}'),
            "deep": peer.raw(b"[" * 60000),
            "lone surrogate": peer.raw(b'{"text": "\\ud800"}'),
        },
        oversized={"64 KiB": peer.say("长" * 20000, sender="800009", message_id="9", at=now)},
    )


async def test_conformance(start_gateway: Any) -> None:
    async with FakeWeibo("").running() as fake:
        fake.media |= {"821804469": b"\xff\xd8\xff\xe0", "821804470": b"#!AMR\n"}

        def change(document: dict[str, Any]) -> None:
            document["channels"]["weibo"] |= {"api_base": fake.url, "upload_base": fake.url}

        async with start_gateway(change) as gateway:
            fake.token = (gateway.secrets / "weibo-access-token").read_text()
            await check_channel("weibo", cases(gateway), gateway)
