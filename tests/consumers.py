"""The broker sink for tests, and what a consumer of each broker gets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aio_pika
import nats as nats_py
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from nats.js.client import JetStreamContext

from gateway.broker import BrokerSink
from gateway.config import SinkSettings
from gateway.sinks import PAUSE_SECONDS, Pause, Result, Retry
from store.values import DueEvent
from tests.brokers import (
    Server,
)
from tests.test_sinks import SOURCE

NOT_LET_IN = Pause("not_let_in", PAUSE_SECONDS)
NOT_PERMITTED = Pause("not_permitted", PAUSE_SECONDS)
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True)
class Arrived:
    """A message as a consumer of the broker's gets it."""

    id: str
    content_type: str
    body: bytes
    key: str | None = None


@dataclass(frozen=True)
class Place:
    """Somewhere for events, of this test alone, on one of the brokers."""

    server: Server
    subject: str
    read: Callable[[], Awaitable[list[Arrived]]]

    def sink(self, **more: Any) -> BrokerSink:
        return broker_sink(self.server.url, **{"subject": self.subject} | more)


def broker_sink(url: str, **more: Any) -> BrokerSink:
    return BrokerSink(SinkSettings.model_validate({"sink": "broker", "url": url, "timeout_seconds": 8} | more), SOURCE)


@contextlib.asynccontextmanager
async def closing(sink: BrokerSink) -> AsyncIterator[BrokerSink]:
    """The sink; whatever of it is left open afterwards is an error."""
    before = asyncio.all_tasks()
    try:
        yield sink
    finally:
        await sink.close()
    for _ in range(500):
        if not (left := asyncio.all_tasks() - before):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(left)


@contextlib.asynccontextmanager
async def jetstream(server: Server, **options: Any) -> AsyncIterator[JetStreamContext]:
    client = await nats_py.connect(server.url, **options)
    try:
        yield client.jetstream(timeout=10)
    finally:
        await client.close()


async def nats_messages(server: Server, stream: str = "hotline_events", **options: Any) -> list[Arrived]:
    async with jetstream(server, **options) as context:
        count = (await context.stream_info(stream)).state.messages
        found = [await context.get_msg(stream, number) for number in range(1, count + 1)]
    headers = [message.headers or {} for message in found]
    return [
        Arrived(header["Nats-Msg-Id"], header["content-type"], message.data or b"")
        for header, message in zip(headers, found, strict=True)
    ]


async def amqp_messages(server: Server, queue: str) -> list[Arrived]:
    connection = await aio_pika.connect(server.url)
    async with connection:
        opened = await (await connection.channel()).get_queue(queue)
        found = []
        while message := await opened.get(fail=False, timeout=10):
            assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
            found.append(Arrived(message.message_id or "", message.content_type or "", message.body))
    return found


async def kafka_messages(server: Server, topic: str) -> list[Arrived]:
    consumer = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{server.port}", auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found = []
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(*places, timeout_ms=1000)).values():
                found += records
    finally:
        await consumer.stop()
    return [
        Arrived(orjson.loads(r.value)["id"], dict(r.headers)["content-type"].decode(), r.value, r.key.decode())
        for r in found
    ]


async def kafka_topic(server: Server, topic: str, **settings: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{server.port}")
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 2, 1, topic_configs=settings)])
        while topic not in await admin.list_topics():
            await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def kafka_topics(server: Server) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{server.port}")
    await admin.start()
    try:
        found: list[str] = await admin.list_topics()
    finally:
        await admin.close()
    return found


async def until_taken(sink: BrokerSink, sent: DueEvent) -> Result:
    """Try as the hand-off does, until it is taken."""
    async with asyncio.timeout(40):
        while isinstance(result := await sink.deliver(sent), Retry | Pause):
            await asyncio.sleep(0.1)
    return result
