"""Open311 GeoReport v2 (https://wiki.open311.org/GeoReport_v2/): ``POST /open311/v2/requests.{json,xml}``.

What is read is served by gateway/open311.py. The protocol knows no repetition; a client that wants to be safe sends an
Idempotency-Key, as with the rest of the API.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import orjson
from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from channels.api import idempotency_key
from channels.base import Admission, Answer, Deliver, Request, Route, Webhook
from channels.bodies import Body
from channels.clients import key_hash, opens
from channels.errors import ChannelError, Malformed, Rebound, TooMany, Unacceptable, Unauthenticated, Unavailable
from channels.forms import fields
from channels.open311_services import SERVICES, Service
from channels.open311_xml import Form, form_of, refused, rendered
from channels.pace import Pace
from channels.problem import sentence
from channels.settings import ApiKey, ApiPathSettings, Programs
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
    Message,
    Parsed,
    Place,
)
from normalizer.phones import phones

PATH = "/open311/v2"
#: Said with every request that is taken.
NOTICE = "已收到，受理后可凭编号查询。Received; ask for its state by this id."


def _different(services: tuple[Service, ...]) -> tuple[Service, ...]:
    if len({service.code for service in services}) < len(services):
        raise ValueError("two services have the same code")
    return services


class Open311Settings(ApiPathSettings):
    """Settings of kind ``open311``."""

    kind: Literal["open311"] = "open311"
    """Which adapter."""
    api_keys: Programs[ApiKey]
    """Who may post requests."""
    jurisdiction_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,99}$")]
    """The city's, by custom its domain: jinan.gov.cn."""
    services: Annotated[tuple[Service, ...], Field(min_length=1), AfterValidator(_different)] = SERVICES
    """What can be asked."""


class RequestForm(Body):
    """The form of a service request; further fields are left aside, as many clients send some."""

    model_config = ConfigDict(extra="ignore")

    service_code: Annotated[str, Field(min_length=1, max_length=100)]
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    long: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    address_string: Annotated[str, Field(max_length=1000)] | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    device_id: Annotated[str, Field(max_length=200)] | None = None
    account_id: Annotated[str, Field(max_length=200)] | None = None
    first_name: Annotated[str, Field(max_length=100)] | None = None
    last_name: Annotated[str, Field(max_length=100)] | None = None
    phone: Annotated[str, Field(max_length=100)] | None = None
    #: GeoReport allows 4000 characters; nobody is cut off for a few more.
    description: Annotated[str, Field(max_length=20_000)] | None = None
    media_url: Annotated[str, Field(max_length=2000)] | None = None


class Open311(Webhook[Open311Settings]):
    """``POST /open311/v2/requests``."""

    kind: ClassVar[str] = "open311"
    Settings = Open311Settings
    summary: ClassVar[str] = "Open311 GeoReport v2: services and requests under /open311/v2, api_key"
    max_body: ClassVar[int] = 128 * 1024

    def __init__(self, name: str, settings: Open311Settings) -> None:
        super().__init__(name, settings)
        #: How often each client posts.
        self.pace = Pace()

    def routes(self) -> tuple[Route, ...]:
        """The protocol's own paths; they are read as well."""
        return tuple(Route(f"{PATH}/requests.{form}", shared=True) for form in ("json", "xml"))

    async def receive(self, request: Request, deliver: Deliver) -> Answer:
        """As every webhook, in the format that the path names, errors too."""
        form = form_of(request.path)
        try:
            answer = await super().receive(request, deliver)
        except ChannelError as error:
            self.refused(error.reason)
            return told(form, error)
        return rendered(form, "requests", orjson.loads(answer.body), answer.status)

    def authenticate(self, request: Request) -> Admission:
        """The api_key, the jurisdiction and a form that can be read."""
        kind = request.header("content-type")
        sent = {**fields("", request.query.encode()), **fields(kind, request.body)}
        client = self.client(sent.get("api_key"))
        self.pace.keep(client)
        self.check_jurisdiction(sent.get("jurisdiction_id"))
        self._read(sent)
        context = {"client": client.id, "content_type": kind or ""}
        stated = request.header("idempotency-key")
        if stated is None:
            return Admission(context=context)
        key = idempotency_key(stated)
        digest = hashlib.sha256(request.query.encode() + b"\n" + request.body).digest()
        return Admission(context=context | {"key": key}, binding=Binding(f"{client.id}\n{key}", digest))

    def client(self, key: str | None) -> ApiKey:
        """Whose api_key it is. Raise Unauthenticated."""
        offered = key_hash(key or "")
        found = [one for one in self.settings.api_keys if opens(one, offered)]
        if not key or not found:
            raise Unauthenticated("api_key", "api_key is missing or not known.")
        return found[0]

    def check_jurisdiction(self, stated: str | None) -> None:
        """Only one is served here, so it need not be stated. Raise Unacceptable (404)."""
        if stated not in {None, "", self.settings.jurisdiction_id}:
            raise Unacceptable("jurisdiction", "This jurisdiction_id is not served here.", status=404)

    def service(self, code: str | None) -> Service | None:
        """The service of that code."""
        return next((one for one in self.settings.services if one.code == code), None)

    def service_of(self, envelope: Envelope) -> Service | None:
        """Which service a kept request asks for."""
        try:
            return self.service(_form_of(envelope).get("service_code"))
        except Unacceptable:
            return None

    def acknowledge(self, kept: Kept) -> Answer:
        """The receipt is the request's id: it leads to the matter once there is one."""
        taken = {"service_request_id": str(kept.receipt), "service_notice": NOTICE, "account_id": None}
        return rendered("json", "requests", [taken], 201)

    def refuse(self, error: ChannelError) -> Answer:
        """As the specification has errors; JSON where the format is not known."""
        return told("json", error)

    def parse(self, envelope: Envelope) -> Parsed:
        """The form, read again."""
        try:
            form, service = self._read(_form_of(envelope))
        except Unacceptable as error:
            raise Malformed(error.reason) from None
        return (_message(form, service, envelope),)

    def _read(self, sent: dict[str, str]) -> tuple[RequestForm, Service]:
        """The form and its service. Raise Unacceptable."""
        try:
            form = RequestForm.model_validate({name: value for name, value in sent.items() if value})
        except ValidationError as error:
            raise Unacceptable("form", sentence(error), status=400) from None
        service = self.service(form.service_code)
        if service is None:
            raise Unacceptable("service_code", "There is no service of this service_code.", status=404)
        if (form.lat is None) != (form.long is None):
            raise Unacceptable("position", "lat and long go together.", status=400)
        if not (form.description or form.address_string or form.media_url or form.lat is not None):
            raise Unacceptable(
                "empty", "Send a description, an address_string, lat and long, or a media_url.", status=400
            )
        return form, service


