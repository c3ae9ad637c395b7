"""The one clock, injected so that tests can move it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Our clock, UTC."""
    return datetime.now(UTC)
