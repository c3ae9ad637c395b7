"""Providers' REST interfaces as small real HTTP servers that misbehave on command."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Rest:
    """Answers each request by ``serve``, or first by what stands in ``script``; None: says nothing and keeps the line."""

    serve: Callable[[str, dict[str, str]], Answer]
    script: list[Answer | None] = field(default_factory=list)
    #: Path and query of each request.
    asked: list[str] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Rest]:
        self._stopped = asyncio.Event()
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self
            self._stopped.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            target = request.split(" ")[1]
            self.asked.append(target)
            answer = self.script.pop(0) if self.script else self.serve(target, headers)
            if answer is None:
                await self._stopped.wait()
            else:
                status, more, body = answer
                fields = {"Content-Length": str(len(body)), "Connection": "close"} | more
                writer.write(f"HTTP/1.1 {status} X\r\n".encode())
                writer.write(
                    "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n" + body
                )
                await writer.drain()
        finally:
            writer.close()


def document(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/json"} | headers, json.dumps(value).encode()


@dataclass
class TwilioMessages:
    """Twilio's list of messages (https://www.twilio.com/docs/messaging/api/message-resource), newest first."""

    account: str
    token: str
    page: int = 50
    messages: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, sid: str, sender: str, at: datetime | None, to: str = "+15005550006", direction: str = "inbound"
    ) -> None:
        sent = None if at is None else format_datetime(at)
        who = {"sid": sid, "account_sid": self.account, "from": sender, "to": to, "direction": direction}
        what = {"body": "路灯坏了", "status": "received", "num_media": "0", "error_code": None}
        self.messages.insert(0, who | what | {"date_sent": sent, "date_created": sent, "date_updated": sent})

    def __call__(self, target: str, headers: dict[str, str]) -> Answer:
        if (
            headers.get("authorization")
            != f"Basic {base64.b64encode(f'{self.account}:{self.token}'.encode()).decode()}"
        ):
            return document({"code": 20003, "message": "Authenticate", "status": 401}, 401)
        parts = urlsplit(target)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path != f"/2010-04-01/Accounts/{self.account}/Messages.json":
            return document({"code": 20404, "status": 404}, 404)
        found = [one for one in self.messages if one["to"] == asked.get("To", one["to"])]
        size, number = min(int(asked.get("PageSize", 50)), self.page), int(asked.get("Page", 0))
        page = found[number * size : (number + 1) * size]
        following = f"{parts.path}?To={asked.get('To', '').replace('+', '%2B')}&PageSize={size}&Page={number + 1}"
        following += f"&PageToken=PA{page[-1]['sid']}" if page else ""
        more = len(found) > (number + 1) * size
        return document(
            {
                "messages": page,
                "page": number,
                "page_size": size,
                "start": number * size,
                "end": number * size + len(page) - 1,
                "first_page_uri": f"{parts.path}?PageSize={size}&Page=0",
                "previous_page_uri": None,
                "next_page_uri": following if more else None,
                "uri": target,
            }
        )
