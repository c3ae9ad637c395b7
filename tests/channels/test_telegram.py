"""Telegram: the webhook, long polling, and what is understood of an update."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels import telegram
from channels.base import Request, Route, StateChange
from channels.errors import Malformed, StateConflict, Unauthenticated
from channels.recount import Numbered, Period, Unanswered, Waiting
from channels.simulated.telegram import TelegramPeer
from channels.telegram import PollFailed, Telegram, TelegramSettings
from channels.testing import Cases, Expected, Gateway, check_channel
from gateway.testing import Start
from normalizer.model import Assurance, AttachmentKind, ContactType, Envelope, Kept, Message, Notice
from tests.rest import Answer, Rest, document
from tests.test_door import only

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
SECRET = "Ab-9_" * 4
TOKEN = "123456:TEST-token_of-no-bot"


def settings(**more: Any) -> TelegramSettings:
    return TelegramSettings.model_validate({"bot_token": TOKEN, "secret_token": SECRET, **more})


def channel(**more: Any) -> Telegram:
    return Telegram("telegram", settings(**more))


PEER = TelegramPeer("telegram", settings())


def understood(update: Any) -> Any:
    body = update if isinstance(update, bytes) else json.dumps(update).encode()
    return channel().parse(channel().envelope(body, NOW))


def message(update: Any) -> Message:
    (found,) = understood(update)
    assert isinstance(found, Message)
    return found


def said(**content: Any) -> dict[str, Any]:
    return PEER.message(sender="900000001", message_id="17", at=NOW, **content)


# -- The webhook -------------------------------------------------------------------------------------------------------


def request(*secrets: bytes) -> Request:
    headers = tuple((b"x-telegram-bot-api-secret-token", secret) for secret in secrets)
    return Request("POST", "/channels/telegram", "", headers, b"{}", "192.0.2.1", "https://x.example", NOW)


def test_the_secret_token_lets_in() -> None:
    assert channel().authenticate(request(SECRET.encode())).context == {}


REFUSED = {
    "missing": (),
    "empty": (b"",),
    "prefix": (SECRET[:-1].encode(),),
    "suffix": (SECRET.encode() + b"A",),
    "trailing space": (SECRET.encode() + b" ",),
    "other case": (SECRET.swapcase().encode(),),
    "full-width letters": (SECRET.replace("A", "Ａ").encode(),),
    "not UTF-8": (b"\xff" + SECRET[1:].encode(),),
    "twice": (SECRET.encode(), SECRET.encode()),
    "right, then wrong": (SECRET.encode(), b"wrong"),
    "the bot token": (TOKEN.encode(),),
}


@pytest.mark.parametrize("secrets", REFUSED.values(), ids=REFUSED)
def test_any_other_is_refused(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(Unauthenticated):
        channel().authenticate(request(*secrets))


@given(st.lists(st.binary(max_size=300), max_size=2))
def test_nothing_but_unauthenticated_comes_out(secrets: list[bytes]) -> None:
    with pytest.raises(Unauthenticated):
        channel().authenticate(request(*secrets))


def test_acknowledged_with_an_empty_200() -> None:
    answer = channel().acknowledge(Kept(channel().envelope(b"", NOW).id))
    assert (answer.status, answer.body) == (200, b"")


def test_only_the_webhook_is_served() -> None:
    assert channel().routes() == (Route("/channels/telegram"),)
    assert channel(mode="poll").routes() == ()


def test_only_polling_runs() -> None:
    assert (channel().runs, channel(mode="poll").runs) == (False, True)


@pytest.mark.parametrize(
    "lack",
    [
        pytest.param({"secret_token": ""}, id="no secret"),
        pytest.param({"secret_token": "a" * 257}, id="secret of 257"),
        pytest.param({"secret_token": "with space"}, id="secret with a space"),
        pytest.param({"secret_token": "newline\n"}, id="secret with a newline"),
        pytest.param({"secret_token": "秘密"}, id="secret not ASCII"),
        pytest.param({"bot_token": "no-colon"}, id="bot token without id"),
        pytest.param({"bot_token": "12:a/../b"}, id="bot token with a path"),
        pytest.param({"poll_seconds": 51}, id="polls too long"),
        pytest.param({"mode": "both"}, id="mode"),
        pytest.param({"proxy": "ftp://proxy.example"}, id="proxy"),
    ],
)
def test_settings_that_are_refused(lack: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**lack)
    assert not any(str(value) in str(refused.value) for value in lack.values() if len(str(value)) > 4)


def test_the_types_are_imported_when_the_first_update_comes() -> None:
    """It takes a quarter of a second, also where ``gateway channels`` only lists this kind."""
    script = "import sys, channels.telegram; sys.exit('telegram' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


# -- What is understood ------------------------------------------------------------------------------------------------


def test_a_text_message() -> None:
    found = message(said(text="小区停水😀"))
    assert (found.key_space, found.account, found.provider_id) == ("telegram", "123456", "17")
    assert (found.sender.type, found.sender.value) == (ContactType.TELEGRAM, "900000001")
    assert (found.sender.assurance, found.name) == (Assurance.VERIFIED, "市民0001")
    assert (found.text, found.sent_at, found.reply_to, found.flags) == ("小区停水😀", NOW, None, ())


def test_an_edited_message_is_another_one() -> None:
    update = said(text="改过的话", edit_date=int(NOW.timestamp()) + 60)
    found = message({"update_id": 18, "edited_message": update["message"]})
    assert (found.provider_id, found.text, found.flags) == ("17#18", "改过的话", ("edited",))
    assert found.amends == message(said(text="路灯不亮")).provider_id == "17", "the message keeps its number"
    assert found.sent_at is not None and (found.sent_at - NOW).seconds == 60


def test_the_largest_photo_with_its_caption() -> None:
    sizes = [
        {"file_id": f"p{n}", "file_unique_id": "u", "width": n, "height": 100, "file_size": n} for n in (90, 800, 320)
    ]
    found = message(said(photo=sizes, caption="井盖破损"))
    (picture,) = found.attachments
    assert (found.text, picture.kind, picture.reference, picture.size) == (
        "井盖破损",
        AttachmentKind.IMAGE,
        "file:p800",
        800,
    )


FILE = {"file_id": "f1", "file_unique_id": "u", "file_size": 5, "mime_type": "a/b", "file_name": "名" * 300}
SOUND = {**FILE, "duration": 3}
FILM = {**SOUND, "width": 1, "height": 1, "length": 1}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param({"voice": SOUND}, AttachmentKind.VOICE, id="voice"),
        pytest.param({"audio": SOUND}, AttachmentKind.VOICE, id="audio"),
        pytest.param({"video": FILM}, AttachmentKind.VIDEO, id="video"),
        pytest.param({"video_note": FILM}, AttachmentKind.VIDEO, id="video note"),
        pytest.param({"document": FILE}, AttachmentKind.FILE, id="document"),
        pytest.param({"animation": FILM, "document": FILE}, AttachmentKind.VIDEO, id="animation"),
    ],
)
def test_files(content: dict[str, Any], kind: AttachmentKind) -> None:
    (found,) = message(said(**content)).attachments
    assert (found.id, found.kind, found.reference, found.size) == ("0", kind, "file:f1", 5)
    if "video_note" not in content and "voice" not in content:
        assert (found.media_type, found.file_name) == ("a/b", "名" * 255)


def test_links_behind_words() -> None:
    entities = [
        {"type": "text_link", "offset": 0, "length": 2, "url": "https://a.example/x"},
        {"type": "url", "offset": 3, "length": 17},
    ]
    found = message(said(text="图片 https://b.example", entities=entities, document=FILE))
    assert [(a.id, a.kind) for a in found.attachments] == [("0", AttachmentKind.FILE), ("1", AttachmentKind.LINK)]
    assert found.attachments[1].reference == "https://a.example/x"


HERE = {"longitude": 117.12, "latitude": 36.65}


def test_places() -> None:
    found, venue = message(said(location=HERE)), {"location": HERE, "title": "泉城广场", "address": "泺源大街"}
    assert found.place is not None and found.flags == ()
    assert (found.place.longitude, found.place.latitude, found.place.crs) == (117.12, 36.65, "WGS-84")
    named = message(said(venue=venue, location=HERE)).place
    assert named is not None and (named.text, named.longitude) == ("泉城广场 泺源大街", 117.12)


@pytest.mark.parametrize(
    ("card", "phone"),
    [
        pytest.param({"phone_number": "8613800138000", "user_id": 900000001}, "+8613800138000", id="own, no plus"),
        pytest.param({"phone_number": "13800138000", "user_id": 900000001}, "+13800138000", id="own, American"),
        pytest.param({"phone_number": "+86 138-0013-8000"}, "+8613800138000", id="from an address book"),
        pytest.param({"phone_number": "138 0013 8000"}, "+8613800138000", id="national"),
        pytest.param({"phone_number": "8613800138000", "user_id": 5}, None, id="of someone else"),
        pytest.param({"phone_number": "88886666"}, None, id="no area code"),
        pytest.param({"phone_number": "+" + "1" * 16}, None, id="too long"),
    ],
)
def test_contact_cards(card: dict[str, Any], phone: str | None) -> None:
    found = message(said(contact={"first_name": "张三", **card}))
    assert [(c.value, c.assurance) for c in found.contacts] == ([(phone, Assurance.ASSERTED)] if phone else [])
    assert found.text == f"张三 {card['phone_number']}", "the card itself is never lost"
    assert found.flags == (() if phone else ("contact_unreadable",))


def test_in_a_group_the_answer_goes_to_the_group() -> None:
    update = said(text="路灯不亮")
    update["message"]["chat"] = {"id": -100123, "type": "supergroup", "title": "业主群"}
    assert message(update).reply_to == "-100123"


def at(**more: Any) -> dict[str, Any]:
    update = said(text="路灯不亮")
    update["message"].update(more)
    return update


ODD = {
    "date as text": (at(date="abc"), "date_unreadable"),
    "date huge": (at(date=10**18), "date_unreadable"),
    "date in milliseconds": (at(date=int(NOW.timestamp() * 1000)), "date_unreadable"),
    "date negative": (at(date=-1), "date_unreadable"),
    "date true": (at(date=True), "date_unreadable"),
    "no date": ({**at(), "message": {k: v for k, v in at()["message"].items() if k != "date"}}, "date_unreadable"),
    "position beyond the pole": (at(location={"longitude": 1, "latitude": 91}), "place_unreadable"),
    "position as text": (at(location={"longitude": "1", "latitude": "2"}), "place_unreadable"),
    "file without id": (at(document={**FILE, "file_id": ""}), "attachment_unreadable"),
    "link without address": (at(entities=[{"type": "text_link", "offset": 0, "length": 1}]), "attachment_unreadable"),
    "phone as number": (at(contact={"first_name": "a", "phone_number": 5}), "contact_unreadable"),
}


@pytest.mark.parametrize(("update", "flag"), ODD.values(), ids=ODD)
def test_oddities_never_lose_the_words(update: dict[str, Any], flag: str) -> None:
    found = message(update)
    assert (found.text, found.flags) == ("路灯不亮", (flag,))


def test_what_we_do_not_read_cannot_hurt() -> None:
    poison = {"reply_to_message": {"date": "abc"}, "forward_origin": 5, "poll": [], "new_kind": {"a": [None]}}
    assert message(at(**poison)).flags == ()


def from_bot() -> dict[str, Any]:
    return at(**{"from": {"id": 5, "is_bot": True, "first_name": "b"}})


STICKER = {"file_id": "s", "file_unique_id": "u", "type": "regular", "width": 1, "height": 1, "is_animated": False}
NOTICES = {
    "blocked or started": ({"update_id": 1, "my_chat_member": {}}, "my_chat_member"),
    "button": ({"update_id": 1, "callback_query": {"id": "1"}}, "callback_query"),
    "channel": ({"update_id": 1, "channel_post": {"text": "x"}}, "channel_post"),
    "something new": ({"update_id": 1, "Öd": 1, "x" * 61: 1}, "unknown"),
    "nothing": ({"update_id": 1}, "unknown"),
    "a bot": (from_bot(), "bot"),
    "the citizen opens the bot": (said(text="/start ref_1"), "start"),
    "sticker": (said(sticker={**STICKER, "is_video": False}), "sticker"),
    "joined": (said(new_chat_members=[]), "no_words"),
    "live location moves": ({"update_id": 1, "edited_message": said(location=HERE)["message"]}, "live_location"),
}


@pytest.mark.parametrize(("update", "reason"), NOTICES.values(), ids=NOTICES)
def test_notices(update: dict[str, Any], reason: str) -> None:
    assert understood(update) == Notice(reason=reason)


def test_a_command_with_words_is_a_message() -> None:
    assert message(said(text="/start 小区停水")).text == "/start 小区停水"


MALFORMED = {
    "no JSON": b"{",
    "not UTF-8": b'{"update_id": 1, "message": "\xff"}',
    "lone surrogate": b'{"update_id": 1, "message": "\\ud800"}',
    "deep": b"[" * 2000 + b"]" * 2000,
    "list": [said(text="x")],
    "null": b"null",
    "no update_id": {"message": said(text="x")["message"]},
    "update_id as text": {**said(text="x"), "update_id": "17"},
    "update_id true": {**said(text="x"), "update_id": True},
    "update_id 0": {**said(text="x"), "update_id": 0},
    "message null": {"update_id": 1, "message": None},
    "message list": {"update_id": 1, "message": []},
    "text as number": said(text=123),
    "caption as list": said(caption=["x"], photo=[]),
    "no sender": {"update_id": 1, "message": {k: v for k, v in said(text="x")["message"].items() if k != "from"}},
    "sender id as text": at(**{"from": {"id": "5", "is_bot": False, "first_name": "b"}}),
    "sender id 0": at(**{"from": {"id": 0, "is_bot": False, "first_name": "b"}}),
    "photo as text": said(photo="abc"),
    "entities as text": at(entities="abc"),
}


@pytest.mark.parametrize("update", MALFORMED.values(), ids=MALFORMED)
def test_unreadable(update: Any) -> None:
    with pytest.raises(Malformed):
        understood(update)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
GOOD: dict[str, Any] = {
    **at(photo=[FILM], document=FILE, location=HERE, contact={"first_name": "a", "phone_number": "+8613800138000"})[
        "message"
    ],
    "entities": [{"type": "text_link", "offset": 0, "length": 1, "url": "https://a.example"}],
    "venue": {"location": HERE, "title": "a", "address": "b"},
}
INNER = [(name, key) for name, value in GOOD.items() if isinstance(value, dict) for key in value]


@given(
    where=st.sampled_from([*((name,) for name in GOOD), *INNER, ()]),
    value=JSON,
    kind=st.sampled_from(["message", "edited_message"]),
)
def test_nothing_but_malformed_comes_out(where: tuple[str, ...], value: Any, kind: str) -> None:
    spoilt = json.loads(json.dumps(GOOD))
    update = {"update_id": 17, kind: spoilt} if where else value
    for name in where[:-1]:
        spoilt = spoilt[name]
    if where:
        spoilt[where[-1]] = value
    envelope = channel().envelope(json.dumps(update).encode(), NOW)
    try:
        first = channel().parse(envelope)
    except Malformed:
        return
    assert channel().parse(envelope) == first


# -- Polling -----------------------------------------------------------------------------------------------------------


@dataclass
class Memory:
    """The channel's state."""

    values: dict[str, str] = field(default_factory=dict)

    async def get(self, key: str) -> str | None:
        return self.values.get(key)

    async def change(self, change: StateChange) -> bool:
        raise AssertionError("the cursor moves with an envelope only")


