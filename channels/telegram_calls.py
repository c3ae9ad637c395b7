"""Calls of Telegram's Bot API for one bot: writing to a citizen (sendMessage), fetching what he sent (getFile).

By httpx and not by channels/rest.py, for from the Chinese mainland only a proxy leads to Telegram.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from channels.base import File
from channels.errors import ChannelError, Missing, NotSent, Unavailable, Uncertain, Undeliverable

#: Characters of one message, in UTF-16 units (https://core.telegram.org/bots/api#sendmessage).
PART = 4096
#: Bytes of an answer read at most, and of a file (https://core.telegram.org/bots/api#getfile).
ANSWER_BYTES, FILE_BYTES = 256 * 1024, 20 * 1024 * 1024
#: How long an answer may take, and how long a further part of a text waits where Telegram asks for it, seconds.
CALL_SECONDS, PATIENCE_SECONDS = 15.0, 20.0
#: Nothing was sent: no connection came about, or the proxy opened no tunnel.
UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL)
_FILE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_./-]{0,500}", re.ASCII)
#: Where a part had better end, the best first: a line, a sentence, a clause.
_ENDS = tuple(map(re.compile, (r"\n", r"[。！？；!?;]", r"[.,，、 ]")))


@dataclass(frozen=True, slots=True)
class BotApi:
    """A bot, and the way to the Bot API."""

    token: str = field(repr=False)
    base: str
    proxy: str | None = field(default=None, repr=False)

    def client(self, read: float) -> httpx.AsyncClient:
        """``read``: seconds that an answer may take."""
        return httpx.AsyncClient(transport=_BotTransport(self.token, self.proxy), timeout=httpx.Timeout(10, read=read))

    def url(self, method: str) -> str:
        """As ``client`` wants it, without the token."""
        return f"{self.base.rstrip('/')}/{method}"

    async def say(self, chat: int, text: str) -> int:
        """Write to a private chat; Telegram's number of the first part. Raise NotSent, Undeliverable or Uncertain."""
        first, *more = parts(text)
        async with self.client(CALL_SECONDS) as client:
            number = await self._send(client, chat, first)
            for part in more:
                await self._send_on(client, chat, part)
        return number

    async def _send(self, client: httpx.AsyncClient, chat: int, text: str) -> int:
        said = {"chat_id": chat, "text": text, "link_preview_options": {"is_disabled": True}}
        told = _granted(*await _post(client, self.url("sendMessage"), said))
        number = told.get("message_id") if isinstance(told, dict) else None
        if not isinstance(number, int):
            raise Uncertain("garbage")
        return number

    async def _send_on(self, client: httpx.AsyncClient, chat: int, text: str) -> None:
        """A further part: what stands before it is out, so that the whole cannot be tried again."""
        try:
            try:
                await self._send(client, chat, text)
            except NotSent as error:
                if not 0 < error.after_seconds <= PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(error.after_seconds)
                await self._send(client, chat, text)
        except ChannelError:
            raise Uncertain("partly") from None

    async def fetch(self, file_id: str) -> File:
        """A file that a citizen sent. Raise Missing or Unavailable."""
        async with self.client(CALL_SECONDS) as client:
            path = await self._path(client, file_id)
            try:
                async with client.stream("GET", self.url("file"), extensions={"file_path": path}) as answer:
                    if answer.status_code != 200:
                        raise Unavailable(f"status_{answer.status_code}")
                    return File(await _bounded(answer, FILE_BYTES), answer.headers.get("content-type"))
            except _TooLong:
                raise Missing("oversized") from None
            except httpx.HTTPError:
                raise Unavailable("connection") from None

    async def _path(self, client: httpx.AsyncClient, file_id: str) -> str:
        """Where the file lies for at least an hour; every try asks anew."""
        try:
            status, body = await _post(client, self.url("getFile"), {"file_id": file_id})
            told = _granted(status, body)
        except Undeliverable:
            if b"too big" in body:
                raise Missing("oversized") from None
            raise Unavailable("refused") from None  # "wrong file_id or the file is temporarily unavailable"
        except (NotSent, Uncertain) as error:
            raise Unavailable(error.reason) from None
        path = told.get("file_path") if isinstance(told, dict) else None
        if not isinstance(path, str) or not _FILE_PATH.fullmatch(path) or ".." in path:
            raise Missing("path")
        return path


