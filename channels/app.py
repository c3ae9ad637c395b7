"""The city's mobile app: its back end hands over what a citizen wrote, by ``POST /v1/messages``.

The client proves itself by a bearer key (RFC 6750) and names each message by an Idempotency-Key
(draft-ietf-httpapi-idempotency-key-header-07), which stands for one body for ever.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from channels.base import Admission, Answer, Request, Route, Webhook
from channels.clients import identify
from channels.errors import ChannelError, Malformed, Unacceptable
from channels.problem import refusal, sentence
from channels.settings import Client, WebhookSettings
from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Binding,
    Contact,
    ContactType,
    CoordinateSystem,
    Envelope,
    Kept,
    MatterKind,
    Message,
    Parsed,
    PartyType,
    Place,
)

SCOPE = "messages:write"
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


class _Body(BaseModel):
    """Strict: unknown fields and other types than declared are refused, so that a client's slip is seen at once."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character NUL")
    return value


Line = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(_no_nul)]


class User(_Body):
    """The citizen, as the app knows him."""

    id: Annotated[str, Field(strict=True, min_length=1, max_length=128), AfterValidator(_no_nul)]
    """The app's own id of him, stable."""
    name: Line | None = None
    """As he states it."""
    phone: Annotated[str, Field(strict=True, pattern=r"^\+[1-9]\d{5,14}$")] | None = None
    """E.164, for example +8613800138000."""
    phone_verified_at: AwareDatetime | None = None
    """When the app confirmed the number by a code."""
    party_type: PartyType = PartyType.UNKNOWN
    """For whom he speaks."""
    unit: Line | None = None
    """His company or organisation."""


class Where(_Body):
    """Where the matter is."""

    text: Annotated[str, Field(strict=True, max_length=1000), AfterValidator(_no_nul)] | None = None
    """In words."""
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Degrees east."""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Degrees north."""
    crs: CoordinateSystem | None = None
    """Of longitude and latitude."""

    @model_validator(mode="after")
    def _whole(self) -> Where:
        if len({self.longitude is None, self.latitude is None, self.crs is None}) > 1:
            raise ValueError("longitude, latitude and crs go together")
        return self


class Upload(_Body):
    """An attachment uploaded before, as ``POST /v1/attachments`` answered it."""

    attachment_id: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    """Its id."""
    media_type: Annotated[str, Field(strict=True, pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)] | None = None
    """IANA media type."""
    size: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Bytes."""
    sha256: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the content, hex."""
    file_name: Annotated[str, Field(strict=True, max_length=255), AfterValidator(_no_nul)] | None = None
    """As the citizen named it."""


class Device(_Body):
    """What the app ran on."""

    platform: Line
    """For example ios, android, harmony."""
    version: Line
    """Of the app."""


class MessageBody(_Body):
    """The body of ``POST /v1/messages``."""

    user: User
    """Who writes."""
    text: Annotated[str, Field(strict=True, max_length=20_000), AfterValidator(_no_nul)] = ""
    """What he writes; text or attachments are required."""
    attachments: Annotated[tuple[Upload, ...], Field(max_length=20)] = ()
    """What he sends along."""
    title: Line | None = None
    """A subject of his own."""
    kind: MatterKind | None = None
    """What he chose."""
    sent_at: AwareDatetime | None = None
    """His device's clock, RFC 3339 with offset."""
    place: Where | None = None
    """Where it is."""
    confidential: Annotated[bool, Field(strict=True)] = False
    """He asks to stay unnamed."""
    in_reply_to: Annotated[str, Field(strict=True, pattern=r"^[0-9a-fA-F-]{32,36}$")] | None = None
    """A matter_id he adds to."""
    device: Device | None = None
    """What he uses."""

    @model_validator(mode="after")
    def _says_something(self) -> MessageBody:
        if not self.text.strip() and not self.attachments:
            raise ValueError("text or attachments is required")
        return self


class AppSettings(WebhookSettings):
    """Settings of kind ``app``."""

    kind: Literal["app"] = "app"
    """Which adapter."""
    clients: Annotated[tuple[Client, ...], Field(min_length=1)]
    """The programs that may call."""

    @model_validator(mode="after")
    def _has_its_own_path(self) -> AppSettings:
        if self.path_secret is not None:
            raise ValueError("path_secret has no use here: the API's path is fixed and its clients have keys")
        return self


