"""The disk after a power cut, made from what shim.c recorded.

What a file held when its last sync began is there, once that sync has ended. Of what came after, any part may be there,
in any order, torn at sectors. A name (made, linked, renamed, removed) is there once its folder was synced; of later ones
the first few, in order, as a journalling file system has them. This is what POSIX promises of fsync, and no more: ext4
promises more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePath

from tests.faults.shim import Record

SECTOR = 512
_REMOVED = " (deleted)"


@dataclass(slots=True)
class _File:
    """Content on the disk, and changes that may or may not be."""

    content: bytearray = field(default_factory=bytearray)
    changes: list[Record] = field(default_factory=list)

    def sync(self, until: int) -> None:
        """All that was changed before the sync began."""
        for change in (c for c in self.changes if c.position < until):
            _apply(self.content, change.kind, change.number, change.content)
        self.changes = [change for change in self.changes if change.position >= until]

    def after_the_cut(self, chance: random.Random) -> bytes:
        """One of the many states it may be in."""
        found = bytearray(self.content)
        for change in chance.sample(self.changes, chance.randint(0, len(self.changes))):
            for number, content in _torn(change, chance):
                _apply(found, change.kind, number, content)
        return bytes(found)


class Disk:
    """A folder that was empty when the recording began."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.resolve())
        self._inodes: dict[int, _File] = {}
        #: Names as programs see them, those on the disk, and changes that may or may not be there.
        self._names: dict[str, _File] = {}
        self._kept: dict[str, _File] = {}
        self._pending: list[tuple[int, str, _File | None]] = []

    def play(self, records: Iterable[Record]) -> None:
        """Let all this happen."""
        for record in records:
            match record.kind:
                case "w" | "t":
                    self._change(record)
                case "s":
                    self._sync(record)
                case "r":
                    self._name(record, record.content.decode(), self._named(record.path))
                    self._name(record, record.path, None)
                case "l":
                    self._name(record, record.content.decode(), self._named(record.path))
                case "u" if record.path in self._names:  # else a socket or an empty file: never written to
                    self._name(record, record.path, None)

    def cut(self, chance: random.Random, folder: Path) -> None:
        """Write what is left after a power cut at this moment."""
        later = self._pending[: chance.randint(0, len(self._pending))]
        names = {**self._kept, **{name: file for _, name, file in later}}
        for name, file in names.items():
            if file is not None:
                path = folder / PurePath(name).relative_to(self._folder)
                path.write_bytes(file.after_the_cut(chance))
                path.chmod(0o600)

    def _named(self, name: str) -> _File:
        return self._names.get(name) or _File()  # an empty file was never written to

    def _change(self, record: Record) -> None:
        if record.path.endswith(_REMOVED):
            return
        file = self._names.get(record.path)
        if file is None or self._inodes.get(record.inode) is not file:
            file = self._inodes[record.inode] = _File()
            self._name(record, record.path, file)
        file.changes.append(record)

    def _sync(self, record: Record) -> None:
        if record.path == self._folder or record.path not in self._names:
            made = [p for p in self._pending if p[0] < record.number and str(PurePath(p[1]).parent) == record.path]
            for _, name, file in made:
                self._kept.pop(name, None)
                if file is not None:
                    self._kept[name] = file
            self._pending = [p for p in self._pending if p not in made]
        else:
            self._names[record.path].sync(record.number)

    def _name(self, record: Record, name: str, file: _File | None) -> None:
        self._pending.append((record.position, name, file))
        self._names.pop(name, None)
        if file is not None:
            self._names[name] = file


def _torn(change: Record, chance: random.Random) -> Iterator[tuple[int, bytes]]:
    """The whole of it, or one time in four only some of its sectors."""
    if change.kind == "t" or chance.random() < 0.75:
        yield change.number, change.content
        return
    start, end = change.number, change.number + len(change.content)
    edges = [start, *range(start - start % SECTOR + SECTOR, end, SECTOR), end]
    for first, last in pairwise(edges):
        if chance.random() < 0.5:
            yield first, change.content[first - start : last - start]


def _apply(content: bytearray, kind: str, number: int, written: bytes) -> None:
    if kind == "t":
        del content[number:]
        content.extend(bytes(number - len(content)))
        return
    content.extend(bytes(max(0, number - len(content))))
    content[number : number + len(written)] = written
