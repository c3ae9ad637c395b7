"""WeChat: what each message and event says, which reply window it opens, and keys while they are being changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from channels import xml as gate
from channels.base import Answer, Request
from channels.errors import Malformed, Unauthenticated
from channels.simulated import Ack, HttpDelivery
from channels.simulated.wechat import ACCOUNT, WeChatPeer, envelope_xml, openid
from channels.wechat import WeChat, WeChatSettings
from channels.wechat_api import fitted
from normalizer.model import AttachmentKind, ContactType, Message, Notice, Parsed, Report
from normalizer.reply import Limit, Outgoing
from tests.channels.chats import outgoing

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
OLD_KEY, NEW_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "kWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2D"
REQUIRED = {"app_id": "wx5823bf96d3bd56c7", "app_secret": "4f0c1d2e3b5a697887"}
OLD = {"token": "the-old-token", "encoding_aes_key": OLD_KEY}
NEW = {"token": "the-new-token", "encoding_aes_key": NEW_KEY}
BOTH = NEW | {"previous_token": OLD["token"], "previous_encoding_aes_key": OLD_KEY}


def channel(**chosen: Any) -> WeChat:
    return WeChat("wechat", WeChatSettings.model_validate(REQUIRED | (chosen or NEW)))


def peer(**chosen: Any) -> WeChatPeer:
    return WeChatPeer("wechat", channel(**chosen).settings)


CHANNEL, PEER = channel(), peer()


def request(delivery: HttpDelivery) -> Request:
    path, _, query = delivery.target.partition("?")
    return Request(delivery.method, path, query, (), delivery.body, "192.0.2.1", "", NOW)


def parsed(delivery: HttpDelivery, by: WeChat = CHANNEL) -> Parsed:
    asked = request(delivery)
    return by.parse(by.envelope(asked.body, asked.received_at, asked.query, by.authenticate(asked)))


def of_type(kind: str, fields: dict[str, str], nested: str = "") -> Parsed:
    xml = envelope_xml(kind, fields, sender="42", at=NOW)
    return parsed(PEER.raw_xml(xml.replace("</xml>", nested + "</xml>"), signed_at=NOW))


def message(kind: str, **fields: str) -> Message:
    found = of_type(kind, {"MsgId": "7000000001", **fields})
    assert isinstance(found, tuple)
    return found[0]


def notice(kind: str, fields: dict[str, str], nested: str = "") -> Notice:
    found = of_type(kind, fields, nested)
    assert isinstance(found, Notice)
    return found


# -- Messages ----------------------------------------------------------------------------------------------------------

IMAGE, VOICE, VIDEO, FILE, LINK = AttachmentKind
FULL_FILE = {"Title": "照片.zip", "Description": "现场", "FileKey": "k", "FileMd5": "a" * 32, "FileTotalLen": "4194304"}


@pytest.mark.parametrize(
    ("kind", "fields", "text", "attachments"),
    [
        ("text", {"Content": "停水了"}, "停水了", []),
        ("image", {"PicUrl": "http://mmbiz.qpic.cn/a/0", "MediaId": "m1"}, "", [(IMAGE, "media:m1", None, None)]),
        ("image", {"PicUrl": "http://mmbiz.qpic.cn/a/0"}, "", [(IMAGE, "http://mmbiz.qpic.cn/a/0", None, None)]),
        (
            "voice",
            {"MediaId": "m2", "Format": "speex", "MediaId16K": "m2w", "Recognition": "停电了"},
            "停电了",
            [(VOICE, "media:m2", None, None)],
        ),
        ("video", {"MediaId": "m3", "ThumbMediaId": "t3"}, "", [(VIDEO, "media:m3", None, None)]),
        ("shortvideo", {"MediaId": "m4", "ThumbMediaId": "t4"}, "", [(VIDEO, "media:m4", None, None)]),
        ("location", {"Location_X": "36.6", "Location_Y": "117.1", "Scale": "20", "Label": "泉城路"}, "", []),
        (
            "link",
            {"Title": "公告", "Description": "停气", "Url": "https://a.example/1"},
            "公告\n停气\nhttps://a.example/1",
            [(LINK, "https://a.example/1", None, None)],
        ),
        ("file", FULL_FILE, "照片.zip\n现场", [(FILE, None, "照片.zip", 4194304)]),
        ("file", {"Title": "a.pdf", "MediaId": "m5"}, "a.pdf", [(FILE, "media:m5", "a.pdf", None)]),
        ("file", {"Title": "长" * 300, "FileTotalLen": "many"}, "长" * 300, [(FILE, None, "长" * 255, None)]),
        ("file", {}, "", [(FILE, None, None, None)]),
        (
            "music",
            {"Title": "噪音", "Description": "夜里录的", "MusicUrl": "https://a.example/2"},
            "噪音\n夜里录的\nhttps://a.example/2",
            [(LINK, "https://a.example/2", None, None)],
        ),
        (
            "miniprogrampage",
            {
                "Title": "水费账单",
                "AppId": "wx1",
                "PagePath": "pages/index",
                "ThumbMediaId": "t6",
                "ThumbUrl": "http://a/b",
            },
            "水费账单",
            [(IMAGE, "media:t6", None, None)],
        ),
        ("miniprogrampage", {"Title": "账单", "ThumbUrl": "http://a/b"}, "账单", [(IMAGE, "http://a/b", None, None)]),
        ("hologram", {"MediaId": "m7"}, "", [(FILE, "media:m7", None, None)]),
        ("hologram", {"Content": "看"}, "看", []),
    ],
)
def test_what_holds_words_or_media_is_a_message(
    kind: str, fields: dict[str, str], text: str, attachments: list[Any]
) -> None:
    found = message(kind, **fields)
    assert found.text == text
    assert [(a.kind, a.reference, a.file_name, a.size) for a in found.attachments] == attachments
    assert (found.account, found.sender.value, found.opens) == (ACCOUNT, openid("42"), "message")
    assert found.flags == (("unknown_type",) if kind == "hologram" else ())


def test_what_is_picked_from_a_menu_in_a_message_counts_as_a_click() -> None:
    assert message("text", Content="满意", bizmsgmenuid="101").opens == "menu"


@pytest.mark.parametrize("fields", [{}, {"Content": " \n"}, {"Typing": "1"}])
def test_a_type_that_nobody_knows_and_that_says_nothing_is_a_notice(fields: dict[str, str]) -> None:
    found = notice("hologram", fields)
    assert (found.reason, found.opens, found.account) == ("unknown_type", "message", ACCOUNT)
    assert found.sender is not None and found.sender.value == openid("42")


def test_how_it_is_listened_to_and_answered() -> None:
    assert WeChat.reply_limits == {"message": Limit(48 * 3600, 5), "menu": Limit(60, 3)}
    assert WeChat.conversational and WeChat.reaches == {ContactType.WECHAT} and WeChat.ride_seconds == 2.0
    assert WeChat.fetches == {IMAGE, VOICE, VIDEO, FILE}


# -- Events ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "opens", "reachable"),
    [
        ("subscribe", "menu", True),
        ("unsubscribe", None, False),
        ("SCAN", "menu", None),
        ("CLICK", "menu", None),
        ("scancode_push", "menu", None),
        ("scancode_waitmsg", "menu", None),
        ("VIEW", None, None),
        ("view_miniprogram", None, None),
        ("pic_sysphoto", None, None),
        ("pic_photo_or_album", None, None),
        ("pic_weixin", None, None),
        ("location_select", None, None),
        ("LOCATION", None, None),
        ("MASSSENDJOBFINISH", None, None),
        ("PUBLISHJOBFINISH", None, None),
        ("user_info_modified", None, None),
        ("user_authorization_revoke", None, None),
        ("subscribe_msg_popup_event", None, None),
        ("subscribe_msg_change_event", None, None),
    ],
)
def test_events_are_notices(event: str, opens: str | None, reachable: bool | None) -> None:
    found = notice("event", {"Event": event, "EventKey": "qrscene_123", "MsgID": "5", "Status": "send success"})
    assert found.reason == event.lower()
    assert (found.account, found.sender and found.sender.value) == (ACCOUNT, openid("42"))
    assert (found.opens, found.reachable, found.reports) == (opens, reachable, ())


@pytest.mark.parametrize("lacking", ["FromUserName", "ToUserName"])
def test_an_event_that_names_nobody_is_a_notice_about_nobody(lacking: str) -> None:
    found = notice("event", {"Event": "subscribe", lacking: ""})
    assert (found.reason, found.account, found.sender) == ("subscribe", None, None)


@pytest.mark.parametrize(
    ("number", "status", "reports"),
    [
        ("200163836", "success", (Report(provider_id="200163836", state="delivered"),)),
        ("200163836", "failed:user block", (Report(provider_id="200163836", state="failed", reason="user_block"),)),
        (
            "200163836",
            "failed: system failed",
            (Report(provider_id="200163836", state="failed", reason="system_failed"),),
        ),
        ("200163836", "", (Report(provider_id="200163836", state="failed", reason="failed"),)),
        ("0", "success", ()),
        ("", "success", ()),
        ("x", "success", ()),
    ],
)
def test_what_became_of_a_template(number: str, status: str, reports: tuple[Report, ...]) -> None:
    found = notice("event", {"Event": "TEMPLATESENDJOBFINISH", "MsgID": number, "Status": status})
    assert (found.reason, found.reports) == ("templatesendjobfinish", reports)


def sent_event(*rows: tuple[str, str, str]) -> str:
    items = "".join(
        f"<List><TemplateId><![CDATA[t]]></TemplateId><MsgID>{number}</MsgID><ErrorCode>{code}</ErrorCode>"
        f"<ErrorStatus><![CDATA[{status}]]></ErrorStatus></List>"
        for number, code, status in rows
    )
    return f"<SubscribeMsgSentEvent>{items}</SubscribeMsgSentEvent>"


@pytest.mark.parametrize(
    ("nested", "reports"),
    [
        (sent_event(("1700827132819554304", "0", "success")), [("1700827132819554304", "delivered", None)]),
        (sent_event(("17", "43101", "user block")), [("17", "failed", "user_block")]),
        (sent_event(("17", "0", "ok"), ("18", "1", "")), [("17", "delivered", None), ("18", "failed", "failed")]),
        (sent_event(("", "0", "success")), []),
        (sent_event(), []),
        ("", []),
    ],
)
def test_what_became_of_a_subscription_message(nested: str, reports: list[Any]) -> None:
    found = notice("event", {"Event": "subscribe_msg_sent_event"}, nested)
    assert [(r.provider_id, r.state, r.reason) for r in found.reports] == reports


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("<a><List><x>1</x><y><z>no</z></y></List></a><List/>", [{"x": "1", "y": ""}, {}]),
        ("<List><List><x>1</x></List></List>", [{"List": ""}]),
        ("<List><x>1</x><x>2</x></List>", [{"x": "2"}]),
        ("<a>text</a>", []),
    ],
)
def test_rows_of_a_list(body: str, rows: list[dict[str, str]]) -> None:
    assert gate.rows(f"<xml>{body}</xml>".encode(), "List") == rows


def test_a_list_has_the_same_bounds() -> None:
    with pytest.raises(gate.BadXml, match="bounds"):
        gate.rows(b"<xml>" + b"<List/>" * 200 + b"</xml>", "List")


# -- The passive reply -------------------------------------------------------------------------------------------------


def reply(text: str) -> Outgoing:
    return outgoing(ContactType.WECHAT, openid("42"), ACCOUNT, text)


def ack(answer: Answer) -> Ack:
    return Ack(True, answer.status, answer.body)


TEXTS = {
    "words": "您的诉求已收到，受理编号：20261123000017。",
    "markup": "]]></Content><FuncFlag>1</FuncFlag><Content><![CDATA[注入",
    "brackets": "if a[b[0]]>1 ]]]]>> ]]>]]>",
    "astral": "😀" * 100,
    "entities": "&amp; &#0; <b> \"'",
    "lines": "一\n二\t三",
    "blocks": "x" * 32,
}


@pytest.mark.parametrize("mode", ["safe", "plain"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_citizen_sees_what_was_written(mode: str, text: str) -> None:
    answer = channel(**NEW, mode=mode).ride(reply(text))
    assert peer(**NEW, mode=mode).answered(ack(answer)) == text
    assert (answer.status, answer.media_type) == (200, "text/xml; charset=utf-8")


def test_names_go_back_to_where_the_message_came_from() -> None:
    fields = gate.read(channel(**NEW, mode="plain").ride(reply("好")).body)
    assert (fields["ToUserName"], fields["FromUserName"], fields["MsgType"]) == (openid("42"), ACCOUNT, "text")
    assert abs(int(fields["CreateTime"]) - datetime.now(UTC).timestamp()) < 5


def test_no_reply_is_encrypted_like_another() -> None:
    first, second = (gate.read(CHANNEL.ride(reply("好")).body) for _ in range(2))
    assert first["Encrypt"] != second["Encrypt"] and first["Nonce"] != second["Nonce"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=900))
def test_any_text_rides_without_what_xml_forbids(text: str) -> None:
    plain = channel(**NEW, mode="plain")
    allowed = "".join(c for c in fitted(text) if is_xml(ord(c)))
    shown = gate.read(plain.ride(reply(text or " ")).body)["Content"]
    assert shown == (allowed if text else " ").replace("\r\n", "\n").replace("\r", "\n")


def is_xml(point: int) -> bool:
    """XML 1.0 section 2.2, Char."""
    ranges = ((0x20, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x10FFFF))
    return point in {0x9, 0xA, 0xD} or any(first <= point <= last for first, last in ranges)


def test_a_long_text_is_cut_at_2048_bytes() -> None:
    shown = peer().answered(ack(CHANNEL.ride(reply("长" * 1000))))
    assert shown == "长" * 681 + "…" and len(shown.encode()) == 2046


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_wechat_crypto_reads_our_reply(node: Callable[[str, Any], Any], text: str) -> None:
    fields = gate.read(CHANNEL.ride(reply(text)).body)
    script = (
        "const Crypt = require('wechat-crypto'); const it = new Crypt(input.token, input.encoding_aes_key, input.app_id);"
        "return [it.decrypt(input.Encrypt), it.getSignature(input.TimeStamp, input.Nonce, input.Encrypt)];"
    )
    read, signature = node(script, {**REQUIRED, **NEW, **fields})
    assert read["id"] == REQUIRED["app_id"] and signature == fields["MsgSignature"]
    assert gate.read(read["message"].encode())["Content"] == text


# -- Keys while they are being changed ---------------------------------------------------------------------------------


@pytest.fixture(params=["old", "new", "new token, old key", "old token, new key"])
def sender(request: pytest.FixtureRequest) -> Iterator[WeChatPeer]:
    """WeChat, somewhere on the way from the old to the new."""
    named = {"old": OLD, "new": NEW}
    if request.param in named:
        yield peer(**named[request.param])
        return
    token, key = (part.split()[0] for part in request.param.split(", "))
    yield peer(token=named[token]["token"], encoding_aes_key=named[key]["encoding_aes_key"])


@pytest.mark.parametrize("order", [BOTH, OLD | {"previous_token": NEW["token"], "previous_encoding_aes_key": NEW_KEY}])
def test_both_are_believed_and_read(sender: WeChatPeer, order: dict[str, str]) -> None:
    delivery = sender.say("路灯不亮", sender="42", message_id="9", at=NOW)
    found = parsed(delivery, channel(**order))
    assert isinstance(found, tuple) and found[0].text == "路灯不亮"
    assert channel(**order).challenge(request(sender.challenge("e1", signed_at=NOW))).body == b"e1"


def test_a_reply_is_under_the_keys_of_what_it_answers(sender: WeChatPeer) -> None:
    ours = channel(**BOTH)

    def served() -> str | None:
        parsed(sender.say("路灯不亮", sender="42", message_id="9", at=NOW), ours)
        return sender.answered(ack(ours.ride(reply("好"))))

    assert copy_context().run(served) == "好"


def test_a_reply_by_itself_is_under_the_new_ones() -> None:
    def served() -> str | None:
        parsed(peer(**OLD).say("x", sender="42", message_id="9", at=NOW), channel(**BOTH))
        return peer(**NEW).answered(ack(channel(**BOTH).ride(reply("好"))))

    assert copy_context().run(served) == "好"


def test_in_plain_mode_both_tokens_count() -> None:
    for chosen in (OLD, NEW):
        delivery = peer(**chosen, mode="plain").unencrypted(b"<xml/>", signed_at=NOW)
        assert channel(**BOTH, mode="plain").authenticate(request(delivery)).binding is not None


@pytest.mark.parametrize("ours", [NEW, NEW | {"previous_encoding_aes_key": OLD_KEY}], ids=["neither", "key only"])
def test_the_old_token_ends_with_its_setting(ours: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        parsed(peer(**OLD).say("x", sender="42", message_id="9", at=NOW), channel(**ours))


def test_the_old_key_ends_with_its_setting() -> None:
    with pytest.raises(Malformed, match="ciphertext"):
        parsed(peer(**OLD).say("x", sender="42", message_id="9", at=NOW), channel(**NEW, previous_token=OLD["token"]))


def test_a_third_one_is_never_believed() -> None:
    stranger = peer(token="a-strangers-token", encoding_aes_key=OLD_KEY)
    with pytest.raises(Unauthenticated, match="signature"):
        parsed(stranger.say("x", sender="42", message_id="9", at=NOW), channel(**BOTH))


def test_settings_with_a_template_can_be_hashed() -> None:
    """Workers keep a channel by its settings."""
    fields = {"template_id": "tpl", "template_fields": {"keyword1": "code", "keyword2": "text"}}
    assert hash(channel(**NEW, **fields).settings) == hash(channel(**NEW, **fields).settings)


@pytest.mark.parametrize(
    ("chosen", "where"),
    [
        ({"previous_encoding_aes_key": "x" * 42}, "previous_encoding_aes_key"),
        ({"previous_token": ""}, "previous_token"),
        ({"template_id": "tpl"}, "template_fields"),
        ({"subscribe_template_id": "tpl"}, "template_fields"),
        ({"template_id": "tpl&x=1"}, "template_id"),
        ({"template_id": "tpl", "template_fields": {"keyword1": "phone"}}, "template_fields"),
        ({"template_id": "tpl", "template_fields": {"a b": "code"}}, "template_fields"),
    ],
)
def test_a_wrong_setting_is_named(chosen: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        channel(**NEW, **chosen)
    assert {fault["loc"][0] for fault in wrong.value.errors()} == {where}
