"""The app's back end is told by signed webhooks (https://www.standardwebhooks.com), each id taken once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook

from channels.app import App
from channels.clients import key_hash
from channels.errors import NotSent, Undeliverable
from channels.simulated import HttpDelivery
from channels.simulated.app import AppPeer
from gateway import replies
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, Contact, ContactType
from normalizer.reply import Outgoing, ReplyKind, Sent

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
RAW = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(RAW).decode()
CORE_KEY = "c" * 43


#: What the back end does with a call beside answering: it has read it.
HANG_UP, HANG = "hang up", "hang"


@dataclass
class BackEnd:
    """Takes each webhook-id once; answers by ``script`` first: a status, with a body or without, HANG or HANG_UP."""

    script: list[int | tuple[int, str] | str] = field(default_factory=list)
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        body, headers = await request.read(), {name.lower(): value for name, value in request.headers.items()}
        self.calls.append((headers, body))
        told = Webhook(SECRET).verify(body, headers)
        how = self.script.pop(0) if self.script else 204
        status, text = how if isinstance(how, tuple) else (how, "")
        if isinstance(status, str) or status < 300:  # whoever hangs up has read it all the same
            self.shown.setdefault(headers["webhook-id"], told)
        if status == HANG:
            await self._over.wait()
        if isinstance(status, str):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=status, text=text, headers=self.headers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[BackEnd]:
        self._over = asyncio.Event()
        application = web.Application()
        application.add_routes([web.post("/hook", self._hook)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()


@pytest.fixture
async def back_end() -> AsyncIterator[BackEnd]:
    async with BackEnd().running() as running:
        yield running


def channel(url: str | None, secret: str = SECRET) -> App:
    client: dict[str, Any] = {"id": "city-app", "key_hash": key_hash("k" * 43), "scopes": ["messages:write"]}
    if url is not None:
        client["push"] = {"url": url, "secret": secret}
    return App("app", App.Settings.model_validate({"clients": [client]}))


def outgoing(account: str = "city-app") -> Outgoing:
    return Outgoing(
        id=uuid.UUID(int=7),
        kind=ReplyKind.RESULT,
        account=account,
        to=Contact(type=ContactType.APP, value="u-1", assurance=Assurance.VERIFIED),
        text="已修复",
        tracking_code="2603010000000014",
        matter_id=uuid.UUID(int=9),
    )


class NoState:
    async def get(self, key: str) -> str | None:
        return None

    async def change(self, change: object) -> bool:
        return True


async def send(app: App, **more: Any) -> Sent:
    return await app.send(outgoing(**more), NoState())


async def test_a_reply_is_a_signed_post_by_the_letter_of_the_standard(back_end: BackEnd) -> None:
    assert await send(channel(back_end.url)) == Sent()
    ((headers, body),) = back_end.calls
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = base64.b64encode(hmac.digest(RAW, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert headers["webhook-id"] == str(uuid.UUID(int=7))
    assert json.loads(body) == {
        "type": "result",
        "text": "已修复",
        "language": "zh",
        "user": "u-1",
        "matter_id": str(uuid.UUID(int=9)),
        "tracking_code": "2603010000000014",
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (202, None),
        (409, None),
        (301, NotSent),
        (401, NotSent),
        (404, NotSent),
        (429, NotSent),
        (500, NotSent),
        (503, NotSent),
        (HANG_UP, NotSent),
        (400, Undeliverable),
        (410, Undeliverable),
        (422, Undeliverable),
    ],
)
async def test_what_an_answer_means(back_end: BackEnd, status: int | str, error: type[Exception] | None) -> None:
    back_end.script = [status]
    if error is None:
        assert await send(channel(back_end.url)) == Sent()
        return
    with pytest.raises(error):
        await send(channel(back_end.url))


async def test_it_waits_as_long_as_the_back_end_asks(back_end: BackEnd) -> None:
    back_end.script, back_end.headers = [429], {"Retry-After": "17"}
    with pytest.raises(NotSent) as caught:
        await send(channel(back_end.url))
    assert caught.value.after_seconds == 17


async def test_nobody_is_there() -> None:
    with pytest.raises(NotSent):
        await send(channel("http://127.0.0.1:9/hook"))


async def test_only_a_client_with_a_push_address_is_told_there() -> None:
    with pytest.raises(Undeliverable) as caught:
        await send(channel("http://127.0.0.1:9/hook"), account="other")
    assert caught.value.reason == "no_push"
    assert channel(None).reaches == frozenset()
    assert channel("http://127.0.0.1:9/hook").reaches == {ContactType.APP}


@pytest.mark.parametrize("url", ["ftp://host/x", "host/x", "https://", "https://a b/", "http://app.example/hook"])
def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ValidationError):
        channel(url)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "k" * 40])
def test_a_secret_that_could_be_guessed_stops_the_start(secret: str) -> None:
    with pytest.raises(ValidationError):
        channel("https://app.example/hook", secret)


async def test_acknowledgement_and_result_reach_the_user_once_though_the_back_end_falters(
    start_gateway: Start, back_end: BackEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies.Replies.__init__, "__kwdefaults__", {"first_seconds": 0.05})
    back_end.script = [500, HANG_UP, 204]  # refused, read without an answer, then taken

    def pushed(document: dict) -> None:
        document["replies"] = {"acknowledge": True}
        document["channels"]["app"]["clients"][0]["push"] = {"url": back_end.url, "secret": SECRET}
        document["core"]["clients"] = [
            {"id": "core", "key_hash": key_hash(CORE_KEY), "scopes": ["updates:write"]},
        ]

    async with start_gateway(pushed) as gateway:
        app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
        await app.say("路灯不亮", sender="1", message_id="1", at=AT).send(gateway)
        await gateway.settle()
        (matter,) = await gateway.matters()
        assert [told["type"] for told in back_end.shown.values()] == ["acknowledgement"]
        assert len(back_end.calls) == 3 and len({headers["webhook-id"] for headers, _ in back_end.calls}) == 1
        await _result(gateway, str(matter.matter_id))
        await gateway.settle()
        acknowledged, result = back_end.shown.values()
        assert acknowledged["tracking_code"] == matter.tracking_code and matter.tracking_code in acknowledged["text"]
        assert (result["type"], result["user"], result["matter_id"]) == ("result", "u-1", str(matter.matter_id))
        assert "已修复" in result["text"]
        answer = await HttpDelivery(
            f"/v1/matters/{matter.matter_id}", b"", {"authorization": f"Bearer {app.key}"}, "GET"
        ).send(gateway)
        (update,) = json.loads(answer.body)["updates"]
        assert (update["type"], update["text"], update["reply_state"]) == ("result", "已修复", "sent")


async def _result(gateway: RunningGateway, matter_id: str) -> None:
    body = json.dumps({"type": "result", "text": "已修复"}).encode()
    headers = {"authorization": f"Bearer {CORE_KEY}", "idempotency-key": "r1", "content-type": "application/json"}
    answer = await HttpDelivery(f"/v1/matters/{matter_id}/updates", body, headers).send(gateway)
    assert json.loads(answer.body)["reply_state"] == "queued", answer
