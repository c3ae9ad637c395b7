"""Telegram: writing to a citizen, fetching what he sent, and what he does to the bot."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiohttp import web

from channels import telegram_calls
from channels.errors import ChannelError, Missing, NotSent, Unavailable, Uncertain, Undeliverable
from channels.simulated.telegram import TelegramPeer
from channels.telegram import Telegram, TelegramSettings
from channels.telegram_calls import PART, parts
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Message, Notice
from normalizer.reply import Outgoing, ReplyKind
from store.tables import UNREACHABLE
from tests.channels.test_telegram import bot_server
from tests.handing import Clock, now, until
from tests.store.conftest import run
from tests.test_door import only

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TOKEN = "123456:TEST-token_of-no-bot"
SECRET = "Ab-9_" * 4
CITIZEN = 900000001
HTML = b"<html>Bad Gateway</html>"

#: The connection is cut once the message was taken.
CUT = "cut"

Asked = list[tuple[str, dict[str, Any]]]


def channel(**more: Any) -> Telegram:
    return Telegram("telegram", TelegramSettings.model_validate({"bot_token": TOKEN, "secret_token": SECRET, **more}))


def outgoing(text: str = "您的诉求已收到", to: str = str(CITIZEN)) -> Outgoing:
    contact = Contact(type=ContactType.TELEGRAM, value=to, assurance="verified")
    return Outgoing(id=uuid4(), kind=ReplyKind.RESULT, account="123456", to=contact, text=text)


def refusal(code: int, description: str, **parameters: Any) -> tuple[int, bytes]:
    told = {"ok": False, "error_code": code, "description": description}
    return code, json.dumps(told | ({"parameters": parameters} if parameters else {})).encode()


@dataclass
class FakeBotApi:
    """Telegram's side, with its own words for what goes wrong; ``script`` is answered before it does its work."""

    script: list[Any] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: Asked = field(default_factory=list)
    #: Chat and text of what citizens got.
    got: list[tuple[int, str]] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeBotApi]:
        self._numbers, self._over = itertools.count(100), asyncio.Event()
        application = web.Application()
        application.router.add_post("/{bot}/{method}", self._serve)
        application.router.add_get("/file/{bot}/{path:.+}", self._file)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        self.asked.append((request.path, asked))
        if self.script:
            if (scripted := self.script.pop(0)) is None:
                await self._over.wait()
                return web.Response(status=503)
            if isinstance(scripted, str):
                self.got.append((asked["chat_id"], asked["text"]))
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return self._answer(scripted)
        if request.match_info["method"] == "getFile":
            return self._get_file(asked)
        units = len(asked["text"].encode("utf-16-le")) // 2
        if not 0 < units <= 4096:
            return self._answer(refusal(400, "Bad Request: message is too long"))
        self.got.append((asked["chat_id"], asked["text"]))
        # Milliseconds, as some servers say it: nothing of this is needed but the number.
        message = {"message_id": next(self._numbers), "date": 1795430400000, "text": asked["text"]}
        return web.json_response({"ok": True, "result": message})

    def _get_file(self, asked: dict[str, Any]) -> web.Response:
        path = asked["file_id"]
        if path not in self.files:
            wrong = "Bad Request: wrong file_id or the file is temporarily unavailable"
            return self._answer(refusal(400, wrong))
        return web.json_response({"ok": True, "result": {"file_id": path, "file_path": path}})

    async def _file(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, {}))
        if request.match_info["path"] not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[request.match_info["path"]], content_type="image/jpeg")

    @staticmethod
    def _answer(answer: tuple[int, bytes]) -> web.Response:
        return web.Response(status=answer[0], body=answer[1])


# -- send --------------------------------------------------------------------------------------------------------------


async def test_a_reply_is_sent_as_it_is() -> None:
    async with FakeBotApi().running() as api:
        word = await channel(api_base=api.url).send(outgoing("办理结果：<b>已修好</b> _😀_"), None)  # type: ignore[arg-type]
    ((path, asked),) = api.asked
    assert path == f"/bot{TOKEN}/sendMessage" and "parse_mode" not in asked
    assert api.got == [(CITIZEN, "办理结果：<b>已修好</b> _😀_")]
    assert (word.provider_id, word.delivered) == (f"{CITIZEN}:100", False)


