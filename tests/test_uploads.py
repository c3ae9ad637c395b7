"""Uploads of API clients, from the form to the core."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.clients import key_hash
from channels.simulated.app import AppPeer
from channels.simulated.partner import PartnerPeer
from gateway import uploads
from gateway.testing import RunningGateway, Start
from normalizer.model import Attachment, HotlineMatter

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
OTHER, READER, MARKET, CORE = "o" * 43, "r" * 43, "m" * 43, "c" * 43
PIECES = b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + PIECES + struct.pack(">I", zlib.crc32(PIECES)) + b"\0" * 12
URL = "/v1/attachments"


def configured(document: dict) -> None:
    app = document["channels"]["app"]
    app["clients"] += [
        {"id": "other", "key_hash": key_hash(OTHER), "scopes": ["messages:write"]},
        {"id": "reader", "key_hash": key_hash(READER), "scopes": ["messages:read"]},
    ]
    market = {"id": "city-app", "key_hash": key_hash(MARKET), "scopes": ["transfers:write"]}
    document["channels"]["partner"] = {"kind": "partner", "clients": [market]}
    document["core"]["clients"] = [{"id": "core", "key_hash": key_hash(CORE), "scopes": ["attachments:read"]}]


@pytest.fixture
async def gateway(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    async with start_gateway(configured) as running:
        yield running


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.http_url, trust_env=False, timeout=30) as client:
        yield client


def peer(gateway: RunningGateway, key: str = "") -> AppPeer:
    own = key or (gateway.secrets / "app-key").read_text()
    return AppPeer("app", gateway.channel("app").settings, key=own)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def uploaded(http: httpx.AsyncClient, key: str, content: bytes, name: str = "灯.png") -> dict[str, Any]:
    answer = await http.post(URL, headers=bearer(key), files={"file": (name, content, "image/jpeg")})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def named(gateway: RunningGateway, app: AppPeer, *given: dict[str, Any]) -> HotlineMatter:
    body = {"user": {"id": "u"}, "text": "见图", "attachments": list(given)}
    assert (await app.post(body, key="k").send(gateway)).status == 202
    await gateway.settle()
    (matter,) = await gateway.matters()
    return matter


def shown(attachment: Attachment) -> tuple[Any, ...]:
    return attachment.availability, attachment.media_type, attachment.size, attachment.sha256, attachment.file_name


async def test_what_is_uploaded_and_named_reaches_the_core_whole(
    gateway: RunningGateway, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    app, voice = peer(gateway), b"#!AMR\n" + b"\x3c" * 40
    picture = await uploaded(http, app.key, PNG)
    speech = await uploaded(http, app.key, voice, "v.amr")
    assert (picture["media_type"], picture["size"], picture["sha256"]) == (
        "image/png",
        len(PNG),
        hashlib.sha256(PNG).hexdigest(),
    )
    lying = {"attachment_id": picture["attachment_id"], "sha256": "0" * 64, "media_type": "video/mp4", "size": 1}
    matter = await named(gateway, app, lying, {"attachment_id": speech["attachment_id"]})
    assert [shown(one) for one in matter.attachments] == [
        ("held", "image/png", len(PNG), picture["sha256"], "灯.png"),
        ("held", "audio/amr", len(voice), speech["sha256"], "v.amr"),
    ]
    newest = list(gateway.core.events.values())[-1]["data"]
    assert [one["availability"] for one in newest["attachments"]] == ["held", "held"]
    for one, content in zip(matter.attachments, (PNG, voice), strict=True):
        answer = await http.get(f"/v1/matters/{matter.matter_id}/attachments/{one.id}", headers=bearer(CORE))
        assert answer.content == content
    sealed = [file.read_bytes() for file in (tmp_path / "files").rglob("*") if file.is_file()]
    assert len(sealed) == 2 and not any(PNG[:40] in kept or voice[:20] in kept for kept in sealed)


@pytest.mark.parametrize("whose", ["another client's", "nobody's", "another channel's"])
async def test_what_is_not_the_clients_own_is_shown_as_missing_and_holds_up_nothing(
    gateway: RunningGateway, http: httpx.AsyncClient, whose: str
) -> None:
    key = {"another client's": OTHER, "another channel's": MARKET}.get(whose)
    foreign = (await uploaded(http, key, PNG))["attachment_id"] if key else "u" + "0" * 32
    own = (await uploaded(http, peer(gateway).key, PNG))["attachment_id"]
    claim = {"attachment_id": foreign, "sha256": hashlib.sha256(PNG).hexdigest()}
    matter = await named(gateway, peer(gateway), claim, {"attachment_id": own})
    assert [(one.availability, one.sha256 is None) for one in matter.attachments] == [
        ("missing", True),
        ("held", False),
    ]
    assert matter.content == "见图"


async def test_a_platforms_upload_is_its_own(gateway: RunningGateway, http: httpx.AsyncClient) -> None:
    linked = PartnerPeer("partner", gateway.channel("partner").settings, key=MARKET)
    upload = await uploaded(http, MARKET, b"%PDF-1.7\n" + b"x" * 100, "../../etc/合同.pdf")
    body = {"platform": "12315", "platform_number": "7", "attachments": [{"attachment_id": upload["attachment_id"]}]}
    assert (await linked.post(body, key="k").send(gateway)).status == 202
    await gateway.settle()
    (matter,) = await gateway.matters()
    assert shown(matter.attachments[0])[:2] == ("held", "application/pdf")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\x02#!SILK_V3" + b"x" * 20, "audio/silk"),
        (b"MZ" + b"\0" * 100, "application/x-msdownload"),
        (b"<html><script>alert(1)</script>", "application/octet-stream"),
        ("只是文字".encode(), "text/plain"),
    ],
    ids=["silk", "a program called a picture", "a page", "text"],
)
async def test_the_content_says_what_it_is(
    gateway: RunningGateway, http: httpx.AsyncClient, content: bytes, media_type: str
) -> None:
    assert (await uploaded(http, OTHER, content, "a.png"))["media_type"] == media_type


BOUNDARY = "b0"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: tuple[str, bytes], end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    pieces = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    ]
    return b"".join(pieces) + end.encode()


FILE = ('name="file"; filename="a.png"', PNG)
REFUSED: dict[str, tuple[dict[str, str], bytes, int]] = {
    "no key": (FORM | {"authorization": ""}, form(FILE), 401),
    "an unknown key": (FORM | bearer("x" * 43), form(FILE), 401),
    "a key that only reads": (FORM | bearer(READER), form(FILE), 403),
    "no form": ({"content-type": "image/png"}, PNG, 400),
    "no boundary": ({"content-type": "multipart/form-data"}, form(FILE), 400),
    "cut off": (FORM, form(FILE, end=""), 400),
    "another boundary": (FORM, form(FILE).replace(b"b0", b"b1"), 400),
    "a header without an end": (FORM, f"--{BOUNDARY}\r\nContent-Disposition: {'x' * 9000}".encode(), 400),
    "a hundred parts": (FORM, form(*[('name="x"', b"y")] * 100), 400),
    "nothing in it": (FORM, form(), 422),
    "no file": (FORM, form(('name="file"', PNG)), 422),
    "an empty file": (FORM, form(('name="file"; filename="a.png"', b"")), 422),
    "two files": (FORM, form(FILE, FILE), 422),
    "a file over the limit": (FORM, form(('name="file"; filename="a.png"', b"x" * 2001)), 413),
    "a body over the limit": (FORM, form(('name="x"', b"x" * 30_000), FILE), 413),
}


async def test_whatever_a_client_does_wrong_is_told_in_a_sentence_and_nothing_is_kept(
    gateway: RunningGateway, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 2000)
    monkeypatch.setattr(uploads, "AROUND", 20_000)
    for label, (headers, body, status) in REFUSED.items():
        answer = await http.post(URL, headers=bearer(OTHER) | headers, content=body)
        assert answer.status_code == status, (label, answer.text)
        assert answer.headers["content-type"] == "application/problem+json", label
        assert answer.json()["detail"].endswith("."), label
    assert not any(file.is_file() for file in (tmp_path / "files").rglob("*"))
    whole = await http.post(URL, headers=bearer(OTHER) | FORM, content=form(FILE))
    assert whole.status_code == 201, "the table above is not refused for another reason"


async def test_while_the_store_is_down_the_client_is_told_to_try_again(
    gateway: RunningGateway, http: httpx.AsyncClient
) -> None:
    async with gateway.store_down():
        answer = await http.post(URL, headers=bearer(OTHER), files={"file": ("a.png", PNG)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert json.loads(answer.content)["type"] == "/problems/unavailable"
    assert (await uploaded(http, OTHER, PNG))["size"] == len(PNG)
