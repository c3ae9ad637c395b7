"""WeChat: what becomes of a reply, of the token and of a picture, whatever api.weixin.qq.com does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import rest, wechat_api, wechat_token
from channels.base import File
from channels.errors import ChannelError, Missing, NotSent, Unavailable, Uncertain, Undeliverable
from channels.wechat import WeChat, WeChatSettings
from channels.wechat_api import fitted
from gateway.texts import LABELS
from normalizer.model import ContactType
from normalizer.reply import Outgoing, ReplyKind, Sent
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, LIST, NOTHING, SLOW, FakeWeChat, Notes, outgoing, soon

SECRET = "4f0c1d2e3b5a697887"
APP_ID = "wx5823bf96d3bd56c7"
FIELDS = {"character_string1": "code", "thing2": "text", "phrase3": "kind"}
TEMPLATE = {"template_id": "tpl-1", "template_fields": FIELDS}
SUBSCRIPTION = {"subscribe_template_id": "sub-1", "template_fields": FIELDS}

reply: Callable[..., Outgoing] = partial(outgoing, ContactType.WECHAT, "o6_bmjr42", "gh_7f083739789a", label="办理结果")


@pytest.fixture
async def wechat() -> AsyncIterator[FakeWeChat]:
    async with FakeWeChat(APP_ID, SECRET).running() as fake:
        yield fake


def channel(fake: FakeWeChat | str, **more: Any) -> WeChat:
    base = fake if isinstance(fake, str) else fake.url
    key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
    chosen = {"app_id": APP_ID, "token": "t0k3n", "encoding_aes_key": key, "app_secret": SECRET, "api_base": base}
    return WeChat("wechat", WeChatSettings.model_validate(chosen | more))


def kept(value: str = "token_1", seconds: float = 7200, forced_at: float = 0, asked_at: float = 0) -> Notes:
    """The state with a token in it."""
    token = {"value": value, "expires_at": soon(seconds), "forced_at": forced_at, "asked_at": asked_at}
    return Notes(access_token=json.dumps(token))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call takes 0.3 s at most."""
    for module in (wechat_api, wechat_token):
        monkeypatch.setattr(module, "call", partial(rest.call, seconds=0.3))


# -- Replies -----------------------------------------------------------------------------------------------------------


async def test_a_customer_service_message(wechat: FakeWeChat) -> None:
    assert await channel(wechat).send(reply("路灯已修复。😀"), Notes()) == Sent()
    body = {"touser": "o6_bmjr42", "msgtype": "text", "text": {"content": "路灯已修复。😀"}}
    assert wechat.given == [("custom/send", body)]


async def test_a_base_with_a_slash_at_its_end(wechat: FakeWeChat) -> None:
    assert await channel(f"{wechat.url}/").send(reply(), Notes()) == Sent()


DATA = {
    "character_string1": {"value": "20261123000017"},
    "thing2": {"value": "市住建部门已到现场，三日内修复路灯，感…"},
    "phrase3": {"value": "办理结果"},
}
LONG = "市住建部门已到现场，三日内修复路灯，感谢您的反映。"


@pytest.mark.parametrize(("code", "window"), [(45015, "message"), (45047, "menu"), (None, None)])
@pytest.mark.parametrize(
    ("chosen", "call", "template"),
    [(TEMPLATE, "template/send", "tpl-1"), (SUBSCRIPTION, "subscribe/bizsend", "sub-1")],
    ids=["template", "subscription"],
)
async def test_out_of_the_window_a_template_is_filled(
    wechat: FakeWeChat, code: int | None, window: str | None, chosen: dict[str, Any], call: str, template: str
) -> None:
    wechat.script = [code] if code else []
    sent = await channel(wechat, **chosen).send(reply(LONG, window=window), Notes())
    assert sent == Sent("200163837")
    assert wechat.given == [(call, {"touser": "o6_bmjr42", "template_id": template, "data": DATA})]


@pytest.mark.parametrize("kind", list(ReplyKind))
async def test_every_kind_has_a_phrase_for_templates(wechat: FakeWeChat, kind: ReplyKind) -> None:
    await channel(wechat, **TEMPLATE).send(reply(window=None, reply=kind, label=LABELS[kind]), kept())
    assert wechat.given[0][1]["data"]["phrase3"]["value"] == LABELS[kind]


async def test_without_window_and_template_nothing_is_asked(wechat: FakeWeChat) -> None:
    with pytest.raises(Undeliverable, match=r"^window_closed$"):
        await channel(wechat).send(reply(window=None), Notes())
    assert (wechat.calls, wechat.asked) == ([], [])


