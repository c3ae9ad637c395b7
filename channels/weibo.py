"""Weibo's fans service (粉丝服务平台): JSON pushed to us under a signed query.

Vendor pages, all below https://open.weibo.com/wiki/ : 消息推送服务 (signature, types), 接收普通消息, 接收事件推送.

The scheme of the signature is WeChat's: SHA-1 over sorted strings, joined without a delimiter. Of Weibo's it covers
neither the body nor a message id (there is none), so it counts for five minutes and for one body, and an operator should
set ``path_secret`` and ``allowed_networks``.
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from channels.base import Admission, Answer, Request, Webhook
from channels.errors import Malformed
from channels.reading import attached, one_word, place, plausible
from channels.settings import Secret, WebhookSettings
from channels.signed_query import admit_bound, answer_challenge
from normalizer.model import (
    Assurance,
    AttachmentKind,
    Contact,
    ContactType,
    Envelope,
    Message,
    Notice,
    Parsed,
)

#: Milliseconds, as in the vendor's example 1397022061823; seconds are taken too.
SENDER_ID = re.compile(rb'"sender_id"\s*:\s*"?([0-9]{1,20})\b')
TIMESTAMP = re.compile(r"[0-9]{10}([0-9]{3})?")

#: "Mon Jul 16 18:09:20 +0800 2012": C's asctime with the offset before the year.
_CREATED_AT = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{1,2} [0-9:]{8} [+-][0-9]{4} [0-9]{4}")
_KEY = re.compile(r"[0-9A-Za-z_-]{1,100}")


class WeiboSettings(WebhookSettings):
    """A verified account with the fans service in developer mode (开发模式)."""

    kind: Literal["weibo"] = "weibo"
    """Which adapter."""
    app_secret: Secret
    """App Secret of the application bound to the account."""
    access_token: Secret
    """The account's token for the REST interface."""
    api_base: str = "https://m.api.weibo.com"
    """Where Weibo's REST interface is."""


class _Push(BaseModel):
    """What every push holds; ids are int64, in some of the vendor's examples as strings."""

    type: str = ""
    receiver_id: Annotated[str, Field(pattern="^[1-9][0-9]{0,18}$", coerce_numbers_to_str=True)]
    sender_id: Annotated[str, Field(pattern="^[1-9][0-9]{0,18}$", coerce_numbers_to_str=True)]
    created_at: Any = None
    text: str | None = None
    data: Any = None

    def datum(self, name: str) -> str:
        """A field of ``data`` that stands there as a string or a number; empty when it does not."""
        value = self.data.get(name) if isinstance(self.data, dict) else None
        return str(value) if isinstance(value, str | int | float) else ""


class Weibo(Webhook[WeiboSettings]):
    """One account."""

    kind = "weibo"
    Settings = WeiboSettings
    summary = "Weibo fans service"
    methods = ("GET", "POST")

    def challenge(self, request: Request) -> Answer:
        """Answer Weibo's verification of the URL: echostr, as it came."""
        return answer_challenge(request, self.settings.app_secret, TIMESTAMP)

    def authenticate(self, request: Request) -> Admission:
        """Check the signature of the query and bind it to the body; a blank 200 then acknowledges."""
        sender = SENDER_ID.search(request.body)
        return admit_bound(request, self.settings.app_secret, TIMESTAMP, {}, sender[1].decode() if sender else "")

    def parse(self, envelope: Envelope) -> Parsed:
        """Read one message or event."""
        try:
            return _parsed(_Push.model_validate(orjson.loads(envelope.body)), envelope)
        except orjson.JSONDecodeError:
            raise Malformed("json") from None
        except ValidationError:
            raise Malformed("fields") from None


def _parsed(push: _Push, envelope: Envelope) -> Parsed:
    if push.type == "event":
        return Notice(reason=one_word(push.datum("subtype"), "event"))
    content = _content(push)
    if not content and push.type != "text":
        return Notice(reason="unknown_type")
    return (_message(push, content, envelope),)


def _message(push: _Push, content: dict[str, Any], envelope: Envelope) -> Message:
    created = _created(push.created_at)
    sent_at = created if created and plausible(created, envelope) else None
    odd = ("odd_time",) if push.created_at is not None and sent_at is None else ()
    return Message(
        key_space="weibo",
        account=push.receiver_id,
        sender=Contact(type=ContactType.WEIBO, value=push.sender_id, assurance=Assurance.VERIFIED),
        # Vendor's advice is sender and created_at, one second fine; the digest of the content parts what shares one.
        provider_id=f"{int(created.timestamp())}:{one_word(push.type, 'other')}" if created else None,
        sent_at=sent_at,
        text=push.text or "",
        flags=(*envelope.flags, *odd, *content.pop("flags", ())),
        **content,
    )


def _created(stated: Any) -> datetime | None:
    """Read by email.utils, whose names of months do not depend on the locale, as strptime's do."""
    if not (isinstance(stated, str) and _CREATED_AT.fullmatch(stated)):
        return None
    try:
        moment = parsedate_to_datetime(stated)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _content(push: _Push) -> dict[str, Any]:
    match push.type:
        case "text":
            return {}
        case "position":
            return place(push.datum("longitude"), push.datum("latitude"))
        case "voice" | "image":
            return attached(AttachmentKind(push.type), _file(push))
        case "mention":
            return attached(AttachmentKind.LINK, _mentioned(push))
        case _:
            return _unknown(push)


def _unknown(push: _Push) -> dict[str, Any]:
    """A type the vendor added: kept when it holds words or a file; nothing when it does not."""
    file = _file(push)
    if not (file or (push.text or "").strip()):
        return {}
    return {"flags": ("unknown_type",), **(attached(AttachmentKind.FILE, file) if file else {})}


def _file(push: _Push) -> str | None:
    """``tovfid`` is the file id for the receiver, ``vfid`` the sender's."""
    found = push.datum("tovfid")
    return f"media:{found}" if _KEY.fullmatch(found) else None


def _mentioned(push: _Push) -> str | None:
    """The post (``status``) or comment that speaks of us, by its id."""
    subtype, key = push.datum("subtype"), push.datum("key")
    return f"{subtype}:{key}" if _KEY.fullmatch(subtype) and _KEY.fullmatch(key) else None
