"""A stand-in case core: takes events by webhook, checks their signature, answers with a case number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.door import Receive, Scope, Send
from gateway.server import HttpServer
from normalizer.model import HotlineMatter


class StandInCore:
    """Remembers events by id, as a case core must: the gateway delivers at least once."""

    def __init__(self, url: str, secret: str, heard: Callable[[str, HotlineMatter], None] = lambda *_: None) -> None:
        parts = urlsplit(url)
        self._path, self._verifier, self._heard = parts.path or "/", Webhook(secret), heard
        #: CloudEvents in order of their first arrival, by id.
        self.events: dict[str, dict[str, Any]] = {}
        #: Deliveries of events known already.
        self.repeated = 0
        self._server = HttpServer(
            self._serve, f"{parts.hostname}:{80 if parts.port is None else parts.port}", "core.url"
        )

    @property
    def url(self) -> str:
        """Where it really listens."""
        return f"http://127.0.0.1:{self._server.port}{self._path}"

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._server.run_until_stopped()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        status, answer = self._take(scope, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _take(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] != self._path:
            return 404, b"{}"
        try:
            self._verifier.verify(body, headers)
        except WebhookVerificationError:
            return 401, b"{}"
        event = orjson.loads(body)
        if event["id"] in self.events:
            self.repeated += 1
        else:
            self.events[event["id"]] = event
            self._heard(event["type"], HotlineMatter.model_validate(event["data"]))
        return 200, orjson.dumps({"case_number": f"C{event['data']['tracking_code']}"})
