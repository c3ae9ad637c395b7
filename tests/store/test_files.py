"""Files by content: whole or not at all, sealed, and nobody else's in their place."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from store.errors import StoreUnavailable
from store.files import Files, Folder, open_files
from store.keys import Keyring, load_or_create
from tests.disks import fill, small_disk

__all__ = ["small_disk"]

#: When the bucket says that everything was put.
PUT = datetime(2026, 11, 23, tzinfo=UTC)
CONTENT = "照片里有门牌号 CANARY-7731".encode() * 100


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return load_or_create(tmp_path / "keys.json", fresh=True)


class Bucket:
    """What S3 is to its client: objects by name; it may refuse."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fails = False
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        if self.fails:
            return web.Response(status=403)
        if request.method == "PUT":
            self.objects[request.path] = await request.read()
            return web.Response(headers={"ETag": '"1"'})
        if request.method == "POST":  # DeleteObjects
            names = re.findall("<Key>(.*?)</Key>", await request.text())
            gone = [name for name in names if self.objects.pop(f"{request.path.rstrip('/')}/{name}", None)]
            told = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in gone)
            return web.Response(text=f"<DeleteResult>{told}</DeleteResult>", content_type="application/xml")
        found = self.objects.get(request.path)
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found, headers={"ETag": '"1"', "Last-Modified": format_datetime(PUT, usegmt=True)})


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    made = Bucket()
    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{name:.*}", made.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # aiohttp has no other word for it
    for name, value in {
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "cn-north-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    yield made
    await runner.cleanup()


@pytest.fixture(params=["folder", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path, keyring: Keyring) -> Files:
    if request.param == "s3":
        request.getfixturevalue("bucket")
        return open_files("s3://city/files", keyring)
    return open_files(str(tmp_path / "files"), keyring)


async def test_what_was_put_is_found_by_its_content(files: Files) -> None:
    name = await files.put(CONTENT)
    assert name == hashlib.sha256(CONTENT).hexdigest()
    assert await files.get(name) == CONTENT
    assert await files.put(CONTENT) == name  # a second time is no fault
    assert await files.get("0" * 64) is None


async def test_nothing_of_it_lies_open_on_the_disk(tmp_path: Path, keyring: Keyring) -> None:
    files = open_files(str(tmp_path / "files"), keyring)
    await files.put(CONTENT)
    written = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert len(written) == 1
    assert b"CANARY-7731" not in written[0].read_bytes()
    assert stat.S_IMODE(written[0].stat().st_mode) == 0o600


async def test_nothing_of_it_lies_open_in_the_bucket(bucket: Bucket, keyring: Keyring) -> None:
    name = await open_files("s3://city/files", keyring).put(CONTENT)
    ((path, sealed),) = bucket.objects.items()
    assert path.endswith(f"/files/{name}") and b"CANARY-7731" not in sealed


async def test_another_file_cannot_take_its_place(tmp_path: Path, keyring: Keyring) -> None:
    files = open_files(str(tmp_path / "files"), keyring)
    one, other = await files.put(b"one"), await files.put(b"other")
    places = {path.parent.name + path.name: path for path in (tmp_path / "files").rglob("*") if path.is_file()}
    places[one].write_bytes(places[other].read_bytes())
    assert await files.get(one) is None and await files.get(other) == b"other"


async def test_a_full_disk_keeps_nothing_and_says_so(small_disk: Path, keyring: Keyring) -> None:
    files = open_files(str(small_disk / "files"), keyring)
    filler = fill(small_disk, leave=100_000)
    content = os.urandom(1_000_000)
    with pytest.raises(StoreUnavailable):
        await files.put(content)
    assert [path for path in (small_disk / "files").rglob("*") if path.is_file()] == []
    filler.unlink()
    assert await files.get(await files.put(content)) == content


async def test_a_bucket_that_refuses_says_so(bucket: Bucket, keyring: Keyring) -> None:
    files = open_files("s3://city/files", keyring)
    name = await files.put(b"one")
    bucket.fails = True
    with pytest.raises(StoreUnavailable):
        await files.put(b"two")
    with pytest.raises(StoreUnavailable):
        await files.get(name)


async def test_the_same_file_from_many_at_once(tmp_path: Path, keyring: Keyring) -> None:
    files = Files(Folder(tmp_path / "files"), keyring)
    names = await asyncio.gather(*(files.put(CONTENT) for _ in range(20)))
    assert len(set(names)) == 1
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


# -- What is not needed any more ---------------------------------------------------------------------------------------


def touched(folder: Path, at: datetime) -> None:
    """As if everything had been put then."""
    for path in folder.rglob("*"):
        os.utime(path, (at.timestamp(), at.timestamp()))


async def test_what_was_put_before_is_removed_and_nothing_is_left_of_it(files: Files, tmp_path: Path) -> None:
    one, other = await files.put(CONTENT), await files.put(b"other")
    touched(tmp_path / "files", PUT)
    assert not await files.remove(one, PUT), "it was put just then"
    assert await files.get(one) == CONTENT
    for _ in range(2):  # a second time is no fault
        assert await files.remove(one, PUT + timedelta(seconds=1))
    assert (await files.get(one), await files.get(other)) == (None, b"other")
    assert sum(path.is_file() for path in (tmp_path / "files").rglob("*")) in {0, 1}
    assert await files.get(await files.put(CONTENT)) == CONTENT


async def test_what_is_put_once_more_stays(tmp_path: Path, keyring: Keyring) -> None:
    files, long_ago = open_files(str(tmp_path / "files"), keyring), datetime.now(UTC) - timedelta(days=1)
    name = await files.put(CONTENT)
    touched(tmp_path / "files", PUT)
    await files.put(CONTENT)
    assert not await files.remove(name, long_ago)
    assert await files.get(name) == CONTENT


async def test_put_and_removed_at_once_whoever_was_told_that_it_is_kept_finds_it(
    tmp_path: Path, keyring: Keyring
) -> None:
    files, long_ago = open_files(str(tmp_path / "files"), keyring), datetime.now(UTC) - timedelta(days=1)
    name = await files.put(CONTENT)
    for _ in range(200):
        touched(tmp_path / "files", PUT)
        await asyncio.gather(files.put(CONTENT), files.remove(name, long_ago))
        assert await files.get(name) == CONTENT


async def test_a_bucket_that_does_not_remove_says_so(bucket: Bucket, keyring: Keyring) -> None:
    bucket.fails = True
    with pytest.raises(StoreUnavailable):
        await open_files("s3://city/files", keyring).remove("0" * 64, PUT)
