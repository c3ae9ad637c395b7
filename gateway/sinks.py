"""Where events go: the case core's webhook (CloudEvents 1.0 with Standard Webhooks signature), or a file.

A message broker is a sink of its own, gateway/broker.py.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

import aiohttp
import orjson
from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks.webhooks import Webhook

from gateway.clock import Clock
from gateway.config import Config, SinkSettings
from store.values import DueEvent

#: Bytes of an answer read at most; a case number is short.
ANSWER_BYTES = 64 * 1024
#: How long everything waits after an answer that says we are not welcome, seconds.
PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The core has it."""

    case_number: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The core may take it later."""

    reason: str
    after_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Park:
    """The core will never take it as it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """The core does not let us in: a person must mend the settings; no event is to blame."""

    reason: str
    seconds: float = PAUSE_SECONDS


Result = Delivered | Retry | Park | Pause


class Sink(Protocol):
    """Takes one event; never raises for what the other side does."""

    async def deliver(self, event: DueEvent) -> Result:
        """Hand it over and say how it went."""

    async def close(self) -> None:
        """Release what is held."""


def cloud_event(event: DueEvent, source: str) -> CloudEvent:
    """CloudEvents 1.0: the id stays the same over retries, the matter is subject and partition key."""
    return CloudEvent(
        attributes={
            "id": str(event.id),
            "source": source,
            "type": event.type,
            "subject": str(event.matter_id),
            "time": event.created_at.astimezone(UTC),
            "datacontenttype": "application/json",
            "partitionkey": str(event.matter_id),
            "sequence": str(event.sequence),
        },
        data=event.payload,
    )


class WebhookSink:
    """POST to the core."""

    def __init__(self, url: str, secret: str, source: str, *, timeout_seconds: float, clock: Clock) -> None:
        self._url, self._source, self._clock = url, source, clock
        self._signer = Webhook(secret)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)  # of the whole: a core may drip
        self._client: aiohttp.ClientSession | None = None

    async def deliver(self, event: DueEvent) -> Result:
        """One POST; every way in which it can fail is a result."""
        message = to_structured_event(cloud_event(event, self._source), JSONFormat())
        body = bytes(message.body)
        headers = dict(message.headers) | self._signature(event, body)
        try:
            async with self._session().post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                return judge(answer.status, answer.headers.get("retry-after"), await _head(answer), self._clock())
        except TimeoutError:
            return Retry("timeout")
        except (aiohttp.ClientError, OSError) as error:
            return Retry(type(error).__name__)

    def _session(self) -> aiohttp.ClientSession:
        """Made at the first delivery, on the loop that runs then."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                timeout=self._timeout,
                trust_env=False,
                auto_decompress=False,  # the answer is read raw, and in part
                headers={"accept-encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client

    def _signature(self, event: DueEvent, body: bytes) -> dict[str, str]:
        """Standard Webhooks: id.timestamp.body under HMAC-SHA256; the id is the event's, for ever."""
        at = self._clock()
        return {
            "webhook-id": str(event.id),
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(str(event.id), at, body.decode()),
        }

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


async def _head(answer: aiohttp.ClientResponse) -> bytes:
    head = b""
    async for chunk in answer.content.iter_chunked(ANSWER_BYTES):
        head += chunk
        if len(head) >= ANSWER_BYTES:
            break
    return head


def judge(status: int, retry_after: str | None, body: bytes, now: datetime) -> Result:
    """What an answer means (Standard Webhooks, "Response"; the table stands in docs/OPERATING.md)."""
    match status:
        case 409:
            return Delivered()
        case _ if 200 <= status < 300:
            return Delivered(_case_number(body))
        case 400 | 413 | 422:
            return Park(f"http_{status}")
        case 401 | 403 | 404 | 410:
            return Pause(f"http_{status}")
        case _:
            return Retry(f"http_{status}", _seconds(retry_after, now))


def _case_number(body: bytes) -> str | None:
    """A 2xx answer may carry {"case_number": …}; anything else in it is not ours to judge."""
    try:
        found = orjson.loads(body)["case_number"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) and 0 < len(found) <= 100 and found.isprintable() else None


def _seconds(retry_after: str | None, now: datetime) -> float:
    """Retry-After as seconds or date (RFC 9110 section 10.2.3); a day at most, nonsense is 0."""
    if not retry_after:
        return 0
    try:
        wanted = (
            float(retry_after) if retry_after.isdigit() else (parsedate_to_datetime(retry_after) - now).total_seconds()
        )
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(wanted, 0), 86_400)


class FileSink:
    """Appends one CloudEvent per line; delivered once it is on disk."""

    def __init__(self, path: Path, source: str) -> None:
        self._path, self._source = path, source
        self._lock = asyncio.Lock()

    async def deliver(self, event: DueEvent) -> Result:
        """Append and fsync, one at a time."""
        line = bytes(JSONFormat().write(cloud_event(event, self._source))) + b"\n"
        try:
            async with self._lock:
                await asyncio.to_thread(self._append, line)
        except OSError as error:
            return Retry(type(error).__name__)
        return Delivered()

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = b"\n" + line  # a kill left half a line, whose event is sent again
            try:
                while line:
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)  # half a line would spoil the next
                raise

    async def close(self) -> None:
        """Nothing is held open."""


def sinks_of(config: Config) -> dict[str, SinkSettings]:
    """Every sink by name: the case core, and its copies."""
    return {"core": config.core, **config.core.copies}


def open_sink(settings: SinkSettings, source: str, clock: Clock) -> Sink:
    """The sink that the settings describe; ``source`` is the CloudEvents source."""
    if settings.path is not None and settings.sink == "file":
        return FileSink(settings.path, source)
    if settings.sink == "broker":
        from gateway.broker import BrokerSink  # noqa: PLC0415 - it is made of what stands above

        return BrokerSink(settings, source)
    assert settings.url is not None and settings.secret is not None  # noqa: S101 - the settings refuse anything else
    return WebhookSink(
        settings.url, settings.secret.get_secret_value(), source, timeout_seconds=settings.timeout_seconds, clock=clock
    )
