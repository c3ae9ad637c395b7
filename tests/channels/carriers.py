"""Twilio's, Aliyun's and Tencent's REST interfaces as a real HTTP server that checks signatures and misbehaves on command."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote
from uuid import UUID

import uuid_utils.compat
from aiohttp import web
from sqlalchemy import select

from gateway.replies import composing
from gateway.testing import RunningGateway
from normalizer.model import Assurance, Binding, Contact, ContactType
from normalizer.reply import Outgoing, ReplyKind
from store.tables import REPLIES
from store.updates import Update
from store.values import Way

ACCOUNT, TOKEN = "AC0123456789abcdef0123456789abcdef", "a-token-of-ours"
KEY_ID, KEY = "LTAI-of-ours", "a-key-of-ours"
#: What becomes of the next call beside an answer of (status, JSON or bytes, headers).
HANG, CUT = "hang", "cut"


class Carrier:
    """Takes calls; ``script`` says what the next are answered, one each, then all is well."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        #: What was taken, by field.
        self.taken: list[dict[str, Any]] = []
        #: Requests for files, and what they bore as a key.
        self.fetched: list[tuple[str, str | None]] = []
        self.files: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.url = ""
        self._over = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Carrier]:
        application = web.Application()
        application.add_routes(
            [
                web.post("/2010-04-01/Accounts/{account}/Messages.json", self._twilio),
                web.get("/{file:.+}", self._file),
                web.post("/", self._sms),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def _scripted(self, request: web.Request, fields: dict[str, Any], well: Any, status: int = 200) -> Any:
        how = self.script.pop(0) if self.script else (status, well)
        if isinstance(how, tuple):
            code, body, *headers = how
            if code < 300 and body == well:
                self.taken.append(fields)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(body=content, status=code, headers=headers[0] if headers else None)
        self.taken.append(fields)  # what it took, it took
        if how == HANG:
            await self._over.wait()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _twilio(self, request: web.Request) -> web.Response:
        wanted = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != wanted or request.match_info["account"] != ACCOUNT:
            return web.json_response({"code": 20003, "message": "Authenticate", "status": 401}, status=401)
        fields = {name: str(value) for name, value in (await request.post()).items()}
        well = {"sid": f"SM{len(self.taken):032x}", "status": "queued", "error_code": None}
        return await self._scripted(request, fields, well, 201)

    async def _file(self, request: web.Request) -> web.Response:
        self.fetched.append((request.path, request.headers.get("Authorization")))
        status, body, headers = self.files.get(request.path, (404, b"", {}))
        return web.Response(status=status, body=body, headers=headers)

    async def _sms(self, request: web.Request) -> web.Response:
        return await (self._aliyun(request) if "x-acs-action" in request.headers else self._tencent(request))

    async def _aliyun(self, request: web.Request) -> web.Response:
        if not aliyun_signed(request.headers, request.raw_path, await request.read(), KEY):
            return web.json_response({"Code": "SignatureDoesNotMatch", "Message": "…", "RequestId": "r"}, status=400)
        fields = dict(request.query) | {
            "Action": request.headers["x-acs-action"],
            "Version": request.headers["x-acs-version"],
        }
        well = {"Code": "OK", "Message": "OK", "BizId": f"9{len(self.taken):017d}^0", "RequestId": "r"}
        return await self._scripted(request, fields, well)

    async def _tencent(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not tencent_signed(request.headers, body, KEY):
            error = {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "…"}, "RequestId": "r"}
            return web.json_response({"Response": error})
        fields = json.loads(body)
        one = {"SerialNo": f"2019:{len(self.taken)}", "PhoneNumber": fields["PhoneNumberSet"][0], "Fee": 1}
        well = {"Response": {"SendStatusSet": [one | {"Code": "Ok", "Message": "send success"}], "RequestId": "r"}}
        return await self._scripted(request, fields | {"Action": request.headers["X-TC-Action"]}, well)


def aliyun_signed(headers: Any, target: str, body: bytes, secret: str) -> bool:
    """As the vendor's page of the V3 signature says it, from what arrived."""
    authorization = headers["Authorization"].removeprefix("ACS3-HMAC-SHA256 ")
    named = dict(part.split("=", 1) for part in authorization.split(","))
    path, _, query = target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    canonical_query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs)
    names = named["SignedHeaders"].split(";")
    must = {name.lower() for name in headers if name.lower().startswith("x-acs-")} | {"host", "content-type"}
    if not must & {name.lower() for name in headers} <= set(names) or names != sorted(names):
        return False
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    hashed = hashlib.sha256(body).hexdigest()
    request = "\n".join(["POST", path, canonical_query, lines, ";".join(names), hashed])
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    good = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
    return named["Signature"] == good and headers["x-acs-content-sha256"] == hashed and named["Credential"] == KEY_ID


def tencent_signed(headers: Any, body: bytes, secret: str) -> bool:
    """As the vendor's page of signature v3 says it, from what arrived."""
    authorization = headers["Authorization"].removeprefix("TC3-HMAC-SHA256 ")
    named = dict(part.strip().split("=", 1) for part in authorization.split(","))
    key_id, date, service, end = named["Credential"].split("/")
    names = named["SignedHeaders"].split(";")
    lines = "".join(f"{name}:{headers[name].strip().lower()}\n" for name in names)
    hashed = hashlib.sha256(body).hexdigest()
    request = "\n".join(["POST", "/", "", lines, ";".join(names), hashed])
    whole = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["TC3-HMAC-SHA256", headers["X-TC-Timestamp"], f"{date}/{service}/{end}", whole])
    key = ("TC3" + secret).encode()
    for part in (date, service, "tc3_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    asked = (headers["X-TC-Version"], headers["X-TC-Region"], headers["X-TC-Action"])
    good = hmac.new(key, text.encode(), "sha256").hexdigest()
    return (named["Signature"], key_id, asked) == (good, KEY_ID, ("2021-01-11", "ap-guangzhou", "SendSms"))


def outgoing(text: str = "您的诉求已收到", to: str = "+8610900000001", **more: Any) -> Outgoing:
    """One reply."""
    given = {"id": UUID(int=7), "kind": ReplyKind.RESULT, "account": "", "tracking_code": "2603010000000017", **more}
    return Outgoing(text=text, to=Contact(type=ContactType.PHONE, value=to, assurance=Assurance.SPOOFABLE), **given)


async def replies(gateway: RunningGateway) -> list[tuple[str, str, str | None]]:
    """Kind, state and reason of every reply, in order."""

    def read(connection: Any) -> Any:
        return connection.execute(
            select(REPLIES.c.kind, REPLIES.c.state, REPLIES.c.reason).order_by(REPLIES.c.id)
        ).all()

    return [tuple(row) for row in await gateway.node.store._database.read(read)]


async def tell(
    gateway: RunningGateway,
    matter_id: UUID,
    text: str,
    ways: tuple[Way, ...] | None = None,
    kind: ReplyKind = ReplyKind.PROGRESS,
) -> str:
    """The core tells about a matter, as the API does it - or on these ways; the state of the reply."""
    update_id = uuid_utils.compat.uuid7()
    binding = Binding(str(update_id), hashlib.sha256(text.encode()).digest())
    told = Update(update_id, matter_id, kind, "core", binding, gateway.node.clock(), {"text": text})
    compose = composing(gateway.node.config, gateway.node.channels, kind, text)
    given = compose if ways is None else lambda *known: replace(compose(*known), ways=ways)
    answer = await gateway.node.store.tell(told, given)
    gateway.node.outward.ring()
    return str(answer.reply_state)
