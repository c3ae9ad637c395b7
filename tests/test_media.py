"""Fetching: a failing picture never delays or loses the words, and its absence is visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import select

from channels.base import Channel, File, State
from channels.errors import Missing, Unavailable
from channels.settings import ChannelSettings
from gateway import media as module
from gateway.config import ScanSettings
from gateway.media import GIVE_UP, Media, media_type_of
from gateway.metrics import Metrics
from gateway.offload import Offload
from gateway.outward import ChannelState
from gateway.scan import Scanner
from normalizer.model import AttachmentKind, Envelope, Parsed
from store.store import Store
from store.tables import MEDIA
from tests.handing import Clock
from tests.postgres import postgresql
from tests.store import conftest as build
from tests.store.conftest import key_file, opened, postgresql_url, store, url
from tests.store.test_media import PICTURE, SECOND, matter_of, with_files

__all__ = ["key_file", "opened", "postgresql", "postgresql_url", "store", "url"]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
Answer = Callable[[str, int], File]


class Album(Channel[ChannelSettings]):
    """A channel whose provider answers as it is told: by the reference, and how often it was asked."""

    kind: ClassVar[str] = "letter"
    Settings = ChannelSettings
    summary = "for tests"
    fetches = frozenset(AttachmentKind)

    def __init__(self, answer: Answer) -> None:
        super().__init__("letters", ChannelSettings(kind="letter"))
        self.answer = answer
        self.asked: list[str] = []

    def parse(self, envelope: Envelope) -> Parsed:
        return ()

    async def download(self, reference: str, state: State) -> File:
        self.asked.append(reference)
        found = self.answer(reference, self.asked.count(reference))
        if found.name == "hang":
            await asyncio.Event().wait()
        return found


@asynccontextmanager
async def fetching(
    store: Store, album: Album, folder: Path, clock: Clock, scan: ScanSettings | None = None
) -> AsyncIterator[Media]:
    box = store.mediabox("letters")
    offload = Offload()
    media = Media(
        album,
        box,
        store.files(str(folder)),
        ChannelState(store, "letters"),
        offload=offload,
        scanner=Scanner(scan, offload),
        clock=clock,
        metrics=Metrics(),
    )
    await asyncio.wait_for(box.lead.gained(), 30)
    running = asyncio.create_task(media.run())
    try:
        yield media
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await offload.close()


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def clock() -> Clock:
    made = Clock()
    made.now = build.NOW
    return made


async def test_it_is_fetched_typed_by_its_content_and_kept_sealed(store: Store, tmp_path: Path, clock: Clock) -> None:
    await with_files(store, PICTURE)
    album = Album(lambda *_: File(PNG, "text/html", "photo.html"))
    async with fetching(store, album, tmp_path / "files", clock):
        await until(lambda: _none_waits(store))
    (attachment,) = (await matter_of(store)).attachments
    assert (attachment.media_type, attachment.availability, attachment.size) == ("image/png", "held", len(PNG))
    assert attachment.sha256 is not None
    assert await store.files(str(tmp_path / "files")).get(attachment.sha256) == PNG


async def _none_waits(store: Store) -> bool:
    return not await build.run(store, select(MEDIA.c.id).where(MEDIA.c.state == "queued"))


async def test_what_fails_is_tried_again_and_others_are_not_held_up(store: Store, tmp_path: Path, clock: Clock) -> None:
    def answer(reference: str, times: int) -> File:
        if reference == "media:one" and times < 3:
            raise Unavailable("timeout") if times == 1 else RuntimeError("a fault of ours")
        return File(PNG)

    await with_files(store, PICTURE, SECOND)
    album = Album(answer)
    async with fetching(store, album, tmp_path / "files", clock) as media:
        await until(lambda: _held(store, [False, True]))
        for _ in range(2):
            clock.now += timedelta(seconds=10)
            media.ring()
            await until(lambda: _asked(album, 2))
        clock.now += timedelta(seconds=10)
        await until(lambda: _held(store, [True, True]))
    assert album.asked.count("media:one") == 3 and album.asked.count("media:two") == 1


async def _held(store: Store, wanted: list[bool]) -> bool:
    return [one.availability == "held" for one in (await matter_of(store)).attachments] == wanted


async def _asked(album: Album, times: int) -> bool:
    return album.asked.count("media:one") >= times


@pytest.mark.parametrize("error", [Missing("gone"), Unavailable("timeout")], ids=["gone", "for three days"])
async def test_what_cannot_be_had_is_shown_as_missing(
    store: Store, tmp_path: Path, clock: Clock, error: Exception
) -> None:
    def answer(*_: Any) -> File:
        raise error

    await with_files(store, PICTURE)
    if isinstance(error, Unavailable):
        clock.now += GIVE_UP
    async with fetching(store, Album(answer), tmp_path / "files", clock):
        await until(lambda: _none_waits(store))
    assert (await matter_of(store)).attachments[0].availability == "missing"
    assert (await store.reconcile()).balanced


async def test_a_provider_that_hangs_costs_its_own_file_only(
    store: Store, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.2)
    await with_files(store, PICTURE, SECOND)
    album = Album(lambda reference, _: File(PNG, name="hang" if reference == "media:one" else None))
    async with fetching(store, album, tmp_path / "files", clock):
        await until(lambda: _held(store, [False, True]))
    assert await store.outward(build.NOW) == 1


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + bytes(30), "image/jpeg"),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"#!AMR-WB\n\x3c", "audio/amr-wb"),
        (b"\x02#!SILK_V3\x0c", "audio/silk"),
        (b"#!SILK_V3\x0c", "audio/silk"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04" + bytes(40), "application/zip"),
        (b"MZ" + bytes(200), "application/x-msdownload"),
        ("路灯坏了".encode(), "text/plain"),
        (b"<script>alert(1)</script>", "application/octet-stream"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_what_a_file_is_its_content_says(content: bytes, media_type: str) -> None:
    assert media_type_of(content) == media_type
