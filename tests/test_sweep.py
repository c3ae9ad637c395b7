"""Uploads that no message names, swept by the running gateway; those that one names stay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from channels.simulated.app import AppPeer
from gateway import sweep as module
from gateway.clock import now
from gateway.sweep import sweep
from gateway.testing import RunningGateway, Start
from store.errors import StoreUnavailable
from store.tables import UPLOADS
from store.uploads import PATIENCE
from tests.handing import until
from tests.store.conftest import run
from tests.test_uploads import PNG, peer, uploaded

AMR = b"#!AMR\n" + b"\x3c" * 40
LATER = timedelta(seconds=1)


def there(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "files").rglob("*"))


async def names(gateway: RunningGateway, app: AppPeer, *attachment_ids: str, key: str = "k") -> None:
    body: dict[str, Any] = {"user": {"id": "u"}, "text": "见图"}
    body["attachments"] = [{"attachment_id": one} for one in attachment_ids]
    assert (await app.post(body, key=key).send(gateway)).status == 202


async def test_an_upload_waits_a_week_for_its_message_and_one_that_has_it_stays(
    start_gateway: Start, tmp_path: Path
) -> None:
    async with start_gateway() as gateway, httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as http:
        node, app = gateway.node, peer(gateway)
        files, store = node.outward.files, node.store
        picture, speech = [(await uploaded(http, app.key, content))["attachment_id"] for content in (PNG, AMR)]
        assert await sweep(store, files, lambda: now() + PATIENCE - LATER) == 0
        await names(gateway, app, picture)
        await gateway.settle()
        assert (await sweep(store, files, lambda: now() + PATIENCE + LATER), there(tmp_path)) == (1, 1)
        await names(gateway, app, picture, speech, key="late")
        await gateway.settle()
        shown = [one.availability for one in (await gateway.matters())[-1].attachments]
        assert shown == ["held", "missing"], "who comes too late is told so, and his words are there"
        again = await uploaded(http, app.key, AMR)
        assert (await files.get(again["sha256"]), there(tmp_path)) == (AMR, 2)


async def test_a_sweep_that_is_cut_off_is_ended_by_the_next(start_gateway: Start, tmp_path: Path) -> None:
    async with start_gateway() as gateway, httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as http:
        node = gateway.node
        await uploaded(http, peer(gateway).key, PNG)
        async with gateway.store_down():
            with pytest.raises(StoreUnavailable):
                await sweep(node.store, node.outward.files, lambda: now() + PATIENCE + LATER)
        assert there(tmp_path) == 0
        assert await sweep(node.store, node.outward.files, lambda: now() + PATIENCE + LATER) == 1
        assert await sweep(node.store, node.outward.files, lambda: now() + PATIENCE + LATER) == 0
        assert (await gateway.books())["balanced"]


async def test_the_gateway_sweeps_by_itself_and_goes_on_after_a_fault(
    start_gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.05)
    async with start_gateway() as gateway, httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as http:
        await uploaded(http, peer(gateway).key, PNG)
        async with gateway.store_down():
            monkeypatch.setattr(module, "PATIENCE", -LATER)
            await until(lambda: asyncio.sleep(0, there(tmp_path) == 0))
        await until(lambda: _forgotten(gateway))


async def _forgotten(gateway: RunningGateway) -> bool:
    return not await run(gateway.node.store, select(UPLOADS.c.id))
