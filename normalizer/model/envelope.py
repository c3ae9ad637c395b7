"""One delivery by a provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Binding:
    """A claim that ``key`` stands for ``body`` and for no other, for ever: an Idempotency-Key, or a signature that does
    not itself cover the body (Weibo, WeChat plaintext).
    """

    #: What is claimed, unique within the channel; never an empty string.
    key: str
    #: SHA-256 of what the key stands for.
    digest: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivery by a provider, kept raw before it is acknowledged."""

    #: UUIDv7 (RFC 9562 section 5.7); the receipt given to API clients.
    id: UUID
    #: The channel's name: its key in config.yaml.
    channel: str
    #: The channel's kind: which adapter reads it.
    kind: str
    #: Our clock when the last byte had arrived, UTC.
    received_at: datetime
    #: The body as it came, byte for byte.
    body: bytes
    #: The query string as it came, without the question mark.
    query: str = ""
    #: What else the adapter needs to read it again: a few headers, SMTP's MAIL FROM, the API client.
    context: Mapping[str, str] = field(default_factory=dict)
    #: Facts noticed at the door, for example ``stale_clock``.
    flags: tuple[str, ...] = ()
    #: The claim to be made in the same transaction, if any.
    binding: Binding | None = None
    #: Whose delivery it seems to be, before it is read: only to keep his messages in order. Empty: could be anybody's.
    apparent_sender: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """The store's word that an envelope is committed: ours from here."""

    #: The receipt to answer with: the first envelope's, when the binding was known already.
    receipt: UUID
    #: True when the same binding with the same body had been kept before.
    again: bool = False