@dataclass
class Keeper:
    """A store that commits envelope and state together."""

    state: Memory = field(default_factory=Memory)
    kept: list[Envelope] = field(default_factory=list)
    changes: list[StateChange] = field(default_factory=list)
    fail_at: int | None = None

    async def __call__(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        assert change is not None
        if len(self.kept) == self.fail_at or self.state.values.get(change.key) != change.expected:
            raise StateConflict("offset")
        self.state.values[change.key] = change.value
        self.kept.append(envelope)
        self.changes.append(change)
        return Kept(envelope.id)


@dataclass
class BotApi:
    """A Bot API on loopback that answers getUpdates from a script - None: not at all -, then waits as a long poll does."""

    script: Sequence[tuple[int, bytes] | None]
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[BotApi]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
        )
        self.asked.append(orjson.loads(await reader.readexactly(length)))
        self.paths.append(head.split()[1])
        answer = self.script[len(self.asked) - 1] if len(self.asked) <= len(self.script) else None
        if answer is None:
            await reader.read()
        else:
            status, body = answer
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
            )
        writer.close()


def batch(*updates: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"ok": True, "result": updates}).encode()


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{**said(text=f"第{n}条"), "update_id": n} for n in numbers]


async def poll(api: BotApi, keeper: Keeper, *, kept: int, rounds: int = 0) -> None:
    """Run until ``kept`` envelopes are kept and ``rounds`` requests were asked; raise what ``run`` raises."""
    bot = channel(mode="poll", api_base=api.url)
    run = asyncio.create_task(bot.run(keeper, keeper.state))
    async with asyncio.timeout(20):
        while not run.done() and (len(keeper.kept) < kept or len(api.asked) < rounds):
            await asyncio.sleep(0.005)
    done = run.done()
    run.cancel()
    try:
        await run
    except asyncio.CancelledError:
        assert not done


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram, "PAUSE", 0.01)


