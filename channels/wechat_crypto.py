"""WeChat's safe mode (安全模式): what is inside Encrypt, and the reply that rides on an acknowledgement.

Vendor pages below https://developers.weixin.qq.com/doc/offiaccount/Message_Management/ :
Message_encryption_and_decryption_instructions, Passive_user_reply_message.

wechatpy gives the AES cipher only: its own functions take the 16 random bytes from a generator that can be guessed,
believe the padding, and put a reply's text into CDATA as it is.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from hmac import compare_digest
from typing import Any

from pydantic import SecretStr
from wechatpy.crypto.cryptography import WeChatCipher

from channels.errors import Malformed
from channels.signed_query import sign

#: PKCS#7 to blocks of 32 bytes, though AES has 16.
BLOCK = 32
#: What XML 1.0 section 2.2 does not allow, in CDATA either.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Crypt:
    """One EncodingAESKey of one account: 16 random bytes, length (uint32, big endian), XML, AppID; IV = key[:16]."""

    def __init__(self, app_id: str, key: SecretStr) -> None:
        self._app_id = app_id.encode()
        self._cipher: Any = WeChatCipher(aes_key(key))

    def open(self, encrypted: str) -> bytes:
        """The XML inside. Raise Malformed."""
        plain = self._cipher.decrypt(_whole_blocks(encrypted))
        padding = plain[-1]
        end = 20 + int.from_bytes(plain[16:20], "big")
        padded = 1 <= padding <= BLOCK and plain.endswith(bytes([padding]) * padding)
        # Also false when the length runs past the end: nothing is left to be the AppID.
        ours = compare_digest(plain[end:-padding], self._app_id)
        if not (padded and ours):
            raise Malformed("ciphertext")
        return bytes(plain[20:end])

    def seal(self, xml: bytes) -> str:
        """The content of Encrypt."""
        plain = secrets.token_bytes(16) + len(xml).to_bytes(4, "big") + xml + self._app_id
        padding = BLOCK - len(plain) % BLOCK
        return b64encode(self._cipher.encrypt(plain + bytes([padding]) * padding)).decode()


def aes_key(value: SecretStr) -> bytes:
    """An EncodingAESKey is Base64 without its padding. Raise ValueError."""
    return b64decode(value.get_secret_value() + "=", validate=True)


def _whole_blocks(encrypted: str) -> bytes:
    try:
        ciphertext = b64decode(encrypted, validate=True)
    except ValueError:
        ciphertext = b""
    if not ciphertext or len(ciphertext) % 16:
        raise Malformed("ciphertext")
    return ciphertext


# -- The passive reply -------------------------------------------------------------------------------------------------


def text_reply(to: str, account: str, text: str, at: int) -> bytes:
    """A text for ``to``; ``at`` in seconds since 1970."""
    return (
        f"<xml><ToUserName>{_cdata(to)}</ToUserName><FromUserName>{_cdata(account)}</FromUserName>"
        f"<CreateTime>{at}</CreateTime><MsgType>{_cdata('text')}</MsgType><Content>{_cdata(text)}</Content></xml>"
    ).encode()


def sealed_reply(crypt: Crypt, token: SecretStr, reply: bytes, at: int) -> bytes:
    """The same as safe mode wants it: encrypted, and signed over the ciphertext."""
    encrypted, nonce = crypt.seal(reply), secrets.token_hex(8)
    signature = sign(token, str(at), nonce, encrypted)
    return (
        f"<xml><Encrypt>{_cdata(encrypted)}</Encrypt><MsgSignature>{_cdata(signature)}</MsgSignature>"
        f"<TimeStamp>{at}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
    ).encode()


def _cdata(text: str) -> str:
    """CDATA cannot hold its own end: it is split there."""
    return "<![CDATA[" + _ILLEGAL.sub("", text).replace("]]>", "]]]]><![CDATA[>") + "]]>"
