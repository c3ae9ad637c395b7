"""RabbitMQ, by AMQP 0-9-1: a durable quorum queue, persistent messages, ``mandatory``, confirmed by the broker.

The default exchange routes to the queue of that name and nowhere else: any other could confirm a message that reached
only somebody's transient queue. Sources: rabbitmq.com, "Consumer Acknowledgements and Publisher Confirms", "Quorum Queues".
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import unquote, urlsplit

from aio_pika import RobustConnection
from aio_pika.connection import make_url
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelPreconditionFailed,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from gateway.broker import Answer, Connection, Letter, Refusal, read_as
from gateway.brokers.credentials import security
from gateway.config import SinkSettings
from gateway.sinks import Park, Pause, Result, Retry

DENIALS: dict[type[Exception], Result] = {
    AuthenticationError: Pause("not_let_in"),
    ProbableAuthenticationError: Pause("not_let_in"),
    ChannelAccessRefused: Pause("not_permitted"),
}
#: While opening. A queue of that name which is not durable, or no quorum queue, is refused; so is an unknown virtual
#: host, which aiormq tells as a frame that it did not expect.
OPENING: dict[type[Exception], Result] = DENIALS | {
    ChannelPreconditionFailed: Pause("other_queue"),
    InvalidFrameError: Pause("no_virtual_host"),
}
#: Nothing is bound: opening anew declares the queue, or tells why not.
GONE: dict[type[Exception], Result] = {PublishError: Retry("no_queue")}
#: basic.nack, as from a queue whose length is limited.
REFUSALS: dict[type[Exception], Result] = {DeliveryError: Retry("refused")}


class _Broker(RabbitBroker):
    """FastStream's, except that what does not come to a connection is closed, and does not go on trying."""

    async def _connect(self) -> RobustConnection:
        options = self._connection_kwargs
        connection = RobustConnection(make_url(options["url"]), ssl_context=options["ssl_context"])
        try:
            async with asyncio.timeout(options["timeout"]):
                await connection.connect()
                self.config.connect(connection)
                self._channel = await self.config.channel_manager.get_channel()
        except BaseException:
            await _close(connection, options["timeout"])
            raise
        return connection


async def open_connection(settings: SinkSettings, seconds: float) -> Connection:
    """Connect and declare the queue. Raise Answer, or what the library raises."""
    parts = urlsplit(settings.url or "")
    broker = _Broker(
        f"amqp://{parts.netloc}",
        virtualhost=unquote(parts.path[1:]) or "/",
        security=security(settings),
        timeout=seconds,
        default_channel=Channel(publisher_confirms=True, on_return_raises=True),
        logger=None,
    )
    queue = RabbitQueue(settings.subject, queue_type=QueueType.QUORUM, durable=True, timeout=seconds)
    async with contextlib.AsyncExitStack() as undo:
        with read_as(OPENING):
            undo.push_async_callback(_close, await broker.connect(), seconds)
            await broker.declare_queue(queue)

        async def publish(letter: Letter) -> None:
            with read_as(REFUSALS, Refusal), read_as(DENIALS | GONE):
                await _publish(broker, settings, letter)

        return Connection(publish, undo.pop_all().aclose)


async def _close(connection: RobustConnection, seconds: float) -> None:
    """Close it, channels and all; a broker that does not answer is not waited for."""
    with contextlib.suppress(Exception):  # it is of no more use, whatever it says
        async with asyncio.timeout(seconds):
            await connection.close()


async def _publish(broker: RabbitBroker, settings: SinkSettings, letter: Letter) -> None:
    """Return with basic.ack."""
    try:
        await broker.publish(
            letter.body,
            routing_key=settings.subject,
            mandatory=True,
            persist=True,
            message_id=letter.id,
            correlation_id=letter.id,
            message_type=letter.type,
            content_type=letter.content_type,
        )
    except ChannelPreconditionFailed as error:
        # It ends the channel, and with it whatever else is under way there: only the one that it names is too large.
        if f"message size {len(letter.body)} " in str(error):
            raise Answer(Park("too_large")) from None
        raise
