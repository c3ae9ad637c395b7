"""WeChat official accounts (公众号): XML pushed to us, encrypted in safe mode (安全模式).

Vendor pages, all below https://developers.weixin.qq.com/doc/offiaccount/ :
Basic_Information/Access_Overview (signature, echostr), Message_Management/Receiving_standard_messages and
Receiving_event_pushes (fields), Message_Management/Message_encryption_and_decryption_instructions (safe mode).

wechatpy gives the AES cipher and the message types. Its parser and its ``decrypt_message`` stay unused: they
read XML before the signature is checked, compare with ``!=``, strip the words and believe the padding.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from hmac import compare_digest
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from wechatpy.crypto.cryptography import WeChatCipher
from wechatpy.messages import MESSAGE_TYPES

from channels.base import Admission, Answer, Request, Webhook
from channels.errors import Malformed, Unauthenticated
from channels.reading import attached, one_word, place, plausible
from channels.settings import Secret, WebhookSettings
from channels.signed_query import NONCE, SHA1, admit_bound, answer_challenge, is_stale, prove, read_query
from channels.xml import BadXml, read
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Envelope, Kept, Message, Notice, Parsed

TIMESTAMP = re.compile(r"[0-9]{10}")

_SECONDS = re.compile(r"[0-9]{1,10}")
_MESSAGE_ID = re.compile(r"0*[1-9][0-9]{0,31}")
_FORMAT = re.compile(r"[0-9a-z]{1,10}")
#: Fields that hold words in message types we do not know.
_WORDS = ("Content", "Recognition", "Title", "Description", "Label", "Url")


class WeChatSettings(WebhookSettings):
    """An official account; the values stand in its console under 设置与开发 → 基本配置."""

    kind: Literal["wechat"] = "wechat"
    """Which adapter."""
    app_id: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,64}$")]
    """开发者ID(AppID)."""
    token: Secret
    """令牌(Token)."""
    encoding_aes_key: Secret
    """消息加解密密钥(EncodingAESKey), 43 characters."""
    app_secret: Secret
    """开发者密码(AppSecret)."""
    mode: Literal["safe", "plain"] = "safe"
    """``safe`` for 安全模式 and 兼容模式; ``plain`` for 明文模式, whose signature does not cover the message: set
    ``path_secret`` and ``allowed_networks`` with it."""
    api_base: str = "https://api.weixin.qq.com"
    """Where WeChat's REST interface is."""

    @field_validator("encoding_aes_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        try:
            key = _aes_key(value)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ValueError("an EncodingAESKey is 43 characters, A-Z a-z 0-9; copy it from WeChat's console")
        return value


class WeChat(Webhook[WeChatSettings]):
    """One official account."""

    kind = "wechat"
    Settings = WeChatSettings
    summary = "WeChat official account"
    methods = ("GET", "POST")

    def challenge(self, request: Request) -> Answer:
        """Answer WeChat's verification of the URL: echostr, as it came."""
        return answer_challenge(request, self.settings.token, TIMESTAMP)

    def authenticate(self, request: Request) -> Admission:
        """Check msg_signature, which covers the ciphertext; in plain mode signature, and bind it to the body."""
        if self.settings.mode == "plain":
            return admit_bound(request, self.settings.token, TIMESTAMP, {"mode": "plain"}, _apparent_sender(request))
        timestamp, nonce, signature = read_query(request, timestamp=TIMESTAMP, nonce=NONCE, msg_signature=SHA1)
        prove(signature, self.settings.token, timestamp, nonce, _encrypted(request.body))
        # A late delivery is still WeChat's own: the signature covers what is in it. It is kept, and said.
        flags = ("stale_clock",) if is_stale(timestamp, request) else ()
        return Admission({"mode": "safe"}, flags, apparent_sender=_apparent_sender(request))

    def acknowledge(self, kept: Kept) -> Answer:
        """``success`` stops WeChat from trying again (Passive_user_reply_message)."""
        return Answer(body=b"success")

    def parse(self, envelope: Envelope) -> Parsed:
        """Decrypt, and read one message or event."""
        fields = self._fields(envelope)
        kind = fields.get("MsgType", "").lower()
        if kind in {"event", "device_event"}:
            return Notice(reason=one_word(fields.get("Event", ""), kind))
        try:
            return (_message(kind, fields, envelope),)
        except ValidationError:
            raise Malformed("fields") from None

    def _fields(self, envelope: Envelope) -> dict[str, str]:
        """In 兼容模式 the same fields stand beside Encrypt, unsigned: only the decrypted ones are looked at."""
        try:
            outer = read(envelope.body)
            if envelope.context.get("mode", self.settings.mode) == "plain":
                return outer
            return read(self._decrypted(outer.get("Encrypt", "")))
        except BadXml:
            raise Malformed("xml") from None

    def _decrypted(self, encrypted: str) -> bytes:
        """16 random bytes, length (uint32, big endian), XML, AppID; PKCS#7 to 32 bytes, AES-256-CBC, IV = key[:16]."""
        plain = self._cipher.decrypt(_whole_blocks(encrypted))
        padding = plain[-1]
        end = 20 + int.from_bytes(plain[16:20], "big")
        padded = 1 <= padding <= 32 and plain.endswith(bytes([padding]) * padding)
        # Also false when the length runs past the end: nothing is left to be the AppID.
        ours = compare_digest(plain[end:-padding], self.settings.app_id.encode())
        if not (padded and ours):
            raise Malformed("ciphertext")
        return bytes(plain[20:end])

    @cached_property
    def _cipher(self) -> Any:
        return WeChatCipher(_aes_key(self.settings.encoding_aes_key))


# -- Reading -----------------------------------------------------------------------------------------------------------


def _aes_key(value: SecretStr) -> bytes:
    return b64decode(value.get_secret_value() + "=", validate=True)


def _encrypted(body: bytes) -> str:
    try:
        found = read(body).get("Encrypt", "")
    except BadXml:
        raise Unauthenticated("xml") from None
    if not found:
        raise Unauthenticated("plain")
    return found


def _whole_blocks(encrypted: str) -> bytes:
    try:
        ciphertext = b64decode(encrypted, validate=True)
    except ValueError:
        ciphertext = b""
    if not ciphertext or len(ciphertext) % 16:
        raise Malformed("ciphertext")
    return ciphertext


def _apparent_sender(request: Request) -> str:
    """WeChat names the openid in the URL too, where no signature covers it."""
    return request.parameter("openid") or ""


def _message(kind: str, fields: dict[str, str], envelope: Envelope) -> Message:
    sent_at, odd = _sent_at(fields.get("CreateTime"), envelope)
    content = _content(kind, fields)
    message_id = fields.get("MsgId", "").strip()
    return Message(
        key_space="wechat",
        account=fields.get("ToUserName", ""),
        sender=Contact(type=ContactType.WECHAT, value=fields.get("FromUserName", ""), assurance=Assurance.VERIFIED),
        provider_id=message_id if _MESSAGE_ID.fullmatch(message_id) else None,
        sent_at=sent_at,
        flags=(*envelope.flags, *odd, *content.pop("flags", ())),
        **content,
    )


def _sent_at(stated: str | None, envelope: Envelope) -> tuple[datetime | None, tuple[str, ...]]:
    if stated is None:
        return None, ()
    if _SECONDS.fullmatch(stated.strip()):
        moment = datetime.fromtimestamp(int(stated), UTC)
        if plausible(moment, envelope):
            return moment, ()
    return None, ("odd_time",)


def _content(kind: str, fields: dict[str, str]) -> dict[str, Any]:
    read_known = _KNOWN.get(kind)
    return read_known(MESSAGE_TYPES[kind](dict(fields))) if read_known else _unknown(fields)


def _media(heard: Any) -> str | None:
    return f"media:{heard.media_id}" if heard.media_id else None


def _voice(heard: Any) -> dict[str, Any]:
    """Recognition is WeChat's own transcript, where the account has switched it on."""
    form = (heard.format or "").lower()
    media_type = f"audio/{form}" if _FORMAT.fullmatch(form) else None
    return {"text": heard.recognition or "", **attached(AttachmentKind.VOICE, _media(heard), media_type)}


def _unknown(fields: dict[str, str]) -> dict[str, Any]:
    """``file``, ``music``, mini programs, and what WeChat adds next year: kept with whatever it says."""
    media = fields.get("MediaId")
    found = attached(AttachmentKind.FILE, f"media:{media}") if media else {}
    return {"text": _lines(*(fields.get(name) for name in _WORDS)), "flags": ("unknown_type",), **found}


def _lines(*texts: str | None) -> str:
    return "\n".join(text for text in texts if text)


def _link(heard: Any) -> dict[str, Any]:
    """The address is among the words too: references are not handed on."""
    words = _lines(heard.title, heard.description, heard.url)
    return {"text": words, **attached(AttachmentKind.LINK, heard.url or None)}


#: By MsgType; each takes the wechatpy message of that type, whose fields are None or empty where WeChat sent none.
_KNOWN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "text": lambda heard: {"text": heard.content or ""},
    "image": lambda heard: attached(AttachmentKind.IMAGE, _media(heard) or heard.image or None),
    "voice": _voice,
    "video": lambda heard: attached(AttachmentKind.VIDEO, _media(heard)),
    "shortvideo": lambda heard: attached(AttachmentKind.VIDEO, _media(heard)),
    # Location_X is the latitude.
    "location": lambda heard: place(heard.location_y or "", heard.location_x or "", heard.label or None),
    "link": _link,
}