class App(Webhook[AppSettings]):
    """``POST /v1/messages``."""

    kind: ClassVar[str] = "app"
    Settings = AppSettings
    summary: ClassVar[str] = "the city's app: POST /v1/messages by its back end, bearer key, Idempotency-Key"
    max_body: ClassVar[int] = 128 * 1024

    def routes(self) -> tuple[Route, ...]:
        """The API's own path."""
        return (Route("/v1/messages"),)

    def authenticate(self, request: Request) -> Admission:
        """The client's key, its scope, the Idempotency-Key and a body that keeps the contract."""
        client = identify(self.settings.clients, request.header("authorization"), SCOPE)
        key = request.header("idempotency-key")
        if key is None or not _KEY.fullmatch(key):
            raise Unacceptable(
                "idempotency_key", "Send an Idempotency-Key of 1 to 255 visible ASCII characters.", status=400
            )
        body = _read(request.body)
        return Admission(
            context={"client": client.id, "key": key},
            binding=Binding(f"{client.id}\n{key}", hashlib.sha256(request.body).digest()),
            apparent_sender=f"{client.id}\n{body.user.id}",
        )

    def acknowledge(self, kept: Kept) -> Answer:
        """202 with the receipt; the same for every repetition of the same key and body."""
        answer = {"receipt": str(kept.receipt), "state": "kept", "matter_id": None, "tracking_code": None}
        return Answer(202, orjson.dumps(answer), "application/json", {"Location": f"/v1/receipts/{kept.receipt}"})

    def refuse(self, error: ChannelError) -> Answer:
        """A problem document (RFC 9457)."""
        return refusal(error)

    def parse(self, envelope: Envelope) -> Parsed:
        """The body, checked again: an old envelope may meet a stricter program."""
        try:
            body = _read(envelope.body)
        except Unacceptable as error:
            raise Malformed(error.reason) from None
        return (_message(body, envelope.context["client"], envelope.context["key"]),)

    def openapi(self) -> dict[str, Any]:
        """The schemas and the path, for the API's OpenAPI document."""
        schema = MessageBody.model_json_schema(ref_template="#/components/schemas/{model}")
        return {
            "schemas": schema.pop("$defs") | {"MessageBody": schema},
            "paths": {"/v1/messages": {"post": _OPERATION}},
        }


_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "1 to 255 visible ASCII characters, unique per client for ever.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_PROBLEMS = {
    "400": "Not JSON, or no Idempotency-Key",
    "401": "No valid key",
    "403": "The key lacks the scope",
    "413": "Body over 128 KiB",
    "422": "The body breaks the contract, or the Idempotency-Key stands for another body",
    "503": "Nothing was kept; try again with the same key",
}
_OPERATION: dict[str, Any] = {
    "tags": ["messages"],
    "summary": "Hand over what a citizen wrote",
    "operationId": "post_message",
    "security": [{"bearer": []}],
    "parameters": [_KEY_PARAMETER],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MessageBody"}}},
    },
    "responses": {
        "202": {
            "description": "Kept; the receipt leads to its outcome. The same for every repetition of key and body.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReceiptBody"}}},
        }
    }
    | {
        status: {"description": text, "content": {"application/problem+json": {}}} for status, text in _PROBLEMS.items()
    },
}


def _read(body: bytes) -> MessageBody:
    try:
        return MessageBody.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError:
        raise Unacceptable("json", "The body is not JSON in UTF-8.", status=400) from None
    except ValidationError as error:
        raise Unacceptable("body", sentence(error)) from None


def _message(body: MessageBody, client: str, key: str) -> Message:
    return Message(
        key_space="app",
        account=client,
        sender=Contact(type=ContactType.APP, value=body.user.id, assurance=Assurance.VERIFIED),
        provider_id=key,
        sent_at=body.sent_at,
        text=body.text,
        title=body.title,
        attachments=tuple(_attachment(upload) for upload in body.attachments),
        place=Place(**body.place.model_dump()) if body.place else None,
        name=body.user.name,
        unit=body.user.unit,
        contacts=_phone(body.user),
        party_type=body.user.party_type,
        matter_kind=body.kind,
        confidential=body.confidential,
        in_reply_to=body.in_reply_to,
    )


def _phone(user: User) -> tuple[Contact, ...]:
    if user.phone is None:
        return ()
    assurance = Assurance.VERIFIED if user.phone_verified_at else Assurance.ASSERTED
    return (Contact(type=ContactType.PHONE, value=user.phone, assurance=assurance),)


def _attachment(upload: Upload) -> Attachment:
    families = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.VOICE, "video": AttachmentKind.VIDEO}
    return Attachment(
        id=upload.attachment_id,
        kind=families.get((upload.media_type or "").partition("/")[0], AttachmentKind.FILE),
        media_type=upload.media_type,
        size=upload.size,
        sha256=upload.sha256,
        file_name=upload.file_name,
        reference=f"upload:{upload.attachment_id}",
    )
