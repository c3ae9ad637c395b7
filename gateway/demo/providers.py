"""A stand-in for every provider's REST interface: takes what the gateway sends to citizens, and shows it to nobody else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

Heard = Callable[[str, str, str], None]
"""Told the channel's kind, the citizen's address and the words."""


class StandInProviders:
    """WeChat, Weibo, Twilio, Aliyun, Tencent, Telegram and the app's back end, on one port of loopback."""

    def __init__(self, heard: Heard) -> None:
        self._heard, self._numbers = heard, itertools.count(1)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        application = web.Application()
        application.add_routes(
            [
                web.post("/cgi-bin/stable_token", self._token),
                web.post("/cgi-bin/message/custom/send", self._wechat),
                web.post("/cgi-bin/message/template/send", self._wechat_template),
                web.post("/2/messages/reply.json", self._weibo),
                web.post("/2010-04-01/Accounts/{account}/Messages.json", self._twilio),
                web.post("/", self._sms),
                web.post("/{bot:bot.+}/sendMessage", self._telegram),
                web.post("/app", self._app),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "demo", "expires_in": 7200})

    async def _wechat(self, request: web.Request) -> web.Response:
        said = orjson.loads(await request.read())
        self._heard("wechat", said["touser"], said["text"]["content"])
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    async def _wechat_template(self, request: web.Request) -> web.Response:
        said = orjson.loads(await request.read())
        self._heard("wechat", said["touser"], " ".join(field["value"] for field in said["data"].values()))
        return web.json_response({"errcode": 0, "errmsg": "ok", "msgid": next(self._numbers)})

    async def _weibo(self, request: web.Request) -> web.Response:
        form = await request.post()
        said = orjson.loads(str(form["data"]))
        self._heard("weibo", str(form["receiver_id"]), said["text"])
        return web.json_response({"result": True})

    async def _twilio(self, request: web.Request) -> web.Response:
        form = await request.post()
        self._heard("sms_twilio", str(form["To"]), str(form["Body"]))
        return web.json_response({"sid": f"SM{next(self._numbers):032d}", "status": "queued"}, status=201)

    async def _sms(self, request: web.Request) -> web.Response:
        """Aliyun names what is asked in one header, Tencent in another."""
        number = str(next(self._numbers))
        if "x-acs-action" in request.headers:
            said = orjson.loads(request.query["TemplateParam"])
            self._heard("sms_aliyun", request.query["PhoneNumbers"], " ".join(said.values()))
            return web.json_response({"Code": "OK", "Message": "OK", "BizId": number, "RequestId": number})
        asked = orjson.loads(await request.read())
        self._heard("sms_tencent", asked["PhoneNumberSet"][0], " ".join(asked["TemplateParamSet"]))
        sent = {"SerialNo": number, "PhoneNumber": asked["PhoneNumberSet"][0], "Code": "Ok", "Message": "send success"}
        return web.json_response({"Response": {"SendStatusSet": [sent], "RequestId": number}})

    async def _telegram(self, request: web.Request) -> web.Response:
        said = await _fields(request)
        self._heard("telegram", str(said["chat_id"]), str(said["text"]))
        chat = {"id": int(said["chat_id"]), "type": "private"}
        message = {"message_id": next(self._numbers), "date": 1, "chat": chat, "text": said["text"]}
        return web.json_response({"ok": True, "result": message})

    async def _app(self, request: web.Request) -> web.Response:
        said = orjson.loads(await request.read())
        self._heard("app", str(said.get("user")), str(said.get("text")))
        return web.Response(status=204)


async def _fields(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        found: dict[str, Any] = orjson.loads(await request.read())
        return found
    return dict(await request.post())
