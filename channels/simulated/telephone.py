"""The call centre's desk."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar

from channels.simulated import HttpDelivery, Peer


class TelephonePeer(Peer):
    """A CTI system that holds a client's key; the settings know only the key's hash."""

    kind: ClassVar[str] = "telephone"

    def __init__(self, name: str, settings: Any, *, key: str) -> None:
        super().__init__(name, settings)
        self.key = key

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A citizen calls, and an operator writes down what he says."""
        caller = {"name": "王某", "contact_number": number(sender), "number_shown": number(sender)}
        body = {
            "source": "telephone",
            "source_id": f"C{message_id}",
            "operator": "1021",
            "caller": caller,
            "call_time": at.isoformat(),
            "content": text,
        }
        return self.post(body, key=f"call-{message_id}")

    def post(self, body: object, *, key: str | None, **headers: str) -> HttpDelivery:
        """Any body, as JSON unless it is bytes already."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        named = {"idempotency-key": key} if key is not None else {}
        defaults = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        return HttpDelivery("/v1/registrations", raw, defaults | named | headers)


def number(sender: str) -> str:
    """A mobile number of nobody."""
    return f"+861{int(sender) % 10**10:010}"
