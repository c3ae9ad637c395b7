"""A plug-in channel whose provider does not join long messages, as carriers' own gateways do not."""

from __future__ import annotations

import hmac
from typing import Literal

import orjson

from channels.base import Admission, Request, Webhook
from channels.errors import Unauthenticated
from channels.settings import Secret, WebhookSettings
from normalizer.model import Assurance, Contact, ContactType, Envelope, Message, Parsed, Part


class PiecesSettings(WebhookSettings):
    """Settings of kind ``pieces``."""

    kind: Literal["pieces"] = "pieces"
    """Which adapter."""
    key: Secret
    """Sent in the header ``key``."""


class Pieces(Webhook[PiecesSettings]):
    """Body: ``{"sender": …, "id": …, "text": …, "part": [reference, number, total]}``, the last only of a piece."""

    kind = "pieces"
    Settings = PiecesSettings
    summary = "test plug-in"

    def authenticate(self, request: Request) -> Admission:
        """A shared key."""
        if not hmac.compare_digest(request.header("key") or "", self.settings.key.get_secret_value()):
            raise Unauthenticated("key")
        return Admission(apparent_sender=str(orjson.loads(request.body)["sender"]))

    def parse(self, envelope: Envelope) -> Parsed:
        """One message or piece; the name of the whole is also its group, so that a late piece finds it."""
        body = orjson.loads(envelope.body)
        reference, number, total = body.get("part", (None, 1, 1))
        sender = Contact(type=ContactType.PHONE, value=body["sender"], assurance=Assurance.SPOOFABLE)
        return (
            Message(
                key_space="pieces",
                account="12345",
                sender=sender,
                provider_id=body["id"],
                text=body["text"],
                group=reference,
                part=None if reference is None else Part(reference=reference, number=number, total=total),
            ),
        )
