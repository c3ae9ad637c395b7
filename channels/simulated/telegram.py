"""Telegram: posts updates with the secret token that setWebhook was given (https://core.telegram.org/bots/api#setwebhook)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from channels.simulated import HttpDelivery, Peer


class TelegramPeer(Peer):
    """Telegram, and citizens in private chats with the bot."""

    kind = "telegram"

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A text message."""
        return self.update(self.message(sender=sender, message_id=message_id, at=at, text=text))

    def message(self, *, sender: str, message_id: str, at: datetime, **content: Any) -> dict[str, Any]:
        """An update with a message: ``text=…``, ``photo=…``, whatever the Bot API calls it."""
        person = {"id": int(sender), "first_name": f"市民{sender[-4:]}"}
        message = {
            "message_id": int(message_id) % 2**31,
            "from": {**person, "is_bot": False, "language_code": "zh-hans"},
            "chat": {**person, "type": "private"},
            "date": int(at.timestamp()),
            **content,
        }
        return {"update_id": int(message_id), "message": message}

    def update(self, value: Any) -> HttpDelivery:
        """Any JSON value, with the right secret token."""
        return self.post(json.dumps(value).encode(), self.settings.secret_token.get_secret_value())

    def post(self, body: bytes, secret_token: str) -> HttpDelivery:
        """Any body under any secret token."""
        headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret_token}
        return HttpDelivery(self._path(), body, headers)

    def _path(self) -> str:
        path = f"/channels/{self.name}"
        secret = self.settings.path_secret
        return path if secret is None else f"{path}/{secret.get_secret_value()}"
