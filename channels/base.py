"""The contract every channel fulfils. The base class owns the order of things; an adapter fills in two or three verbs.

Three shapes:

* webhook: ``authenticate`` and ``parse`` (and ``challenge``, ``acknowledge``, ``refuse`` where the protocol says so)
* polling and server: ``run`` and ``parse``

An adapter declares what it wants served (``routes``) and never imports the server; it never touches the database: it is
handed ``deliver`` and, for ``run``, ``state``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from urllib.parse import parse_qs

import uuid_utils.compat

from channels.errors import ChannelError, Rebound, Unacceptable, Unauthenticated, Unavailable
from channels.recount import Period, Told, Unanswered
from channels.settings import ChannelSettings, WebhookSettings
from normalizer.model import Binding, Envelope, Kept, Parsed


@dataclass(frozen=True)
class Request:
    """One HTTP request, whole, as an adapter sees it."""

    method: str
    #: Without the query.
    path: str
    #: As it came, without the question mark.
    query: str
    #: ASGI's pairs: names in lower case, repeated ones repeated.
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    #: Address of the caller: the peer, or what a trusted proxy says.
    peer: str
    #: The URL the provider called, from ``server.public_url``; Host and X-Forwarded-* are not believed.
    url: str
    #: Our clock, UTC, when the last byte had arrived.
    received_at: datetime

    def header(self, name: str) -> str | None:
        """The header's value; None when it is missing, repeated or not ASCII, so that none of these can pass a check."""
        wanted = name.lower().encode()
        found = [value for key, value in self.headers if key == wanted]
        return found[0].decode() if len(found) == 1 and found[0].isascii() else None

    @cached_property
    def _parameters(self) -> dict[str, list[str]]:
        try:
            return parse_qs(self.query, keep_blank_values=True, strict_parsing=False, max_num_fields=50)
        except ValueError:
            return {}

    def parameter(self, name: str) -> str | None:
        """The query parameter's value; None when it is missing or repeated."""
        found = self._parameters.get(name, [])
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the provider."""

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """What ``authenticate`` found out and ``parse`` will need."""

    context: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    binding: Binding | None = None
    #: Whose delivery it seems to be, if that can be said cheaply: later ones of his wait until it is read. Where it is
    #: empty, everything later of the channel waits.
    apparent_sender: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A path the channel wants served, and by which methods."""

    path: str
    methods: tuple[str, ...] = ("POST",)


@dataclass(frozen=True, slots=True)
class StateChange:
    """Set ``key`` to ``value`` if it still is ``expected`` (None: absent), together with the envelope delivered."""

    key: str
    expected: str | None
    value: str