def parts(text: str) -> list[str]:
    """The text in messages of at most ``PART`` units, each ending where a line or sentence ends if that is not too soon."""
    found, left = [], text.strip()
    while left:
        most = _fitting(left)
        end = most if most == len(left) else _end(left[:most])
        found.append(left[:end].rstrip())
        left = left[end:].lstrip()
    return found or [text]


def _end(head: str) -> int:
    for ends in _ENDS:
        if late := [end.end() for end in ends.finditer(head, len(head) // 2)]:
            return late[-1]
    return len(head)


def _fitting(text: str) -> int:
    """How many characters are not more than ``PART`` units: one beyond U+FFFF counts two."""
    if len(text) * 2 <= PART:
        return len(text)
    units = 0
    for index, character in enumerate(text):
        units += 2 if character > "\uffff" else 1
        if units > PART:
            return index
    return len(text)


def asked_to_wait(body: bytes) -> float:
    """https://core.telegram.org/bots/api#responseparameters, within reason; 5 s where it says none."""
    try:
        return min(max(1.0, float(json.loads(body)["parameters"]["retry_after"])), 3600.0)
    except (ValueError, TypeError, KeyError):
        return 5.0


def _granted(status: int, body: bytes) -> Any:
    """The ``result`` of an answer (https://core.telegram.org/bots/api#making-requests).

    Only Telegram's own word ``ok: false`` tells that nothing was done; any other page may come from between.
    """
    told = _document(body)
    if status == 200 and told.get("ok") is True:
        return told.get("result")
    if status >= 500 or told.get("ok") is not False:
        raise Uncertain(f"status_{status}")
    match status:
        case 429:
            raise NotSent("busy", asked_to_wait(body))
        case 401 | 404:
            raise NotSent("token")
        case 403:  # blocked by the user, user is deactivated, bot can't initiate conversation
            raise Undeliverable("blocked", unreachable=True)
        case 400:
            raise Undeliverable("no_chat" if b"chat not found" in body else "refused")
    raise Uncertain(f"status_{status}")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Uncertain("not_json")
    return found


async def _post(client: httpx.AsyncClient, url: str, fields: dict[str, Any]) -> tuple[int, bytes]:
    try:
        async with client.stream("POST", url, json=fields) as answer:
            return answer.status_code, await _bounded(answer, ANSWER_BYTES)
    except UNCONNECTED:
        raise NotSent("connect") from None
    except _TooLong:
        raise Uncertain("oversized") from None
    except httpx.TimeoutException:
        raise Uncertain("timeout") from None
    except httpx.HTTPError:
        raise Uncertain("cut") from None


class _TooLong(Exception):
    """More came than may."""


async def _bounded(answer: httpx.Response, limit: int) -> bytes:
    found = bytearray()
    async for piece in answer.aiter_bytes():
        found += piece
        if len(found) > limit:
            raise _TooLong
    return bytes(found)


class _BotTransport(httpx.AsyncHTTPTransport):
    """Puts the bot token into the path below the client, so that neither its log lines nor its errors know the token."""

    def __init__(self, token: str, proxy: str | None) -> None:
        super().__init__(proxy=proxy)
        self._token = token

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """``…/method`` becomes ``…/bot<token>/method``; ``…/file`` with a ``file_path`` ``…/file/bot<token>/<path>``."""
        folder, _, method = request.url.raw_path.rpartition(b"/")
        path = request.extensions.get("file_path")
        if path is None:
            raw = folder + f"/bot{self._token}/".encode() + method
        else:
            raw = folder + f"/file/bot{self._token}/{quote(path)}".encode()
        extensions = {name: value for name, value in request.extensions.items() if name != "file_path"}
        url = request.url.copy_with(raw_path=raw)
        return await super().handle_async_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
        )
