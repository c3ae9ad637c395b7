"""WeChat: who is believed, what is read, and that nothing else escapes from either."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from channels import xml as gate
from channels.base import Admission, Request
from channels.errors import Malformed, Unauthenticated
from channels.simulated import HttpDelivery
from channels.simulated.wechat import ACCOUNT, WeChatPeer, envelope_xml, openid
from channels.testing import Cases, Expected, check_channel
from channels.wechat import WeChat, WeChatSettings
from normalizer.model import AttachmentKind, CoordinateSystem, Envelope, Kept, Message, Notice, Parsed
from tests.channels.chats import FakeWeChat

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
REQUIRED = {
    "app_id": "wx5823bf96d3bd56c7",
    "token": "a-token-of-ours",
    "encoding_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    "app_secret": "4f0c1d2e3b5a697887",
}
SAFE = WeChat("wechat", WeChatSettings(**REQUIRED))
PLAIN = WeChat("wechat", WeChatSettings(**REQUIRED, mode="plain"))
PEER = WeChatPeer("wechat", SAFE.settings)
PLAIN_PEER = WeChatPeer("wechat", PLAIN.settings)
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def request(delivery: HttpDelivery, received_at: datetime = NOW) -> Request:
    path, _, query = delivery.target.partition("?")
    return Request(delivery.method, path, query, (), delivery.body, "192.0.2.1", "", received_at)


def reason(channel: WeChat, delivery: HttpDelivery, received_at: datetime = NOW) -> str:
    """Why it is refused; fails when it is not."""
    with pytest.raises(Unauthenticated) as refused:
        channel.authenticate(request(delivery, received_at))
    return refused.value.reason


def envelope(channel: WeChat, delivery: HttpDelivery) -> Envelope:
    asked = request(delivery)
    return channel.envelope(asked.body, asked.received_at, asked.query, channel.authenticate(asked))


def parsed(delivery: HttpDelivery, channel: WeChat = SAFE) -> Parsed:
    return channel.parse(envelope(channel, delivery))


def message(delivery: HttpDelivery, channel: WeChat = SAFE) -> Message:
    found = parsed(delivery, channel)
    assert isinstance(found, tuple) and len(found) == 1
    return found[0]


def say(text: str = "路灯不亮", **changes: Any) -> HttpDelivery:
    return of_type("text", {"Content": text, "MsgId": "7000000001"}, **changes)


def of_type(msg_type: str, fields: dict[str, str], *, at: datetime = NOW, signed_at: datetime = NOW) -> HttpDelivery:
    return PEER.raw_xml(envelope_xml(msg_type, fields, sender="42", at=at), signed_at=signed_at)


def with_query(delivery: HttpDelivery, change: Callable[[str], str]) -> HttpDelivery:
    path, _, query = delivery.target.partition("?")
    return replace(delivery, target=f"{path}?{change(query)}")


def setting(name: str, value: str) -> Callable[[str], str]:
    return lambda query: re.sub(rf"(?<![a-z_]){name}=[^&]*", f"{name}={value}", query)


# -- Who is believed ---------------------------------------------------------------------------------------------------


def test_an_authentic_delivery_is_admitted_without_flags() -> None:
    admitted = SAFE.authenticate(request(say()))
    assert admitted == Admission({"mode": "safe"}, apparent_sender=openid("42"))


@pytest.mark.parametrize(
    ("seconds", "flags"), [(300, ()), (-300, ()), (301, ("stale_clock",)), (-301, ("stale_clock",))]
)
def test_a_late_delivery_in_safe_mode_is_kept_and_said(seconds: int, flags: tuple[str, ...]) -> None:
    late = say(signed_at=NOW + timedelta(seconds=seconds))
    assert SAFE.authenticate(request(late)).flags == flags
    assert message(late).flags == flags


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda _: "", "missing", id="no query"),
        pytest.param(lambda q: q.replace("msg_signature=", "other="), "missing", id="no msg_signature"),
        pytest.param(lambda q: q + "&nonce=1", "missing", id="nonce twice"),
        pytest.param(setting("msg_signature", "0" * 40), "signature", id="another signature"),
        pytest.param(setting("msg_signature", ""), "format", id="empty signature"),
        pytest.param(
            lambda q: re.sub("(msg_signature=)([0-9a-f]+)", lambda m: m[1] + m[2].upper() + "A", q),
            "format",
            id="upper case",
        ),
        pytest.param(setting("msg_signature", "%C3%A9" * 40), "format", id="signature not ASCII"),
        pytest.param(setting("nonce", "1234"), "signature", id="another nonce"),
        pytest.param(setting("nonce", ""), "format", id="empty nonce"),
        pytest.param(setting("nonce", "1" * 33), "format", id="nonce too long"),
        pytest.param(setting("nonce", "%E4%BD%A0"), "format", id="nonce not ASCII"),
        pytest.param(setting("nonce", "12%0A"), "format", id="nonce with newline"),
        pytest.param(setting("timestamp", "1793329445"), "signature", id="another timestamp"),
        pytest.param(setting("timestamp", "1793329445000"), "format", id="timestamp in milliseconds"),
        pytest.param(setting("timestamp", "1793329445%0A"), "format", id="timestamp with newline"),
        pytest.param(setting("timestamp", "%D9%A1" * 10), "format", id="timestamp in Arabic digits"),
    ],
)
def test_a_query_that_is_not_wechats_is_refused(change: Callable[[str], str], why: str) -> None:
    assert reason(SAFE, with_query(say(), change)) == why


ENCRYPT = PEER.encrypt(envelope_xml("text", {"Content": "x"}, sender="42", at=NOW).encode())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "xml", id="nothing"),
        pytest.param(b"{}", "xml", id="JSON"),
        pytest.param(b"<xml><Encrypt>a</Encrypt>", "xml", id="cut off"),
        pytest.param(b"<xml><Encrypt>\xff</Encrypt></xml>", "xml", id="not UTF-8"),
        pytest.param(b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>", "xml", id="Encrypt twice"),
        pytest.param(b"<xml/>", "plain", id="empty element"),
        pytest.param(b"<xml><Encrypt/></xml>", "plain", id="empty Encrypt"),
        pytest.param(envelope_xml("text", {"Content": "x"}, sender="1", at=NOW).encode(), "plain", id="plain body"),
        pytest.param(f"<xml><Encrypt>{ENCRYPT[::-1]}</Encrypt></xml>".encode(), "signature", id="other ciphertext"),
        pytest.param("<xml><Encrypt>密文</Encrypt></xml>".encode(), "signature", id="ciphertext not ASCII"),
    ],
)
def test_a_body_that_is_not_wechats_is_refused(body: bytes, why: str) -> None:
    assert reason(SAFE, replace(say(), body=body)) == why


def test_a_plain_delivery_is_refused_in_safe_mode() -> None:
    delivery = PLAIN_PEER.say("冒名", sender="42", message_id="1", at=NOW)
    assert reason(SAFE, delivery) == "missing"
    assert reason(SAFE, with_query(delivery, lambda q: q + "&msg_signature=" + q[10:50])) == "plain"


def test_in_a_compatible_body_only_the_encrypted_words_count() -> None:
    beside = "<Content>冒名</Content><MsgType>text</MsgType><FromUserName>other</FromUserName>"
    delivery = PEER.encrypted(
        PEER.encrypt(envelope_xml("text", {"Content": "真话"}, sender="42", at=NOW).encode()),
        signed_at=NOW,
        beside=beside,
    )
    assert (message(delivery).text, message(delivery).sender.value) == ("真话", "o6_bmjr42")


def test_no_flipped_bit_is_admitted() -> None:
    delivery = say()
    covered = [m.span(1) for m in re.finditer(r"[?&](?:timestamp|nonce|msg_signature)=(\w+)", delivery.target)]
    target, body = delivery.target.encode(), delivery.body
    start, end = body.index(b"<Encrypt>"), body.index(b"</Encrypt>")
    forgeries = [
        *(replace(delivery, target=flipped(target, bit).decode("latin-1")) for span in covered for bit in bits(*span)),
        *(replace(delivery, body=flipped(body, bit)) for bit in bits(start + len(b"<Encrypt><![CDATA["), end - 3)),
    ]
    assert len(forgeries) > 1000
    for forgery in forgeries:
        assert reason(SAFE, forgery) in {"missing", "format", "xml", "plain", "signature"}


def bits(start: int, end: int) -> range:
    return range(start * 8, end * 8)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_ciphertext_cut_at_the_missing_delimiter_is_never_a_message() -> None:
    """Sorted and joined, the head of one part can pass for the tail of another."""
    delivery = next(d for d in (say() for _ in range(1000)) if moved(d) is not None)
    forgery = moved(delivery)
    assert forgery is not None
    with pytest.raises(Malformed):
        parsed(forgery)


def moved(delivery: HttpDelivery) -> HttpDelivery | None:
    """The delivery with four characters of Encrypt moved into the nonce, where the order lets them."""
    nonce = re.search(r"nonce=(\d+)", delivery.target)
    encrypt = re.search(rb"CDATA\[([^\]]{50,})\]", delivery.body)
    assert nonce and encrypt
    head, rest = encrypt[1][:4].decode(), encrypt[1][4:].decode()
    forgery = replace(
        with_query(delivery, setting("nonce", nonce[1] + head)),
        body=delivery.body.replace(encrypt[1], rest.encode()),
    )
    try:
        SAFE.authenticate(request(forgery))
    except Unauthenticated:
        return None
    return forgery


# -- Plain mode --------------------------------------------------------------------------------------------------------


def test_in_plain_mode_the_signature_is_bound_to_the_body() -> None:
    delivery = PLAIN_PEER.unencrypted(b"<xml/>", signed_at=NOW)
    admission = PLAIN.authenticate(request(delivery))
    assert admission.binding is not None
    assert admission.binding.key in delivery.target
    assert admission.binding.digest == hashlib.sha256(b"<xml/>").digest()
    other = PLAIN.authenticate(request(replace(delivery, body=b"<xml></xml>"))).binding
    assert other is not None and other.key == admission.binding.key and other.digest != admission.binding.digest


@pytest.mark.parametrize("seconds", [-301, 301])
def test_in_plain_mode_a_late_delivery_is_refused(seconds: int) -> None:
    signed_at = NOW + timedelta(seconds=seconds)
    assert reason(PLAIN, PLAIN_PEER.unencrypted(b"<xml/>", signed_at=signed_at)) == "stale"
    assert PLAIN.authenticate(request(PLAIN_PEER.unencrypted(b"<xml/>", signed_at=signed_at), signed_at))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (setting("signature", "0" * 40), "signature"),
        (setting("nonce", "x"), "signature"),
        (setting("nonce", "x%20"), "format"),
        (lambda _: "", "missing"),
    ],
)
def test_in_plain_mode_a_query_that_is_not_wechats_is_refused(change: Callable[[str], str], why: str) -> None:
    assert reason(PLAIN, with_query(PLAIN_PEER.unencrypted(b"<xml/>", signed_at=NOW), change)) == why


def test_a_plain_message_is_read_and_a_kept_one_is_read_in_the_mode_it_came() -> None:
    xml = envelope_xml("text", {"Content": "积水", "MsgId": "9"}, sender="42", at=NOW)
    kept = envelope(PLAIN, PLAIN_PEER.raw_xml(xml, signed_at=NOW))
    assert PLAIN.parse(kept) == SAFE.parse(kept) == (message(PEER.raw_xml(xml, signed_at=NOW)),)
    safe = envelope(SAFE, PEER.raw_xml(xml, signed_at=NOW))
    assert PLAIN.parse(safe) == SAFE.parse(safe)


# -- Challenge and answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "echostr", ["5838479218127813673", "tbQ_3-x/9+A=", "a" * 256], ids=["digits", "Base64", "longest"]
)
def test_the_challenge_is_echoed(echostr: str) -> None:
    answer = SAFE.challenge(request(PEER.challenge(echostr, signed_at=NOW)))
    assert (answer.status, answer.body, answer.media_type) == (200, echostr.encode(), "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("delivery", "why"),
    [
        pytest.param(PEER.challenge("1", signed_at=NOW - timedelta(seconds=301)), "stale", id="stale"),
        pytest.param(PEER.challenge("1", signed_at=NOW + timedelta(seconds=301)), "stale", id="early"),
        pytest.param(PEER.challenge("<script>", signed_at=NOW), "format", id="markup"),
        pytest.param(PEER.challenge("", signed_at=NOW), "format", id="empty"),
        pytest.param(PEER.challenge("a" * 257, signed_at=NOW), "format", id="long"),
        pytest.param(replace(say(), method="GET"), "missing", id="no echostr"),
        pytest.param(with_query(PEER.challenge("1", signed_at=NOW), setting("nonce", "1")), "signature", id="forged"),
    ],
)
def test_a_challenge_that_is_not_wechats_is_refused(delivery: HttpDelivery, why: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        SAFE.challenge(request(delivery))
    assert refused.value.reason == why


def test_answers() -> None:
    kept = Kept(envelope(SAFE, say()).id)
    assert (SAFE.acknowledge(kept).status, SAFE.acknowledge(kept).body) == (200, b"success")
    assert (SAFE.refuse(Unauthenticated("signature")).status, SAFE.refuse(Unauthenticated("signature")).body) == (
        403,
        b"",
    )


def test_routes_name_the_path_secret() -> None:
    hidden = WeChatSettings(**REQUIRED, path_secret="f00d-f00d-f00d")
    assert [r.path for r in WeChat("wx", hidden).routes()] == ["/channels/wx/f00d-f00d-f00d"]
    assert WeChatPeer("wx", hidden).raw_xml("").target.startswith("/channels/wx/f00d-f00d-f00d?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoding_aes_key", "x" * 42),
        ("encoding_aes_key", "x" * 44),
        ("encoding_aes_key", "密" * 43),
        ("encoding_aes_key", "x" * 42 + "!"),
        ("token", ""),
        ("app_secret", "change-me"),
        ("app_id", ""),
        ("app_id", "wx 1"),
        ("mode", "compatible"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        WeChatSettings(**{**REQUIRED, name: value})
    assert [fault["loc"] for fault in wrong.value.errors()] == [(name,)]
    assert not value or value not in str(wrong.value)


# -- What is read ------------------------------------------------------------------------------------------------------


def test_all_of_a_text_message() -> None:
    (found,) = parsed(say(" 路灯\n不亮 ]]> <b>&amp; "))  # type: ignore[misc]
    assert isinstance(found, Message)
    assert found.text == " 路灯\n不亮 ]]> <b>&amp; "
    assert (found.key_space, found.account, found.provider_id) == ("wechat", ACCOUNT, "7000000001")
    assert (found.sender.type, found.sender.value, found.sender.assurance) == ("wechat", "o6_bmjr42", "verified")
    assert (found.sent_at, found.flags, found.attachments, found.place) == (NOW, (), (), None)


IMAGE, VOICE, VIDEO, FILE, LINK = AttachmentKind


@pytest.mark.parametrize(
    ("msg_type", "fields", "text", "attachments", "flags"),
    [
        pytest.param("TEXT", {"Content": "急"}, "急", [], (), id="type in upper case"),
        pytest.param("text", {}, "", [], (), id="text without Content"),
        pytest.param("text", {"Content": ""}, "", [], (), id="empty text"),
        pytest.param("image", {"PicUrl": "http://a/b", "MediaId": "m1"}, "", [(IMAGE, "media:m1")], (), id="image"),
        pytest.param("image", {"PicUrl": "http://a/b"}, "", [(IMAGE, "http://a/b")], (), id="image by URL"),
        pytest.param("image", {}, "", [(IMAGE, None)], (), id="image without either"),
        pytest.param("voice", {"MediaId": "m2", "Format": "amr"}, "", [(VOICE, "media:m2")], (), id="voice"),
        pytest.param(
            "voice", {"MediaId": "m2", "Recognition": "停水了"}, "停水了", [(VOICE, "media:m2")], (), id="transcript"
        ),
        pytest.param("video", {"MediaId": "m3", "ThumbMediaId": "t"}, "", [(VIDEO, "media:m3")], (), id="video"),
        pytest.param("shortvideo", {"MediaId": "m4"}, "", [(VIDEO, "media:m4")], (), id="short video"),
        pytest.param(
            "link",
            {"Title": "公告", "Description": "停气", "Url": "https://a.example/1"},
            "公告\n停气\nhttps://a.example/1",
            [(LINK, "https://a.example/1")],
            (),
            id="link",
        ),
        pytest.param("link", {"Title": "公告"}, "公告", [(LINK, None)], (), id="link without Url"),
        pytest.param("file", {"Title": "a.pdf", "MediaId": "m5"}, "a.pdf", [(FILE, "media:m5")], (), id="file"),
        pytest.param("music", {"Title": "歌"}, "歌", [], (), id="music"),
        pytest.param("miniprogrampage", {"Title": "缴费"}, "缴费", [], (), id="mini program"),
        pytest.param("hologram", {"Content": "看"}, "看", [], ("unknown_type",), id="next year's"),
        pytest.param("", {"Content": "说"}, "说", [], ("unknown_type",), id="no type"),
    ],
)
def test_messages(
    msg_type: str, fields: dict[str, str], text: str, attachments: list[Any], flags: tuple[str, ...]
) -> None:
    found = message(of_type(msg_type, fields))
    assert found.text == text
    assert [(a.kind, a.reference) for a in found.attachments] == attachments
    assert found.flags == flags
    assert found.provider_id is None


def test_the_format_of_a_recording_is_its_media_type() -> None:
    assert message(of_type("voice", {"MediaId": "m", "Format": "AMR"})).attachments[0].media_type == "audio/amr"
    assert message(of_type("voice", {"MediaId": "m", "Format": "a/b"})).attachments[0].media_type is None


def test_a_location_has_its_latitude_in_x() -> None:
    fields = {"Location_X": "36.651216", "Location_Y": "117.120095", "Scale": "20", "Label": "济南市历下区"}
    found = message(of_type("location", fields))
    assert found.place is not None
    assert (found.place.latitude, found.place.longitude) == (36.651216, 117.120095)
    assert (found.place.crs, found.place.text, found.flags) == (CoordinateSystem.GCJ_02, "济南市历下区", ())


@pytest.mark.parametrize("odd", ["nan", "inf", "91", "-90.5", "1e1", "1_0", "", " 1", "３６", "36.6.5"])
def test_an_odd_location_keeps_its_words(odd: str) -> None:
    found = message(of_type("location", {"Location_X": odd, "Location_Y": "117.1", "Label": "泉城路"}))
    assert found.place is not None
    assert (found.place.text, found.place.latitude, found.place.longitude) == ("泉城路", None, None)
    assert found.flags == ("odd_place",)


@pytest.mark.parametrize(
    ("stated", "sent_at", "flags"),
    [
        ("1348831860", datetime(2012, 9, 28, 11, 31, tzinfo=UTC), ()),
        ("0", None, ("odd_time",)),
        ("-5", None, ("odd_time",)),
        ("9999999999", None, ("odd_time",)),
        ("1793329445000", None, ("odd_time",)),
        pytest.param("9" * 400, None, ("odd_time",), id="400 digits"),
        ("soon", None, ("odd_time",)),
        ("", None, ("odd_time",)),
    ],
)
def test_create_time(stated: str, sent_at: datetime | None, flags: tuple[str, ...]) -> None:
    found = message(of_type("text", {"Content": "x", "CreateTime": stated}))
    assert (found.sent_at, found.flags) == (sent_at, flags)


@pytest.mark.parametrize(
    ("stated", "provider_id"),
    [("6054768590064713728", "6054768590064713728"), ("0", None), ("00", None), ("", None), ("zz", None), ("-1", None)],
)
def test_message_ids(stated: str, provider_id: str | None) -> None:
    assert message(of_type("text", {"Content": "x", "MsgId": stated})).provider_id == provider_id


@pytest.mark.parametrize(
    ("msg_type", "event", "why"),
    [
        ("event", "subscribe", "subscribe"),
        ("event", "SCAN", "scan"),
        ("EVENT", "CLICK", "click"),
        ("event", "subscribe_msg_popup_event", "subscribe_msg_popup_event"),
        ("event", "  关注 / a-b ", "a_b"),
        ("event", "关注", "event"),
        pytest.param("event", "x" * 99, "x" * 60, id="long"),
        ("device_event", "", "device_event"),
    ],
)
def test_events_are_notices(msg_type: str, event: str, why: str) -> None:
    found = parsed(of_type(msg_type, {"Event": event}))
    assert isinstance(found, Notice) and found.reason == why


def test_an_event_without_a_name_is_a_notice() -> None:
    found = parsed(of_type("event", {}))
    assert isinstance(found, Notice) and found.reason == "event"


# -- What cannot be read -----------------------------------------------------------------------------------------------


def block(plain: bytes) -> HttpDelivery:
    return PEER.encrypted(PEER.cipher_text(plain), signed_at=NOW)


APP_ID = REQUIRED["app_id"].encode()
CONTENT = envelope_xml("text", {"Content": "x"}, sender="42", at=NOW).encode()


def plaintext(xml: bytes) -> bytes:
    return bytes(16) + len(xml).to_bytes(4, "big") + xml + APP_ID


def sized(remainder: int) -> bytes:
    """A good plaintext whose length leaves ``remainder`` when divided by 16."""
    return next(made for n in range(16) if len(made := plaintext(CONTENT + b" " * n)) % 16 == remainder)


GOOD = plaintext(CONTENT)


def padded(content: bytes, by: int = 0) -> bytes:
    count = by or 32 - len(content) % 32
    return content + bytes([count]) * count


def raw(xml: str | bytes) -> HttpDelivery:
    return PEER.raw_xml(xml, signed_at=NOW)


def test_the_ciphertext_that_the_odd_ones_are_made_of_is_good() -> None:
    assert message(block(padded(GOOD))).text == "x"
    assert message(block(padded(sized(0), 32))).text == message(block(padded(sized(0), 16))).text == "x"


UNREADABLE = {
    "ciphertext": {
        "padding 0": block(padded(GOOD)[:-1] + b"\0"),
        "padding 33": block(padded(sized(-33 % 16), 33)),
        "padding torn": block(padded(GOOD)[:-2] + b"\0" + padded(GOOD)[-1:]),
        "length too small": block(padded(GOOD[:16] + (len(CONTENT) - 1).to_bytes(4, "big") + GOOD[20:])),
        "length too large": block(padded(GOOD[:16] + (len(CONTENT) + 1).to_bytes(4, "big") + GOOD[20:])),
        "length endless": block(padded(GOOD[:16] + b"\xff" * 4 + GOOD[20:])),
        "another app": PEER.encrypted(PEER.encrypt(CONTENT, app_id="wx0000000000000000"), signed_at=NOW),
        "app id longer": block(padded(GOOD + b"0")),
        "no app id": block(padded(GOOD[: -len(APP_ID)])),
        "one block": block(bytes(16)),
        "padding only": block(b"\x20" * 32),
        "not whole blocks": PEER.encrypted(base64.b64encode(bytes(33)).decode(), signed_at=NOW),
        "not Base64": PEER.encrypted("*" * 44, signed_at=NOW),
        "Base64 cut": PEER.encrypted(ENCRYPT[:-1], signed_at=NOW),
        "not ASCII": PEER.encrypted("密文", signed_at=NOW),
        "white space": PEER.encrypted(f" {ENCRYPT}", signed_at=NOW),
    },
    "xml": {
        "no XML": raw("hello"),
        "nothing": raw(""),
        "JSON": raw('{"xml": 1}'),
        "another root": raw("<html><FromUserName>a</FromUserName></html>"),
        "two roots": raw("<xml></xml><xml></xml>"),
        "repeated field": raw("<xml><MsgType>a</MsgType><MsgType>b</MsgType></xml>"),
        "not UTF-8": raw(b"<xml><Content>\xff</Content></xml>"),
        "surrogate": raw(b"<xml><Content>&#xD800;</Content></xml>"),
        "control character": raw("<xml><Content>\x0b</Content></xml>"),
        "unknown entity": raw("<xml><Content>&nbsp;</Content></xml>"),
        "DOCTYPE": raw("<!DOCTYPE xml><xml/>"),
        "deep": raw("<xml>" + "<a>" * 8 + "</a>" * 8 + "</xml>"),
        "wide": raw("<xml>" + "".join(f"<a{n}/>" for n in range(200)) + "</xml>"),
    },
    "fields": {
        "empty element": raw("<xml/>"),
        "no sender": raw("<xml><ToUserName>a</ToUserName><MsgType>text</MsgType></xml>"),
        "no account": raw("<xml><FromUserName>a</FromUserName><MsgType>text</MsgType></xml>"),
        "sender too long": of_type("text", {"FromUserName": "o" * 321}),
        "media id too long": of_type("image", {"MediaId": "m" * 5000}),
    },
}


@pytest.mark.parametrize(
    ("why", "delivery"),
    [pytest.param(why, d, id=label) for why, table in UNREADABLE.items() for label, d in table.items()],
)
def test_what_cannot_be_read_is_malformed(why: str, delivery: HttpDelivery) -> None:
    with pytest.raises(Malformed) as malformed:
        parsed(delivery)
    assert malformed.value.reason == why


# -- The XML gate ------------------------------------------------------------------------------------------------------

BOMBS = {
    "billion laughs": f'<!DOCTYPE xml [<!ENTITY l0 "ha">{LAUGHS}]><xml><Encrypt>&l9;</Encrypt></xml>'.encode(),
    "quadratic": f'<!DOCTYPE xml [<!ENTITY a "{"a" * 30000}">]><xml>{"&a;" * 5000}</xml>'.encode(),
    "external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Encrypt>&e;</Encrypt></xml>',
    "parameter entity": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://192.0.2.1/p"> %p;]><xml><Encrypt>a</Encrypt></xml>',
    "external DTD": b'<!DOCTYPE xml SYSTEM "http://192.0.2.1/d"><xml><Encrypt>a</Encrypt></xml>',
    "DOCTYPE": b"<!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>",
    "DOCTYPE after a declaration": b'<?xml version="1.0"?>\n<!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>',
    "DOCTYPE after a comment": b"<!-- --><!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>",
    "DOCTYPE after an instruction": b"<?a?><!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>",
    "200,000 deep": b"<xml>" * 200_000,
    "deep within the size": b"<xml>" + b"<a>" * 20_000,
    "500,000 wide": b"<xml>" + b"<a/>" * 500_000 + b"</xml>",
    "wide within the size": b"<xml>" + b"<a/>" * 16_000 + b"</xml>",
    "too large": b"<xml><Encrypt>" + b"a" * 65536 + b"</Encrypt></xml>",
    "comments": b"<xml><Encrypt>" + b"<!---->a" * 9000 + b"</Encrypt></xml>",
    "attributes": b"<xml " + b" ".join(b"a%d=''" % n for n in range(9000)) + b"/>",
    "UTF-16": "<xml><Encrypt>a</Encrypt></xml>".encode("utf-16"),
    "UTF-16 without mark": "<xml><Encrypt>a</Encrypt></xml>".encode("utf-16-le"),
    "UTF-32": "<xml><Encrypt>a</Encrypt></xml>".encode("utf-32"),
    "UTF-7 declared": b'<?xml version="1.0" encoding="UTF-7"?><xml><Encrypt>a</Encrypt></xml>',
    "UTF-16 declared": b'<?xml version="1.0" encoding="UTF-16"?><xml><Encrypt>a</Encrypt></xml>',
    "GBK declared": b'<?xml version="1.0" encoding="GBK"?><xml><Encrypt>a</Encrypt></xml>',
    "UTF-7": "<xml><Encrypt>a</Encrypt></xml>".encode("utf-7").replace(b"<", b"+ADw-"),
    "EBCDIC": "<xml><Encrypt>a</Encrypt></xml>".encode("cp037"),
}


@pytest.mark.parametrize("bomb", [pytest.param(bomb, id=label) for label, bomb in BOMBS.items()])
def test_a_bomb_is_refused_at_once(bomb: bytes) -> None:
    assert min(_seconds(lambda: reason(SAFE, replace(say(), body=bomb)) == "xml") for _ in range(3)) < 0.02
    kept = replace(envelope(PLAIN, PLAIN_PEER.unencrypted(b"<xml/>", signed_at=NOW)), body=bomb)
    with pytest.raises(Malformed):
        PLAIN.parse(kept)


def _seconds(holds: Callable[[], bool]) -> float:
    began = time.process_time()
    assert holds()
    return time.process_time() - began


@pytest.mark.parametrize(
    "body",
    [
        b"<xml><a>1</a></xml>",
        b"\xef\xbb\xbf<xml><a>1</a></xml>",
        b'<?xml version="1.0"?><xml><a>1</a></xml>',
        b"<?xml version='1.0' encoding='utf-8'?>\n<xml><a>1</a></xml>\n",
        b'<?xml version="1.0" encoding="UTF-8" ?> <xml >\n<a>1</a>\n</xml>',
        b"<xml><a>1<b>2</b></a></xml>",
        b"<xml><a><![CDATA[1]]></a></xml>",
    ],
)
def test_what_passes_the_gate(body: bytes) -> None:
    assert gate.read(body) == {"a": "1"}


def test_the_gates_bounds_are_where_it_says() -> None:
    assert gate.read(b"<xml>" + b"<a>" * 7 + b"</a>" * 7 + b"</xml>") == {"a": ""}
    assert len(gate.read(b"<xml>" + b"".join(b"<a%d/>" % n for n in range(199)) + b"</xml>")) == 199
    assert len(gate.read(b"<xml><a>" + b"x" * (64 * 1024 - 18) + b"</a></xml>")["a"]) == 64 * 1024 - 18


def test_a_doctype_among_the_words_is_words() -> None:
    assert message(say("<!DOCTYPE html> 打不开")).text == "<!DOCTYPE html> 打不开"


# -- Whatever comes ----------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
BODIES = st.one_of(
    st.binary(max_size=400),
    WORDS.map(lambda text: f"<xml><Encrypt>{text}</Encrypt></xml>".encode()),
    st.sampled_from([say().body, *BOMBS.values()]),
)
QUERIES = st.one_of(
    WORDS,
    st.just(say().target.partition("?")[2]),
    st.dictionaries(st.sampled_from(["signature", "msg_signature", "timestamp", "nonce", "echostr"]), WORDS).map(
        lambda values: "&".join(f"{name}={value}" for name, value in values.items())
    ),
)
NAMES = ["ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "Content", "MediaId", "Event", "Label", "Url"]
TYPES = ["text", "image", "voice", "video", "location", "link", "event", "file"]
FIELDS = st.dictionaries(
    st.sampled_from([*NAMES, "Location_X", "Location_Y", "Format", "Title"]), st.one_of(WORDS, st.sampled_from(TYPES))
)


@settings(max_examples=500, deadline=None)
@given(QUERIES, BODIES, st.sampled_from([SAFE, PLAIN]))
def test_authenticate_and_challenge_refuse_or_admit(query: str, body: bytes, channel: WeChat) -> None:
    asked = Request("POST", "/", query, (), body, "192.0.2.1", "", NOW)
    for verb in (channel.authenticate, channel.challenge):
        with suppress(Unauthenticated):
            verb(asked)


def read_or_malformed(kept: Envelope) -> None:
    with suppress(Malformed):
        assert SAFE.parse(kept) == SAFE.parse(kept)


@settings(max_examples=500, deadline=None)
@given(FIELDS)
def test_parse_reads_any_fields_or_says_malformed(fields: dict[str, str]) -> None:
    read_or_malformed(envelope(SAFE, of_type("text", fields)))


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.integers(0, 12).map(lambda blocks: os.urandom(16 * blocks))))
def test_signed_random_ciphertext_is_malformed(ciphertext: bytes) -> None:
    delivery = PEER.encrypted(base64.b64encode(ciphertext).decode() or "a", signed_at=NOW)
    with pytest.raises(Malformed) as malformed:
        parsed(delivery)
    assert malformed.value.reason == "ciphertext"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_parse_reads_any_body_or_says_malformed(body: bytes, plain: bool) -> None:
    kept = envelope(SAFE, say())
    read_or_malformed(replace(kept, body=body, context={"mode": "plain"} if plain else {}))
    read_or_malformed(envelope(SAFE, raw(body)))


# -- Against npm wechat-crypto -----------------------------------------------------------------------------------------

CRYPTO = (
    "const Crypt = require('wechat-crypto'); const it = new Crypt(input.token, input.encoding_aes_key, input.app_id);"
)
TEXTS = {
    "words": "路灯不亮",
    "nothing": "",
    **{f"{length} bytes": "x" * length for length in range(30, 62, 7)},
    "astral": "😀" * 500,
    "markup": "]]><Content>注入</Content>",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_wechat_crypto_encrypts_and_signs_is_read(node: Callable[[str, Any], Any], text: str) -> None:
    xml = envelope_xml("text", {"Content": text, "MsgId": "1"}, sender="42", at=NOW)
    query = {"timestamp": str(int(NOW.timestamp())), "nonce": "1372623149"}
    script = "const e = it.encrypt(input.xml); return [e, it.getSignature(input.timestamp, input.nonce, e)];"
    encrypt, signature = node(CRYPTO + script, {**REQUIRED, **query, "xml": xml})
    target = f"/channels/wechat?msg_signature={signature}&timestamp={query['timestamp']}&nonce={query['nonce']}"
    found = message(HttpDelivery(target, f"<xml><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>".encode()))
    assert (found.text, found.sender.value) == (text, "o6_bmjr42")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_our_peer_encrypts_and_signs_is_read_by_wechat_crypto(node: Callable[[str, Any], Any], text: str) -> None:
    xml = envelope_xml("text", {"Content": text}, sender="42", at=NOW)
    delivery = PEER.raw_xml(xml, signed_at=NOW)
    asked = request(delivery)
    encrypt = gate.read(delivery.body)["Encrypt"]
    script = "return [it.decrypt(input.encrypt), it.getSignature(input.timestamp, input.nonce, input.encrypt)];"
    sent = {"encrypt": encrypt, "timestamp": asked.parameter("timestamp"), "nonce": asked.parameter("nonce")}
    read, signature = node(CRYPTO + script, {**REQUIRED, **sent})
    assert read == {"message": xml, "id": REQUIRED["app_id"]}
    assert signature == asked.parameter("msg_signature")


# -- The conformance suite ---------------------------------------------------------------------------------------------


def cases(gateway: Any) -> Cases:
    peer = WeChatPeer("wechat", gateway.channel("wechat").settings)
    now = datetime.now(UTC).replace(microsecond=0)

    def at(n: int) -> dict[str, Any]:
        return {"sender": f"80000{n}", "message_id": f"80000{n}", "at": now}

    def inner(text: str) -> bytes:
        return envelope_xml("text", {"Content": text, "MsgId": "81"}, sender="81", at=now).encode()

    good = peer.say("小区垃圾三天没人清运", **at(1))
    random = peer.encrypted(base64.b64encode(os.urandom(96)).decode())
    return Cases(
        peer=peer,
        readable={
            "text": (good, Expected(text="小区垃圾三天没人清运")),
            "late": (
                peer.raw_xml(inner("学校门口施工到半夜"), signed_at=now - timedelta(hours=1)),
                Expected(text="学校门口施工到半夜"),
            ),
            "image": (peer.image("media-1", **at(2)), Expected(attachments=(IMAGE,))),
            "voice": (
                peer.voice("media-2", recognition="自来水发黄", **at(3)),
                Expected(text="自来水发黄", attachments=(VOICE,)),
            ),
            "location": (
                peer.location("117.120095", "36.651216", "泉城广场", **at(4)),
                Expected(position=(117.120095, 36.651216)),
            ),
            "unknown type": (
                peer.message("hologram", {"Content": "公交站牌倒了"}, **at(5)),
                Expected(text="公交站牌倒了"),
            ),
            "event": (peer.event("subscribe", sender="806", at=now), Expected(outcome="notice")),
        },
        forged={
            "no query": with_query(good, lambda _: ""),
            "signature": with_query(good, setting("msg_signature", "0" * 40)),
            "nonce": with_query(good, setting("nonce", "1")),
            "other body": replace(good, body=peer.say("冒名", **at(7)).body),
            "plain body": replace(good, body=inner("冒名")),
            "billion laughs": replace(good, body=BOMBS["billion laughs"]),
            "challenge": with_query(peer.challenge("1"), setting("signature", "0" * 40)),
            "late challenge": peer.challenge("1", signed_at=now - timedelta(hours=1)),
        },
        odd={
            "random ciphertext": random,
            "another app": peer.encrypted(peer.encrypt(inner("x"), app_id="wx0000000000000000")),
            "no XML": peer.raw_xml("hello"),
            "bomb within": peer.raw_xml(BOMBS["billion laughs"]),
            "no sender": peer.raw_xml("<xml><MsgType>text</MsgType><Content>x</Content></xml>"),
        },
        oversized={"64 KiB": peer.say("长" * 30000, **at(8))},
    )


async def test_conformance(start_gateway: Any) -> None:
    async with FakeWeChat("wx0123456789abcdef", "").running() as fake:
        fake.media |= {"media-1": b"\xff\xd8\xff\xe0", "media-2": b"#!AMR\n"}

        def change(document: dict[str, Any]) -> None:
            document["channels"]["wechat"] |= {"api_base": fake.url}

        async with start_gateway(change) as gateway:
            fake._secret = (gateway.secrets / "wechat-app-secret").read_text()
            await check_channel("wechat", cases(gateway), gateway)