REFUSALS: dict[str, tuple[tuple[int, bytes], type[ChannelError], str, float | bool]] = {
    "too many": (refusal(429, "Too Many Requests: retry after 7", retry_after=7), NotSent, "busy", 7.0),
    "too many, for a year": (refusal(429, "x", retry_after=31_536_000), NotSent, "busy", 3600.0),
    "too many, unsaid": (refusal(429, "Too Many Requests"), NotSent, "busy", 5.0),
    "token revoked": (refusal(401, "Unauthorized"), NotSent, "token", 0.0),
    "token wrong": (refusal(404, "Not Found"), NotSent, "token", 0.0),
    "blocked": (refusal(403, "Forbidden: bot was blocked by the user"), Undeliverable, "blocked", True),
    "gone": (refusal(403, "Forbidden: user is deactivated"), Undeliverable, "blocked", True),
    "no chat": (refusal(400, "Bad Request: chat not found"), Undeliverable, "no_chat", False),
    "bad request": (refusal(400, "Bad Request: message is too long"), Undeliverable, "refused", False),
    "another server's 429": ((429, HTML), Uncertain, "not_json", False),
    "bad gateway": ((502, HTML), Uncertain, "not_json", False),
    "their fault": (refusal(500, "Internal Server Error"), Uncertain, "status_500", False),
    "redirect": ((302, b"{}"), Uncertain, "status_302", False),
    "a page": ((200, HTML), Uncertain, "not_json", False),
    "empty": ((200, b""), Uncertain, "not_json", False),
    "deep": ((200, b"[" * 99_999), Uncertain, "not_json", False),
    "without a result": ((200, b'{"ok":true}'), Uncertain, "garbage", False),
    "too large": ((200, b" " * 300_000), Uncertain, "oversized", False),
}


@pytest.mark.parametrize(("answer", "kind", "reason", "more"), REFUSALS.values(), ids=REFUSALS)
async def test_what_is_said_of_a_reply_that_did_not_go_out(
    answer: tuple[int, bytes], kind: type[ChannelError], reason: str, more: float | bool
) -> None:
    async with FakeBotApi([answer]).running() as api:
        with pytest.raises(ChannelError) as refused:
            await channel(api_base=api.url).send(outgoing(), None)  # type: ignore[arg-type]
    assert (type(refused.value), refused.value.reason) == (kind, reason)
    assert getattr(refused.value, "after_seconds", getattr(refused.value, "unreachable", False)) == more
    assert len(api.asked) == 1, "never tried again by itself"


async def test_no_answer_in_time_is_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram_calls, "CALL_SECONDS", 0.1)
    async with FakeBotApi([None]).running() as api:
        with pytest.raises(Uncertain, match=r"^timeout$"):
            await channel(api_base=api.url).send(outgoing(), None)  # type: ignore[arg-type]


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def no_tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@asynccontextmanager
async def serving(serve: Callable[..., Any]) -> AsyncIterator[str]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_connection_cut_after_the_request_is_uncertain() -> None:
    async with serving(closing) as url:
        with pytest.raises(Uncertain, match=r"^cut$"):
            await channel(api_base=url).send(outgoing(), None)  # type: ignore[arg-type]


