"""What a provider says it delivered, or still holds: the values of ``Channel.recount``, and asking over HTTP.

A provider tells in one of three ways, and a channel yields what fits: it lists messages (``Listed``: Twilio's REST
interface, the UIDs of an IMAP mailbox), it numbers its deliveries one by one (``Numbered``: Telegram's ``update_id``), or
it only counts what it still holds (``Waiting``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import orjson

from channels.errors import ChannelError
from normalizer.model import Contact

#: One answer: seconds in all, and bytes; how often 429 is waited for, and the longest such wait.
SECONDS, MOST_BYTES = 30.0, 16 * 1024 * 1024
TRIES, LONGEST_WAIT = 3, 30.0
#: A larger step between two numbers is a new start, not a gap.
LARGEST_GAP = 1000


class Unanswered(ChannelError):
    """The provider cannot be asked now; ``reason`` is ``network``, ``timeout``, ``status_401``, ``garbage`` …"""

    retryable = True


@dataclass(frozen=True, slots=True)
class Period:
    """What is asked about."""

    #: Older messages are not asked for.
    since: datetime
    #: Younger ones may still be on their way: their absence is no gap.
    until: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A message that the provider says it has delivered; all but ``name`` and ``at`` as ``parse`` reads them."""

    #: What an operator may see of it: the provider's id or a mailbox's UID, never a person's address.
    name: str
    key_space: str
    account: str
    sender: Contact
    #: As it stands in the raw delivery too: it is looked for there when no message came of it (an opt-out, a bounce).
    provider_id: str
    #: The provider's clock; None where it does not tell.
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Numbered:
    """Deliveries that the provider numbers one by one."""

    #: Numbers that we have.
    seen: int
    #: Between them.
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages that the provider holds and has not delivered."""

    number: int
    #: Why they do not come, one word or the provider's sentence; None while they may simply be on their way.
    obstacle: str | None = None


Told = Listed | Numbered | Waiting


def numbered(deliveries: Iterable[tuple[int, datetime]], until: datetime) -> Numbered:
    """The numbers missing between those that came, each with the time of its arrival.

    A number is missing only below one that has settled: deliveries overtake each other.
    """
    latest: dict[int, datetime] = {}
    for number, at in deliveries:
        latest[number] = min(at, latest.get(number, at))
    missing: list[int] = []
    for run in _runs(sorted(latest)):
        top = max((number for number in run if latest[number] <= until), default=-1)
        missing += [number for low, high in pairwise(run) if high <= top for number in range(low + 1, high)]
    return Numbered(len(latest), tuple(missing))


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in numbers:
        if not found or number - found[-1][-1] > LARGEST_GAP + 1:
            found.append([])
        found[-1].append(number)
    return found


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a provider, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(client: httpx.AsyncClient, url: str, wait: Callable[[Reply], float]) -> Any:
    """GET a JSON document; 429 is honoured within reason: ``wait`` reads the seconds out of it. Raise Unanswered."""
    reply = await _get(client, url)
    for _ in range(TRIES - 1):
        if reply.status != 429 or (seconds := wait(reply)) > LONGEST_WAIT:
            break
        await asyncio.sleep(seconds)
        reply = await _get(client, url)
    if reply.status != 200:
        raise Unanswered(f"status_{reply.status}")
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise Unanswered("garbage") from None


async def _get(client: httpx.AsyncClient, url: str) -> Reply:
    try:
        async with asyncio.timeout(SECONDS), client.stream("GET", url) as answer:
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    raise Unanswered("too_large")
            return Reply(answer.status_code, answer.headers, body)
    except (TimeoutError, httpx.TimeoutException):
        raise Unanswered("timeout") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Unanswered("network") from None
