"""WeChat official accounts (公众号): XML pushed to us, encrypted in safe mode (安全模式).

Vendor pages, all below https://developers.weixin.qq.com/doc/offiaccount/ :
Basic_Information/Access_Overview (signature, echostr), Message_Management/Passive_user_reply_message. The pages of the
rest stand in wechat_crypto.py (safe mode), wechat_messages.py (what is pushed) and wechat_api.py (what we call).

wechatpy gives the AES cipher and the message types. Its parser and its ``decrypt_message`` stay unused: they
read XML before the signature is checked, compare with ``!=``, strip the words and believe the padding.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from channels.base import Admission, Answer, File, Request, State, Webhook
from channels.errors import Malformed, Unauthenticated
from channels.settings import Secret, WebhookSettings, in_force
from channels.signed_query import NONCE, SHA1, admit_bound, answer_challenge, is_stale, prove, read_query
from channels.wechat_api import WeChatApi, fitted
from channels.wechat_crypto import Crypt, aes_key, sealed_reply, text_reply
from channels.wechat_messages import MENU, MESSAGE, read_push
from channels.xml import BadXml, read
from normalizer.model import AttachmentKind, Contact, ContactType, Envelope, Kept, Parsed
from normalizer.reply import Limit, Outgoing, Sent

TIMESTAMP = re.compile(r"[0-9]{10}")
_Template = Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,100}$")]
_Keyword = Annotated[str, Field(pattern="^[0-9A-Za-z_]{1,40}$")]


def _pairs(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else value


#: Written as a map; kept as pairs, since settings are hashed.
_Filling = Annotated[
    tuple[tuple[_Keyword, Literal["code", "text", "kind"]], ...],
    BeforeValidator(_pairs),
    WithJsonSchema({"type": "object", "additionalProperties": {"enum": ["code", "text", "kind"]}}),
]


class WeChatSettings(WebhookSettings):
    """An official account; the values stand in its console under 设置与开发 → 基本配置."""

    kind: Literal["wechat"] = "wechat"
    """Which adapter."""
    app_id: Annotated[str, Field(pattern="^[0-9A-Za-z_-]{1,64}$")]
    """开发者ID(AppID)."""
    token: Secret
    """令牌(Token)."""
    previous_token: Secret | None = None
    """The one before, while the token is being changed: both count."""
    encoding_aes_key: Secret
    """消息加解密密钥(EncodingAESKey), 43 characters."""
    previous_encoding_aes_key: Secret | None = None
    """The one before; keep it as long as deliveries of its time may have to be read again (``gateway replay``)."""
    app_secret: Secret
    """开发者密码(AppSecret)."""
    mode: Literal["safe", "plain"] = "safe"
    """``safe`` for 安全模式 and 兼容模式; ``plain`` for 明文模式, whose signature does not cover the message: set
    ``path_secret`` and ``allowed_networks`` with it."""
    api_base: str = "https://api.weixin.qq.com"
    """Where WeChat's REST interface is."""
    unionid: bool = False
    """Ask WeChat for the unionid of whoever writes first, by which he is the same as in the city's app and other accounts; the
    account must be bound to the Open Platform (open.weixin.qq.com)."""
    template_id: _Template | None = None
    """模板消息: by it a citizen is told when he has been silent for too long for a message (48 hours)."""
    subscribe_template_id: _Template | None = None
    """订阅通知, the same where the account has no template; it reaches who has subscribed to it."""
    template_fields: _Filling = ()
    """What stands in the template: its keyword (``keyword1``, ``thing2``) and ``code`` (受理编号), ``text`` (the answer) or
    ``kind`` (已受理, 办理结果, …)."""

    @field_validator("encoding_aes_key", "previous_encoding_aes_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            key = aes_key(value) if value is not None else bytes(32)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ValueError("an EncodingAESKey is 43 characters, A-Z a-z 0-9; copy it from WeChat's console")
        return value

    @field_validator("template_fields")
    @classmethod
    def _fills_the_template(cls, value: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if not value and (info.data.get("template_id") or info.data.get("subscribe_template_id")):
            raise ValueError("say what stands in the template, for example {keyword1: code, keyword2: text}")
        return value


class WeChat(Webhook[WeChatSettings]):
    """One official account."""

    kind = "wechat"
    Settings = WeChatSettings
    summary = "WeChat official account"
    methods = ("GET", "POST")
    conversational = True
    reaches = frozenset({ContactType.WECHAT})
    fetches = frozenset({AttachmentKind.IMAGE, AttachmentKind.VOICE, AttachmentKind.VIDEO, AttachmentKind.FILE})
    #: WeChat's rules since June 2023 (Service_Center_messages).
    reply_limits: ClassVar[Mapping[str, Limit]] = {MESSAGE: Limit(48 * 3600, 5), MENU: Limit(60, 3)}
    #: WeChat waits five seconds.
    ride_seconds = 2.0

    def challenge(self, request: Request) -> Answer:
        """Answer WeChat's verification of the URL: echostr, as it came."""
        return answer_challenge(request, self._tokens, TIMESTAMP)

    def authenticate(self, request: Request) -> Admission:
        """Check msg_signature, which covers the ciphertext; in plain mode signature, and bind it to the body."""
        if self.settings.mode == "plain":
            return admit_bound(request, self._tokens, TIMESTAMP, {"mode": "plain"}, _apparent_sender(request))
        timestamp, nonce, signature = read_query(request, timestamp=TIMESTAMP, nonce=NONCE, msg_signature=SHA1)
        encrypted = _encrypted(request.body)
        token = prove(signature, self._tokens, timestamp, nonce, encrypted)
        _asked_under.set((self, token, self._crypt_of(encrypted)))
        # A late delivery is still WeChat's own: the signature covers what is in it. It is kept, and said.
        flags = ("stale_clock",) if is_stale(timestamp, request) else ()
        return Admission({"mode": "safe"}, flags, apparent_sender=_apparent_sender(request))

    def acknowledge(self, kept: Kept) -> Answer:
        """``success`` stops WeChat from trying again (Passive_user_reply_message)."""
        return Answer(body=b"success")

    def ride(self, outgoing: Outgoing) -> Answer:
        """A passive reply, under the keys of the delivery that it answers."""
        at = int(time.time())
        reply = text_reply(outgoing.to.value, outgoing.account, fitted(outgoing.text), at)
        if self.settings.mode == "safe":
            asked = _asked_under.get()
            _, token, crypt = asked if asked and asked[0] is self else (self, self.settings.token, self._crypts[0])
            reply = sealed_reply(crypt, token, reply, at)
        return Answer(body=reply, media_type="text/xml; charset=utf-8")

    def parse(self, envelope: Envelope) -> Parsed:
        """Decrypt, and read one message or event."""
        try:
            body = self._inner(envelope)
            return read_push(read(body), body, envelope)
        except BadXml:
            raise Malformed("xml") from None
        except ValidationError:
            raise Malformed("fields") from None

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """A customer-service message, or a template's; see :class:`channels.wechat_api.WeChatApi`."""
        return await self._api.send(outgoing, state)

    @property
    def identifies(self) -> bool:  # type: ignore[override]  # read only, and it depends on the settings
        """Whether WeChat is asked whose an openid is."""
        return self.settings.unionid

    async def unionid(self, contact: Contact, state: State) -> str:
        """Of a follower; see :class:`channels.wechat_api.WeChatApi`."""
        return await self._api.unionid(contact.value, state)

    async def download(self, reference: str, state: State) -> File:
        """A picture, recording, video or file, while WeChat keeps it: three days."""
        return await self._api.download(reference, state)

    def _inner(self, envelope: Envelope) -> bytes:
        """In 兼容模式 the same fields stand beside Encrypt, unsigned: only the decrypted ones are looked at."""
        if envelope.context.get("mode", self.settings.mode) == "plain":
            return envelope.body
        encrypted = read(envelope.body).get("Encrypt", "")
        return self._crypt_of(encrypted).open(encrypted)

    def _crypt_of(self, encrypted: str) -> Crypt:
        """The key that opens it; the present one where none does."""
        for crypt in self._crypts if len(self._crypts) > 1 else ():
            try:
                crypt.open(encrypted)
            except Malformed:
                continue
            return crypt
        return self._crypts[0]

    @cached_property
    def _tokens(self) -> tuple[SecretStr, ...]:
        return in_force(self.settings.token, self.settings.previous_token)

    @cached_property
    def _crypts(self) -> tuple[Crypt, ...]:
        keys = in_force(self.settings.encoding_aes_key, self.settings.previous_encoding_aes_key)
        return tuple(Crypt(self.settings.app_id, key) for key in keys)

    @cached_property
    def _api(self) -> WeChatApi:
        return WeChatApi(self.name, self.settings)


#: The channel, token and key of the delivery that this task acknowledges. While the key is being changed, WeChat wants a
#: reply under the one that opened the delivery (Message_encryption_and_decryption_instructions).
_asked_under: ContextVar[tuple[WeChat, SecretStr, Crypt] | None] = ContextVar("asked_under", default=None)


# -- Reading -----------------------------------------------------------------------------------------------------------


def _encrypted(body: bytes) -> str:
    try:
        found = read(body).get("Encrypt", "")
    except BadXml:
        raise Unauthenticated("xml") from None
    if not found:
        raise Unauthenticated("plain")
    return found


def _apparent_sender(request: Request) -> str:
    """WeChat names the openid in the URL too, where no signature covers it."""
    return request.parameter("openid") or ""
