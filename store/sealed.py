"""Column types: ``Sealed`` values are encrypted before they reach the database driver.

The keyring travels on the engine's dialect (``unlock``), so that tables are declared once and every store opens them
with its own keys.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, Engine, LargeBinary
from sqlalchemy.types import TypeDecorator

from store.keys import Keyring


def unlock(engine: Engine, keyring: Keyring) -> None:
    """Let the engine's connections seal and open values."""
    engine.dialect.hotline_keyring = keyring  # type: ignore[attr-defined]  # ours; the dialect is per engine


def keyring_of(connection: Connection) -> Keyring:
    """The keys of the store that the connection works on."""
    return _keyring(connection.dialect)


class Sealed(TypeDecorator[bytes]):
    """Bytes, sealed under AES-256-GCM and bound to ``place`` ("table.column")."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Seal on the way in."""
        if value is None:
            return None
        return _keyring(dialect).seal(value, self.place.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Open on the way out."""
        if value is None:
            return None
        return _keyring(dialect).unseal(value, self.place.encode())


class SealedJson(Sealed):
    """Anything JSON can hold, sealed like ``Sealed``."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        """Seal on the way in."""
        return super().process_bind_param(orjson.dumps(value), dialect)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        """Open on the way out."""
        opened = super().process_result_value(value, dialect)
        return None if opened is None else orjson.loads(opened)


def _keyring(dialect: Dialect) -> Keyring:
    keyring: Keyring = dialect.hotline_keyring  # type: ignore[attr-defined]  # set by unlock
    return keyring