@pytest.mark.parametrize(
    ("step", "error", "reason", "fact"),
    [
        (45015, Undeliverable, "errcode_45015", False),
        (45047, Undeliverable, "errcode_45047", False),
        (40003, Undeliverable, "errcode_40003", False),
        (45002, Undeliverable, "errcode_45002", False),
        (48001, Undeliverable, "errcode_48001", False),
        (43004, Undeliverable, "errcode_43004", True),
        (43019, Undeliverable, "errcode_43019", True),
        (50005, Undeliverable, "errcode_50005", True),
        (-1, NotSent, "busy", 5.0),
        (45009, NotSent, "errcode_45009", 3600.0),
        (45011, NotSent, "errcode_45011", 60.0),
        (SLOW, NotSent, "status_429", 7.0),
        (HTML, Uncertain, "not_json", None),
        (LIST, Uncertain, "not_json", None),
        (NOTHING, Uncertain, "no_errcode", None),
        (BAD_GATEWAY, Uncertain, "status_502", None),
        (CUT, Uncertain, "cut", None),
        (HANG, Uncertain, "timeout", None),
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_what_wechat_answers_is_what_became_of_it(
    wechat: FakeWeChat, step: Any, error: type[ChannelError], reason: str, fact: Any
) -> None:
    wechat.script = [step]
    with pytest.raises(error) as raised:
        await channel(wechat).send(reply(), kept())
    assert raised.value.reason == reason
    assert getattr(raised.value, "unreachable", getattr(raised.value, "after_seconds", None)) == fact
    assert wechat.calls == ["custom/send"], "one call"
    assert len(wechat.given) == (error is Uncertain)


async def test_an_answer_that_does_not_come_to_a_template_is_not_asked_for_again(wechat: FakeWeChat) -> None:
    wechat.script = [45015, CUT]
    with pytest.raises(Uncertain):
        await channel(wechat, **TEMPLATE).send(reply(), kept())
    assert wechat.calls == ["custom/send", "template/send"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=1500))
@settings(max_examples=200, deadline=None)
def test_a_text_is_cut_between_characters(text: str) -> None:
    found = fitted(text * 2)
    assert len(found.encode()) <= 2048
    assert found == text * 2 or (found.endswith("…") and (text * 2).startswith(found[:-1]))
    assert found == text * 2 or len(found.encode()) >= 2045, "no more than needed"


# -- Pictures, recordings, videos --------------------------------------------------------------------------------------

JPEG = b"\xff\xd8\xff\xe0" + bytes(50)


async def test_a_picture(wechat: FakeWeChat) -> None:
    wechat.media["m/1 &"] = JPEG
    found = await channel(wechat).download("media:m/1 &", Notes())
    assert found == File(JPEG, "image/jpeg", "ID.jpg")


async def test_a_video_lies_elsewhere(wechat: FakeWeChat) -> None:
    wechat.media |= {"v": {"video_url": f"{wechat.url}/files/film"}, "film": b"\0\0\0\x18ftypmp42"}
    found = await channel(wechat).download("media:v", kept())
    assert (found.content, wechat.calls) == (b"\0\0\0\x18ftypmp42", ["media", "file"])


async def test_a_file_that_is_json_is_a_file(wechat: FakeWeChat) -> None:
    wechat.media["j"] = b'{"errcode": 40007}'
    assert (await channel(wechat).download("media:j", kept())).content == b'{"errcode": 40007}'


async def test_a_refused_token_is_renewed_for_a_picture_too(wechat: FakeWeChat) -> None:
    wechat.generation, wechat.media["m"] = 2, JPEG
    assert (await channel(wechat).download("media:m", kept("token_1"))).content == JPEG
    assert (wechat.asked, wechat.calls) == ([False], ["media", "media"])


@pytest.mark.parametrize(
    ("reference", "script", "error", "reason"),
    [
        ("media:gone", [], Missing, "errcode_40007"),
        ("media:m", [-1], Unavailable, "busy"),
        ("media:m", [45009], Unavailable, "errcode_45009"),
        ("media:m", [40001, 40001], Unavailable, "errcode_40001"),
        ("https://evil.example/a.jpg", [], Missing, "host"),
        ("http://169.254.169.254/latest", [], Missing, "host"),
        ("file:///etc/passwd", [], Missing, "host"),
    ],
)
async def test_what_cannot_be_had(
    wechat: FakeWeChat, reference: str, script: list[Any], error: type[ChannelError], reason: str
) -> None:
    wechat.script, wechat.media["m"] = script, JPEG
    with pytest.raises(error) as raised:
        await channel(wechat).download(reference, Notes())
    assert raised.value.reason == reason
    assert len(wechat.calls) <= 2 and len(wechat.asked) <= 3


async def test_without_a_token_a_picture_is_tried_again(wechat: FakeWeChat) -> None:
    wechat.token_script = [40125]
    with pytest.raises(Unavailable, match="token_errcode_40125"):
        await channel(wechat).download("media:m", Notes())


@pytest.mark.parametrize(
    ("stated", "fetched"),
    [
        ("http://mmbiz.qpic.cn/mmbiz_jpg/a/0", "https://mmbiz.qpic.cn/mmbiz_jpg/a/0"),
        ("https://mmbiz.qpic.cn/mmbiz_jpg/a/0", "https://mmbiz.qpic.cn/mmbiz_jpg/a/0"),
        ("http://vweixinp.tc.qq.com/1007_x.f10.mp4", "https://vweixinp.tc.qq.com/1007_x.f10.mp4"),
    ],
)
async def test_a_picture_by_its_address_is_fetched_by_https(
    monkeypatch: pytest.MonkeyPatch, stated: str, fetched: str
) -> None:
    gone_to: list[tuple[str, Any]] = []

    async def fetch(url: str, hosts: Any, **_: Any) -> tuple[None, File]:
        gone_to.append((url, hosts))
        return None, File(JPEG)

    monkeypatch.setattr(wechat_api, "fetch", fetch)
    assert (await channel("https://api.weixin.qq.com").download(stated, Notes())).content == JPEG
    assert gone_to == [(fetched, (".qq.com", ".qpic.cn"))]
