"""SMS by Twilio, and WhatsApp by the same webhook.

https://www.twilio.com/docs/messaging/guides/webhook-request (parameters) and
https://www.twilio.com/docs/usage/webhooks/webhooks-security (signature). Twilio states no time, so a replay is told only
by its MessageSid and its signature. It retries a connection that failed, once; after a 5xx it does so only where the
webhook's URL ends in ``#rp=all`` or a fallback URL is set (…/webhooks/webhooks-connection-overrides): set one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qs, urlparse

import httpx
import orjson
from pydantic import Field
from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator, add_port, remove_port

from channels.base import Admission, Answer, File, Request, State, Webhook
from channels.errors import Malformed, Unauthenticated
from channels.recount import Period, Told
from channels.settings import Secret, Secrets, WebhookSettings, in_force
from channels.sms_twilio_api import download, send
from channels.sms_twilio_list import inbound
from channels.sms_twilio_message import read
from normalizer.model import AttachmentKind, Binding, ContactType, Envelope, Kept, Parsed
from normalizer.reply import Outgoing, Sent

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
#: Twilio sends some thirty parameters and two more per picture, and adds others without notice.
MAX_FIELDS = 200
#: TwiML that sends nothing back.
EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


class SmsTwilioSettings(WebhookSettings):
    """Settings of an SMS channel by Twilio."""

    kind: Literal["sms_twilio"] = "sms_twilio"
    """Which adapter."""
    account_sid: Annotated[str, Field(min_length=1)]
    """The account whose messages are accepted."""
    auth_token: Secret
    """Its primary Auth Token: signs every webhook that no shared key signs."""
    previous_auth_token: Secret | None = None
    """The token before it, while one is changed: still signs what comes in, and is not used for what goes out."""
    number: Annotated[str, Field(pattern=r"^(\+[1-9]\d{1,14}|\d{3,8})$")]
    """Our number, E.164 or a short code."""
    shared_key: Secret | None = None
    """Secret of a Twilio SharedKey; unset, webhooks that claim to be signed with one are refused."""
    shared_key_id: str | None = None
    """Id of that SharedKey (``webhooks_sharedkey_…``); set, a webhook that names another is refused."""
    status_callback: Annotated[str, Field(pattern="^https?://", max_length=4000)] | None = None
    """Our own URL for this channel, to which Twilio tells what became of our messages; unset, it is not told."""
    api_base: str = "https://api.twilio.com"
    """Where Twilio's REST interface is."""


class _Params(dict[str, list[str]]):
    """Form parameters with the method that RequestValidator looks for; a plain dict of lists makes it raise TypeError."""

    def getlist(self, name: str) -> list[str]:
        """All values of a parameter."""
        return self[name]


