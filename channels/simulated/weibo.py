"""Weibo's servers, as one account of the fans service sees them; written from the vendor's pages alone."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import unquote, urlencode

from channels.simulated import Ack, Addresses, HttpDelivery, Peer

ACCOUNT = 1902538057
_CHINA = timezone(timedelta(hours=8))


class WeiboDelivery(HttpDelivery):
    """A push: Weibo takes a blank body, or a reply that says ``result: true``."""

    async def send(self, to: Addresses) -> Ack:
        """One request on a connection of its own."""
        ack = await HttpDelivery.send(self, to)
        taken = self.method == "GET" or ack.body == b"" or _reply(ack.body).get("result") is True
        return Ack(ack.ok and taken, ack.status, ack.body)


class WeiboPeer(Peer):
    """Weibo and the fans of one account. On its wire a message has no id: ``message_id`` goes nowhere."""

    kind: ClassVar[str] = "weibo"

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A fan writes."""
        return self.push("text", sender=sender, at=at, text=text)

    def image(self, file: int, *, sender: str, at: datetime) -> HttpDelivery:
        """A fan sends a picture; the vendor's default words go with it."""
        return self.push("image", sender=sender, at=at, text="发了一张图片", vfid=file - 10, tovfid=file)

    def voice(self, file: int, *, sender: str, at: datetime) -> HttpDelivery:
        """A fan speaks."""
        return self.push("voice", sender=sender, at=at, text="发了一个语音", vfid=file - 10, tovfid=file)

    def position(self, longitude: str, latitude: str, *, sender: str, at: datetime) -> HttpDelivery:
        """A fan shares where he is."""
        words = "我在这里"
        return self.push("position", sender=sender, at=at, text=words, longitude=longitude, latitude=latitude)

    def mention(self, text: str, *, sender: str, at: datetime, subtype: str = "status", key: str) -> HttpDelivery:
        """Someone names the account in a post or comment."""
        return self.push("mention", sender=sender, at=at, text=text, subtype=subtype, key=key)

    def event(self, subtype: str, *, sender: str, at: datetime) -> HttpDelivery:
        """Something happened: a follow, a subscription."""
        return self.push("event", sender=sender, at=at, text="事件消息", subtype=subtype)

    def push(self, kind: str, *, sender: str, at: datetime, text: str, **rest: Any) -> HttpDelivery:
        """A push of any type; ``rest`` becomes ``data``."""
        whole = {
            "type": kind,
            "receiver_id": ACCOUNT,
            "sender_id": int(sender),
            "created_at": created_at(at),
            "text": text,
            "data": rest,
        }
        return self.raw(json.dumps(whole).encode())

    def raw(self, body: bytes, *, signed_at: datetime | None = None) -> HttpDelivery:
        """Any body under a freshly signed query."""
        return WeiboDelivery(self._target(**self._signed_query(signed_at)), body, {"content-type": "application/json"})

    def challenge(self, echostr: str, *, signed_at: datetime | None = None) -> HttpDelivery:
        """Weibo verifies the URL."""
        return HttpDelivery(self._target(**self._signed_query(signed_at), echostr=echostr), method="GET")

    def answered(self, ack: Ack) -> str | None:
        """The text of the reply in an acknowledgement. Raise ValueError for one that Weibo would not show."""
        if not ack.body:
            return None
        reply = _reply(ack.body)
        if reply.get("type") != "text" or reply.get("sender_id") != str(ACCOUNT):
            raise ValueError("the reply is not a text of the account")
        words: str = json.loads(unquote(reply["data"], errors="strict"))["text"]
        return words

    def _signed_query(self, signed_at: datetime | None) -> dict[str, str]:
        timestamp = str(int((signed_at or datetime.now(UTC)).timestamp() * 1000))
        nonce = str(secrets.randbelow(9 * 10**8) + 10**8)
        parts = sorted([self.settings.app_secret.get_secret_value(), timestamp, nonce])
        signature = hashlib.new("sha1", "".join(parts).encode(), usedforsecurity=False).hexdigest()
        return {"signature": signature, "timestamp": timestamp, "nonce": nonce}

    def _target(self, **query: str) -> str:
        secret = self.settings.path_secret
        path = f"/channels/{self.name}" + (f"/{secret.get_secret_value()}" if secret else "")
        return f"{path}?{urlencode(query)}"


def _reply(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def created_at(at: datetime) -> str:
    """``Mon Jul 16 18:09:20 +0800 2012``, the same in every locale."""
    day_name, day, month, year, clock, offset = format_datetime(at.astimezone(_CHINA)).replace(",", "").split()
    return f"{day_name} {month} {day} {clock} {offset} {year}"
