"""Aliyun, as one account's callback address sees it; written from the vendor's pages alone."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from channels.simulated import HttpDelivery, Peer

DEST_CODE = "4567"
_CHINA = timezone(timedelta(hours=8))


class SmsAliyunPeer(Peer):
    """Aliyun, and citizens with telephones whose numbers nobody can have: none begins with 10."""

    kind: ClassVar[str] = "sms_aliyun"

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A batch of one."""
        return self.push([self.element(text, sender=sender, message_id=message_id, at=at)])

    def element(self, text: str, *, sender: str, message_id: str, at: datetime) -> dict[str, Any]:
        """One message of a batch."""
        return {
            "phone_number": number(sender),
            "content": text,
            "send_time": at.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "dest_code": DEST_CODE,
            "sequence_id": message_id,
        }

    def report(self, biz_id: str, err_code: str = "DELIVERED", *, to: str, at: datetime) -> dict[str, Any]:
        """What became of one message of ours."""
        time = at.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S")
        return {
            "phone_number": number(to),
            "send_time": time,
            "report_time": time,
            "success": err_code == "DELIVERED",
            "err_code": err_code,
            "err_msg": "用户接收成功" if err_code == "DELIVERED" else "失败",
            "sms_size": "1",
            "biz_id": biz_id,
            "out_id": "",
        }

    def push(self, batch: Any, *, path_secret: str | None = None) -> HttpDelivery:
        """Any JSON value, or bytes as they are."""
        body = batch if isinstance(batch, bytes) else json.dumps(batch, ensure_ascii=False).encode()
        secret = self.settings.path_secret.get_secret_value() if path_secret is None else path_secret
        path = f"/channels/{self.name}" + (f"/{secret}" if secret else "")
        return HttpDelivery(path, body, {"content-type": "application/json;charset=UTF-8"})


def number(sender: str) -> str:
    """Eleven digits, as a domestic number is written."""
    return f"10{int(sender) % 10**9:09d}"
