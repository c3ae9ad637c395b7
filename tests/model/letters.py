"""The channel of the model: a delivery holds the messages of one sender, and on demand something odd."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from channels.base import Admission, Answer, Request, Webhook
from channels.errors import Malformed
from channels.settings import WebhookSettings
from normalizer.model import Assurance, Binding, Contact, ContactType, Envelope, Kept, Message, Parsed

#: Words that our code stumbles over, when it is read and when it is understood; and words that cannot wait.
BAD_LETTER, BAD_WORDS, URGENT = "毒信", "毒", "急"
APPARENT = re.compile(rb'"account":"[a-z]+","sender":[0-9]')


class LettersSettings(WebhookSettings):
    """Settings of kind ``letters``."""

    kind: Literal["letters"] = "letters"
    """Which adapter."""


class Letters(Webhook[LettersSettings]):
    """Body: ``{"account": …, "sender": …, "messages": [{"id": …, "text": …, "reply": …}]}``."""

    kind = "letters"
    Settings = LettersSettings
    summary = "the model's channel"
    #: The program has been mended.
    cured = False

    def authenticate(self, request: Request) -> Admission:
        key = request.header("key")
        binding = Binding(key, hashlib.sha256(request.body).digest()) if key else None
        named = APPARENT.search(request.body)
        return Admission(binding=binding, apparent_sender=named[0].decode() if named else "")

    def acknowledge(self, kept: Kept) -> Answer:
        return Answer(200, str(kept.receipt).encode())

    def parse(self, envelope: Envelope) -> Parsed:
        try:
            body = orjson.loads(envelope.body)
        except orjson.JSONDecodeError:
            raise Malformed("json") from None
        said = messages(body)
        if not self.cured and any(message.text.startswith(BAD_LETTER) for message in said):
            raise RuntimeError("a letter that cannot be read")
        return said


def messages(body: dict[str, Any]) -> tuple[Message, ...]:
    """A telephone number is one caller, whichever of our addresses he writes to; each address keeps its own order."""
    sender = Contact(type=ContactType.PHONE, value=f"+861380013800{body['sender']}", assurance=Assurance.VERIFIED)
    return tuple(
        Message(
            key_space="letters",
            account=body["account"],
            sender=sender,
            provider_id=said["id"],
            text=said["text"],
            in_reply_to=said["reply"],
        )
        for said in body["messages"]
    )


@dataclass(frozen=True)
class Letter:
    """What a provider delivers, again and again until it is acknowledged."""

    body: bytes
    key: str | None = None


@dataclass(eq=False)
class Sent:
    """One try to deliver a letter; the ticks tell what came before what."""

    letter: Letter
    node: str
    begun: int
    acknowledged: int | None = None
    receipt: str | None = None
    refusal: str | None = None
    #: The store was seen to hold it.
    checked: bool = False
