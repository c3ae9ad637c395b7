"""Programs that call the API: who they are, by their key, and what they may do."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import TypeVar

from channels.errors import Unacceptable, Unauthenticated
from channels.settings import ApiKey, Client

C = TypeVar("C", bound=Client)

_BEARER = re.compile(r"Bearer ([\x21-\x7e]{1,512})", re.ASCII)


def key_hash(key: str) -> str:
    """What config.yaml holds of a key. Keys are 32 random bytes, so a plain hash is enough."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def identify(clients: Iterable[C], authorization: str | None, scope: str | None = None) -> C:
    """The client whose key an ``Authorization`` header bears (RFC 6750 section 2.1).

    Every client is compared, each in constant time, so that timing tells nothing about which exist.
    Raise Unauthenticated without a valid key, Unacceptable (403) when the client lacks the scope.
    """
    bearer = _BEARER.fullmatch(authorization or "")
    if bearer is None:
        raise Unauthenticated("no_key", "Send Authorization: Bearer and your key.")
    offered = key_hash(bearer[1])
    found = [client for client in clients if opens(client, offered)]
    if not found:
        raise Unauthenticated("unknown_key", "This key is not known.")
    if scope is not None and scope not in found[0].scopes:
        raise Unacceptable("scope", f"This key lacks the scope {scope}.", status=403)
    return found[0]


def opens(client: ApiKey, offered: str) -> bool:
    """Whether a key's hash is the program's: two keys may live at once, so that one can be changed while it runs."""
    previous = client.previous_key_hash or client.key_hash
    opens = hmac.compare_digest(client.key_hash.get_secret_value(), offered)
    return hmac.compare_digest(previous.get_secret_value(), offered) or opens