async def test_each_update_is_kept_with_its_cursor() -> None:
    keeper, api = Keeper(), BotApi([batch(*numbered(7, 8, 12)), batch(), batch(*numbered(13))])
    async with api.running():
        await poll(api, keeper, kept=4, rounds=4)
    assert [(c.key, c.expected, c.value) for c in keeper.changes] == [
        ("offset", None, "8"),
        ("offset", "8", "9"),
        ("offset", "9", "13"),
        ("offset", "13", "14"),
    ]
    assert [asked.get("offset") for asked in api.asked] == [None, 13, 13, 14]
    assert set(api.paths) == {f"/bot{TOKEN}/getUpdates"}
    assert api.asked[0]["timeout"] == 50 and "message" in api.asked[0]["allowed_updates"]
    assert [message(e.body).text for e in keeper.kept] == ["第7条", "第8条", "第12条", "第13条"]


async def test_it_goes_on_where_it_stopped() -> None:
    keeper, api = Keeper(Memory({"offset": "40"})), BotApi([batch(*numbered(40))])
    async with api.running():
        await poll(api, keeper, kept=1, rounds=2)
    assert [asked["offset"] for asked in api.asked] == [40, 41]


async def test_ids_may_start_anew_below_the_cursor() -> None:
    """After a week without updates Telegram picks the next id at random."""
    keeper, api = Keeper(Memory({"offset": "40"})), BotApi([batch(*numbered(3))])
    async with api.running():
        await poll(api, keeper, kept=1, rounds=2)
    assert keeper.state.values == {"offset": "4"}