async def test_without_a_connection_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with serving(no_tunnel) as proxy:
        for more in ({"api_base": nobody}, {"api_base": "https://api.telegram.example", "proxy": proxy}):
            with pytest.raises(NotSent, match=r"^connect$"):
                await channel(**more).send(outgoing(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("to", ["", "-100123", "@name", "１２"])
async def test_only_private_chats_are_written_to(to: str) -> None:
    reply = outgoing().model_copy(
        update={"to": Contact.model_construct(type=ContactType.TELEGRAM, value=to, assurance=Assurance.VERIFIED)}
    )
    with pytest.raises(Undeliverable, match=r"^address$"):
        await channel(api_base="http://127.0.0.1:9").send(reply, None)  # type: ignore[arg-type]


async def test_the_token_stands_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    async with FakeBotApi([refusal(403, "x"), (502, HTML)], {"p": b"x"}).running() as api:
        bot = channel(api_base=api.url)
        for asked in (bot.send(outgoing(), None), bot.send(outgoing(), None), bot.download("file:q", None)):  # type: ignore[arg-type]
            with pytest.raises(ChannelError) as refused:
                await asked
            seen += [repr(refused.value), repr(refused.value.__context__)]
        await bot.download("file:p", None)  # type: ignore[arg-type]
        seen += [caplog.text, repr(bot._bot)]
    assert "sendMessage" in caplog.text and "getFile" in caplog.text, "httpx logs each request"
    assert not any(TOKEN.partition(":")[2] in text for text in seen)


# -- long texts --------------------------------------------------------------------------------------------------------

LONG = "".join(f"第{n}条：经核实，该路段路灯已于今日修复。\n" for n in range(1, 400))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("短", 1),
        ("路" * PART, 1),
        ("路" * (PART + 1), 2),
        ("😀" * (PART // 2), 1),
        ("😀" * (PART // 2 + 1), 2),
        ("a" + "😀" * (PART // 2), 2),
        (LONG, 3),
        ("  \n 前后空白 \n ", 1),
        ("字" + "\n" * 9000 + "字", 2),
    ],
    ids=lambda value: str(value)[:6],
)
def test_a_text_is_parted_by_utf_16_units(text: str, number: int) -> None:
    found = parts(text)
    assert len(found) == number
    assert all(0 < len(part.encode("utf-16-le")) // 2 <= PART and part == part.strip() for part in found)
    assert "".join("".join(found).split()) == "".join(text.split()), "nothing is lost"


def test_parts_end_where_a_line_ends() -> None:
    assert all(part.endswith("修复。") for part in parts(LONG))


async def test_the_parts_arrive_in_order() -> None:
    async with FakeBotApi().running() as api:
        word = await channel(api_base=api.url).send(outgoing(LONG), None)  # type: ignore[arg-type]
    assert [text for _, text in api.got] == parts(LONG) and word.provider_id == f"{CITIZEN}:100"


@pytest.mark.parametrize(
    "answer", [refusal(403, "blocked"), refusal(429, "x", retry_after=999), (502, HTML), refusal(400, "x")]
)
async def test_after_the_first_part_nobody_says_it_was_not_sent(answer: tuple[int, bytes]) -> None:
    first = (200, b'{"ok":true,"result":{"message_id":5}}')
    async with FakeBotApi([first, answer]).running() as api:
        with pytest.raises(Uncertain, match=r"^partly$"):
            await channel(api_base=api.url).send(outgoing(LONG), None)  # type: ignore[arg-type]
    assert len(api.asked) == 2


async def test_a_further_part_waits_as_long_as_telegram_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(telegram_calls, "asyncio", type("Clock", (), {"sleep": staticmethod(wait)}))
    first = (200, b'{"ok":true,"result":{"message_id":5}}')
    async with FakeBotApi([first, refusal(429, "x", retry_after=3)]).running() as api:
        await channel(api_base=api.url).send(outgoing(LONG), None)  # type: ignore[arg-type]
    assert waited == [3.0] and [text for _, text in api.got] == parts(LONG)[1:]


# -- download ----------------------------------------------------------------------------------------------------------


async def test_a_file_is_fetched_in_two_steps() -> None:
    async with FakeBotApi(files={"photos/file_1.jpg": b"\xff\xd8\xff picture"}).running() as api:
        found = await channel(api_base=api.url).download("file:photos/file_1.jpg", None)  # type: ignore[arg-type]
    assert (found.content, found.media_type) == (b"\xff\xd8\xff picture", "image/jpeg")
    assert [path for path, _ in api.asked] == [f"/bot{TOKEN}/getFile", f"/file/bot{TOKEN}/photos/file_1.jpg"]


def located(path: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"ok": True, "result": {"file_id": "f", "file_path": path}}).encode()


UNFETCHED: dict[str, tuple[list[tuple[int, bytes] | None], type[ChannelError], str]] = {
    "too big": ([refusal(400, "Bad Request: file is too big")], Missing, "oversized"),
    "unavailable for now": (
        [refusal(400, "Bad Request: wrong file_id or the file is temporarily …")],
        Unavailable,
        "refused",
    ),
    "busy": ([refusal(429, "x", retry_after=3)], Unavailable, "busy"),
    "bad gateway": ([(502, HTML)], Unavailable, "not_json"),
    "path to elsewhere": ([located("../../etc/passwd")], Missing, "path"),
    "path of a local server": ([located("/var/lib/telegram-bot-api/x")], Missing, "path"),
    "path with a query": ([located("photos/x?y=1")], Missing, "path"),
    "no path": ([located(None)], Missing, "path"),
    "expired": ([located("photos/gone.jpg")], Unavailable, "status_404"),
    "wrong token": ([refusal(401, "Unauthorized")], Unavailable, "token"),
}


@pytest.mark.parametrize(("script", "kind", "reason"), UNFETCHED.values(), ids=UNFETCHED)
async def test_a_file_that_does_not_come(
    script: list[tuple[int, bytes] | None], kind: type[ChannelError], reason: str
) -> None:
    async with FakeBotApi(script).running() as api:
        with pytest.raises(kind, match=f"^{reason}$"):
            await channel(api_base=api.url).download("file:f", None)  # type: ignore[arg-type]


async def test_more_than_a_bot_may_fetch_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram_calls, "FILE_BYTES", 1000)
    async with FakeBotApi(files={"f": b"x" * 1001}).running() as api:
        with pytest.raises(Missing, match=r"^oversized$"):
            await channel(api_base=api.url).download("file:f", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("reference", ["", "file:", "https://a.example/x", "media:1"])
async def test_only_telegrams_files_are_fetched(reference: str) -> None:
    with pytest.raises(Missing, match=r"^reference$"):
        await channel(api_base="http://127.0.0.1:9").download(reference, None)  # type: ignore[arg-type]


def test_links_are_not_fetched() -> None:
    assert AttachmentKind.LINK not in Telegram.fetches and Telegram.fetches


# -- what is understood ------------------------------------------------------------------------------------------------

PEER = TelegramPeer("telegram", TelegramSettings.model_validate({"bot_token": TOKEN, "secret_token": SECRET}))


def said(number: int = 17, **content: Any) -> dict[str, Any]:
    return PEER.message(sender=str(CITIZEN), message_id=str(number), at=NOW, **content)


def understood(update: Any) -> Any:
    return channel().parse(channel().envelope(json.dumps(update).encode(), NOW))


def heard(update: Any) -> Message:
    (found,) = understood(update)
    assert isinstance(found, Message)
    return found


def edited(update: dict[str, Any], number: int, text: str) -> dict[str, Any]:
    return {"update_id": number, "edited_message": update["message"] | {"text": text, "edit_date": NOW.timestamp()}}


def test_each_edit_is_a_message_of_its_own_and_names_the_first() -> None:
    first = said(text="路灯坏")
    found = [heard(update) for update in (first, edited(first, 18, "路灯坏了"), edited(first, 19, "路灯坏"))]
    assert [(one.provider_id, one.amends) for one in found] == [("17", None), ("17#18", "17"), ("17#19", "17")]


def test_numbers_of_other_chats_are_others() -> None:
    group = said(text="路灯坏")
    group["message"]["chat"] = {"id": -100123, "type": "supergroup", "title": "业主群"}
    assert heard(group).provider_id == "-100123/17"
    assert heard(edited(group, 18, "路灯坏了")).amends == "-100123/17"


@pytest.mark.parametrize("number", [0, -1, "17", None, True])
def test_without_a_number_the_updates_own_counts(number: Any) -> None:
    odd = said(text="路灯坏")
    odd["message"]["message_id"] = number
    assert (heard(odd).provider_id, heard(edited(odd, 18, "x")).amends) == ("update#17", None)


@pytest.mark.parametrize(("stated", "group"), [("13579", "13579"), ("", None), (5, None), ("x" * 300, "x" * 200)])
def test_an_album_is_a_group(stated: Any, group: str | None) -> None:
    assert heard(said(text="x", media_group_id=stated)).group == group


def membership(status: Any, at: datetime = NOW, **chat: Any) -> dict[str, Any]:
    where = {"id": CITIZEN, "type": "private", "first_name": "张三"} | chat
    bot = {"id": 123456, "is_bot": True, "first_name": "12345"}
    old = {"user": bot, "status": "member"}
    who = {"id": where["id"], "is_bot": False}
    told = {"chat": where, "from": who, "date": int(at.timestamp()), "old_chat_member": old}
    return {"update_id": 1, "my_chat_member": told | {"new_chat_member": {"user": bot, "status": status}}}


@pytest.mark.parametrize(
    ("status", "reason", "reachable"), [("kicked", "blocked", False), ("member", "unblocked", True)]
)
def test_a_citizen_shuts_and_opens_the_door(status: str, reason: str, reachable: bool) -> None:
    sender = heard(said(text="x")).sender
    told = Notice(reason=reason, account="123456", sender=sender, reachable=reachable, sent_at=NOW)
    assert understood(membership(status)) == told


@pytest.mark.parametrize(
    "update",
    [
        membership("left"),
        membership(["kicked"]),
        membership("kicked", id=-100123, type="supergroup"),
        membership("kicked", id="900000001"),
        {"update_id": 1, "my_chat_member": "kicked"},
        {"update_id": 1, "my_chat_member": {"chat": [], "new_chat_member": None}},
    ],
)
def test_other_steps_are_only_noticed(update: Any) -> None:
    assert understood(update) == Notice(reason="my_chat_member")


# -- npm telegram-test-api, which shares no code with ours -------------------------------------------------------------


async def test_the_citizen_of_npm_telegram_test_api_reads_what_is_sent(node_modules: Path) -> None:
    with bot_server(node_modules) as url:
        await channel(api_base=url).send(outgoing("已受理，受理编号：2611230000000014😀"), None)  # type: ignore[arg-type]
        async with httpx.AsyncClient(trust_env=False) as client:
            told = (await client.post(f"{url}/getUpdates", json={"token": TOKEN, "chatId": CITIZEN})).json()
    ((chat, text),) = [(one["message"]["chat_id"], one["message"]["text"]) for one in told["result"]]
    assert (int(chat), text) == (CITIZEN, "已受理，受理编号：2611230000000014😀")


# -- through the running gateway ---------------------------------------------------------------------------------------


@asynccontextmanager
async def talking(
    start_gateway: Start, api: FakeBotApi, clock: Callable[[], datetime] = now
) -> AsyncIterator[tuple[RunningGateway, TelegramPeer]]:
    def change(document: dict[str, Any]) -> None:
        only("telegram", telegram={"api_base": api.url})(document)
        document["replies"] = {"acknowledge": True}
        document["dedupe"] = {"settle_seconds": 60}

    async with start_gateway(change, clock=clock) as gateway:
        yield gateway, TelegramPeer("telegram", gateway.channel("telegram").settings)


async def all_filed(gateway: RunningGateway) -> bool:
    return await gateway.node.store.pending() == 0


async def test_a_conversation_both_ways(start_gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, an album and an edit are one matter and one event; he gets its number once, and none when he has blocked us."""
    monkeypatch.setattr("gateway.filing.GRACE", timedelta())
    photo = [{"file_id": "photos/1.jpg", "file_unique_id": "u", "width": 9, "height": 9}]
    files = {"photos/1.jpg": b"\xff\xd8\xff" + b"x" * 99}
    clock = Clock()
    clock.now -= timedelta(seconds=60)
    async with FakeBotApi(files=files).running() as api, talking(start_gateway, api, clock) as (gateway, peer):
        at = clock.now

        def say(number: int, **content: Any) -> dict[str, Any]:
            return peer.message(sender=str(CITIZEN), message_id=str(number), at=at, **content)

        first = say(1, text="小区路灯坏")
        for update in (
            first,
            say(2, media_group_id="a", photo=photo, caption="第一张"),
            say(3, media_group_id="a", photo=photo),
            edited(first, 4, "小区路灯坏了"),
        ):
            assert (await peer.update(update).send(gateway)).ok
        await until(lambda: all_filed(gateway))
        clock.now += timedelta(seconds=60)
        await gateway.settle()
        (matter,) = await gateway.matters()
        books = await gateway.books()
        assert [text for _, text in api.got] == [
            f"您的诉求已收到，受理编号：{matter.tracking_code}。回复“进度 {matter.tracking_code}”可查询办理情况。"
        ]
        assert (books["outcomes"]["filed"], books["outcomes"]["attached"]) == (1, 3) and books["balanced"]
        assert [file.availability for file in matter.attachments] == ["held", "held"]
        filed = next(iter(gateway.core.events.values()))
        assert (filed["type"], len(filed["data"]["messages"])) == ("hotline.matter.filed.v1", 4)

        assert (await peer.update(membership("kicked", at)).send(gateway)).ok
        await gateway.settle()
        assert len(await run(gateway.node.store, UNREACHABLE.select())) == 1
        again = peer.message(sender=str(CITIZEN), message_id="9", at=at, text=f"进度 {matter.tracking_code}")
        assert (await peer.update(again).send(gateway)).ok
        await gateway.settle()
        assert len(api.got) == 2, "he writes again, so that he may be written to"
