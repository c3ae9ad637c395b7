"""Files by their content: what citizens sent beside words, sealed, named by SHA-256.

Written to be there whole or not at all, and on disk before anybody is told (``store.files`` names a folder or s3://).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from store import disk
from store.errors import KeyFileError, StoreUnavailable
from store.keys import Keyring


class Shelf(Protocol):
    """Where sealed bytes lie."""

    async def put(self, name: str, sealed: bytes) -> None:
        """Durable when it returns. Raise StoreUnavailable."""

    async def get(self, name: str) -> bytes | None:
        """None when there is no such file. Raise StoreUnavailable."""

    async def remove(self, name: str, before: datetime) -> bool:
        """Whether it is gone; not what was put, also once more, since ``before``. Raise StoreUnavailable."""


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, name: str, sealed: bytes) -> None:
        """A file beside it, synced, takes its name."""
        try:
            await asyncio.to_thread(self._put, self._place(name), sealed)
        except OSError as error:
            raise StoreUnavailable(f"files cannot be written: {error.strerror}") from error

    async def get(self, name: str) -> bytes | None:
        """The whole file."""
        try:
            return await asyncio.to_thread(self._place(name).read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"files cannot be read: {error.strerror}") from error

    async def remove(self, name: str, before: datetime) -> bool:
        """Whoever puts it again at this moment either finds it, and it stays, or writes it anew."""
        try:
            return await asyncio.to_thread(self._remove, self._place(name), before.timestamp())
        except OSError as error:
            raise StoreUnavailable(f"files cannot be removed: {error.strerror}") from error

    def _place(self, name: str) -> Path:
        return self._path / name[:2] / name[2:]

    def _remove(self, place: Path, before: float) -> bool:
        aside = place.with_name(f".{place.name}.removed")
        try:
            if place.stat().st_mtime >= before:
                return False
            place.rename(aside)
        except FileNotFoundError:
            return True
        if aside.stat().st_mtime >= before:  # somebody put it again just before it was moved
            aside.replace(place)
            return False
        aside.unlink()
        return True

    def _put(self, place: Path, sealed: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.utime(place)  # tells ``remove`` that somebody wants it
            return
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(prefix=".", dir=place.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(place)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        disk.sync(place.parent)
        disk.sync(self._path)


class Bucket:
    """A bucket of S3 or of what speaks like it, below a prefix; credentials from the environment, as its tools have it."""

    def __init__(self, url: str) -> None:
        self._store = S3Store.from_url(url, client_options={"timeout": "60s", "allow_http": True})

    async def put(self, name: str, sealed: bytes) -> None:
        """S3 answers when it is durable (vendor page: PutObject)."""
        try:
            await obstore.put_async(self._store, name, sealed)
        except (BaseError, OSError) as error:
            raise StoreUnavailable("files cannot be written: the bucket does not take them") from error

    async def get(self, name: str) -> bytes | None:
        """The whole object."""
        try:
            found = await obstore.get_async(self._store, name)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise StoreUnavailable("files cannot be read: the bucket does not give them") from error

    async def remove(self, name: str, before: datetime) -> bool:
        """Two requests: what is put between them is lost, so ``before`` should be long ago."""
        try:
            try:
                found = await obstore.head_async(self._store, name)
            except FileNotFoundError:
                return True
            if found["last_modified"] >= before:
                return False
            await obstore.delete_async(self._store, name)
        except (BaseError, OSError) as error:
            raise StoreUnavailable("files cannot be removed: the bucket does not do it") from error
        return True


class Files:
    """Sealed files on a shelf."""

    def __init__(self, shelf: Shelf, keyring: Keyring) -> None:
        self._shelf, self._keyring = shelf, keyring

    async def put(self, content: bytes) -> str:
        """The SHA-256 of the content, hex, by which it is found again. Raise StoreUnavailable; then nothing is kept."""
        name = hashlib.sha256(content).hexdigest()
        await self._shelf.put(name, self._keyring.seal(content, _place(name)))
        return name

    async def get(self, sha256: str) -> bytes | None:
        """The content; None when we do not hold it, or not as it was."""
        sealed = await self._shelf.get(sha256)
        if sealed is None:
            return None
        try:
            return self._keyring.unseal(sealed, _place(sha256))
        except KeyFileError:
            return None

    async def remove(self, sha256: str, before: datetime) -> bool:
        """Whether it is gone; what was put since ``before``, also once more, stays. Raise StoreUnavailable."""
        return await self._shelf.remove(sha256, before)


def _place(name: str) -> bytes:
    """A sealed file is bound to its name: another's content cannot take its place."""
    return f"files/{name}".encode()


def open_files(where: str, keyring: Keyring) -> Files:
    """``where``: a folder, or s3://bucket/prefix."""
    return Files(Bucket(where) if where.startswith("s3://") else Folder(Path(where)), keyring)