async def test_it_pauses_when_nothing_new_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram, "PAUSE", 0.05)
    keeper, api = Keeper(), BotApi([batch(), batch(None), batch(None), batch()])
    started = asyncio.get_running_loop().time()
    async with api.running():
        await poll(api, keeper, kept=1, rounds=5)
    assert asyncio.get_running_loop().time() - started >= 4 * 0.05


async def test_what_is_not_kept_is_not_confirmed() -> None:
    keeper, api = Keeper(fail_at=1), BotApi([batch(*numbered(7, 8))])
    async with api.running():
        with pytest.raises(StateConflict):
            await poll(api, keeper, kept=2)
        assert keeper.state.values == {"offset": "8"} and len(api.asked) == 1
        keeper.fail_at, api.script = None, [*api.script, batch(*numbered(8))]
        await poll(api, keeper, kept=2, rounds=3)
    assert [asked.get("offset") for asked in api.asked] == [None, 8, 9]


@pytest.mark.parametrize(
    "poison", ["text", None, 5, [], {}, {"update_id": "9"}, {"update_id": True}, {"update_id": -4}]
)
async def test_poison_is_kept_once_and_passed(poison: Any) -> None:
    tail = batch(poison)
    keeper, api = Keeper(), BotApi([batch(*numbered(7), poison), tail, tail, batch(poison, *numbered(9)), batch()])
    async with api.running():
        await poll(api, keeper, kept=3, rounds=6)
    assert [orjson.loads(e.body) for e in keeper.kept] == [numbered(7)[0], poison, numbered(9)[0]]
    assert [asked.get("offset") for asked in api.asked] == [None, 8, 8, 8, 10, 10]
    with pytest.raises(Malformed):
        understood(keeper.kept[1].body)


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({"update_id": 8, "message": {"text": "\ud800"}}, id="lone surrogate"),
        pytest.param({"update_id": 8, "message": {"text": float("nan")}}, id="NaN"),
        pytest.param({"update_id": 8, "message": {"text": 10**400}}, id="a number of 400 digits"),
    ],
)
async def test_poison_with_a_number_is_kept_and_passed(poison: Any) -> None:
    keeper, api = Keeper(), BotApi([batch(*numbered(7), poison, *numbered(9))])
    async with api.running():
        await poll(api, keeper, kept=3, rounds=2)
    assert [change.value for change in keeper.changes] == ["8", "9", "10"]
    with pytest.raises(Malformed):
        understood(keeper.kept[1].body)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"1" * 5000, id="a number of 5,000 digits"),
        pytest.param(b"[" * 99999 + b"]" * 99999, id="100,000 deep"),
    ],
)
async def test_poison_that_spoils_the_batch_is_taken_alone(text: bytes) -> None:
    poison = b'{"update_id": 7, "message": {"quoted": "\\"update_id\\": 99", "text": ' + text + b"}}"
    spoilt = b'{"ok": true, "result": [%s]}'
    whole = spoilt % (poison + b"," + json.dumps(numbered(8)[0]).encode())
    keeper, api = Keeper(), BotApi([(200, whole), (200, spoilt % poison), batch(*numbered(8))])
    async with api.running():
        await poll(api, keeper, kept=2, rounds=4)
    assert [asked["limit"] for asked in api.asked] == [100, 1, 100, 100]
    assert [asked.get("offset") for asked in api.asked] == [None, None, 8, 9]
    assert keeper.kept[0].body == spoilt % poison
    with pytest.raises(Malformed):
        understood(keeper.kept[0].body)


