"""Open311 GeoReport v2, also by an independent client: ``three`` (on the Python package index)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from pydantic import ValidationError

from channels.base import Admission, Request
from channels.clients import key_hash
from channels.errors import Malformed
from channels.open311 import Open311
from channels.simulated import HttpDelivery
from channels.simulated.open311 import Open311Peer
from channels.testing import Cases, Expected, check_channel
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, AttachmentKind, ContactType, MatterKind, Message
from store.errors import StoreUnavailable

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY, OTHER = "q" * 43, "z" * 43
SETTINGS = {
    "kind": "open311",
    "jurisdiction_id": "jinan.example",
    "api_keys": [{"id": "reporter", "key_hash": key_hash(KEY)}, {"id": "other", "key_hash": key_hash(OTHER)}],
}
SECRETS = ("张三", "13800138000", "zhang@example", "文化路", "路灯不亮", "117.02")


def channel(**more: Any) -> Open311:
    return Open311("reports", Open311.Settings.model_validate(SETTINGS | more))


def read(fields: dict[str, str]) -> Message:
    reports = channel()
    delivery = Open311Peer("open311", reports.settings, key=KEY).post(fields)
    headers = tuple((name.encode(), value.encode()) for name, value in delivery.headers.items())
    asked = Request("POST", delivery.target, "", headers, delivery.body, "127.0.0.1", "https://h/", AT)
    (message,) = reports.parse(reports.envelope(asked.body, AT, admission=reports.authenticate(asked)))
    return message


@pytest.fixture
async def gateway(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    def with_reports(document: dict) -> None:
        document["channels"]["open311"] = SETTINGS
        core = {"id": "core", "key_hash": key_hash("c" * 43), "scopes": ["updates:write"]}
        document["core"]["clients"] = [core]

    async with start_gateway(with_reports) as running:
        yield running


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{gateway.http_url}/open311/v2", trust_env=False) as client:
        yield client


def peer(gateway: RunningGateway, key: str = KEY) -> Open311Peer:
    return Open311Peer("open311", gateway.channel("open311").settings, key=key)


# -- what a form becomes -----------------------------------------------------------------------------------------------


def test_everything_the_specification_names_is_read() -> None:
    message = read(
        {
            "service_code": "streetlight",
            "lat": "36.66",
            "long": "117.02",
            "address_string": "文化路",
            "email": "zhang@example.com",
            "device_id": "d-1",
            "account_id": "a-1",
            "first_name": "三",
            "last_name": "张",
            "phone": "138 0013 8000",
            "description": "路灯不亮",
            "media_url": "https://pictures.example/1.jpg",
            "attribute[X]": "whatever",
        }
    )
    assert (message.text, message.name, message.matter_kind) == ("路灯不亮", "张三", MatterKind.HELP)
    assert (message.sender.type, message.sender.value, message.account) == (ContactType.APP, "account:a-1", "reporter")
    assert [(one.type, one.value, one.assurance) for one in message.contacts] == [
        (ContactType.PHONE, "+8613800138000", Assurance.ASSERTED),
        (ContactType.MAIL, "zhang@example.com", Assurance.ASSERTED),
    ]
    place = message.place
    assert place is not None
    assert (place.text, place.longitude, place.latitude, place.crs) == ("文化路", 117.02, 36.66, "WGS-84")
    assert [(one.kind, one.reference) for one in message.attachments] == [
        (AttachmentKind.LINK, "https://pictures.example/1.jpg")
    ]


def test_without_words_the_service_is_the_title_and_without_an_account_he_is_nobody_we_would_know_again() -> None:
    first, second = (read({"service_code": "manhole", "address_string": "文化路"}) for _ in range(2))
    assert (first.title, first.text) == ("井盖缺失或破损", "")
    assert first.sender.value.startswith("request:") and first.sender != second.sender


@pytest.mark.parametrize(
    "change",
    [
        {"api_keys": []},
        {"jurisdiction_id": ""},
        {"services": []},
        {"services": [{"code": "a", "name": "x"}, {"code": "a", "name": "y"}]},
    ],
    ids=["no keys", "no jurisdiction", "no services", "a code twice"],
)
def test_settings_that_cannot_work_stop_the_start(change: dict) -> None:
    with pytest.raises(ValidationError):
        channel(**change)


# -- through the real entrance -----------------------------------------------------------------------------------------

GOOD = {"service_code": "streetlight", "description": "路灯不亮"}
ODD = {
    "no service_code": {"description": "x"},
    "unknown service_code": {"service_code": "joke", "description": "x"},
    "nothing said": {"service_code": "streetlight"},
    "half a position": GOOD | {"lat": "36.6"},
    "position off the earth": GOOD | {"lat": "136.6", "long": "1"},
    "position is a word": GOOD | {"lat": "north", "long": "1"},
    "position is no number": GOOD | {"lat": "nan", "long": "1"},
    "another jurisdiction": GOOD | {"jurisdiction_id": "elsewhere.example"},
    "words too long": GOOD | {"description": "x" * 20_001},
}


async def test_conformance(gateway: RunningGateway) -> None:
    reports = peer(gateway)
    odd: dict[str, HttpDelivery] = {
        label: reports.post(fields, idempotency_key=f"odd-{n}") for n, (label, fields) in enumerate(ODD.items())
    }
    odd["not UTF-8"] = reports.raw(f"api_key={KEY}&service_code=streetlight&description=".encode() + b"%C4%E3%BA%C3")
    odd["a thousand fields"] = reports.raw(f"api_key={KEY}".encode() + b"&a=b" * 1000)
    odd["an empty multipart"] = reports.raw(b"--x", **{"content-type": "multipart/form-data; boundary=y"})
    odd["an Idempotency-Key that is none"] = reports.post(GOOD, idempotency_key="a b")
    position = GOOD | {"lat": "36.66", "long": "117.02"}
    await check_channel(
        "open311",
        Cases(
            peer=reports,
            readable={
                "json": (reports.say("路灯不亮", sender="1", message_id="1", at=AT), Expected(text="路灯不亮")),
                "xml, no key": (reports.post(GOOD, form="xml"), Expected(text="路灯不亮")),
                "position": (reports.post(position, idempotency_key="p"), Expected(position=(117.02, 36.66))),
            },
            forged={
                "no api_key": reports.post(GOOD, key=""),
                "another api_key": reports.post(GOOD, key="x" * 43),
                "the hash itself": reports.post(GOOD, key=key_hash(KEY)),
            },
            odd=odd,
            strict=True,
            oversized={"200 KiB": reports.post(GOOD | {"description": "x" * 200_000})},
        ),
        gateway,
    )


async def test_errors_are_what_the_specification_says_in_both_formats(
    gateway: RunningGateway, http: httpx.AsyncClient
) -> None:
    for form in ("json", "xml"):
        asked = {
            "services/joke": 404,
            "requests/nonsense": 404,
            "requests/0198c0de-0000-7000-8000-000000000000": 404,
            "tokens/nonsense": 404,
            "requests": 403,
            "nothing": 404,
            f"services.{form}?jurisdiction_id=elsewhere&x=": 404,
            f"requests.{form}?api_key={KEY}&start_date=yesterday&x=": 400,
            f"requests.{form}?api_key={KEY}&start_date=2026-01-01T00:00:00&x=": 400,
        }
        for path, status in asked.items():
            answer = await http.get(path if "?" in path else f"{path}.{form}")
            assert (answer.status_code, answer.headers["content-type"]) == (
                status,
                f"application/{form}; charset=utf-8",
            ), path
            assert _error(form, answer.content)[0] == str(status), path
        answer = await http.post(f"requests.{form}", data=GOOD)
        assert (answer.status_code, _error(form, answer.content)[0]) == (403, "403")


def _error(form: str, body: bytes) -> tuple[str, str]:
    if form == "json":
        (one,) = json.loads(body)
        assert set(one) == {"code", "description"}
        return one["code"], one["description"]
    root = ET.fromstring(body)
    assert root.tag == "errors" and [child.tag for child in root] == ["error"]
    return root.findtext("error/code") or "", root.findtext("error/description") or ""


async def test_of_a_request_only_its_state_is_told(gateway: RunningGateway, http: httpx.AsyncClient) -> None:
    told = GOOD | {"address_string": "文化路", "first_name": "三", "last_name": "张", "lat": "36.66", "long": "117.02"}
    answer = await peer(gateway).post(told | {"phone": "13800138000", "email": "zhang@example.com"}).send(gateway)
    (taken,) = json.loads(answer.body)
    number = taken["service_request_id"]
    assert answer.status == 201 and taken["service_notice"]
    await gateway.settle()
    (matter,) = await gateway.matters()
    shown = await http.get(f"requests/{number}.json")
    (one,) = shown.json()
    assert (one["status"], one["service_code"], one["updated_datetime"]) == ("open", "streetlight", None)
    assert datetime.fromisoformat(one["requested_datetime"]).tzinfo is not None
    for path in (
        f"requests/{number}.json",
        f"requests/{number}.xml",
        f"tokens/{number}.json",
        f"requests.json?api_key={KEY}",
    ):
        body = (await http.get(path)).text
        assert number in body and not any(secret in body for secret in SECRETS), path
    update = json.dumps({"type": "closed", "text": ""}).encode()
    headers = {"authorization": "Bearer " + "c" * 43, "idempotency-key": "1", "content-type": "application/json"}
    assert (await HttpDelivery(f"/v1/matters/{matter.matter_id}/updates", update, headers).send(gateway)).status == 202
    (one,) = (await http.get(f"requests/{number}.json")).json()
    assert one["status"] == "closed" and one["updated_datetime"]
    root = ET.fromstring((await http.get(f"requests/{number}.xml")).content)
    assert root.tag == "service_requests" and root.findtext("request/status") == "closed"


async def test_a_list_holds_the_clients_own_by_number_service_state_and_time(
    gateway: RunningGateway, http: httpx.AsyncClient
) -> None:
    numbers = []
    for client, code in ((KEY, "streetlight"), (KEY, "noise"), (OTHER, "noise")):
        answer = await peer(gateway, client).post({"service_code": code, "description": "x"}).send(gateway)
        numbers.append(json.loads(answer.body)[0]["service_request_id"])
    await gateway.settle()
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    cases: dict[str, tuple[dict[str, str], list[str]]] = {
        "own": ({}, [numbers[1], numbers[0]]),
        "by service": ({"service_code": "noise"}, [numbers[1]]),
        "by number": ({"service_request_id": f"{numbers[0]},{numbers[2]}"}, [numbers[0]]),
        "open": ({"status": "open"}, [numbers[1], numbers[0]]),
        "closed": ({"status": "closed"}, []),
        "later": ({"start_date": later, "end_date": later}, []),
    }
    for label, (asked, wanted) in cases.items():
        found = await http.get("requests.json", params={"api_key": KEY} | asked)
        assert [one["service_request_id"] for one in found.json()] == wanted, label


async def test_a_path_is_read_and_written_and_takes_nothing_else(
    gateway: RunningGateway, http: httpx.AsyncClient
) -> None:
    assert (await http.put("requests.json")).status_code == 405
    assert (await http.post("services.json")).status_code == 404
    assert (await http.get("requests.xml")).status_code == 403


async def test_while_the_store_is_away_a_reader_is_told_so_in_the_protocols_words(
    gateway: RunningGateway, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(gateway.node.store, "receipt", away)
    answer = await http.get("requests/0198c0de-0000-7000-8000-000000000000.json")
    assert (answer.status_code, _error("json", answer.content)[0]) == (503, "503")


async def test_who_posts_too_often_is_told_when_to_try_again(start_gateway: Start) -> None:
    def slow(document: dict) -> None:
        keys = [{"id": "reporter", "key_hash": key_hash(KEY), "requests_per_minute": 1}]
        document["channels"]["open311"] = SETTINGS | {"api_keys": keys}

    async with start_gateway(slow) as gateway, httpx.AsyncClient(trust_env=False) as http:
        url = f"{gateway.http_url}/open311/v2/requests.json"
        answers = [await http.post(url, data=GOOD | {"api_key": KEY}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 429]
        answers.append(await http.get(url, params={"api_key": KEY}))
        assert answers[2].status_code == 429
        assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in answers[1:])
        await gateway.settle()


# -- an independent client ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """It was written for Python 2 and needs one function of it."""
    monkeypatch.setattr(itertools, "ifilter", filter, raising=False)
    import three as found  # noqa: PLC0415 - only importable now

    return found


async def test_an_independent_client_reads_services_reports_and_follows(
    gateway: RunningGateway, three: ModuleType
) -> None:
    endpoint = f"{gateway.http_url}/open311/v2/"
    client = three.Three(endpoint, api_key=KEY, jurisdiction="jinan.example")
    services = await asyncio.to_thread(client.services)
    assert {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"} == set(services[0])
    assert (await asyncio.to_thread(client.services, "noise"))["service_code"] == "noise"
    posted = await asyncio.to_thread(
        client.post, "noise", name="San Zhang", phone="13800138000", address="文化路", description="夜里施工"
    )
    number = posted[0]["service_request_id"]
    await gateway.settle()
    (matter,) = await gateway.matters()
    assert (matter.content, matter.kind, matter.party.name) == ("夜里施工", MatterKind.COMPLAINT, "San Zhang")
    assert (await asyncio.to_thread(client.token, number))[0]["service_request_id"] == number
    assert (await asyncio.to_thread(client.request, number))[0]["status"] == "open"
    listed = await asyncio.to_thread(lambda: client.requests("noise", api_key=KEY))
    assert [one["service_request_id"] for one in listed] == [number]
    assert (await asyncio.to_thread(client.discovery))["endpoints"][0]["url"].endswith("/open311/v2")
    stranger = three.Three(endpoint, api_key="x")
    assert (await asyncio.to_thread(stranger.post, "noise", description="x"))[0]["code"] == "403"


async def test_a_form_with_a_file_is_read_and_the_file_left_aside(
    gateway: RunningGateway, http: httpx.AsyncClient
) -> None:
    fields = GOOD | {"api_key": KEY}
    answer = await http.post("requests.json", data=fields, files={"media": ("a.png", b"\x89PNG", "image/png")})
    assert answer.status_code == 201
    await gateway.settle()
    (matter,) = await gateway.matters()
    assert (matter.content, matter.attachments) == ("路灯不亮", ())


def test_an_old_envelope_of_a_service_that_is_gone_is_malformed() -> None:
    reports = channel()
    form = {"content_type": "application/x-www-form-urlencoded", "client": "reporter"}
    with pytest.raises(Malformed):
        reports.parse(reports.envelope(b"service_code=gone&description=x", AT, admission=Admission(context=form)))
