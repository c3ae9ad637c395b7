"""Weibo's REST interface: replies, pictures and recordings.

Vendor pages below https://open.weibo.com/wiki/ : 发送客服消息 (messages/reply), 发送被动响应消息, 接收普通消息 (msget), Error_code.
Errors are JSON with an ``error_code``, most with HTTP 400 or 403.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson
import structlog

from channels.base import File
from channels.errors import Missing, NotSent, Unavailable, Uncertain, Undeliverable
from channels.rest import call, fetch
from normalizer.reply import Outgoing, Sent

if TYPE_CHECKING:
    from channels.rest import Told
    from channels.weibo import WeiboSettings

log = structlog.get_logger(__name__)

#: Fewer than 300 characters.
TEXT_CHARACTERS = 299
#: How long a reply waits for a clerk to set a new token, and for Weibo when we are too fast for it, seconds.
TOKEN_SECONDS, SLOWER_SECONDS = 60.0, 60.0
#: The token was refused, has expired, was taken back.
_TOKEN = frozenset({21301, 21314, 21315, 21316, 21317, 21319, 21327, 21332})
#: Out of service, too many tasks; out of the rate for our address, the account, the interface.
_LATER = frozenset({10002, 10009, 10022, 10023, 10024})
#: A fault of theirs on the way: perhaps after the message was taken.
_UNKNOWN = frozenset({10001, 10003, 10010, 10011})
_DIGITS = re.compile("[0-9]{1,9}")
#: Where msget may lead.
_HOSTS = (".weibo.com", ".sinaimg.cn")


class WeiboApi:
    """One account's REST interface."""

    def __init__(self, channel: str, settings: WeiboSettings) -> None:
        self._channel, self._settings = channel, settings

    async def send(self, outgoing: Outgoing) -> Sent:
        """A customer-service message. Raise NotSent, Undeliverable or Uncertain."""
        if outgoing.window is None:
            raise Undeliverable("window_closed")
        form = {
            "access_token": self._settings.access_token.get_secret_value(),
            "type": "text",
            "data": _words(outgoing).decode(),  # the form encodes it for the URL, as the vendor's curl has it
            "receiver_id": outgoing.to.value,
            "save_sender_box": "1",
        }
        told = await call("POST", f"{self._settings.api_base.rstrip('/')}/2/messages/reply.json", form=form)
        return self._judged(told)

    def _judged(self, told: Told) -> Sent:
        if told.status == 429:
            raise NotSent("status_429", told.retry_after() or SLOWER_SECONDS)
        answer = told.json()
        code = _code(answer)
        if code is None:
            return _taken(told.status, answer)
        if code in _TOKEN:
            log.error("token_refused", channel=self._channel, error_code=code)
            raise NotSent(f"error_{code}", TOKEN_SECONDS)
        if code in _LATER:
            raise NotSent(f"error_{code}", SLOWER_SECONDS)
        if code in _UNKNOWN:
            raise Uncertain(f"error_{code}")
        raise Undeliverable(f"error_{code}")

    async def download(self, reference: str) -> File:
        """``media:TOVFID``. Raise Missing or Unavailable."""
        kind, _, file_id = reference.partition(":")
        if kind != "media":
            raise Missing("reference")
        base = self._settings.upload_base.rstrip("/")
        query = urlencode({"access_token": self._settings.access_token.get_secret_value(), "fid": file_id})
        _, file = await fetch(f"{base}/2/mss/msget?{query}", _HOSTS, own=base)
        if (code := _error_in(file)) is not None:
            if code in _TOKEN:
                log.error("token_refused", channel=self._channel, error_code=code)
            raise Unavailable(f"error_{code}")
        return file


def passive_reply(outgoing: Outgoing) -> bytes:
    """The reply that rides: their ids changed about, the words as JSON, encoded for a URL, in a string."""
    return orjson.dumps(
        {
            "result": True,
            "sender_id": outgoing.account,
            "receiver_id": outgoing.to.value,
            "type": "text",
            "data": quote(_words(outgoing), safe=""),
        }
    )


def _words(outgoing: Outgoing) -> bytes:
    text = outgoing.text
    return orjson.dumps({"text": text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"})


def _taken(status: int, answer: dict[str, Any]) -> Sent:
    if answer.get("result") is False:
        raise Undeliverable("refused")
    if status != 200 or answer.get("result") is not True:
        raise Uncertain(f"status_{status}")
    return Sent()


def _code(answer: dict[str, Any]) -> int | None:
    """In some of the vendor's examples it is a string."""
    code = answer.get("error_code")
    if isinstance(code, str) and _DIGITS.fullmatch(code):
        return int(code)
    return code if isinstance(code, int) else None


def _error_in(file: File) -> int | None:
    if not file.content.startswith(b"{"):
        return None
    try:
        found = orjson.loads(file.content)
    except orjson.JSONDecodeError:
        return None
    return _code(found)
