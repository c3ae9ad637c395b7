"""A plug-in channel that does on command what no channel should."""

from __future__ import annotations

import hmac
import os
import signal
import time
from pathlib import Path
from typing import Literal

import orjson

from channels.base import Admission, Request, Webhook
from channels.errors import Malformed, Unauthenticated
from channels.settings import Secret, WebhookSettings
from normalizer.model import Assurance, Contact, ContactType, Envelope, Message, Notice, Parsed


class PoisonSettings(WebhookSettings):
    """Settings of kind ``poison``."""

    kind: Literal["poison"] = "poison"
    """Which adapter."""
    key: Secret
    """Sent in the header ``key``."""
    cure: Path
    """While this file exists, nothing is poisonous."""


class Poison(Webhook[PoisonSettings]):
    """Body: ``{"do": …, "sender": …, "id": …, "text": …}``."""

    kind = "poison"
    Settings = PoisonSettings
    summary = "test plug-in"

    def authenticate(self, request: Request) -> Admission:
        """A shared key."""
        if not hmac.compare_digest(request.header("key") or "", self.settings.key.get_secret_value()):
            raise Unauthenticated("key")
        return Admission(apparent_sender=str(orjson.loads(request.body)["sender"]))

    def parse(self, envelope: Envelope) -> Parsed:
        """What ``do`` says, unless cured."""
        body = orjson.loads(envelope.body)
        if not self.settings.cure.exists():
            _suffer(body["do"])
        if body["do"] == "notice":
            return Notice(reason="nothing")
        sender = Contact(type=ContactType.TELEGRAM, value=body["sender"], assurance=Assurance.VERIFIED)
        texts = body["text"] if isinstance(body["text"], list) else [body["text"]]
        return tuple(
            Message(key_space="poison", account="us", sender=sender, provider_id=f"{body['id']}.{n}", text=text)
            for n, text in enumerate(texts)
        )


def _suffer(how: str) -> None:
    match how:
        case "hang":
            while True:
                time.sleep(60)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "raise":
            raise RuntimeError("quotes the citizen: 13800138000")
        case "eat":
            bytearray(2 * 1024**3)
        case "malformed":
            raise Malformed("odd")
