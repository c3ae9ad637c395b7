"""Events to a message broker, by FastStream: NATS JetStream, Kafka or RabbitMQ.

Delivered is what the broker has confirmed; how durable that is, broker by broker, stands in docs/OPERATING.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import structlog
from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.formats.json import JSONFormat

from gateway.config import SinkSettings
from gateway.sinks import Delivered, Result, Retry, cloud_event
from store.values import DueEvent

log = structlog.get_logger(__name__)

#: The longest that opening a connection may take, seconds; the rest of the time is the event's.
OPEN_SECONDS = 5.0
#: The brokers' own libraries. They log messages whole, and errors that our results tell already.
TALKATIVE = ("aio_pika", "aiokafka", "aiormq", "faststream", "nats")


@dataclass(frozen=True, slots=True)
class Letter:
    """What goes to the broker: a CloudEvent in structured JSON, the same bytes that the webhook would post."""

    #: The event's id, the same over retries.
    id: str
    #: The CloudEvents partitionkey: whatever is about one matter has the same.
    matter_id: str
    type: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection to a broker."""

    #: Returns when the broker has confirmed the letter; else raises Answer, TimeoutError or what the library raises.
    publish: Callable[[Letter], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    #: Why a confirmation may promise less than "on two disks", a word each, as far as a client can see it.
    weak: tuple[str, ...] = ()


class Open(Protocol):
    """What each file of gateway/brokers/ defines as ``open_connection``."""

    async def __call__(self, settings: SinkSettings, seconds: float) -> Connection:
        """Connect, and see that there is a place for the events; ``seconds`` bounds each step."""


class Answer(Exception):
    """A broker's answer whose meaning is known."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result


class Refusal(Answer):
    """The answer is about this letter; the connection is as good as before."""


@contextlib.contextmanager
def read_as(meanings: Mapping[type[Exception], Result], answer: type[Answer] = Answer) -> Iterator[None]:
    """Within it, an error of one of these classes becomes an answer with the result beside the first that fits."""
    try:
        yield
    except tuple(meanings) as error:
        raise answer(next(result for kind, result in meanings.items() if isinstance(error, kind))) from None


class BrokerSink:
    """Publishes over one connection, opened at the first event and anew after a failure."""

    def __init__(self, settings: SinkSettings, source: str) -> None:
        self._settings, self._source = settings, source
        self._opening: asyncio.Task[Connection] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._warned = False

    async def deliver(self, event: DueEvent) -> Result:
        """Publish and wait for the confirmation; every way in which it can fail is a result."""
        letter = self._letter(event)
        opening = self._opening = self._opening or asyncio.create_task(self._open())
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                connection = await asyncio.shield(opening)  # of all who wait; half-open, it could not be cancelled
                await connection.publish(letter)
        except Exception as error:  # noqa: BLE001 - three libraries, and a sink never raises
            if not isinstance(error, Refusal):
                self._drop(opening)
            return _meaning(error)
        return Delivered()

    def _letter(self, event: DueEvent) -> Letter:
        message = to_structured_event(cloud_event(event, self._source), JSONFormat())
        return Letter(
            id=str(event.id),
            matter_id=str(event.matter_id),
            type=event.type,
            content_type=message.headers["content-type"],
            body=bytes(message.body),
        )

    async def _open(self) -> Connection:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        kind = urlsplit(self._settings.url or "").scheme
        wire = await asyncio.to_thread(importlib.import_module, f"gateway.brokers.{kind}")
        open_connection: Open = wire.open_connection
        connection = await open_connection(self._settings, min(OPEN_SECONDS, self._settings.timeout_seconds))
        if connection.weak and not self._warned:
            self._warned = True
            log.warning("broker_weak", subject=self._settings.subject, because=connection.weak)
        return connection

    def _drop(self, opening: asyncio.Task[Connection]) -> None:
        """Let the next delivery open anew: a connection that failed once is not relied upon again."""
        if self._opening is opening:
            self._opening = None
            self._release(opening)

    def _release(self, opening: asyncio.Task[Connection]) -> None:
        closing = asyncio.create_task(_close(opening))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close what is open; takes as long as a delivery at most."""
        if self._opening is not None:
            self._drop(self._opening)
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=self._settings.timeout_seconds)
            for task in late:
                task.cancel()


async def _close(opening: asyncio.Task[Connection]) -> None:
    with contextlib.suppress(Exception):  # whatever it is, we are done with this connection
        connection = await opening
        await connection.close()


def _meaning(error: Exception) -> Result:
    if isinstance(error, Answer):
        return error.result
    return Retry("timeout" if isinstance(error, TimeoutError) else type(error).__name__)
