"""Looking into archives, only as far as is bounded: whether everything in one could be looked at, and if not, why.

A scanner that gives up half-way through a bomb calls it clean, and so it does with what is encrypted. Nothing here is
unpacked to a disk, and at no time is more than :data:`MOST_BYTES` of it in memory.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

#: Archives within archives; entries of all; bytes of all when expanded.
MOST_LEVELS, MOST_ENTRIES, MOST_BYTES = 3, 1_000, 200 * 1024 * 1024
#: Bytes expanded for each byte packed, from so many on: a tar of one small file is mostly zeros.
MOST_RATIO, RATIO_FROM = 100, 1024 * 1024
_PIECE = 64 * 1024
#: Where a tar says that it is one (POSIX.1-1988, ustar; GNU writes a blank behind).
_USTAR = slice(257, 262)
#: Local file header, and the end record of an empty zip (APPNOTE.TXT 4.3.7, 4.3.16); a zip may have something in front.
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
#: Only recognised: 7z, RAR 1.5 to 5, bzip2, xz, Zstandard, ARJ, LZH, ACE and cabinets.
_OPAQUE = (
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
    b"\x60\xea",
    b"MSCF\0\0\0\0",
)
_LOCAL_HEADER = 30
#: Bit 0 of a zip entry's flags (APPNOTE.TXT 4.4.4).
_ENCRYPTED = 0x1
#: Central directory header (APPNOTE.TXT 4.3.12): one for each entry, also of zips stored within.
_CENTRAL = b"PK\x01\x02"
#: What the readers raise at what is no archive of theirs.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RuntimeError, LookupError)


class _Refused(Exception):
    """It is not looked at any further; the message is one word."""


def is_archive(content: bytes) -> bool:
    """Whether it seems to be one, of any kind known here."""
    return _kind(content) is not None


def unseen(content: bytes) -> str | None:
    """Why not all that an archive holds could be looked at, in one word; None when it could, or it is no archive."""
    try:
        _Look(len(content)).into(content, 1)
    except _Refused as refused:
        return str(refused)
    except (*_BROKEN, OverflowError, MemoryError):
        return "archive_broken"
    return None


def _kind(content: bytes) -> str | None:
    if content.startswith(_ZIP):
        return "zip"
    if content.startswith(b"\x1f\x8b"):
        return "gzip"
    if content[_USTAR] == b"ustar":
        return "tar"
    if content.startswith(_OPAQUE) or content[2:5] == b"-lh" or content[7:14] == b"**ACE**":
        return "opaque"
    # What runs or is shown by itself and is a zip as well is read from its end (APPNOTE.TXT 4.3.16).
    return "zip" if b"PK\x05\x06" in content[-65_557:] else None


class _Look:
    """One look at one file; counts over all levels."""

    def __init__(self, packed: int) -> None:
        self._packed = packed
        self._entries = self._bytes = 0

    def into(self, content: bytes, level: int) -> None:
        """Look at everything in it. Raise _Refused, or what the readers raise."""
        kind = _kind(content)
        if kind is None:
            return
        if level > MOST_LEVELS:
            raise _Refused("archive_depth")
        if kind == "opaque":
            raise _Refused("archive_opaque")
        for entry in {"zip": self._zip, "gzip": self._gzip, "tar": self._tar}[kind](content):
            self._entries += 1
            if self._entries > MOST_ENTRIES:
                raise _Refused("archive_entries")
            self._entry(entry, level)

    def _entry(self, entry: IO[bytes], level: int) -> None:
        """Read it whole; keep it only if it is an archive itself."""
        head = self._read(entry, _PIECE)
        tail = b""
        kept = [head] if _kind(head) else None
        while piece := self._read(entry, _PIECE):
            tail = (tail + piece)[-_PIECE:]
            if kept is not None:
                kept.append(piece)
        if kept is not None:
            self.into(b"".join(kept), level + 1)
        elif _kind(tail):
            raise _Refused("archive_hidden")

    def _read(self, entry: IO[bytes], most: int) -> bytes:
        piece = entry.read(most)
        self._bytes += len(piece)
        if self._bytes > MOST_BYTES:
            raise _Refused("archive_size")
        if self._bytes > max(RATIO_FROM, MOST_RATIO * self._packed):
            raise _Refused("archive_ratio")
        return piece

    @staticmethod
    def _zip(content: bytes) -> Iterator[IO[bytes]]:
        if content.count(_CENTRAL) > MOST_ENTRIES:  # before the reader makes an object of each
            raise _Refused("archive_entries")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _apart(entries)
            for entry in entries:
                if entry.flag_bits & _ENCRYPTED:
                    raise _Refused("archive_encrypted")
                # Of other methods the reader expands without a limit, or does not know them.
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise _Refused("archive_opaque")
                with archive.open(entry) as opened:
                    yield opened

    @staticmethod
    def _gzip(content: bytes) -> Iterator[IO[bytes]]:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as opened:
            yield opened  # type: ignore[misc]  # typeshed: no IO, though it reads like one

    @staticmethod
    def _tar(content: bytes) -> Iterator[IO[bytes]]:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                opened = archive.extractfile(member) if member.isreg() else None
                yield opened or io.BytesIO()


def _apart(entries: list[zipfile.ZipInfo]) -> None:
    """Each entry has bytes of its own: where they share some, a small file expands to any size (Fifield 2019)."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise _Refused("archive_overlap")
        end = entry.header_offset + _LOCAL_HEADER + entry.compress_size
