"""The database that ``store.url`` names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from store.errors import StoreError, StoreLocked
from store.postgresql import PostgreSQL
from store.sqlite import SQLite, own
from store.transactions import Database


def open_database(url: str, prepare: Callable[[Engine], None], *, owner: bool = True) -> Database:
    """The database of ``store.url``; ``prepare`` sees each engine before its first connection.

    ``owner=False`` opens a SQLite file for reading beside the node that owns it.
    Raise StoreLocked when another process owns the file, StoreError for a URL of another kind.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return SQLite(parsed, prepare, owner=owner)
        case "postgresql":
            return PostgreSQL(parsed, prepare)
        case other:
            raise StoreError(f"store.url: {other} is not supported; use sqlite:///… or postgresql://…")


def is_owned(url: str) -> bool:
    """Whether a running node owns the SQLite file of ``store.url``."""
    path = Path(make_url(url).database or "gateway.db")
    if not path.exists():
        return False
    try:
        own(path).close()
    except StoreLocked:
        return True
    return False
