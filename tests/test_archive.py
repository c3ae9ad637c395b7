"""Archives are looked into as far as is bounded; of the rest it is said why not."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import shutil
import struct
import subprocess
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer import archive
from normalizer.archive import is_archive, unseen
from tests.conftest import missing


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def nested(levels: int, content: bytes = b"words") -> bytes:
    for _ in range(levels):
        content = zipped({"in.zip": content})
    return content


def overlapping(entries: int, size: int) -> bytes:
    """A zip whose directory names one and the same file many times (after Fifield: A better zip bomb)."""
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflated.compress(bytes(size)) + deflated.flush()
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, zlib.crc32(bytes(size)), len(packed), size, 1, 0)
    local = b"PK\x03\x04" + common + b"a" + packed
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<HHHHIIH", 0, 0, entries, entries, len(entry) * entries, len(local), 0)
    return local + entry * entries + b"PK\x05\x06" + end


def encrypted() -> bytes:
    plain = bytearray(zipped({"a.txt": b"words"}))
    plain[6] |= 1
    plain[plain.index(b"PK\x01\x02") + 8] |= 1
    return bytes(plain)


NOISE = os.urandom(3_000_000)
SEEN = {
    "no archive": b"words",
    "nothing": b"",
    "a picture": b"\x89PNG\r\n\x1a\n" + NOISE,
    "a zip": zipped({"a.txt": b"words", "../b.txt": NOISE, "d/": b""}),
    "an empty zip": zipped({}),
    "zips in zips": nested(3),
    "a tar": tarred({"a.txt": b"words", "/etc/b": NOISE}),
    "a tar.gz": gzip.compress(tarred({"a.txt": b"words"})),
    "a tar.gz in a zip": zipped({"a.tgz": gzip.compress(tarred({"a.txt": NOISE}))}),
    "many entries": zipped({str(n): b"" for n in range(1000)}),
    "much, poorly packed": zipped({"a": NOISE * 30}, zipfile.ZIP_STORED),
    "small and well packed": zipped({"a": bytes(900_000)}),
    "behind something else": b"MZ" + bytes(500) + zipped({"a": b"words"}),
}
UNSEEN = {
    "four levels": (nested(4), "archive_depth"),
    "a tower": (nested(200), "archive_depth"),
    "a tower of gzip": (gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x")))), "archive_depth"),
    "too many entries": (zipped({str(n): b"" for n in range(1001)}), "archive_entries"),
    "too many over all": (
        zipped({n: zipped({str(m): b"x" for m in range(400)}) for n in "abc"}, zipfile.ZIP_STORED),
        "archive_entries",
    ),
    "too many, packed": (zipped({n: zipped({str(m): b"x" for m in range(400)}) for n in "abc"}), "archive_entries"),
    "a tar of too many": (tarred({str(n): b"" for n in range(1001)}), "archive_entries"),
    "too well packed": (zipped({"a": bytes(30_000_000)}), "archive_ratio"),
    "gzip, too well packed": (gzip.compress(bytes(30_000_000)), "archive_ratio"),
    "inside, too well packed": (zipped({"a": zipped({"b": bytes(30_000_000)})}), "archive_ratio"),
    "too large": (zipped({"a": NOISE, "b": bytes(210_000_000)}), "archive_size"),
    "overlapping": (overlapping(100, 50_000), "archive_overlap"),
    "encrypted": (encrypted(), "archive_encrypted"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04" + NOISE, "archive_opaque"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + NOISE, "archive_opaque"),
    "bzip2": (bz2.compress(b"words"), "archive_opaque"),
    "a zip by bzip2": (zipped({"a": b"words"}, zipfile.ZIP_BZIP2), "archive_opaque"),
    "rar in a zip": (zipped({"a.txt": b"Rar!\x1a\x07\x01\x00" + NOISE}), "archive_opaque"),
    "cut off": (zipped({"a": NOISE})[:-100_000], "archive_broken"),
    "gzip, cut off": (gzip.compress(NOISE)[:-1000], "archive_broken"),
    "a wrong sum": (zipped({"a": NOISE}, zipfile.ZIP_STORED).replace(NOISE[:99], bytes(99)), "archive_broken"),
    "a zip behind a megabyte": (zipped({"a": NOISE + zipped({"b": b"x"})}), "archive_hidden"),
}


@pytest.mark.parametrize("content", SEEN.values(), ids=SEEN)
def test_all_of_it_was_looked_at(content: bytes) -> None:
    assert unseen(content) is None


@pytest.mark.parametrize(("content", "reason"), UNSEEN.values(), ids=UNSEEN)
def test_not_all_of_it_was_looked_at(content: bytes, reason: str) -> None:
    began = time.process_time()
    assert is_archive(content) and unseen(content) == reason
    assert time.process_time() - began < 5


def test_the_empty_name_of_an_archive_is_none() -> None:
    assert not is_archive(b"words") and not is_archive(b"PK words")


def test_memory_stays_bounded() -> None:
    bomb = zipped({"a": NOISE * 3, "b": bytes(180_000_000)})
    tracemalloc.start()
    try:
        assert unseen(bomb) is None
        assert tracemalloc.get_traced_memory()[1] < 2 * len(bomb)
    finally:
        tracemalloc.stop()


def test_what_another_program_packed(tmp_path: Path) -> None:
    """Info-ZIP writes extra fields and, into a pipe, sizes behind the content (APPNOTE.TXT 4.3.9)."""
    if shutil.which("zip") is None:
        missing("zip")
    (tmp_path / "路灯.txt").write_bytes(NOISE)
    asked = ["zip", "-q", "-r", "-", "."]
    piped = subprocess.run(asked, cwd=tmp_path, capture_output=True, check=True).stdout
    assert unseen(piped) is None and unseen(zipped({"a.zip": piped})) is None


@given(
    st.binary(max_size=200),
    st.sampled_from([zipped({"a": b"x" * 50}), tarred({"a": b"x"}), gzip.compress(b"x" * 50)]),
    st.data(),
)
def test_whatever_comes_it_ends_with_a_word(junk: bytes, made: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(made)))
    found = unseen(made[:place] + junk + made[place + data.draw(st.integers(0, 20)) :])
    assert found is None or found.startswith("archive_")


def test_no_more_is_read_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 100_000)
    monkeypatch.setattr(archive, "_PIECE", 1000)
    look = archive._Look(10**6)
    with pytest.raises(archive._Refused, match="archive_size"):
        look.into(zipped({"a": bytes(10**6)}), 1)
    assert look._bytes <= 101_000
