"""Reading by Open311 GeoReport v2: services for everybody, and how a request stands.

Of a request only its state is told, never what it says or who brought it: whoever has its id may be anybody. A list needs
the api_key, and holds that client's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from channels.base import Answer, AnyChannel
from channels.errors import ChannelError, Unacceptable
from channels.open311 import PATH, Open311, told
from channels.open311_services import Service
from channels.open311_xml import Form, Item, form_of, refused, rendered
from gateway.clock import Clock
from normalizer.model import Envelope, Status
from store.errors import StoreUnavailable
from store.store import Store

#: Requests of one list, how far back it goes by default, and envelopes looked at for it.
LISTED, SPAN, LOOKED_AT = 50, timedelta(days=90), 500
_PATH = re.compile(r"(discovery|services|requests|tokens)(?:/([^/]{1,200}?))?\.(?:json|xml)")
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"


def open311(channels: Mapping[str, AnyChannel], store: Store, clock: Clock, public_url: str) -> APIRouter:
    """The routes: none where no channel of this kind is configured."""
    router = APIRouter()
    found = [channel for channel in channels.values() if isinstance(channel, Open311)]
    if not found:
        return router
    reading = _Reading(found[0], store, clock, public_url)

    @router.api_route(PATH + "/{rest:path}", methods=["GET", "POST"], include_in_schema=False)
    async def read(rest: str, request: Request) -> Response:
        answer = await reading.answer(rest, request)
        return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)

    return router


class _Reading:
    """One channel's services, and its requests in the books."""

    def __init__(self, channel: Open311, store: Store, clock: Clock, public_url: str) -> None:
        self._channel, self._store, self._clock, self._url = channel, store, clock, public_url

    async def answer(self, rest: str, request: Request) -> Answer:
        """In the format of the path, errors too."""
        form, asked = form_of(rest), dict(request.query_params)
        try:
            self._channel.check_jurisdiction(asked.get("jurisdiction_id"))
            return await self._answer(form, rest, request.method, asked)
        except ChannelError as error:
            self._channel.refused(error.reason)
            return told(form, error)
        except StoreUnavailable:
            return refused(form, 503, "The store is not available; try again.")

    async def _answer(self, form: Form, rest: str, method: str, asked: dict[str, str]) -> Answer:
        path = _PATH.fullmatch(rest)
        match (method, *(path.groups() if path else ())):
            case ("GET", "discovery", None):
                return rendered(form, "discovery", self._discovery())
            case ("GET", "services", None):
                return rendered(form, "services", [_service(one) for one in self._channel.settings.services])
            case ("GET", "services", str(code)):
                return rendered(form, "definition", self._definition(code))
            case ("GET", "requests", None):
                return rendered(form, "requests", await self._list(asked))
            case ("GET", "requests", str(number)):
                return rendered(form, "requests", [await self._request(number)])
            case ("GET", "tokens", str(token)):
                one = await self._request(token)
                found = {"service_request_id": one["service_request_id"], "token": one["service_request_id"]}
                return rendered(form, "requests", [found])
            case _:
                raise Unacceptable("path", "There is nothing here; see the specification.", status=404)

    def _discovery(self) -> dict[str, Any]:
        """https://wiki.open311.org/Service_Discovery/"""
        formats = [{"format": kind} for kind in ("application/json", "application/xml")]
        endpoint = {"specification": SPECIFICATION, "url": self._url + PATH, "type": "production", "formats": formats}
        return {"changeset": "2026-11-23T00:00:00Z", "contact": self._url, "endpoints": [endpoint]}

    def _definition(self, code: str) -> Item:
        if self._channel.service(code) is None:
            raise Unacceptable("service_code", "There is no service of this service_code.", status=404)
        return {"service_code": code, "attributes": []}

    async def _request(self, number: str) -> dict[str, str | None]:
        """Raise Unacceptable (404): what is not one of ours looks like what does not exist."""
        try:
            receipt = await self._store.receipt(UUID(number))
        except ValueError:
            receipt = None
        if receipt is None or receipt.channel != self._channel.name:
            raise Unacceptable("service_request_id", "There is no request of this service_request_id.", status=404)
        return await self._state(await self._store.envelope(receipt.receipt))

    async def _list(self, asked: dict[str, str]) -> list[dict[str, str | None]]:
        """The client's own requests, the newest first; by number, service, state or time."""
        client = self._channel.client(asked.get("api_key"))
        self._channel.pace.keep(client)
        since, until = self._span(asked)
        wanted = {name: _several(asked, name) for name in ("service_request_id", "service_code", "status")}
        found = list[dict[str, str | None]]()
        for envelope in await self._store.recent(self._channel.name, since, until, LOOKED_AT):
            if envelope.context["client"] != client.id:
                continue
            one = await self._state(envelope)
            if all(not values or one[name] in values for name, values in wanted.items()):
                found.append(one)
            if len(found) == LISTED:
                break
        return found

    def _span(self, asked: dict[str, str]) -> tuple[datetime, datetime]:
        until = _time(asked, "end_date") or self._clock()
        since = _time(asked, "start_date") or until - SPAN
        return max(since, until - SPAN), until

    async def _state(self, envelope: Envelope) -> dict[str, str | None]:
        receipt, service = await self._store.receipt(envelope.id), self._channel.service_of(envelope)
        matter = await self._store.matter(receipt.matter_id) if receipt and receipt.matter_id else None
        updates = await self._store.updates_of(matter.matter_id) if matter else []
        closed = matter is not None and matter.status is Status.CLOSED
        return {
            "service_request_id": str(envelope.id),
            "status": "closed" if closed else "open",
            "status_notes": None,
            "service_name": service.name if service else None,
            "service_code": service.code if service else None,
            "requested_datetime": _written(envelope.received_at),
            "updated_datetime": _written(updates[-1]["received_at"]) if updates else None,
        }


def _service(service: Service) -> Item:
    return {
        "service_code": service.code,
        "service_name": service.name,
        "description": service.description,
        "metadata": False,
        "type": "realtime",
        "keywords": ",".join(service.keywords),
        "group": service.group,
    }


def _several(asked: dict[str, str], name: str) -> set[str]:
    return {value.strip() for value in asked.get(name, "").split(",") if value.strip()}


def _time(asked: dict[str, str], name: str) -> datetime | None:
    """W3C's format of RFC 3339, with its offset. Raise Unacceptable (400)."""
    if not (stated := asked.get(name)):
        return None
    try:
        found = datetime.fromisoformat(stated)
    except ValueError:
        found = datetime.min  # noqa: DTZ901 - refused right below, like every time without an offset
    if found.tzinfo is None:
        raise Unacceptable("date", f"{name} is not a time as RFC 3339 has it.", status=400)
    return found


def _written(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
