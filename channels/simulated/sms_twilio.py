"""Twilio: signs each webhook over the URL it calls.

Written from https://www.twilio.com/docs/usage/webhooks/webhooks-security, without Twilio's library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from channels.simulated import Ack, Addresses, Delivery, HttpDelivery, Peer

Pairs = Sequence[tuple[str, str]]
Sign = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class TwilioDelivery(Delivery):
    """A webhook call whose signature depends on the address it is sent to."""

    #: Path and query.
    target: str
    body: bytes
    #: The headers for the URL called.
    sign: Sign
    #: Scheme, host and port that Twilio knows us by; None: the socket's own.
    public_url: str | None = None

    async def send(self, to: Addresses) -> Ack:
        """Sign for the public URL, call the socket."""
        headers = self.sign((self.public_url or to.http_url) + self.target)
        return await HttpDelivery(self.target, self.body, headers).send(to)


class TwilioSigner:
    """One secret and how it signs."""

    def __init__(self, secret: str, shared_key_id: str | None = None) -> None:
        self._secret = secret.encode()
        self._shared_key_id = shared_key_id

    def form(self, pairs: Pairs) -> Sign:
        """URL, then each name and value in the order of names, values of one name sorted and named once each."""
        signed = "".join(name + value for name, value in sorted(set(pairs)))
        return lambda url: self._headers("application/x-www-form-urlencoded; charset=UTF-8", url + signed)

    def json(self) -> Sign:
        """The URL alone: its bodySHA256 covers the body."""
        return lambda url: self._headers("application/json", url)

    def _headers(self, content_type: str, signed: str) -> dict[str, str]:
        algorithm = "sha1" if self._shared_key_id is None else "sha256"
        mac = hmac.digest(self._secret, signed.encode(), algorithm)
        headers = {"Content-Type": content_type, "X-Twilio-Signature": base64.b64encode(mac).decode()}
        if self._shared_key_id is not None:
            settings = f"key={self._shared_key_id},algorithm=HMAC_SHA256"
            headers["X-Twilio-Webhooks-Signature-Settings"] = settings
        return headers


class SmsTwilioPeer(Peer):
    """Twilio, and citizens with telephones."""

    kind = "sms_twilio"

    def __init__(self, name: str, settings: Any, *, public_url: str | None = None) -> None:
        super().__init__(name, settings)
        self._public_url = public_url
        self._signer = TwilioSigner(settings.auth_token.get_secret_value())

    def say(self, text: str, *, sender: str, message_id: str, at: datetime) -> Delivery:
        """A text message; Twilio tells no time."""
        return self.form(self.message(text, sender=sender, message_id=message_id))

    def message(self, text: str, *, sender: str, message_id: str) -> dict[str, str]:
        """The parameters of a text message, from a number no one can have: country code 999 is not assigned."""
        sid = f"SM{int(message_id):032x}"
        return {
            "ToCountry": "",
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "SmsSid": sid,
            "SmsStatus": "received",
            "Body": text,
            "To": self.settings.number,
            "NumSegments": "1",
            "MessageSid": sid,
            "AccountSid": self.settings.account_sid,
            "From": f"+999{int(sender) % 10**12:012d}",
            "ApiVersion": "2010-04-01",
        }

    def form(self, fields: Mapping[str, str]) -> TwilioDelivery:
        """Any parameters, as Twilio sends them by default."""
        pairs = tuple(fields.items())
        return TwilioDelivery(self._path(), urlencode(pairs).encode(), self._signer.form(pairs), self._public_url)

    def json(self, value: Any) -> TwilioDelivery:
        """Any JSON value, as Twilio sends it where a webhook is set to JSON."""
        body = json.dumps(value, ensure_ascii=False).encode()
        target = f"{self._path()}?bodySHA256={hashlib.sha256(body).hexdigest()}"
        return TwilioDelivery(target, body, self._signer.json(), self._public_url)

    def _path(self) -> str:
        path = f"/channels/{self.name}"
        secret = self.settings.path_secret
        return path if secret is None else f"{path}/{secret.get_secret_value()}"
