"""A provider's REST interface and the files behind it, for ``send`` and ``download``.

Every call is bounded in time and size, follows no redirect by itself, uses a connection of its own - one that was kept
open may die just when a reply is put on it, and then nobody knows - and says honestly what may have gone out.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from channels.base import File
from channels.errors import Missing, NotSent, Unavailable, Uncertain

#: Bytes of an answer read at most.
ANSWER_BYTES = 256 * 1024
#: Bytes of a file; WeChat's videos have 10 MB, Telegram gives 20 MB.
FILE_BYTES = 25 * 1024 * 1024
#: Seconds.
CONNECT_SECONDS, CALL_SECONDS, FILE_SECONDS = 5.0, 15.0, 60.0
REDIRECTS = 3
#: All of IPv6 that IANA gives out to single hosts (RFC 4291 section 2.4 and its registry).
_UNICAST = IPv6Network("2000::/3")


@dataclass(frozen=True, slots=True)
class Told:
    """A provider's answer."""

    status: int
    body: bytes
    #: Names in lower case.
    headers: Mapping[str, str]

    def json(self) -> dict[str, Any]:
        """The JSON object in it; raise Uncertain when there is none, for then its meaning is not known."""
        with contextlib.suppress(orjson.JSONDecodeError):
            found = orjson.loads(self.body)
            if isinstance(found, dict):
                return found
        raise Uncertain("not_json")

    def retry_after(self) -> float:
        """Seconds it asks us to wait (RFC 9110 section 10.2.3, the number only); 0 where it does not say."""
        stated = self.headers.get("retry-after", "")
        return float(stated) if stated.isascii() and stated.isdigit() and len(stated) < 7 else 0.0


async def call(
    method: str,
    url: str,
    *,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    seconds: float = CALL_SECONDS,
) -> Told:
    """One request. Raise NotSent when no connection came about, Uncertain when the answer did not come whole."""
    sent = {"accept-encoding": "identity"} | dict(headers or {})
    if json is not None:
        sent.setdefault("content-type", "application/json")
    body: Any = orjson.dumps(json) if json is not None else form
    if auth is not None:
        sent["authorization"] = basic_auth(*auth)
    try:
        async with (
            _session(seconds) as session,
            session.request(method, url, data=body, headers=sent, allow_redirects=False) as answer,
        ):
            content = await _bounded(answer, ANSWER_BYTES)
            return Told(answer.status, content, {name.lower(): value for name, value in answer.headers.items()})
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
        raise NotSent("connect") from None
    except TimeoutError:
        raise Uncertain("timeout") from None
    except _TooLong:
        raise Uncertain("oversized") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise Uncertain("cut") from None


async def fetch(
    url: str,
    hosts: Collection[str],
    *,
    headers: Mapping[str, str] | None = None,
    own: str = "",
    limit: int = FILE_BYTES,
    seconds: float = FILE_SECONDS,
) -> tuple[Told, File]:
    """GET a file of ``limit`` bytes at most. Raise Missing or Unavailable.

    Only from ``hosts`` (a leading dot: and all below it) by https, and from ``own``, the base URL of the settings, which
    may be anywhere and by http. A redirect may lead to these as well; ``headers``, which may hold a key, stay with the
    first host. A name is resolved once, to a public address or not at all.
    """
    kept = dict(headers or {}) | {"accept-encoding": "identity"}
    try:
        async with asyncio.timeout(seconds):
            for _ in range(REDIRECTS + 1):
                local = _admit(url, hosts, own)
                async with _get(url, kept, seconds, local=local) as answer:
                    if answer.status in {301, 302, 303, 307, 308}:
                        onward = urljoin(url, answer.headers.get("location", ""))
                        if urlsplit(onward).netloc != urlsplit(url).netloc:
                            kept = {"accept-encoding": "identity"}
                        url = onward
                        continue
                    return await _read(answer, limit)
    except TimeoutError:
        raise Unavailable("timeout") from None
    except _TooLong:
        raise Missing("oversized") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise Unavailable("connection") from None
    raise Missing("redirects")


def basic_auth(name: str, key: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{name}:{key}".encode()).decode()


def is_public(address: str) -> bool:
    """Whether it is somebody's in the open network, and leads nowhere else by what is wrapped in it.

    ``is_global`` alone takes groups, and IPv6 that wraps an IPv4 address of ours: NAT64, 6to4, ``::127.0.0.1``.
    """
    found = ip_address(address)
    if not found.is_global or found.is_multicast or found.is_reserved:
        return False
    return isinstance(found, IPv4Address) or (found in _UNICAST and found.sixtofour is None)


class _TooLong(Exception):
    """More came than may."""


def _admit(url: str, hosts: Collection[str], own: str) -> bool:
    """Whether the address may be private; raise Missing when we do not go there at all."""
    parts, ours = urlsplit(url), urlsplit(own)
    if own and (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc):
        return True
    name = (parts.hostname or "").lower()
    listed = any(name == host or (host.startswith(".") and name.endswith(host)) for host in hosts)
    if parts.scheme != "https" or not listed or parts.username is not None or parts.port not in {None, 443}:
        raise Missing("host")
    return False


@contextlib.asynccontextmanager
async def _get(
    url: str, headers: Mapping[str, str], seconds: float, *, local: bool
) -> AsyncIterator[aiohttp.ClientResponse]:
    async with (
        _session(seconds, None if local else _Public()) as session,
        session.get(url, headers=headers, allow_redirects=False) as answer,
    ):
        yield answer


async def _read(answer: aiohttp.ClientResponse, limit: int) -> tuple[Told, File]:
    if answer.status in {404, 410}:
        raise Missing("gone")
    if answer.status != 200:
        raise Unavailable(f"status_{answer.status}")
    content = await _bounded(answer, limit)
    told = Told(answer.status, content, {name.lower(): value for name, value in answer.headers.items()})
    name = answer.content_disposition.filename if answer.content_disposition else None
    return told, File(content, answer.content_type, name)


async def _bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    found = bytearray()
    async for piece in answer.content.iter_chunked(64 * 1024):
        found += piece
        if len(found) > limit:
            raise _TooLong
    return bytes(found)


def _session(seconds: float, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,  # what unpacks to more than it seems is not unpacked
        trust_env=False,
    )


class _Public(AbstractResolver):
    """Resolves to public addresses only: a name in the provider's zone must not lead into our own network."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses; raise OSError when one is not public."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        if not found or not all(is_public(str(address[0])) for *_, address in found):
            raise OSError(None, "not a public address")
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=0)
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """It holds nothing."""
