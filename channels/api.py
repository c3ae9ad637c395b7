"""What the channels of the API share: a client with a key, an Idempotency-Key, a body that keeps the contract.

The client proves itself by a bearer key (RFC 6750) and names each request by an Idempotency-Key
(draft-ietf-httpapi-idempotency-key-header-07), which stands for one body for ever.
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import orjson
from pydantic import ValidationError

from channels.base import Admission, Answer, File, Request, Route, State, Webhook
from channels.bodies import Body
from channels.clients import identify
from channels.errors import ChannelError, Malformed, Missing, Unacceptable
from channels.pace import Pace
from channels.problem import refusal, sentence
from channels.settings import ApiPathSettings, Client, Programs
from normalizer.model import AttachmentKind, Binding, Envelope, Kept, Message, Parsed

_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
#: What a client may upload and name in a message.
UPLOADED = frozenset(AttachmentKind) - {AttachmentKind.LINK}


class ApiSettings(ApiPathSettings):
    """What every API channel takes."""

    clients: Programs[Client]
    """The programs that may call."""


S = TypeVar("S", bound=ApiSettings)
B = TypeVar("B", bound=Body)


async def _nothing(_client: str, _attachment_id: str) -> File | None:
    """Stand-in until the gateway hangs in the uploads."""
    return None


class ApiChannel(Webhook[S], Generic[S, B]):
    """One path of the API under ``/v1``. A subclass says what the body is and which message it makes."""

    #: What is posted to.
    path: ClassVar[str]
    #: What a client needs.
    scope: ClassVar[str]
    #: What is posted.
    Body: type[B]
    #: One line, and the operation's name, for the OpenAPI document.
    title: ClassVar[str]
    operation: ClassVar[str]
    max_body: ClassVar[int] = 128 * 1024

    def __init__(self, name: str, settings: S) -> None:
        super().__init__(name, settings)
        #: How often each client calls.
        self.pace = Pace()
        #: What a client uploaded, by the client and the attachment_id; None: nothing of its own.
        self.uploaded: Callable[[str, str], Awaitable[File | None]] = _nothing

    @abstractmethod
    def whose(self, body: B) -> str:
        """Whose message it seems to be, within the client; empty: could be anybody's."""

    @abstractmethod
    def message(self, body: B, client: str, key: str) -> Message:
        """The message that a body is; pure."""

    def routes(self) -> tuple[Route, ...]:
        """The API's own path."""
        return (Route(self.path),)

    def authenticate(self, request: Request) -> Admission:
        """The client's key, its scope and pace, the Idempotency-Key and a body that keeps the contract."""
        client = identify(self.settings.clients, request.header("authorization"), self.scope)
        self.pace.keep(client)
        key = idempotency_key(request.header("idempotency-key"))
        body = self._read(request.body)
        whose = self.whose(body)
        return Admission(
            context={"client": client.id, "key": key},
            binding=Binding(f"{client.id}\n{key}", hashlib.sha256(request.body).digest()),
            apparent_sender=f"{client.id}\n{whose}" if whose else "",
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
            body = self._read(envelope.body)
        except Unacceptable as error:
            raise Malformed(error.reason) from None
        return (self.message(body, envelope.context["client"], envelope.context["key"]),)

    async def download(self, reference: str, state: State) -> File:
        """What the client uploaded before; another client's id leads nowhere."""
        del state
        client, _, attachment_id = reference.removeprefix("upload:").partition("/")
        found = await self.uploaded(client, attachment_id)
        if found is None:
            raise Missing("unknown_upload")
        return found

    def openapi(self) -> dict[str, Any]:
        """The schemas and the path, for the API's OpenAPI document."""
        schema = self.Body.model_json_schema(ref_template="#/components/schemas/{model}")
        name = self.Body.__name__
        return {
            "schemas": schema.pop("$defs", {}) | {name: schema},
            "paths": {self.path: {"post": _operation(self.title, self.operation, name)}},
        }

    def _read(self, body: bytes) -> B:
        try:
            return self.Body.model_validate(orjson.loads(body))
        except orjson.JSONDecodeError:
            raise Unacceptable("json", "The body is not JSON in UTF-8.", status=400) from None
        except ValidationError as error:
            raise Unacceptable("body", sentence(error)) from None


def idempotency_key(stated: str | None) -> str:
    """The Idempotency-Key as stated. Raise Unacceptable."""
    if stated is None or not _KEY.fullmatch(stated):
        raise Unacceptable(
            "idempotency_key", "Send an Idempotency-Key of 1 to 255 visible ASCII characters.", status=400
        )
    return stated


def callers(channels: Sequence[object]) -> list[tuple[ApiChannel[Any, Any], Client]]:
    """Every client of the API, with the channel it belongs to."""
    return [(one, client) for one in channels if isinstance(one, ApiChannel) for client in one.settings.clients]


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
    "429": "More requests than this client may make; Retry-After says when to try again",
    "503": "Nothing was kept; try again with the same key",
}


def _operation(title: str, operation: str, body: str) -> dict[str, Any]:
    told = "Kept; the receipt leads to its outcome. The same for every repetition of key and body."
    receipt = {"application/json": {"schema": {"$ref": "#/components/schemas/ReceiptBody"}}}
    problems = {
        status: {"description": text, "content": {"application/problem+json": {}}} for status, text in _PROBLEMS.items()
    }
    return {
        "tags": ["messages"],
        "summary": title,
        "operationId": operation,
        "security": [{"bearer": []}],
        "parameters": [_KEY_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}},
        },
        "responses": {"202": {"description": told, "content": receipt}} | problems,
    }
