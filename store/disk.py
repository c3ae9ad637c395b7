"""Making sure that what was written is on the disk (fsync(2), rename(2))."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return when the file's content, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Give what is on the disk already its final name, which is on the disk when this returns."""
    source.replace(target)
    sync(target.parent)
