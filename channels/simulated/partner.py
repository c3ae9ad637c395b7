"""A linked platform, 12315 among others."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar

from channels.simulated import HttpDelivery, Peer


class PartnerPeer(Peer):
    """A platform that holds a client's key; the settings know only the key's hash."""

    kind: ClassVar[str] = "partner"

    def __init__(self, name: str, settings: Any, *, key: str, platform: str = "12315") -> None:
        super().__init__(name, settings)
        self.key, self.platform = key, platform

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A citizen turned to the platform, which transfers it."""
        body = {
            "platform": self.platform,
            "platform_number": f"{self.platform}-{message_id}",
            "caller": {"contact_number": f"+861{int(sender) % 10**10:010}"},
            "content": text,
            "received_at": at.isoformat(),
        }
        return self.post(body, key=f"transfer-{message_id}")

    def post(self, body: object, *, key: str | None, **headers: str) -> HttpDelivery:
        """Any body, as JSON unless it is bytes already."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        named = {"idempotency-key": key} if key is not None else {}
        defaults = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        return HttpDelivery("/v1/transfers", raw, defaults | named | headers)
