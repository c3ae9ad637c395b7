"""Viruses: every file of every channel is shown to the scanner; what is found is kept, shown and not given out."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from channels.base import File
from channels.clients import key_hash
from channels.simulated.app import AppPeer
from channels.simulated.smtp import SmtpPeer
from channels.simulated.wechat import WeChatPeer
from gateway.clamd import Clamd, ScannerAway, TooLarge
from gateway.config import ScanSettings
from gateway.testing import RunningGateway, Start
from normalizer.model import Attachment
from store.store import Store
from store.tables import MEDIA
from tests import scanners
from tests.handing import Clock
from tests.handing import until as soon
from tests.scanners import EICAR, FakeClamd
from tests.store import conftest as build
from tests.store.test_media import PICTURE, matter_of, with_files
from tests.test_media import (
    Album,
    _none_waits,
    clock,
    fetching,
    key_file,
    opened,
    postgresql,
    postgresql_url,
    store,
    url,
)

__all__ = ["clock", "key_file", "opened", "postgresql", "postgresql_url", "store", "url"]

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
PDF = b"%PDF-1.7\n" + bytes(100)
CORE = "c" * 43


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[scanners.Clamd]:
    with scanners.clamd(tmp_path_factory.mktemp("scan") / "clamd") as made:
        made.start()
        yield made


def zipped(content: bytes, name: str = "eicar.com") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        member = tarfile.TarInfo("eicar.com")
        member.size = len(content)
        made.addfile(member, io.BytesIO(content))
    return packed.getvalue()


# -- The client --------------------------------------------------------------------------------------------------------

INFECTED = {
    "plain": EICAR,
    "in a zip": zipped(EICAR),
    "in a zip in a zip": zipped(zipped(EICAR), "a.zip"),
    "in a gzip": gzip.compress(EICAR),
    "in a tar.gz": tarred(EICAR),
}


@pytest.mark.parametrize("content", INFECTED.values(), ids=INFECTED)
async def test_clamav_finds_it(scanner: scanners.Clamd, content: bytes) -> None:
    for address in scanner.addresses:
        assert await Clamd(address, 30).scan(content) == "Test.Eicar.UNOFFICIAL"


async def test_clamav_lets_the_rest_pass(scanner: scanners.Clamd) -> None:
    client = Clamd(scanner.addresses[0], 30)
    for content in (b"", b"words", PDF, os.urandom(1_000_000)):
        assert await client.scan(content) is None


async def test_what_is_larger_than_clamav_takes_is_told_so(scanner: scanners.Clamd) -> None:
    for address in scanner.addresses:
        with pytest.raises(TooLarge):
            await Clamd(address, 30).scan(os.urandom(scanners.STREAM_MAX + 1_000_000))


MISBEHAVES: dict[str, tuple[bytes | str, type[Exception]]] = {
    "hangs": ("hangs", ScannerAway),
    "closes in mid-stream": ("closes", ScannerAway),
    "says nothing": (b"", ScannerAway),
    "answers garbage": (b"\xff\xfe 200 OK\0", ScannerAway),
    "answers without an end": (b"stream: OK", ScannerAway),
    "answers for ever": (b"x" * 100_000, ScannerAway),
    "an error": (b"stream: Can't allocate memory ERROR\0", ScannerAway),
    "its limit": ("limit", TooLarge),
}


@pytest.mark.parametrize(("how", "error"), MISBEHAVES.values(), ids=MISBEHAVES)
async def test_a_clamd_that_misbehaves_gives_no_verdict(how: bytes | str, error: type[Exception]) -> None:
    async with FakeClamd().running() as fake:
        fake.script = [how]
        client = Clamd(fake.address, 0.5 if how == "hangs" else 20)
        with pytest.raises(error):
            await client.scan(os.urandom(3_000_000))
        assert await client.scan(b"words") is None


async def test_the_file_arrives_as_it_is_and_a_name_of_a_virus_is_plain() -> None:
    content = os.urandom(200_000)
    async with FakeClamd().running() as fake:
        fake.script = ["stream: Win.<b>Ünknown\n FOUND\0".encode()]
        assert await Clamd(fake.address, 20).scan(content) == "Win._b__nknown_"
        assert fake.files == [content]


async def test_nobody_there() -> None:
    for address in ("127.0.0.1:1", "unix:/nowhere/clamd.ctl"):
        with pytest.raises(ScannerAway):
            await Clamd(address, 5).scan(b"words")


# -- Retried, never in the way -----------------------------------------------------------------------------------------


async def test_while_it_is_away_files_are_held_and_scanned_later(store: Store, tmp_path: Path, clock: Clock) -> None:
    await with_files(store, PICTURE)
    async with FakeClamd().running() as fake:
        fake.script = ["closes", "closes", b"stream: Test.Eicar FOUND\0"]
        settings = ScanSettings(clamd=fake.address)
        async with fetching(store, Album(lambda *_: File(PDF)), tmp_path / "files", clock, settings) as media:
            await soon(lambda: _shown(store, "unscanned", "scanner_away"))
            first = await matter_of(store)
            assert first.attachments[0].availability == "held"
            for tries_left in (1, 0):
                await soon(lambda: _is_put_off(store, clock))
                clock.now += timedelta(hours=1)
                media.ring()
                await soon(lambda left=tries_left: _tried(fake, left))
            await soon(lambda: _shown(store, "infected", "Test.Eicar"))
            await soon(lambda: _none_waits(store))
    matter = await matter_of(store)
    assert (first.revision, matter.revision) == (2, 3), "told when held, and when it was found; nothing between"
    assert (await store.reconcile()).balanced


async def _shown(store: Store, scan: str, reason: str | None) -> bool:
    (one,) = (await matter_of(store)).attachments
    return (one.scan, one.scan_reason) == (scan, reason)


async def _is_put_off(store: Store, clock: Clock) -> bool:
    """What was found is written: it waits for its next try."""
    waits = select(MEDIA.c.id).where(MEDIA.c.state == "queued", MEDIA.c.not_before > clock.now)
    return bool(await build.run(store, waits))


async def _tried(fake: FakeClamd, left: int) -> bool:
    return len(fake.script) <= left


async def test_after_three_days_it_stays_unscanned(store: Store, tmp_path: Path, clock: Clock) -> None:
    await with_files(store, PICTURE)
    settings = ScanSettings(clamd="127.0.0.1:1")
    async with fetching(store, Album(lambda *_: File(PDF)), tmp_path / "files", clock, settings) as media:
        await soon(lambda: _shown(store, "unscanned", "scanner_away"))
        assert await store.outward(build.NOW + timedelta(days=1)) == 1
        clock.now += timedelta(days=3)
        media.ring()
        await soon(lambda: _none_waits(store))
    assert await _shown(store, "unscanned", "scanner_away")


# -- From citizens to the core -----------------------------------------------------------------------------------------


def attached(peer: SmtpPeer, number: int, **files: bytes) -> Any:
    """A mail with attachments; ``_`` in a name stands for a dot."""
    head = peer.headers(sender=str(number), message_id=str(number), at=NOW)
    body = "--b\n\n路灯坏了，见附件\n".encode()
    for name, content in files.items():
        shown = name.replace("_", ".")
        body += f'--b\nContent-Type: application/pdf; name="{shown}"\nContent-Transfer-Encoding: base64\n\n'.encode()
        body += base64.encodebytes(content)
    return peer.mail(
        {**head, "Subject": "x", "Content-Type": "multipart/mixed; boundary=b"}, body + b"--b--\n", sender=str(number)
    )


def with_scanner(address: str | None, **more: Any) -> Any:
    def change(document: dict[str, Any]) -> None:
        if address is not None:
            document["store"]["scan"] = {"clamd": address, **more}
        document["core"]["clients"] = [{"id": "core", "key_hash": key_hash(CORE), "scopes": ["attachments:read"]}]

    return change


@pytest.fixture
async def city(start_gateway: Start, scanner: scanners.Clamd) -> AsyncIterator[RunningGateway]:
    async with start_gateway(with_scanner(scanner.addresses[0])) as running:
        yield running


def mailbox(gateway: RunningGateway) -> SmtpPeer:
    return SmtpPeer("mailbox", gateway.channel("mailbox").settings)


async def files_of(gateway: RunningGateway) -> list[tuple[Attachment, httpx.Response]]:
    """What the last matter holds, and what the core gets of it."""
    await gateway.settle()
    matter = (await gateway.matters())[-1]
    async with httpx.AsyncClient(base_url=gateway.http_url, trust_env=False, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {CORE}"
        path = f"/v1/matters/{matter.matter_id}/attachments"
        return [(one, await client.get(f"{path}/{one.id}")) for one in matter.attachments]


async def test_a_virus_in_a_mail_is_quarantined_and_the_rest_goes_its_way(city: RunningGateway) -> None:
    sent = attached(mailbox(city), 2, eicar_pdf=zipped(EICAR), letter_pdf=PDF, bomb_zip=zipped(bytes(30_000_000), "a"))
    assert (await sent.send(city)).ok
    (virus, refused), (letter, given), (bomb, withheld) = await files_of(city)
    assert (virus.scan, virus.scan_reason, virus.availability) == ("infected", "Test.Eicar.UNOFFICIAL", "held")
    assert (virus.file_name, virus.media_type) == ("eicar.pdf", "application/zip"), "typed by what it is"
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "infected")
    assert virus.sha256 is not None and await city.node.outward.files.get(virus.sha256) == zipped(EICAR)
    assert (letter.scan, letter.scan_reason, given.status_code, given.content) == ("clean", None, 200, PDF)
    assert (bomb.scan, bomb.scan_reason, withheld.status_code) == ("unscanned", "archive_ratio", 403)
    (matter,) = await city.matters()
    assert matter.content == "路灯坏了，见附件"
    told = list(city.core.events.values())[-1]["data"]["attachments"]
    assert [one["scan"] for one in told] == ["infected", "clean", "unscanned"]


async def test_a_virus_in_an_upload(city: RunningGateway) -> None:
    key = (city.secrets / "app-key").read_text()
    async with httpx.AsyncClient(base_url=city.http_url, trust_env=False, timeout=30) as client:
        form = {"file": ("a.png", EICAR, "image/png")}
        answer = await client.post("/v1/attachments", files=form, headers={"authorization": f"Bearer {key}"})
    attachment = {"attachment_id": answer.json()["attachment_id"]}
    delivery = AppPeer("app", city.channel("app").settings, key=key).say("见图", sender="1", message_id="1", at=NOW)
    body = json.loads(delivery.body) | {"attachments": [attachment]}
    assert (await replace(delivery, body=json.dumps(body).encode()).send(city)).ok
    ((found, got),) = await files_of(city)
    assert (found.scan, found.media_type, got.status_code) == ("infected", "text/plain", 403)


async def test_a_virus_in_a_picture_of_wechat(city: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def download(*_: Any) -> File:
        return File(EICAR, "image/jpeg")

    monkeypatch.setattr(city.channel("wechat"), "download", download)
    peer = WeChatPeer("wechat", city.channel("wechat").settings)
    await peer.image("media-1", sender="1", message_id="1", at=datetime.now(UTC)).send(city)
    ((found, got),) = await files_of(city)
    assert (found.scan, got.status_code) == ("infected", 403)


@pytest.mark.parametrize(
    ("scan", "more", "reason", "status"),
    [
        (None, {}, "not_configured", 200),
        ("127.0.0.1:1", {}, "scanner_away", 403),
        ("127.0.0.1:1", {"withhold_unscanned": False}, "scanner_away", 200),
    ],
)
async def test_without_a_scanner_the_words_go_on(
    start_gateway: Start, scan: str | None, more: dict[str, Any], reason: str, status: int
) -> None:
    async with start_gateway(with_scanner(scan, **more)) as gateway:
        assert (await attached(mailbox(gateway), 2, letter_pdf=PDF).send(gateway)).ok
        ((found, got),) = await files_of(gateway)
        assert (found.scan, found.scan_reason, got.status_code) == ("unscanned", reason, status)
        (matter,) = await gateway.matters()
        assert matter.content == "路灯坏了，见附件" and (await gateway.books())["balanced"]
