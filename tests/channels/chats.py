"""WeChat's and Weibo's REST interfaces as real HTTP servers that misbehave on command, and what their tests share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from aiohttp import web

from channels.base import StateChange
from normalizer.model import Assurance, Contact, ContactType
from normalizer.reply import Outgoing, ReplyKind

#: What a fake does with the next call beside answering an error code: ``hang`` and ``cut`` come after it was taken.
HANG, CUT, HTML, BAD_GATEWAY, SLOW, LIST, NOTHING = "hang", "cut", "html", "502", "429", "list", "nothing"


class Notes:
    """A channel's state, in memory."""

    def __init__(self, **values: str) -> None:
        self.values = dict(values)
        #: Somebody is faster at the next change: he writes these.
        self.faster: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        await asyncio.sleep(0)
        return self.values.get(key)

    async def change(self, change: StateChange) -> bool:
        await asyncio.sleep(0)
        self.values |= self.faster
        self.faster = {}
        if self.values.get(change.key) != change.expected:
            return False
        self.values[change.key] = change.value
        return True


class Provider:
    """A server; ``script`` says what becomes of the next calls, one each, then all is well."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        #: What citizens have been given, as (kind of call, body).
        self.given: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[str] = []
        self.url = ""
        self._over = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Any]:
        application = web.Application()
        application.add_routes(self.routes())
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def misbehave(self, how: str, request: web.Request) -> web.Response:
        if how == HANG:
            await self._over.wait()
        if how in {CUT, HANG}:
            assert request.transport is not None
            request.transport.abort()
        answers = {
            HTML: (200, "<html>busy</html>"),
            BAD_GATEWAY: (502, "<html>"),
            LIST: (200, "[]"),
            NOTHING: (200, "{}"),
        }
        status, text = answers.get(how, (429, ""))
        return web.Response(status=status, text=text, headers={"retry-after": "7"} if how == SLOW else {})


class FakeWeChat(Provider):
    """api.weixin.qq.com: a stable token, customer-service and template messages, media."""

    def __init__(self, app_id: str, secret: str) -> None:
        super().__init__()
        self._app_id, self._secret = app_id, secret
        self.generation, self.expires_in = 1, 7200
        #: Whether each request for a token was forced.
        self.asked: list[bool] = []
        self.token_script: list[Any] = []
        #: WeChat refuses every token, whatever it said.
        self.refuses = False
        #: By media id: bytes, or (JSON) what is said instead.
        self.media: dict[str, bytes | dict[str, Any]] = {}
        #: By openid: what is said of a follower.
        self.users: dict[str, dict[str, Any]] = {}
        self.numbers = 200163836

    @property
    def token(self) -> str:
        return f"token_{self.generation}"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/cgi-bin/stable_token", self._stable_token),
            web.post("/cgi-bin/message/{call:.+}", self._message),
            web.get("/cgi-bin/media/get", self._media),
            web.get("/cgi-bin/user/info", self._user),
            web.get("/files/{id}", self._file),
        ]

    async def _stable_token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked["force_refresh"])
        if self.token_script:
            step = self.token_script.pop(0)
            if isinstance(step, str):
                return await self.misbehave(step, request)
            return web.json_response({"errcode": step, "errmsg": "no"})
        if (asked["grant_type"], asked["appid"], asked["secret"]) != ("client_credential", self._app_id, self._secret):
            return web.json_response({"errcode": 40125, "errmsg": "invalid appsecret"})
        if asked["force_refresh"]:
            self.generation += 1
        await asyncio.sleep(0.01)  # others ask meanwhile
        return web.json_response({"access_token": self.token, "expires_in": self.expires_in})

    def _error(self, request: web.Request) -> int:
        if self.script and isinstance(self.script[0], int):
            code: int = self.script.pop(0)
            return code
        return 40001 if self.refuses or request.query["access_token"] != self.token else 0

    async def _message(self, request: web.Request) -> web.Response:
        call, body = request.match_info["call"], await request.json()
        self.calls.append(call)
        if self.script and self.script[0] == SLOW:
            return await self.misbehave(self.script.pop(0), request)
        if code := self._error(request):
            return web.json_response({"errcode": code, "errmsg": "no rid: 1"})
        self.given.append((call, body))
        if self.script:
            return await self.misbehave(self.script.pop(0), request)
        answer: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
        if call != "custom/send":
            self.numbers += 1
            answer["msgid"] = self.numbers
        return web.json_response(answer)

    async def _media(self, request: web.Request) -> web.Response:
        self.calls.append("media")
        if code := self._error(request):
            return web.json_response({"errcode": code, "errmsg": "no"})
        found = self.media.get(request.query["media_id"], {"errcode": 40007, "errmsg": "invalid media_id"})
        if isinstance(found, dict):
            return web.json_response(found)
        return _attachment(found)

    async def _user(self, request: web.Request) -> web.Response:
        self.calls.append("user")
        if code := self._error(request):
            return web.json_response({"errcode": code, "errmsg": "no"})
        if self.script:
            return await self.misbehave(self.script.pop(0), request)
        openid = request.query["openid"]
        if openid not in self.users:
            return web.json_response({"errcode": 40003, "errmsg": "invalid openid"})
        return web.json_response({"subscribe": 1, "openid": openid, "language": "zh_CN"} | self.users[openid])

    async def _file(self, request: web.Request) -> web.Response:
        self.calls.append("file")
        return web.Response(body=self.media[request.match_info["id"]], content_type="video/mp4")


class FakeWeibo(Provider):
    """m.api.weibo.com and upload.api.weibo.com."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token
        self.media: dict[str, bytes] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/2/messages/reply.json", self._reply), web.get("/2/mss/msget", self._file)]

    async def _reply(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.calls.append("reply")
        if self.script and (self.script[0] == SLOW or isinstance(self.script[0], int)):
            step = self.script.pop(0)
            return await self.misbehave(step, request) if step == SLOW else self._error(step)
        if form["access_token"] != self.token:
            return self._error(21332)
        self.given.append(("reply", form))
        if self.script:
            step = self.script.pop(0)
            return web.json_response(step) if isinstance(step, dict) else await self.misbehave(step, request)
        said = {"result": True, "receiver_id": form["receiver_id"], "type": "text"}
        return web.json_response(said)

    def _error(self, code: int) -> web.Response:
        said = {"error": "no", "error_code": code, "request": "/2/messages/reply.json"}
        return web.json_response(said, status=200 if code == 10024 else 403)

    async def _file(self, request: web.Request) -> web.Response:
        self.calls.append("file")
        if request.query["access_token"] != self.token:
            return web.json_response({"error": "expired_token", "error_code": 21327})
        found = self.media.get(request.query["fid"])
        return web.Response(status=404) if found is None else _attachment(found)


def _attachment(content: bytes) -> web.Response:
    return web.Response(
        body=content, content_type="image/jpeg", headers={"content-disposition": 'attachment; filename="ID.jpg"'}
    )


def outgoing(
    kind: ContactType,
    to: str,
    account: str,
    text: str = "您的诉求已收到。",
    window: str | None = "message",
    **more: Any,
) -> Outgoing:
    """A reply to send."""
    return Outgoing(
        id=UUID(int=1),
        kind=more.pop("reply", ReplyKind.RESULT),
        account=account,
        to=Contact(type=kind, value=to, assurance=Assurance.VERIFIED),
        text=text,
        tracking_code="20261123000017",
        window=window,
        **more,
    )


def soon(seconds: float) -> float:
    """So many seconds from now, since 1970."""
    return time.time() + seconds
