"""An Open311 client, as a reporting app is one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from channels.simulated import HttpDelivery, Peer


class Open311Peer(Peer):
    """A client that holds an api_key; the settings know only the key's hash."""

    kind: ClassVar[str] = "open311"

    def __init__(self, name: str, settings: Any, *, key: str) -> None:
        super().__init__(name, settings)
        self.key = key

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A citizen reports something; the protocol has no field for when."""
        del at
        fields = {"service_code": self.settings.services[0].code, "description": text, "account_id": sender}
        return self.post(fields, idempotency_key=f"o-{message_id}")

    def post(
        self, fields: dict[str, str], *, form: str = "json", idempotency_key: str | None = None, key: str | None = None
    ) -> HttpDelivery:
        """Any fields; ``key`` instead of the client's own, "" for none."""
        api_key = self.key if key is None else key
        whole = fields | ({"api_key": api_key} if api_key else {})
        named = {"idempotency-key": idempotency_key} if idempotency_key is not None else {}
        return self.raw(urlencode(whole).encode(), form=form, **named)

    def raw(self, body: bytes, *, form: str = "json", **headers: str) -> HttpDelivery:
        """Any body."""
        defaults = {"content-type": "application/x-www-form-urlencoded"}
        return HttpDelivery(f"/open311/v2/requests.{form}", body, defaults | headers)
