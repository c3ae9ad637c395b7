"""One file for a backup: a tar, and behind it a block with the digest of all that stands before.

The digest finds what a database's own check does not: a bit that flipped inside a sealed value. Any tar program reads
the rest; what follows the end of an archive is ignored (pax(1), "ustar Interchange Format").
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from store.errors import BackupRefused

#: Bytes of the last block, as of every block of a tar.
BLOCK = 512
#: How the last block begins; the digest follows in hexadecimal. The number is the format's.
MAGIC = b"hotline-gateway backup 1 sha256:"
#: Bytes read or written at a time.
CHUNK = 1 << 20

Told = Callable[[int], None]


class _Digested(io.RawIOBase):
    """A file that is written to, and the digest of what was."""

    def __init__(self, file: IO[bytes], told: Told) -> None:
        super().__init__()
        self._file, self._told = file, told
        self._digest, self._size = hashlib.sha256(), 0

    def write(self, part: Any, /) -> int:
        """Write, and tell how many bytes it has been so far."""
        self._digest.update(part)
        self._size += len(part)
        self._told(self._size)
        return self._file.write(part)

    def last_block(self) -> bytes:
        """What belongs behind all that was written."""
        return _last_block(self._digest.hexdigest())


def _last_block(digest: str) -> bytes:
    return (MAGIC + digest.encode() + b"\n").ljust(BLOCK, b"\0")


def pack(archive: Path, members: Iterable[tuple[str, IO[bytes]]], told: Told) -> int:
    """Write a new archive, mode 0600, on the disk when this returns; the number of its members.

    ``told`` hears of the bytes written so far.
    """
    packed = 0
    with os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        digested = _Digested(file, told)
        with tarfile.open(mode="w|", fileobj=digested, bufsize=CHUNK) as tar:
            for name, source in members:
                status, member = os.fstat(source.fileno()), tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), 0o600
                tar.addfile(member, source)
                packed += 1
        file.write(digested.last_block())
        file.flush()
        os.fsync(file.fileno())
    return packed


def check(archive: Path, told: Told) -> None:
    """Raise BackupRefused unless the archive is as it was written, to the last bit."""
    digest, left = hashlib.sha256(), archive.stat().st_size - BLOCK
    with archive.open("rb") as file:
        while left > 0 and (part := file.read(min(CHUNK, left))):
            digest.update(part)
            left -= len(part)
            told(file.tell())
        if file.read() != _last_block(digest.hexdigest()):
            raise BackupRefused(f"{archive} is no whole backup: it was cut short or changed, use another one")


def unpack(archive: Path, place: Callable[[PurePosixPath], Path], told: Told) -> None:
    """Write every file of a checked archive where ``place`` says, mode 0600 and on the disk when this returns."""
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            target, source = place(PurePosixPath(member.name)), tar.extractfile(member)
            if source is None:
                raise BackupRefused(f"{archive} holds something else than files")
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
                file.flush()
                os.fsync(file.fileno())
            os.utime(target, (member.mtime, member.mtime))
            told(member.offset_data + member.size)
