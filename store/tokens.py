"""Tokens of replies: what a citizen brings back shows which reply he has before him, and cannot be made up.

The reply's id and an HMAC of it, in base32. It needs no row to be checked, survives the rotation of sealing keys - the
matching key does not rotate -, and after a restore counts as before.
"""

from __future__ import annotations

import base64
import hmac
from uuid import UUID

from store.keys import Keyring

#: Bytes of the HMAC; with the id 48 characters, for RFC 5321 leaves 64 to a local part (RFC 2104 section 5 asks for 10).
MAC_BYTES = 14
CHARACTERS = 48


def token_of(keyring: Keyring, reply_id: UUID) -> str:
    """48 characters of a-z and 2-7 (RFC 4648 section 6, in lower case)."""
    return base64.b32encode(reply_id.bytes + _mac(keyring, reply_id.bytes)).decode().lower()


def reply_of(keyring: Keyring, token: str) -> UUID | None:
    """The reply whose token it is; None for any other text."""
    if len(token) != CHARACTERS or not token.isascii():
        return None
    try:
        raw = base64.b32decode(token.upper())
    except ValueError:
        return None
    genuine = hmac.compare_digest(raw[16:], _mac(keyring, raw[:16]))
    return UUID(bytes=raw[:16]) if genuine else None


def reply_named(keyring: Keyring, message_id: str) -> UUID | None:
    """The reply of a Message-ID of ours, ``<token@domain>``; None for any other."""
    return reply_of(keyring, message_id.strip().removeprefix("<").partition("@")[0])


def _mac(keyring: Keyring, reply_id: bytes) -> bytes:
    return keyring.mark("reply token", reply_id)[:MAC_BYTES]