def _form_of(envelope: Envelope) -> dict[str, str]:
    """All fields, of the query and of the body. Raise Unacceptable."""
    return {**fields("", envelope.query.encode()), **fields(envelope.context.get("content_type"), envelope.body)}


def told(form: Form, error: ChannelError) -> Answer:
    """What was wrong, without a word of what came in."""
    match error:
        case Unauthenticated():
            return refused(form, 403, error.detail or "The request is not authentic.")
        case Rebound():
            return refused(form, 422, "This Idempotency-Key already stands for another request; take a new one.")
        case TooMany():
            wait = {"Retry-After": str(max(1, math.ceil(error.after_seconds)))}
            return replace(refused(form, 429, error.detail), headers=wait)
        case Unacceptable():
            return refused(form, error.status, error.detail)
        case Unavailable():
            return refused(form, 503, "Nothing was kept; try again.")
        case _:
            return refused(form, 400, "The request cannot be read.")


def _message(form: RequestForm, service: Service, envelope: Envelope) -> Message:
    client = envelope.context["client"]
    return Message(
        key_space="open311",
        account=client,
        sender=_sender(form, envelope),
        provider_id=envelope.context.get("key"),
        text=form.description or "",
        title=None if form.description else service.name,
        attachments=_media(form),
        place=_place(form),
        name=_name(form),
        contacts=_contacts(form),
        matter_kind=service.kind,
    )


def _sender(form: RequestForm, envelope: Envelope) -> Contact:
    """As the client knows him, who has not been asked for a proof; else nobody we would know again."""
    stated = {"account": form.account_id, "device": form.device_id, "mail": form.email, "phone": form.phone}
    known = next((f"{what}:{value}" for what, value in stated.items() if value), f"request:{envelope.id}")
    return Contact(type=ContactType.APP, value=known, assurance=Assurance.ASSERTED)


def _contacts(form: RequestForm) -> tuple[Contact, ...]:
    numbers = phones(form.phone or "")
    found = [Contact(type=ContactType.PHONE, value=one.value, assurance=Assurance.ASSERTED) for one in numbers[:1]]
    if form.email and form.email.count("@") == 1 and not form.email.startswith("@") and not form.email.endswith("@"):
        found.append(Contact(type=ContactType.MAIL, value=form.email, assurance=Assurance.ASSERTED))
    return tuple(found)


def _name(form: RequestForm) -> str | None:
    """Family name first, as in Chinese; apart where it is written in letters."""
    family, given = form.last_name or "", form.first_name or ""
    latin = (family + given).isascii()
    return (f"{given} {family}" if latin else f"{family}{given}").strip() or None


def _place(form: RequestForm) -> Place | None:
    """GeoReport's positions are WGS-84."""
    if form.lat is None and not form.address_string:
        return None
    system = CoordinateSystem.WGS_84 if form.lat is not None else None
    return Place(text=form.address_string, longitude=form.long, latitude=form.lat, crs=system)


def _media(form: RequestForm) -> tuple[Attachment, ...]:
    """A link that anybody could have written: it is named, never followed."""
    if form.media_url is None:
        return ()
    return (Attachment(id="0", kind=AttachmentKind.LINK, reference=form.media_url),)
