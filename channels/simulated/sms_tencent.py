"""Tencent Cloud, as one application's callback address sees it; written from the vendor's pages alone."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from channels.simulated import HttpDelivery, Peer

_CHINA = timezone(timedelta(hours=8))


class SmsTencentPeer(Peer):
    """Tencent, and citizens with telephones whose numbers nobody can have. A message has no id: ``message_id`` goes nowhere."""

    kind: ClassVar[str] = "sms_tencent"

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A citizen replies."""
        return self.push(self.reply(text, sender=sender, at=at))

    def reply(self, text: str, *, sender: str, at: datetime) -> dict[str, Any]:
        """What is pushed for it."""
        return {
            "extend": "",
            "mobile": number(sender),
            "nationcode": "86",
            "sign": "某市12345",
            "text": text,
            "time": int(at.timestamp()),
        }

    def report(self, sid: str, errmsg: str = "DELIVRD", *, to: str, at: datetime) -> dict[str, Any]:
        """What became of one message of ours."""
        return {
            "user_receive_time": at.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "nationcode": "86",
            "mobile": number(to),
            "report_status": "SUCCESS" if errmsg == "DELIVRD" else "FAIL",
            "errmsg": errmsg,
            "description": "用户短信送达成功" if errmsg == "DELIVRD" else "用户短信接收失败",
            "sid": sid,
        }

    def push(self, value: Any, *, path_secret: str | None = None) -> HttpDelivery:
        """Any JSON value, or bytes as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        secret = self.settings.path_secret.get_secret_value() if path_secret is None else path_secret
        path = f"/channels/{self.name}" + (f"/{secret}" if secret else "")
        return HttpDelivery(path, body, {"content-type": "application/json"})


def number(sender: str) -> str:
    """Eleven digits, as a domestic number is written."""
    return f"10{int(sender) % 10**9:09d}"
