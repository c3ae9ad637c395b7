"""The core fetches what citizens sent; nobody else does, and nothing of it runs in a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from channels.clients import key_hash
from channels.simulated.app import AppPeer
from gateway.testing import RunningGateway, Start
from normalizer.model import Attachment, AttachmentKind, HotlineMatter
from store.tables import MATTERS

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
HTML = b"<html><script>alert(1)</script></html>"
KEY, OTHER = "key-of-the-core", "key-that-may-only-tell"


def with_core(document: dict[str, Any]) -> None:
    document["channels"] = {"app": document["channels"]["app"]}
    document["core"]["clients"] = [
        {"id": "core", "key_hash": key_hash(KEY), "scopes": ["attachments:read"]},
        {"id": "other", "key_hash": key_hash(OTHER), "scopes": ["updates:write"]},
    ]


async def matter_with(gateway: RunningGateway, *contents: tuple[bytes, str]) -> HotlineMatter:
    """A filed matter that holds these."""
    peer = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
    await peer.say("路灯坏了，见图", sender="1", message_id="1", at=datetime.now(UTC)).send(gateway)
    await gateway.settle()
    store = gateway.node.store
    files = gateway.node.outward.files
    names = [await files.put(content) for content, _ in contents]
    held = tuple(
        Attachment(
            id=str(number), kind=AttachmentKind.IMAGE, media_type=media_type, sha256=names[number], availability="held"
        )
        for number, (_, media_type) in enumerate(contents)
    )

    def write(connection: Any) -> None:
        document = connection.execute(select(MATTERS.c.document)).scalar_one()
        document["attachments"] = [one.model_dump(mode="json") for one in held]
        connection.execute(update(MATTERS).values(document=document))

    await store._database.write(write)
    (matter,) = await gateway.matters()
    return matter


async def get(gateway: RunningGateway, path: str, key: str = KEY) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as client:
        return await client.get(path, headers={"authorization": f"Bearer {key}"})


async def test_the_core_gets_the_content_as_it_came(start_gateway: Start) -> None:
    async with start_gateway(with_core) as gateway:
        matter = await matter_with(gateway, (PNG, "image/png"), (HTML, "text/html"))
        path = f"/v1/matters/{matter.matter_id}/attachments"
        picture, page = await get(gateway, f"{path}/0"), await get(gateway, f"{path}/1")
    assert (picture.status_code, picture.content, picture.headers["content-type"]) == (200, PNG, "image/png")
    assert (page.content, page.headers["content-type"]) == (HTML, "application/octet-stream")
    for answer in (picture, page):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"] == "attachment"
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("key", "number", "status"), [("unknown", "0", 401), (OTHER, "0", 403), (KEY, "1", 404), (KEY, "../0", 404)]
)
async def test_nobody_else_and_nothing_else(start_gateway: Start, key: str, number: str, status: int) -> None:
    async with start_gateway(with_core) as gateway:
        matter = await matter_with(gateway, (PNG, "image/png"))
        answer = await get(gateway, f"/v1/matters/{matter.matter_id}/attachments/{number}", key)
    assert answer.status_code == status
    assert PNG not in answer.content


async def test_what_was_changed_on_the_disk_is_not_given_out(start_gateway: Start) -> None:
    async with start_gateway(with_core) as gateway:
        matter = await matter_with(gateway, (PNG, "image/png"))
        (place,) = [path for path in (gateway.secrets.parent / "files").rglob("*") if path.is_file()]
        place.write_bytes(place.read_bytes()[:-1] + b"x")
        answer = await get(gateway, f"/v1/matters/{matter.matter_id}/attachments/0")
    assert answer.status_code == 404