HTML = b"<html>Welcome</html>"
UNKEPT = {
    "another poller": ([(409, b'{"ok":false,"error_code":409}')], "status_409"),
    "wrong token": ([(401, b"{}")], "status_401"),
    "bad gateway": ([(502, HTML)], "status_502"),
    "redirect": ([(302, b"")], "status_302"),
    "a page instead": ([(200, HTML), (200, HTML)], "unreadable"),
    "result no list": ([(200, b'{"result":"abc"}'), (200, b'{"result":{}}')], "unreadable"),
    "list instead": ([(200, b"[]"), (200, b"[]")], "unreadable"),
}


@pytest.mark.parametrize(("script", "reason"), UNKEPT.values(), ids=UNKEPT)
async def test_a_poll_that_fails_keeps_nothing(script: list[tuple[int, bytes]], reason: str) -> None:
    keeper, api = Keeper(), BotApi(script)
    async with api.running():
        with pytest.raises(PollFailed, match=f"^{reason}$"):
            await poll(api, keeper, kept=1)
    assert not keeper.kept and PollFailed.retryable


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        (b'{"ok":false,"parameters":{"retry_after":7}}', 7.0),
        (b'{"parameters":{"retry_after":0}}', 1.0),
        (b'{"parameters":{"retry_after":Infinity}}', 3600.0),
        (b'{"parameters":[]}', 5.0),
        (HTML, 5.0),
    ],
)
async def test_429_is_honoured(body: bytes, waits: float, monkeypatch: pytest.MonkeyPatch) -> None:
    slept, sleep = [], asyncio.sleep

    async def record(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    keeper, api = Keeper(), BotApi([(429, body), batch(*numbered(7))])
    async with api.running():
        monkeypatch.setattr(asyncio, "sleep", lambda s: record(s) if s >= 1 else sleep(s))
        await poll(api, keeper, kept=1, rounds=3)
    assert slept == [waits]


async def test_the_bot_token_stands_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keeper, api = Keeper(), BotApi([batch(*numbered(7)), (502, HTML)])
    async with api.running():
        with pytest.raises(PollFailed) as refused:
            await poll(api, keeper, kept=2)
    with pytest.raises(PollFailed, match=r"^network$") as unreached:
        await poll(api, keeper, kept=2)
    context = unreached.value.__context__
    assert isinstance(context, httpx.ConnectError) and unreached.value.__suppress_context__
    seen = [caplog.text, repr(refused.value), repr(context), str(context.request.url)]
    assert "getUpdates" in caplog.text, "httpx logs each request"
    assert not any(TOKEN in text or TOKEN.partition(":")[2] in text for text in seen)


async def test_a_proxy_is_asked_for_a_tunnel_without_the_token() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        bot = channel(mode="poll", api_base="https://api.telegram.example", proxy=f"http://127.0.0.1:{port}")
        with pytest.raises(PollFailed, match=r"^network$"):
            await bot.run(Keeper(), Memory())
    assert heads[0].startswith(b"CONNECT api.telegram.example:443 ") and TOKEN.encode() not in heads[0]


# -- What Telegram still holds, and what is missing between -------------------------------------------------------------

PERIOD = Period(NOW - timedelta(days=1), NOW - timedelta(minutes=1))
ERRED = {"last_error_date": int(NOW.timestamp()), "last_error_message": "Connection timed out\x1b[31m"}
HOOK = {"url": "https://hotline.example/channels/telegram/a-path-secret", "has_custom_certificate": False}


async def kept(*bodies: bytes) -> AsyncIterator[Envelope]:
    for body in bodies:
        yield channel().envelope(body, NOW - timedelta(hours=1))


def hook(**told: Any) -> Answer:
    return document({"ok": True, "result": told})


async def recounted(answer: Answer, *bodies: bytes, **more: Any) -> list[Any]:
    async with Rest(lambda _target, _headers: answer).running() as rest:
        told = [one async for one in channel(api_base=rest.url, **more).recount(PERIOD, kept(*bodies))]
        assert rest.asked == [f"/bot{TOKEN}/getWebhookInfo"]
    return told


@pytest.mark.parametrize(
    ("mode", "told", "waiting"),
    [
        ("webhook", {**HOOK, "pending_update_count": 0}, Waiting(0)),
        ("webhook", {**HOOK, "pending_update_count": 3}, Waiting(3)),
        ("webhook", {**HOOK, "pending_update_count": 3, **ERRED}, Waiting(3, "Connection timed out[31m")),
        ("webhook", {**HOOK, "pending_update_count": 0, **ERRED}, Waiting(0)),
        ("webhook", {**HOOK, "pending_update_count": 3, **ERRED, "last_error_message": 5}, Waiting(3, "error")),
        ("webhook", {**HOOK, "pending_update_count": 3, **ERRED, "last_error_date": 9}, Waiting(3)),
        ("webhook", {"url": "", "pending_update_count": 3}, Waiting(3, "no_webhook")),
        ("poll", {"url": "", "pending_update_count": 3}, Waiting(3)),
        ("poll", {**HOOK, "pending_update_count": 3}, Waiting(3, "webhook_set")),
    ],
)
async def test_what_telegram_still_holds(mode: str, told: dict[str, Any], waiting: Waiting) -> None:
    found = await recounted(hook(**told), mode=mode)
    assert found == [Numbered(0, ()), waiting]
    assert "a-path-secret" not in repr(found)


async def test_updates_missing_between_those_kept_are_named() -> None:
    bodies = [json.dumps(one).encode() for one in (*numbered(7, 8, 11), {"update_id": 12, "my_chat_member": {}})]
    odd = [b"{", b'{"update_id": 0}', b'{"message": {"text": "\\"update_id\\": 99"}}', b'{"update_id":14,"message":[[']
    found = await recounted(hook(**HOOK, pending_update_count=0), *bodies, *odd)
    assert found[0] == Numbered(5, (9, 10, 13))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (document({"ok": False, "error_code": 401}, 401), "status_401"),
        (document({"ok": False, "parameters": {"retry_after": 900}}, 429), "status_429"),
        ((200, {}, b"<html>"), "garbage"),
        (document([]), "garbage"),
        (document({"result": {"pending_update_count": "3"}}), "garbage"),
    ],
)
async def test_gaps_are_told_though_telegram_does_not_answer(answer: Answer, reason: str) -> None:
    found: list[Any] = []
    bodies = [json.dumps(one).encode() for one in numbered(7, 9)]

    async def collect(bot: Telegram) -> None:
        async for one in bot.recount(PERIOD, kept(*bodies)):
            found.append(one)  # noqa: PERF401 - what came before the error counts

    async with Rest(lambda _target, _headers: answer).running() as rest:
        with pytest.raises(Unanswered, match=f"^{reason}$"):
            await collect(channel(api_base=rest.url))
    assert found == [Numbered(2, (8,))]


