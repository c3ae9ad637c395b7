"""NATS JetStream: a stream holds the subject; ``Nats-Msg-Id`` makes one message of what is sent twice.

Sources: docs.nats.io, "JetStream Model Deep Dive" (Message Deduplication); error codes: nats-server, server/errors.json.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, Header, PersistMode, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from gateway.broker import Answer, Connection, Letter, Refusal, read_as
from gateway.brokers.credentials import security
from gateway.config import SinkSettings
from gateway.sinks import Park, Pause, Result, Retry

log = structlog.get_logger(__name__)
Value = TypeVar("Value")

#: How long a connection that failed is given to close, seconds.
CLOSE_SECONDS = 1.0
#: How long a stream of our making knows an id again, seconds: an outage of a day makes no copies.
DUPLICATE_SECONDS = 24 * 3600.0
#: A window shorter than twice the hand-off's longest wait lets a message that is sent again be stored again, seconds.
SHORT_SECONDS = 1200.0
#: By err_code. 10054: larger than the stream takes; 10077: the stream is full and takes no new ones, or its disk is full.
REFUSALS: dict[int | None, Result] = {10054: Park("too_large"), 10077: Retry("stream_full")}
#: Nobody keeps what is sent there; opening anew makes the stream, or tells why not.
GONE = Retry("no_stream")
#: By err_code. JetStream is off: for the account, for the server; None: nobody answers its API.
NO_JETSTREAM = (10039, 10076, None)


class _Broker(NatsBroker):
    """FastStream's, except that what does not come to a connection is closed."""

    async def _connect(self) -> Client:
        client = Client()
        try:
            await client.connect(**self._connection_kwargs)
        except BaseException:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):  # after a failed TLS handshake it waits for ever
                    await client.close()
            raise
        self.config.connect(client)
        return client


async def open_connection(settings: SinkSettings, seconds: float) -> Connection:
    """Connect and find the subject's stream, or make it. Raise Answer, or what the library raises."""
    fate = _Fate()
    broker = _Broker(
        settings.url or "",
        security=security(settings),
        allow_reconnect=False,  # the sink opens a new connection, for all brokers alike
        connect_timeout=seconds,  # type: ignore[arg-type]  # annotated as whole seconds, used in asyncio.wait_for
        error_cb=fate.failed,
        closed_cb=fate.closed,
        logger=None,
    )
    async with contextlib.AsyncExitStack() as undo:
        client = await broker.connect()
        undo.push_async_callback(client.close)
        fate.connected = True
        stream = await fate.unless_over(_stream(client.jetstream(timeout=seconds), settings.subject))

        async def publish(letter: Letter) -> None:
            with read_as({MaxPayloadError: Park("too_large")}, Refusal), read_as({NoStreamResponseError: GONE}):
                await fate.unless_over(_publish(broker, settings, stream.name, letter))

        return Connection(publish, undo.pop_all().aclose, tuple(_weak(stream)))


async def _publish(broker: NatsBroker, settings: SinkSettings, stream: str | None, letter: Letter) -> None:
    """Return with the PubAck; a duplicate's says that the stream has it, and so is as good as the first."""
    try:
        await broker.publish(
            letter.body,
            settings.subject,
            headers={Header.MSG_ID: letter.id, "content-type": letter.content_type},
            correlation_id=letter.id,
            stream=stream,  # without it FastStream would publish past JetStream, and nothing would confirm
            timeout=settings.timeout_seconds,
        )
    except APIError as error:
        raise Refusal(REFUSALS.get(error.err_code, Retry(f"nats_{error.err_code}"))) from None


class _Fate:
    """What the server says about a connection outside of any answer."""

    def __init__(self) -> None:
        self.connected = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def failed(self, error: Exception) -> None:
        """An error of the protocol; what is raised while connecting ends the library's own tries."""
        text = str(error).lower()
        if not self.connected:
            raise Answer(Pause("not_let_in")) if "authorization" in text else error
        if "permissions violation" in text:  # and the request in question is never answered
            self._end(Answer(Pause("not_permitted")))

    async def closed(self) -> None:
        """The connection is gone; the library would let requests wait for their time-out."""
        self._end(ConnectionResetError())

    def _end(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._over.exception()  # seen: nobody may be waiting

    async def unless_over(self, work: Coroutine[Any, Any, Value]) -> Value:
        """The outcome of ``work``, or the end of the connection if that comes first."""
        task = asyncio.create_task(work)
        try:
            both: tuple[asyncio.Future[Any], ...] = (task, self._over)
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._over.result()
            return task.result()
        finally:
            task.cancel()


async def _stream(jetstream: JetStreamContext, subject: str) -> StreamConfig:
    """The stream that holds the subject, made where there is none."""
    try:
        with contextlib.suppress(NotFoundError):
            name = await jetstream.find_stream_name_by_subject(subject)
            return (await jetstream.stream_info(name)).config
        wanted = StreamConfig(
            name=subject.replace(".", "_"),
            subjects=[subject],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            duplicate_window=DUPLICATE_SECONDS,
        )
        log.warning("stream_made", stream=wanted.name, subject=subject)
        return (await jetstream.add_stream(wanted)).config
    except ServiceUnavailableError as error:
        raise Answer(Pause("no_jetstream") if error.err_code in NO_JETSTREAM else Retry("ServiceUnavailable")) from None
    except APIError as error:
        log.error("stream_refused", subject=subject, err_code=error.err_code, because=error.description)
        raise Answer(Pause("no_stream")) from None


def _weak(stream: StreamConfig) -> Iterator[str]:
    """What a client can see; the server's sync_interval, and so fsync, it cannot."""
    limits = (stream.max_msgs, stream.max_bytes, stream.max_age)
    if (stream.num_replicas or 1) < 2:
        yield "one_replica"
    if stream.storage == StorageType.MEMORY:
        yield "in_memory"
    if stream.persist_mode == PersistMode.ASYNC:
        yield "confirmed_before_written"
    if stream.discard == DiscardPolicy.OLD and any(limit and limit > 0 for limit in limits):
        yield "old_are_discarded"
    if stream.retention == RetentionPolicy.INTEREST:
        yield "kept_only_for_consumers"
    if stream.duplicate_window < SHORT_SECONDS:
        yield "short_duplicate_window"
