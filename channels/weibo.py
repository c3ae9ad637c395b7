"""Weibo's fans service (粉丝服务平台): JSON pushed to us under a signed query.

Vendor pages, all below https://open.weibo.com/wiki/ : 消息推送服务 (signature, types), 接收普通消息, 接收事件推送,
发送被动响应消息 (the reply that rides on an acknowledgement); what we call stands in weibo_api.py.

The scheme of the signature is WeChat's: SHA-1 over sorted strings, joined without a delimiter. Of Weibo's it covers
neither the body nor a message id (there is none), so it counts for five minutes and for one body, and an operator should
set ``path_secret`` and ``allowed_networks``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, Field, SecretStr, ValidationError

from channels.base import Admission, Answer, File, Request, State, Webhook
from channels.errors import Malformed
from channels.reading import attached, one_word, place, plausible
from channels.settings import Secret, WebhookSettings, in_force
from channels.signed_query import admit_bound, answer_challenge
from channels.weibo_api import WeiboApi, passive_reply
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
from normalizer.reply import Limit, Outgoing, Sent

#: Milliseconds, as in the vendor's example 1397022061823; seconds are taken too.
SENDER_ID = re.compile(rb'"sender_id"\s*:\s*"?([0-9]{1,20})\b')
TIMESTAMP = re.compile(r"[0-9]{10}([0-9]{3})?")

#: "Mon Jul 16 18:09:20 +0800 2012": C's asctime with the offset before the year.
_CREATED_AT = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{1,2} [0-9:]{8} [+-][0-9]{4} [0-9]{4}")
_KEY = re.compile(r"[0-9A-Za-z_-]{1,100}")
#: The reply windows, by the citizen's step that opens them.
MESSAGE, MENTION = "message", "mention"
#: Events that let us write: following, subscribing, the menu, QR codes.
_OPENING = frozenset({"follow", "subscribe", "scan", "scan_follow", "click", "view"})
_REACHABLE = {"follow": True, "subscribe": True, "scan_follow": True, "unfollow": False, "unsubscribe": False}


class WeiboSettings(WebhookSettings):
    """A verified account with the fans service in developer mode (开发模式)."""

    kind: Literal["weibo"] = "weibo"
    """Which adapter."""
    app_secret: Secret
    """App Secret of the application bound to the account."""
    previous_app_secret: Secret | None = None
    """The one before, while the secret is being changed: both count."""
    access_token: Secret
    """The account's token for the REST interface."""
    api_base: str = "https://m.api.weibo.com"
    """Where Weibo's REST interface is."""
    upload_base: str = "https://upload.api.weibo.com"
    """Where pictures and recordings are fetched."""


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
    conversational = True
    reaches = frozenset({ContactType.WEIBO})
    fetches = frozenset({AttachmentKind.IMAGE, AttachmentKind.VOICE})
    #: 发送客服消息: any number within 48 hours; one for a mention.
    reply_limits: ClassVar[Mapping[str, Limit]] = {MESSAGE: Limit(48 * 3600), MENTION: Limit(48 * 3600, 1)}
    #: Weibo waits five seconds.
    ride_seconds = 2.0

    def challenge(self, request: Request) -> Answer:
        """Answer Weibo's verification of the URL: echostr, as it came."""
        return answer_challenge(request, self._secrets, TIMESTAMP)

    def authenticate(self, request: Request) -> Admission:
        """Check the signature of the query and bind it to the body; a blank 200 then acknowledges."""
        sender = SENDER_ID.search(request.body)
        return admit_bound(request, self._secrets, TIMESTAMP, {}, sender[1].decode() if sender else "")

    def ride(self, outgoing: Outgoing) -> Answer:
        """A passive reply."""
        return Answer(body=passive_reply(outgoing), media_type="application/json")

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """A customer-service message; see :class:`channels.weibo_api.WeiboApi`."""
        return await self._api.send(outgoing)

    async def download(self, reference: str, state: State) -> File:
        """A picture or recording; how long Weibo keeps it is not written anywhere."""
        return await self._api.download(reference)

    def parse(self, envelope: Envelope) -> Parsed:
        """Read one message or event."""
        try:
            return _parsed(_Push.model_validate(orjson.loads(envelope.body)), envelope)
        except orjson.JSONDecodeError:
            raise Malformed("json") from None
        except ValidationError:
            raise Malformed("fields") from None

    @cached_property
    def _secrets(self) -> tuple[SecretStr, ...]:
        return in_force(self.settings.app_secret, self.settings.previous_app_secret)

    @cached_property
    def _api(self) -> WeiboApi:
        return WeiboApi(self.name, self.settings)


def _parsed(push: _Push, envelope: Envelope) -> Parsed:
    if push.type == "event":
        return _event(push, envelope)
    content = _content(push)
    if not content and push.type != "text":
        return Notice(
            reason="unknown_type", account=push.receiver_id, sender=_sender(push), sent_at=_when(push, envelope)
        )
    return (_message(push, content, envelope),)


def _event(push: _Push, envelope: Envelope) -> Notice:
    name = push.datum("subtype").strip().lower()
    return Notice(
        reason=one_word(name, "event"),
        sent_at=_when(push, envelope),
        account=push.receiver_id,
        sender=_sender(push),
        opens=MESSAGE if name in _OPENING else None,
        reachable=_REACHABLE.get(name),
    )


def _sender(push: _Push) -> Contact:
    return Contact(type=ContactType.WEIBO, value=push.sender_id, assurance=Assurance.VERIFIED)


def _message(push: _Push, content: dict[str, Any], envelope: Envelope) -> Message:
    created, sent_at = _created(push.created_at), _when(push, envelope)
    odd = ("odd_time",) if push.created_at is not None and sent_at is None else ()
    return Message(
        key_space="weibo",
        account=push.receiver_id,
        sender=_sender(push),
        # Vendor's advice is sender and created_at, one second fine; the digest of the content parts what shares one.
        provider_id=f"{int(created.timestamp())}:{one_word(push.type, 'other')}" if created else None,
        sent_at=sent_at,
        text=push.text or "",
        opens=MENTION if push.type == "mention" else MESSAGE,
        answer_to=_mentioned(push) if push.type == "mention" else None,
        flags=(*envelope.flags, *odd, *content.pop("flags", ())),
        **content,
    )


def _when(push: _Push, envelope: Envelope) -> datetime | None:
    created = _created(push.created_at)
    return created if created and plausible(created, envelope) else None


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