# -- Against npm telegram-test-api, which shares no code with ours -----------------------------------------------------

SERVER = """
const [port, token] = [Number(process.argv[1]), process.argv[2]];
const TelegramServer = require('telegram-test-api').default || require('telegram-test-api');
(async () => {
  const server = new TelegramServer({port, host: '127.0.0.1'});
  await server.start();
  const client = server.getClient(token, {userId: 900000001, chatId: 900000001, firstName: '张三', userName: 'citizen'});
  for (const text of ['小区噪音😀', '路灯不亮']) await client.sendMessage(client.makeMessage(text));
  await client.sendCommand(client.makeCommand('/start'));
  await client.sendCallback(client.makeCallbackQuery('yes'));
  console.log('ready');
})();
"""


@contextmanager
def bot_server(node_modules: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = subprocess.Popen(
        ["node", "-e", SERVER, str(port), TOKEN], cwd=node_modules.parent, stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None and started.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.communicate(timeout=10)


async def test_updates_of_npm_telegram_test_api(node_modules: Path) -> None:
    keeper, api = Keeper(), BotApi([])
    with bot_server(node_modules) as api.url:
        await poll(api, keeper, kept=4)
    first, second, command, button = (understood(envelope.body) for envelope in keeper.kept)
    assert [(m.text, m.sender.value, m.name, m.flags) for m in (*first, *second)] == [
        ("小区噪音😀", "900000001", "张三", ()),
        ("路灯不亮", "900000001", "张三", ()),
    ]
    assert (command, button) == (Notice(reason="start"), Notice(reason="callback_query"))
    assert keeper.state.values == {"offset": "5"}


# -- Conformance -------------------------------------------------------------------------------------------------------


def cases(gateway: Gateway) -> Cases:
    """What the conformance suite needs."""
    bot = TelegramPeer("telegram", gateway.channel("telegram").settings)
    right = bot.settings.secret_token.get_secret_value()

    def say(number: int, **content: Any) -> Any:
        return bot.message(sender=str(number), message_id=str(number), at=datetime.now(UTC), **content)

    photo = [{"file_id": "p", "file_unique_id": "u", "width": 9, "height": 9}]
    body = json.dumps(say(4, text="伪造")).encode()
    wrong = {"prefix": right[:-1], "suffix": right + "x", "case": right.swapcase(), "empty": ""}
    return Cases(
        peer=bot,
        readable={
            "text": (bot.update(say(1, text="第一号路灯不亮")), Expected(text="第一号路灯不亮")),
            "photo": (bot.update(say(2, photo=photo, caption="井盖")), Expected(attachments=(AttachmentKind.IMAGE,))),
            "place": (bot.update(say(3, location=HERE)), Expected(position=(117.12, 36.65))),
            "block": (bot.update({"update_id": 5, "my_chat_member": {}}), Expected("notice")),
        },
        forged={
            **{label: bot.post(body, secret) for label, secret in wrong.items()},
            "no secret": replace(bot.update(say(4, text="伪造")), headers={"Content-Type": "application/json"}),
        },
        odd={
            "no object": bot.update([]),
            "text as number": bot.update(say(6, text=5)),
            "no JSON": bot.post(b"{", right),
        },
        oversized={"a body of 512 KiB": bot.update(say(7, text="a" * 524288))},
    )


async def test_conformance(start_gateway: Start) -> None:
    """Its pictures are Telegram's to give: here it has none of them."""
    gone = document({"ok": True, "result": {"file_id": "p"}})
    async with (
        Rest(lambda _target, _headers: gone).running() as rest,
        start_gateway(only("telegram", telegram={"api_base": rest.url})) as gateway,
    ):
        await check_channel("telegram", cases(gateway), gateway)