class Deliver(Protocol):
    """Keeps an envelope; when it returns, the envelope is committed."""

    async def __call__(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        """Raise Rebound, Unavailable, or StateConflict when ``change`` did not find what it expected."""


class State(Protocol):
    """The channel's own small map, shared by all nodes: a cursor, a token, a quota."""

    async def get(self, key: str) -> str | None:
        """The value last committed."""

    async def change(self, change: StateChange) -> bool:
        """Compare and set outside any delivery; False when another was faster."""


def _uncounted(reason: str) -> None:
    """Stand-in until the gateway hangs in its counter."""


S = TypeVar("S", bound=ChannelSettings)


class Channel(ABC, Generic[S]):
    """One configured channel. Subclass it, or :class:`Webhook`, and register the class under ``hotline.channels``."""

    #: What ``kind`` says in config.yaml.
    kind: ClassVar[str]
    #: The settings this kind takes.
    Settings: ClassVar[type[ChannelSettings]]
    #: One line for ``gateway channels``.
    summary: ClassVar[str]

    #: True for a server of its own, which sets ``address`` once it listens.
    listens: ClassVar[bool] = False

    def __init__(self, name: str, settings: S) -> None:
        self.name = name
        self.settings = settings
        #: Host and port a server of its own really listens on; None until it does.
        self.address: tuple[str, int] | None = None
        #: Counts a refusal that ``receive`` does not see (a server of its own), by a one-word reason.
        self.refused: Callable[[str], None] = _uncounted

    @abstractmethod
    def parse(self, envelope: Envelope) -> Parsed:
        """Read a kept envelope; pure, so that it can be run again after a fix. Raise Malformed when it cannot be read."""

    def routes(self) -> tuple[Route, ...]:
        """The paths this channel wants served; none for pollers and servers of their own."""
        return ()

    async def receive(self, request: Request, deliver: Deliver) -> Answer:
        """Serve one request on one of ``routes``."""
        raise TypeError(f"{self.kind} serves no HTTP")

    @property
    def runs(self) -> bool:
        """Whether there is a ``run`` to keep alive."""
        return type(self).run is not Channel.run

    async def run(self, deliver: Deliver, state: State) -> None:
        """Poll or serve until cancelled; returning is a failure like any other."""

    def recount(self, period: Period, kept: AsyncIterator[Envelope]) -> AsyncIterator[Told]:
        """Ask the provider what it delivered or still holds, for ``gateway reconcile --providers``. Raise Unanswered.

        ``kept`` are this channel's own envelopes received from ``period.since`` on, in order of arrival: for providers
        that number their deliveries. What is told before Unanswered counts.
        """
        raise Unanswered("unsupported")

    def envelope(
        self, body: bytes, received_at: datetime, query: str = "", admission: Admission | None = None
    ) -> Envelope:
        """The envelope for something received; its id is the receipt."""
        admission = admission or Admission()
        return Envelope(
            id=uuid_utils.compat.uuid7(),
            channel=self.name,
            kind=self.kind,
            received_at=received_at,
            body=body,
            query=query,
            context=admission.context,
            flags=admission.flags,
            binding=admission.binding,
            apparent_sender=admission.apparent_sender,
        )


W = TypeVar("W", bound=WebhookSettings)


class Webhook(Channel[W]):
    """A channel that providers call over HTTP. ``receive`` owns the order; adapters do not override it."""

    #: Largest body accepted, bytes; the server refuses more before reading on.
    max_body: ClassVar[int] = 64 * 1024
    #: Methods served; GET only where the provider verifies the URL by it.
    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def routes(self) -> tuple[Route, ...]:
        """``/channels/{name}``, or ``/channels/{name}/{path_secret}`` where one is set."""
        path = f"/channels/{self.name}"
        if self.settings.path_secret is not None:
            path += f"/{self.settings.path_secret.get_secret_value()}"
        return (Route(path, self.methods),)

    async def receive(self, request: Request, deliver: Deliver) -> Answer:
        """Authenticate, keep, acknowledge: in this order, whatever the kind."""
        self._admit_network(request)
        if request.method == "GET":
            return self.challenge(request)
        admission = self.authenticate(request)
        kept = await deliver(self.envelope(request.body, request.received_at, request.query, admission))
        return self.acknowledge(kept)

    @abstractmethod
    def authenticate(self, request: Request) -> Admission:
        """Raise Unauthenticated unless the provider sent this. Compare secrets with hmac.compare_digest only."""

    def challenge(self, request: Request) -> Answer:
        """Answer the provider's verification of the URL (GET)."""
        raise Unauthenticated("method")

    def acknowledge(self, kept: Kept) -> Answer:
        """The answer that tells the provider we have it; the default is an empty 200."""
        return Answer()

    def refuse(self, error: ChannelError) -> Answer:
        """The answer to what was not kept, without a word of what came in or of our inside."""
        return Answer(status=http_status(error))

    def _admit_network(self, request: Request) -> None:
        networks = self.settings.allowed_networks
        if networks and not any(ip_address(request.peer) in network for network in networks):
            raise Unauthenticated("network")


def http_status(error: ChannelError) -> int:
    """The HTTP status that says what ``error`` means to a provider: 503 makes it try again, 4xx does not."""
    match error:
        case Unavailable():
            return 503
        case Unacceptable():
            return error.status
        case Unauthenticated() | Rebound():
            return 403
        case _:
            return 400


AnyChannel = Channel[Any]
