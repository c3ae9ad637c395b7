"""The contract every channel fulfils. The base class owns the order of things; an adapter fills in two or three verbs.

Three shapes:

* webhook: ``authenticate`` and ``parse`` (and ``challenge``, ``acknowledge``, ``refuse`` where the protocol says so)
* polling and server: ``run`` and ``parse``

Any of them may write back: ``send`` (and ``ride``, where an answer fits into the acknowledgement), and fetch what a
citizen sent beside words: ``download``, or ``carried`` where it lies in the envelope.

An adapter declares what it wants served (``routes``) and never imports the server; it never touches the database: it is
handed ``deliver`` and, for ``run``, ``state``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from urllib.parse import unquote_plus

import uuid_utils.compat

from channels.errors import (
    ChannelError,
    Missing,
    Rebound,
    Unacceptable,
    Unauthenticated,
    Unavailable,
    Undeliverable,
)
from channels.recount import Period, Told, Unanswered
from channels.settings import ChannelSettings, WebhookSettings
from normalizer.model import AttachmentKind, Binding, Contact, ContactType, Envelope, Kept, Parsed
from normalizer.reply import Limit, Outgoing, Sent

#: Parameters of a query string that are looked at; one that holds more holds none.
MOST_PARAMETERS = 50


def read_query_string(query: str) -> dict[str, list[str]]:
    """What ``urllib.parse.parse_qs`` reads, blank values kept, in a quarter of its time: every webhook waits for this."""
    pairs = query.split("&")
    if len(pairs) > MOST_PARAMETERS:
        return {}
    as_it_is = "%" not in query and "+" not in query
    found: dict[str, list[str]] = {}
    for name, _, value in (pair.partition("=") for pair in pairs if pair):
        read = (name, value) if as_it_is else (unquote_plus(name), unquote_plus(value))
        found.setdefault(read[0], []).append(read[1])
    return found


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
        return read_query_string(self.query)

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
    #: Other methods of the path are served by the API, not refused.
    shared: bool = False


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


@dataclass(frozen=True, slots=True)
class File:
    """What ``download`` fetched."""

    content: bytes
    #: IANA media type as the provider says it; the content decides.
    media_type: str | None = None
    #: As the provider names it.
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Probed:
    """What ``probe`` found, a sentence each."""

    #: What does not work; None when it does.
    wrong: str | None = None
    #: What is worth knowing before the start.
    note: str | None = None


def _uncounted(reason: str) -> None:
    """Stand-in until the gateway hangs in its counter."""


def _untold() -> None:
    """Stand-in until the gateway hangs in its gauge."""


def _nothing_genuine(_token: str) -> bool:
    """Stand-in until the gateway hangs in its keys."""
    return False


async def _unanswered(_kept: Kept) -> Outgoing | None:
    """Stand-in until the gateway hangs in its replies."""
    return None


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
    #: People write here in pieces: what one sends within the settle window is one matter.
    conversational: ClassVar[bool] = False
    #: Kinds of attachments that ``download`` fetches; empty: none.
    fetches: ClassVar[frozenset[AttachmentKind]] = frozenset()
    #: Whether they lie in the kept envelope, so that ``carried`` takes them out and nothing is downloaded.
    carries: ClassVar[bool] = False
    #: Whether ``unionid`` tells whose a contact is, as the settings say.
    identifies: ClassVar[bool] = False
    #: Types of contact that ``send`` can write to; empty: this channel only listens.
    reaches: ClassVar[frozenset[ContactType]] = frozenset()
    #: The reply windows, by the name that ``Message.opens`` and ``Notice.opens`` give; empty: at any time.
    reply_limits: ClassVar[Mapping[str, Limit]] = {}

    def __init__(self, name: str, settings: S) -> None:
        self.name = name
        self.settings = settings
        #: Host and port a server of its own really listens on; None until it does.
        self.address: tuple[str, int] | None = None
        #: Counts a refusal that ``receive`` does not see (a server of its own), by a one-word reason.
        self.refused: Callable[[str], None] = _uncounted
        #: Told by ``run`` after each look at the provider that succeeded, whether or not it brought anything.
        self.progressed: Callable[[], None] = _untold
        #: Waits up to ``ride_seconds`` for the reply to what was just kept; the same one for each of its redeliveries.
        self.answer: Callable[[Kept], Awaitable[Outgoing | None]] = _unanswered
        #: Whether a reply of ours has this token (``Outgoing.token``).
        self.genuine: Callable[[str], bool] = _nothing_genuine

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

    @property
    def patience_seconds(self) -> float | None:
        """How long ``run`` may be without progress before it is an alarm; until then what may pass is only a note.

        None: any trouble is one at once, and silence is none.
        """
        return None

    def remarks(self) -> tuple[str, ...]:
        """What operations should know while ``run`` is well, a sentence each; never anything a citizen wrote."""
        return ()

    async def probe(self) -> Probed:
        """Try what the settings name, for ``gateway check --live``; nothing is changed."""
        return Probed()

    def recount(self, period: Period, kept: AsyncIterator[Envelope]) -> AsyncIterator[Told]:
        """Ask the provider what it delivered or still holds, for ``gateway reconcile --providers``. Raise Unanswered.

        ``kept`` are this channel's own envelopes received from ``period.since`` on, in order of arrival: for providers
        that number their deliveries. What is told before Unanswered counts.
        """
        raise Unanswered("unsupported")

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """Hand a reply to the provider. One node at a time does this for a channel; ``state`` is the channel's own map.

        Raise NotSent, Undeliverable or Uncertain. Any other exception counts as Uncertain, except before anything was
        sent: so build the whole request first.
        """
        del outgoing, state
        raise Undeliverable("unsupported")

    async def unionid(self, contact: Contact, state: State) -> str:
        """Whose a contact is, over several accounts, where ``identifies`` says so. Raise Missing or NotSent."""
        raise TypeError(f"{self.kind} cannot tell whose {contact.type} is")

    async def download(self, reference: str, state: State) -> File:
        """Fetch what an attachment's ``reference`` names. Raise Missing (for good) or Unavailable (try again)."""
        del reference, state
        raise Missing("unsupported")

    def carried(self, envelope: Envelope) -> Mapping[str, File]:
        """Where ``carries``: the files in a kept envelope by their ``reference``; pure, and run like ``parse``.

        What is not among them is shown as missing.
        """
        del envelope
        return {}

    async def close(self) -> None:
        """Release what ``send`` and ``download`` hold."""

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
    #: How long the acknowledgement may wait for an answer that rides on it, seconds; 0: none can.
    ride_seconds: ClassVar[float] = 0.0

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
        outgoing = await self.answer(kept) if self.ride_seconds else None
        return self.acknowledge(kept) if outgoing is None else self.ride(outgoing)

    @abstractmethod
    def authenticate(self, request: Request) -> Admission:
        """Raise Unauthenticated unless the provider sent this. Compare secrets with hmac.compare_digest only."""

    def challenge(self, request: Request) -> Answer:
        """Answer the provider's verification of the URL (GET)."""
        raise Unauthenticated("method")

    def acknowledge(self, kept: Kept) -> Answer:
        """The answer that tells the provider we have it; the default is an empty 200."""
        return Answer()

    def ride(self, outgoing: Outgoing) -> Answer:
        """The acknowledgement with a reply in it, where ``ride_seconds`` says that the protocol has room for one."""
        raise TypeError(f"{self.kind} has no room for {outgoing.kind}")

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
