"""Steering shim.c: a library under a running program that kills it, fails its disk, records it, or moves its clock."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

from tests.conftest import missing

SOURCE = Path(__file__).with_name("shim.c")
_COUNT, _KILL, _FAIL = range(3)
_HEAD = struct.Struct("=IIQqII")


class Operation(IntFlag):
    """Kinds of operation; files only below the folder of the control, sockets all."""

    WRITE = 1
    SYNC = 2
    TRUNCATE = 4
    NAME = 8
    SEND = 16


EVERYTHING = Operation.WRITE | Operation.SYNC | Operation.TRUNCATE | Operation.NAME | Operation.SEND


class _Block(ctypes.Structure):
    """``struct control`` of shim.c."""

    _fields_ = (
        ("clock_seconds", ctypes.c_int64),
        ("counted", ctypes.c_int64),
        ("at", ctypes.c_int64),
        ("failed", ctypes.c_int64),
        ("mask", ctypes.c_int32),
        ("action", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("onwards", ctypes.c_int32),
        ("folder", ctypes.c_char * 1024),
        ("log", ctypes.c_char * 1024),
    )


class Control:
    """Shared memory with one program at a time; also outlives it, so that the next may attach to the same."""

    def __init__(self, path: Path, folder: Path, log: Path | None = None) -> None:
        #: What the program attaches to, what it looks after, and where it records (outside the folder).
        self.path, self.log = path, log
        path.write_bytes(bytes(ctypes.sizeof(_Block)))
        with path.open("r+b") as file:
            self._block = _Block.from_buffer(mmap.mmap(file.fileno(), 0))
        self._block.folder = os.fsencode(folder.resolve())
        self._block.log = os.fsencode(log) if log else b""

    def count(self, operations: Operation = EVERYTHING) -> None:
        """Count from now on, and do nothing else."""
        self._arm(operations, _COUNT, 0)

    def kill(self, at: int, operations: Operation = EVERYTHING) -> None:
        """SIGKILL just before the ``at``-th operation from now on."""
        self._arm(operations, _KILL, at)

    def fail(self, operations: Operation, at: int = 1, *, error: int = errno.EIO, onwards: bool = False) -> None:
        """Let the ``at``-th operation from now on fail with ``error``; ``onwards``: and all that follow."""
        self._arm(operations, _FAIL, at, error, onwards=onwards)

    def disarm(self) -> None:
        """Leave the program alone."""
        self._block.mask = 0

    def _arm(self, operations: Operation, action: int, at: int, error: int = 0, *, onwards: bool = False) -> None:
        block = self._block
        block.mask = 0
        block.action, block.at, block.error, block.onwards = action, at, error, onwards
        block.counted = block.failed = 0
        block.mask = operations

    @property
    def counted(self) -> int:
        """Operations since it was armed."""
        return int(self._block.counted)

    @property
    def failed(self) -> int:
        """Operations that were made to fail since it was armed."""
        return int(self._block.failed)

    def set_clock(self, seconds: int) -> None:
        """Let the program's clock be so far from ours; its monotonic clock stays."""
        self._block.clock_seconds = seconds

    def mark(self, text: str) -> None:
        """Put a line of the test's own between what is recorded."""
        assert self.log is not None
        with self.log.open("ab", buffering=0) as log:  # one write: in order with those of the program
            log.write(
                _HEAD.pack(_HEAD.size + len(text.encode()), ord("m"), 0, 0, 0, len(text.encode())) + text.encode()
            )


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened; see ``struct record`` of shim.c."""

    kind: str
    inode: int
    number: int
    path: str
    content: bytes
    #: Where it stands in the log, bytes.
    position: int


def records(log: Path) -> Iterator[Record]:
    """What was recorded, in order."""
    raw, position = log.read_bytes(), 0
    while position < len(raw):
        length, kind, inode, number, path, content = _HEAD.unpack_from(raw, position)
        text = raw[position + _HEAD.size : position + length]
        assert len(text) == path + content, "half a record"
        yield Record(chr(kind), inode, number, os.fsdecode(text[:path]), text[path:], position)
        position += length


def build(folder: Path) -> Path:
    """Compile shim.c; a visible skip where there is no compiler."""
    if shutil.which("gcc") is None:
        missing("gcc")
    library = folder / "shim.so"
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run(["gcc", *options, "-o", library, SOURCE], check=True, capture_output=True)
    return library


def preloaded(library: Path, control: Control) -> dict[str, str]:
    """The environment of a program that is to be steered from its start."""
    return os.environ | {"LD_PRELOAD": str(library), "SHIM_CONTROL": str(control.path)}
