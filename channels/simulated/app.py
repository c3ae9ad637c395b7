"""The city app's back end."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar

from channels.simulated import HttpDelivery, Peer


class AppPeer(Peer):
    """A back end that holds a client's key; the settings know only the key's hash."""

    kind: ClassVar[str] = "app"

    def __init__(self, name: str, settings: Any, *, key: str) -> None:
        super().__init__(name, settings)
        self.key = key

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A citizen writes in the app."""
        body = {"user": {"id": f"u-{sender}"}, "text": text, "sent_at": at.isoformat()}
        return self.post(body, key=f"app-{message_id}")

    def post(self, body: object, *, key: str | None, **headers: str) -> HttpDelivery:
        """Any body, as JSON unless it is bytes already."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        named = {"idempotency-key": key} if key is not None else {}
        defaults = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        return HttpDelivery("/v1/messages", raw, defaults | named | headers)
