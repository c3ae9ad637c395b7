"""WeChat's servers, as one official account sees them; written from the vendor's pages, with nothing of the adapter."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.simulated import Ack, Addresses, HttpDelivery, Peer

ACCOUNT = "gh_7f083739789a"
#: Elements of a reply, none within another; a CDATA section ends at its first ``]]>``, whatever stands in it.
_CDATA = re.compile(rb"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ELEMENT = re.compile(rb"<(\w+)>((?:<!\[CDATA\[.*?\]\]>|[^<])*)</\1>", re.DOTALL)


class WeChatDelivery(HttpDelivery):
    """A push: WeChat takes ``success``, an empty body or a reply in XML; anything else it shows to the citizen as a fault."""

    async def send(self, to: Addresses) -> Ack:
        """One request on a connection of its own."""
        ack = await HttpDelivery.send(self, to)
        taken = self.method == "GET" or ack.body in {b"success", b""} or ack.body.startswith(b"<xml>")
        return Ack(ack.ok and taken, ack.status, ack.body)


class WeChatPeer(Peer):
    """WeChat and the followers of one account."""

    kind: ClassVar[str] = "wechat"

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A follower writes."""
        return self.message("text", {"Content": text}, sender=sender, message_id=message_id, at=at)

    def image(self, media_id: str, *, sender: str, message_id: str, at: datetime) -> HttpDelivery:
        """A follower sends a picture."""
        fields = {"PicUrl": f"https://mmbiz.example/{media_id}/0", "MediaId": media_id}
        return self.message("image", fields, sender=sender, message_id=message_id, at=at)

    def voice(
        self, media_id: str, *, sender: str, message_id: str, at: datetime, recognition: str = ""
    ) -> HttpDelivery:
        """A follower speaks; ``recognition`` is WeChat's transcript, when the account has it."""
        fields = {"MediaId": media_id, "Format": "amr"} | ({"Recognition": recognition} if recognition else {})
        return self.message("voice", fields, sender=sender, message_id=message_id, at=at)

    def location(
        self, longitude: str, latitude: str, label: str, *, sender: str, message_id: str, at: datetime
    ) -> HttpDelivery:
        """A follower shares where he is."""
        fields = {"Location_X": latitude, "Location_Y": longitude, "Scale": "20", "Label": label}
        return self.message("location", fields, sender=sender, message_id=message_id, at=at)

    def event(self, name: str, *, sender: str, at: datetime, **fields: str) -> HttpDelivery:
        """Something happened: a subscription, a click in the menu; events have no id."""
        return self.raw_xml(envelope_xml("event", {"Event": name, **fields}, sender=sender, at=at))

    def message(
        self, msg_type: str, fields: Mapping[str, str], *, sender: str, message_id: str, at: datetime
    ) -> HttpDelivery:
        """A message of any type."""
        return self.raw_xml(envelope_xml(msg_type, {**fields, "MsgId": message_id}, sender=sender, at=at))

    def raw_xml(self, xml: str | bytes, *, signed_at: datetime | None = None) -> HttpDelivery:
        """Any inner XML, sent in the account's mode."""
        content = xml.encode() if isinstance(xml, str) else xml
        named = re.search(rb"<FromUserName><!\[CDATA\[([\w-]+)\]\]>", content)
        sender = named[1].decode() if named else ""
        if self.settings.mode == "plain":
            return self.unencrypted(content, signed_at=signed_at, sender=sender)
        return self.encrypted(self.encrypt(content), signed_at=signed_at, sender=sender)

    def unencrypted(self, body: bytes, *, signed_at: datetime | None = None, sender: str = "") -> HttpDelivery:
        """Any body under a signed query, as in 明文模式."""
        query = self._signed_query(signed_at) | {"openid": sender}
        return WeChatDelivery(self._target(**query), body, {"content-type": "text/xml"})

    def encrypted(
        self, encrypt: str, *, signed_at: datetime | None = None, beside: str = "", sender: str = ""
    ) -> HttpDelivery:
        """Any ciphertext, signed as in 安全模式, or with the plain fields ``beside`` it as in 兼容模式."""
        query = self._signed_query(signed_at) | {"openid": sender, "encrypt_type": "aes"}
        query["msg_signature"] = self._sign(query["timestamp"], query["nonce"], encrypt)
        body = (
            f"<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>{beside}<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
        )
        return WeChatDelivery(self._target(**query), body.encode(), {"content-type": "text/xml"})

    def challenge(self, echostr: str, *, signed_at: datetime | None = None) -> HttpDelivery:
        """WeChat verifies the URL."""
        return HttpDelivery(self._target(**self._signed_query(signed_at), echostr=echostr), method="GET")

    def answered(self, ack: Ack) -> str | None:
        """The text of the reply in an acknowledgement. Raise ValueError for one that WeChat would not show."""
        if not ack.body.startswith(b"<xml>"):
            return None
        reply = _fields(ack.body)
        if self.settings.mode != "plain":
            signed = self._sign(reply["TimeStamp"], reply["Nonce"], reply["Encrypt"])
            if signed != reply["MsgSignature"]:
                raise ValueError("the reply's signature is wrong")
            reply = _fields(self.decrypt(reply["Encrypt"]))
        if reply["MsgType"] != "text" or reply["FromUserName"] != ACCOUNT:
            raise ValueError("the reply is not a text of the account")
        return reply["Content"]

    def decrypt(self, encrypt: str) -> bytes:
        """What the content of Encrypt holds. Raise ValueError when it is not for us."""
        key = base64.b64decode(self.settings.encoding_aes_key.get_secret_value() + "=")
        decryptor = Cipher(algorithms.AES256(key), modes.CBC(key[:16])).decryptor()
        plain = decryptor.update(base64.b64decode(encrypt)) + decryptor.finalize()
        (length,) = struct.unpack(">I", plain[16:20])
        xml, owner = plain[20 : 20 + length], plain[20 + length : len(plain) - plain[-1]]
        if owner != self.settings.app_id.encode():
            raise ValueError("the reply is encrypted for another account")
        return xml

    def encrypt(self, xml: bytes, *, app_id: str | None = None) -> str:
        """The content of Encrypt."""
        owner = (app_id or self.settings.app_id).encode()
        plain = secrets.token_bytes(16) + struct.pack(">I", len(xml)) + xml + owner
        padding = 32 - len(plain) % 32
        return self.cipher_text(plain + bytes([padding]) * padding)

    def cipher_text(self, plain: bytes) -> str:
        """AES-256-CBC over whole blocks, in Base64."""
        key = base64.b64decode(self.settings.encoding_aes_key.get_secret_value() + "=")
        encryptor = Cipher(algorithms.AES256(key), modes.CBC(key[:16])).encryptor()
        return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()

    def _signed_query(self, signed_at: datetime | None) -> dict[str, str]:
        timestamp = str(int((signed_at or datetime.now(UTC)).timestamp()))
        nonce = str(secrets.randbelow(9 * 10**8) + 10**8)
        return {"signature": self._sign(timestamp, nonce), "timestamp": timestamp, "nonce": nonce}

    def _sign(self, *parts: str) -> str:
        together = sorted([self.settings.token.get_secret_value(), *parts])
        return hashlib.new("sha1", "".join(together).encode(), usedforsecurity=False).hexdigest()

    def _target(self, **query: str) -> str:
        secret = self.settings.path_secret
        path = f"/channels/{self.name}" + (f"/{secret.get_secret_value()}" if secret else "")
        return f"{path}?{urlencode(query)}"


def _fields(xml: bytes) -> dict[str, str]:
    return {name.decode(): _text(value) for name, value in _ELEMENT.findall(xml.removeprefix(b"<xml>"))}


def _text(value: bytes) -> str:
    return "".join(cdata.decode() for cdata in _CDATA.findall(value)) if b"<![CDATA[" in value else value.decode()


def openid(sender: str) -> str:
    """A follower's id at this account."""
    return f"o6_bmjr{sender}"


def envelope_xml(msg_type: str, fields: Mapping[str, str], *, sender: str, at: datetime) -> str:
    """A message or event in the clear, with the fields all of them have."""
    common = {
        "ToUserName": ACCOUNT,
        "FromUserName": openid(sender),
        "CreateTime": str(int(at.timestamp())),
        "MsgType": msg_type,
    }
    return f"<xml>{''.join(_element(name, value) for name, value in {**common, **fields}.items())}</xml>"


def _element(name: str, value: str) -> str:
    # Numbers stand bare on the wire, all else in CDATA, which must not hold its own end.
    escaped = value if value.isdecimal() else "<![CDATA[" + value.replace("]]>", "]]]]><![CDATA[>") + "]]>"
    return f"<{name}>{escaped}</{name}>"
