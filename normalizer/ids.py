"""Ids that follow from what they are for: the same work done again, after a restore too, gives the same ids."""

from __future__ import annotations

import hashlib
from uuid import UUID

#: RFC 9562 section 5.7: 48 bits of time, four of version, twelve free, two of variant, 62 free.
_TIME, _VERSION, _VARIANT = ((1 << 48) - 1) << 80, 7 << 76, 2 << 62
_FREE = ~(((1 << 52) - 1) << 76) & ~(3 << 62)


def derived(base: UUID, *purpose: str | int) -> UUID:
    """A UUIDv7 with the time of ``base`` and, in place of chance, a hash of ``base`` and ``purpose``."""
    digest = hashlib.sha256(base.bytes + "\n".join(map(str, purpose)).encode()).digest()
    chance = int.from_bytes(digest[:16], "big") & _FREE & ((1 << 128) - 1)
    return UUID(int=(base.int & _TIME) | _VERSION | _VARIANT | chance)


def derived_number(base: UUID, purpose: str | int, below: int) -> int:
    """A number from 0 on, ``below`` so many, that follows from ``base`` and ``purpose``."""
    digest = hashlib.sha256(base.bytes + str(purpose).encode()).digest()
    return int.from_bytes(digest[:16], "big") % below
