"""The city's mobile app: its back end hands over what a citizen wrote, and is told what the city answers him.

In by ``POST /v1/messages`` (channels/api.py). Back by a webhook of the client's own, where it has one, signed as
Standard Webhooks has it (https://www.standardwebhooks.com); a client without one asks ``GET /v1/matters/{matter_id}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field
from standardwebhooks.webhooks import Webhook as Signer

from channels.api import UPLOADED, ApiChannel, ApiSettings
from channels.app_body import MessageBody, User
from channels.base import State
from channels.bodies import attachments
from channels.errors import NotSent, Uncertain, Undeliverable
from channels.rest import Told, call
from channels.settings import Client, Programs, SigningSecret, Strict, on_this_machine
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Message, Proof
from normalizer.reply import Outgoing, Sent

#: What the back end will never take, however often it is asked (Standard Webhooks has 410 end a subscription).
_NEVER = frozenset({400, 410, 413, 422})


def _sealed_on_its_way(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "http" and not on_this_machine(parts.hostname or ""):
        raise ValueError("write https://…: what citizens are answered would cross the network in the clear")
    return url


class Push(Strict):
    """Where a client's back end is told what its users are to read."""

    url: Annotated[str, Field(pattern=r"^https?://[!-~]+$", max_length=2000), AfterValidator(_sealed_on_its_way)]
    """Takes a POST per reply; https but on this machine."""
    secret: SigningSecret
    """Standard Webhooks secret, ``whsec_`` and base64 of 24 to 64 bytes."""


class AppClient(Client):
    """An app's back end."""

    push: Push | None = None
    """Where it is told; none: it asks ``GET /v1/matters/{matter_id}``."""


class AppSettings(ApiSettings):
    """Settings of kind ``app``."""

    kind: Literal["app"] = "app"
    """Which adapter."""
    clients: Programs[AppClient]
    """The programs that may call."""


class App(ApiChannel[AppSettings, MessageBody]):
    """``POST /v1/messages``."""

    kind: ClassVar[str] = "app"
    Settings = AppSettings
    summary: ClassVar[str] = "the city's app: POST /v1/messages by its back end, bearer key, Idempotency-Key"
    path: ClassVar[str] = "/v1/messages"
    scope: ClassVar[str] = "messages:write"
    Body = MessageBody
    title: ClassVar[str] = "Hand over what a citizen wrote"
    operation: ClassVar[str] = "post_message"
    fetches: ClassVar[frozenset[AttachmentKind]] = UPLOADED
    #: How long the back end may take over one answer.
    send_seconds: ClassVar[float] = 15.0

    @property
    def reaches(self) -> frozenset[ContactType]:  # type: ignore[override]  # read only, and it depends on the settings
        """Its users, once a client has said where to tell it."""
        pushed = any(client.push is not None for client in self.settings.clients)
        return frozenset({ContactType.APP}) if pushed else frozenset()

    def whose(self, body: MessageBody) -> str:
        """The app's own id of him."""
        return body.user.id

    def message(self, body: MessageBody, client: str, key: str) -> Message:
        """As the app states it."""
        return Message(
            key_space="app",
            account=client,
            sender=Contact(type=ContactType.APP, value=body.user.id, assurance=Assurance.VERIFIED),
            provider_id=key,
            sent_at=body.sent_at,
            text=body.text,
            title=body.title,
            attachments=attachments(body.attachments, client),
            place=body.place.place() if body.place else None,
            name=body.user.name,
            unit=body.user.unit,
            contacts=_phone(body.user),
            proofs=tuple(_proofs(body.user)),
            party_type=body.user.party_type,
            matter_kind=body.kind,
            confidential=body.confidential,
            in_reply_to=body.in_reply_to,
        )

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """Tell the back end; its push notice is its own business.

        ``webhook-id`` is the reply's id and stays the same, and a receiver of Standard Webhooks takes each id once. So what
        may have arrived is sent again here as if it had not: nobody reads anything twice, and nothing is lost.
        """
        del state
        push = next((client.push for client in self.settings.clients if client.id == outgoing.account), None)
        if push is None:
            raise Undeliverable("no_push")
        body = _told(outgoing)
        try:
            headers = _signed(push, outgoing, orjson.dumps(body))
            told = await call("POST", push.url, json=body, headers=headers, seconds=self.send_seconds)
        except Uncertain as error:
            raise NotSent(error.reason) from None
        return _judged(told)


def _told(outgoing: Outgoing) -> dict[str, Any]:
    return {
        "type": outgoing.kind,
        "text": outgoing.text,
        "language": outgoing.language,
        "user": outgoing.to.value,
        "matter_id": str(outgoing.matter_id) if outgoing.matter_id else None,
        "tracking_code": outgoing.tracking_code,
    }


def _signed(push: Push, outgoing: Outgoing, body: bytes) -> dict[str, str]:
    at, signer = datetime.now(UTC), Signer(push.secret.get_secret_value())
    return {
        "webhook-id": str(outgoing.id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(str(outgoing.id), at, body.decode()),
    }


def _judged(told: Told) -> Sent:
    """2xx: taken; 409: taken before; the rest is tried again unless it can never succeed."""
    if 200 <= told.status < 300 or told.status == 409:
        return Sent()
    if told.status in _NEVER:
        raise Undeliverable(f"status_{told.status}")
    raise NotSent(f"status_{told.status}", told.retry_after())


def _phone(user: User) -> tuple[Contact, ...]:
    if user.phone is None:
        return ()
    assurance = Assurance.VERIFIED if user.phone_verified_at else Assurance.ASSERTED
    return (Contact(type=ContactType.PHONE, value=user.phone, assurance=assurance),)


def _proofs(user: User) -> Iterator[Proof]:
    """What the app's login vouches for."""
    if user.phone is not None and user.phone_verified_at is not None:
        yield Proof(kind="phone", value=user.phone, evidence="app_login", at=user.phone_verified_at)
    if user.wechat_unionid is not None:
        yield Proof(kind="unionid", value=user.wechat_unionid, evidence="app_login")