class SmsTwilio(Webhook[SmsTwilioSettings]):
    """One Twilio number."""

    kind = "sms_twilio"
    Settings = SmsTwilioSettings
    summary = "SMS and WhatsApp by Twilio (webhook)"
    conversational = True
    reaches = frozenset({ContactType.PHONE})
    fetches = frozenset(AttachmentKind) - {AttachmentKind.LINK}
    #: How long Twilio may take over one message of ours.
    send_seconds: ClassVar[float] = 15.0

    def authenticate(self, request: Request) -> Admission:
        """Twilio's signature over the public URL and every parameter, and our account in the body.

        The signed text runs names and values together without a delimiter, so that one signature fits several bodies
        (``Body=hi&Call=me`` and ``Body=hiCallme``): the binding lets each signature stand for the first of them only.
        """
        signature = request.header("X-Twilio-Signature")
        if signature is None:
            raise Unauthenticated("signature_missing")
        content_type = _content_type(request)
        try:
            expected = self._expected(request, _signed_params(request, content_type))
        except ValueError:  # too many fields, not UTF-8
            raise Unauthenticated("form") from None
        if not any(hmac.compare_digest(signature, one) for one in expected):
            raise Unauthenticated("signature")
        self._admit_account(request.body, content_type)
        binding = Binding(signature, hashlib.sha256(request.body).digest())
        return Admission(
            {"content_type": content_type},
            binding=binding,
            apparent_sender=_apparent_sender(request.body, content_type),
        )

    def _expected(self, request: Request, params: _Params) -> list[str]:
        """Twilio's back end is inconsistent about the port in the URL it signs, says its own library: both are good."""
        secrets, algorithm = self._keys(request.header("X-Twilio-Webhooks-Signature-Settings") or "")
        url = urlparse(f"{request.url}?{request.query}" if request.query else request.url)
        return [
            RequestValidator(secret.get_secret_value()).compute_signature(way(url), params, algorithm)
            for secret in secrets
            for way in (remove_port, add_port)
        ]

    def _keys(self, header: str) -> tuple[Secrets, str]:
        """``key=<id>,algorithm=<name>``: https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys.

        The header is the caller's word: it can only choose the shared key, never pair SHA-256 with the Auth Token.
        """
        named = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in header.split(","))}
        key, algorithm = named.get("key"), (named.get("algorithm") or HMAC_SHA1).upper()
        if key is None and algorithm == HMAC_SHA1:
            return in_force(self.settings.auth_token, self.settings.previous_auth_token), algorithm
        shared = self.settings.shared_key
        if shared is None or algorithm not in (HMAC_SHA1, HMAC_SHA256):
            raise Unauthenticated("algorithm")
        if self.settings.shared_key_id not in (None, key):
            raise Unauthenticated("shared_key")
        return (shared,), algorithm

    def _admit_account(self, body: bytes, content_type: str) -> None:
        """Unreadable bodies pass: they are authentic, and ``parse`` says what is wrong with them."""
        try:
            account = _fields(body, content_type).get("AccountSid", self.settings.account_sid)
        except Malformed:
            return
        if account != self.settings.account_sid:
            raise Unauthenticated("account")

    def acknowledge(self, kept: Kept) -> Answer:
        """An empty TwiML document: anything else would be sent to the citizen or logged as an error."""
        return Answer(body=EMPTY_TWIML, media_type="text/xml")

    async def recount(self, period: Period, kept: AsyncIterator[Envelope]) -> AsyncIterator[Told]:
        """What Twilio lists as received, SMS and WhatsApp."""
        ours, token = self.settings, self.settings.auth_token.get_secret_value()
        numbers = [ours.number] + ([f"whatsapp:{ours.number}"] if ours.number.startswith("+") else [])
        async with httpx.AsyncClient(auth=(ours.account_sid, token), timeout=10, trust_env=False) as client:
            for number in numbers:
                async for listed in inbound(client, ours.api_base, ours.account_sid, number, period):
                    yield listed

    def parse(self, envelope: Envelope) -> Parsed:
        """One message, or a notice for opt-outs and status callbacks."""
        return read(_fields(envelope.body, envelope.context.get("content_type", FORM)))

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """One message or several, as the words need."""
        return await send(self.settings, outgoing, seconds=self.send_seconds)

    async def download(self, reference: str, state: State) -> File:
        """What came with an MMS."""
        return await download(self.settings, reference)


def _content_type(request: Request) -> str:
    """The header is not signed; each of the two forms therefore has a check of its own that covers the body."""
    found = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    if found not in (FORM, JSON):
        raise Unauthenticated("content_type")
    return found


def _signed_params(request: Request, content_type: str) -> _Params:
    """What is signed beside the URL: the form's parameters, or for JSON nothing, since the URL holds the body's hash."""
    if content_type == FORM:
        return _form(request.body)
    stated = request.parameter("bodySHA256") or ""
    if not hmac.compare_digest(stated.encode(), hashlib.sha256(request.body).hexdigest().encode()):
        raise Unauthenticated("body_hash")
    return _Params()


def _apparent_sender(body: bytes, content_type: str) -> str:
    try:
        return str(_fields(body, content_type).get("From", ""))
    except Malformed:
        return ""


def _form(body: bytes) -> _Params:
    """Raise ValueError. Blank values are signed too (``Body=``)."""
    return _Params(parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))


def _fields(body: bytes, content_type: str) -> Mapping[str, Any]:
    """The parameters by name; a list where one is repeated, which Twilio does for none that we read."""
    try:
        if content_type == JSON:
            found = orjson.loads(body)
        else:
            found = {name: values[0] if len(values) == 1 else values for name, values in _form(body).items()}
    except ValueError:
        raise Malformed("body") from None
    if not isinstance(found, dict):
        raise Malformed("body")
    return found
