"""The broker sink against real brokers: what is confirmed is there, also after SIGKILL; what is not is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import nats as nats_py
import orjson
import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext

from channels.simulated import Delivery
from gateway.broker import TALKATIVE, BrokerSink
from gateway.config import SinkSettings
from gateway.demo.citizens import peers
from gateway.sinks import PAUSE_SECONDS, Delivered, Park, Pause, Result, Retry
from gateway.testing import PUBLIC_URL, Start
from store.values import DueEvent
from tests.brokers import PASSWORD, USER, Server, between, free_port, kafka, nats, nats_server, rabbitmq, started
from tests.test_sinks import PAYLOAD, SOURCE, answers, event, listening, response, webhook

__all__ = ["kafka", "nats", "rabbitmq"]

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
    for _ in range(100):
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


@pytest.fixture(params=["nats", "rabbitmq", "kafka"])
async def place(request: pytest.FixtureRequest) -> Place:
    server: Server = request.getfixturevalue(request.param)
    subject = f"hotline.{uuid4().hex}"
    if request.param == "kafka":
        await kafka_topic(server, subject)
        return Place(server, subject, lambda: kafka_messages(server, subject))
    if request.param == "nats":
        return Place(server, subject, lambda: nats_messages(server, subject.replace(".", "_")))
    return Place(server, subject, lambda: amqp_messages(server, subject))


# -- All three ---------------------------------------------------------------------------------------------------------


async def test_a_confirmed_event_arrives_with_the_bytes_that_the_webhook_sends(place: Place) -> None:
    sent = event()
    async with listening(answers(response())) as (url, requests), webhook(url) as posting:
        await posting.deliver(sent)
    async with closing(place.sink()) as sink:
        assert await sink.deliver(sent) == Delivered()
    (arrived,) = await place.read()
    assert arrived.id == str(sent.id)
    assert arrived.content_type.split(";")[0] == CONTENT_TYPE
    assert arrived.body == requests[0].content
    assert orjson.loads(arrived.body)["data"] == PAYLOAD
    assert arrived.key in {str(sent.matter_id), None}


async def test_events_at_once_share_one_connection_and_all_arrive(place: Place) -> None:
    sent = [event(sequence=number) for number in range(32)]
    async with closing(place.sink()) as sink:
        assert await asyncio.gather(*map(sink.deliver, sent)) == [Delivered()] * 32
        assert sink._opening is not None
        opened = sink._opening
        assert await sink.deliver(event()) == Delivered()
        assert sink._opening is opened
    arrived = [one.id for one in await place.read()]
    assert set(arrived) >= {str(one.id) for one in sent} and len(arrived) == 33


async def test_a_broker_killed_and_started_again_is_found_again_and_holds_what_it_confirmed(place: Place) -> None:
    """The same sink all along; SIGKILL keeps what was written, synced or not: a power cut is told in OPERATING.md."""
    first, second, third = event(), event(), event()
    async with closing(place.sink(timeout_seconds=2)) as sink:
        place.server.kill()
        assert isinstance(await sink.deliver(first), Retry)
        place.server.start()
        assert await until_taken(sink, first) == Delivered()
        place.server.kill()
        began = time.monotonic()
        result = await sink.deliver(second)
        assert isinstance(result, Retry) and result.reason.isidentifier()
        assert time.monotonic() - began < 3
        place.server.start()
        assert await until_taken(sink, second) == Delivered()
        assert await until_taken(sink, third) == Delivered()
    arrived = [one.id for one in await place.read()]
    assert list(dict.fromkeys(arrived)) == [str(one.id) for one in (first, second, third)]


async def until_taken(sink: BrokerSink, sent: DueEvent) -> Result:
    """Try as the hand-off does, until it is taken."""
    async with asyncio.timeout(40):
        while isinstance(result := await sink.deliver(sent), Retry | Pause):
            await asyncio.sleep(0.1)
    return result


async def test_an_event_too_large_for_the_broker_is_parked_and_the_next_one_goes(place: Place) -> None:
    """The brokers of the tests take 100 kB; NATS, by its default, 1 MB."""
    small = event()
    async with closing(place.sink()) as sink:
        assert await sink.deliver(event(payload={"content": "字" * 700_000})) == Park("too_large")
        assert await until_taken(sink, small) == Delivered()
    assert [one.id for one in await place.read()] == [str(small.id)]


async def test_one_too_large_among_many_is_the_only_one_parked(place: Place) -> None:
    """RabbitMQ ends the whole channel over it."""
    sent = [event(sequence=number) for number in range(8)]
    sent[4] = event(payload={"content": "字" * 700_000})
    async with closing(place.sink()) as sink:
        assert await sink.deliver(event()) == Delivered()
        results = await asyncio.gather(*map(sink.deliver, sent))
    assert results[4] == Park("too_large")
    assert all(isinstance(result, Delivered | Retry) for result in results[:4] + results[5:])


@pytest.mark.parametrize("scheme", ["nats", "kafka", "amqp"])
async def test_a_broker_that_takes_the_connection_and_says_nothing_costs_the_timeout_at_most(scheme: str) -> None:
    async def hangs(_body: bytes, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with listening(hangs) as (url, _):
        address = url.removeprefix("http").removesuffix("/events")
        async with closing(broker_sink(scheme + address, timeout_seconds=0.4)) as sink, asyncio.timeout(3):
            result = await sink.deliver(event())
    assert isinstance(result, Retry) and result.reason.isidentifier()


@pytest.mark.parametrize("scheme", ["nats", "kafka", "amqp"])
async def test_a_broker_that_is_not_there_is_tried_again(scheme: str) -> None:
    async with closing(broker_sink(f"{scheme}://127.0.0.1:{free_port()}")) as sink, asyncio.timeout(3):
        for _ in range(2):
            result = await sink.deliver(event())
            assert isinstance(result, Retry) and result.reason.isidentifier() and "Error" in result.reason


def test_nothing_of_a_broker_is_loaded_without_the_sink() -> None:
    """Its libraries cost a third of a second: `gateway --help` and the webhook do not pay."""
    seen = "import sys, gateway.cli, gateway.node; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.split()
    assert "gateway" in loaded and not set(TALKATIVE) & set(loaded)


async def test_the_libraries_log_nothing_that_a_citizen_wrote(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At DEBUG they would log messages whole."""
    caplog.set_level(logging.DEBUG)
    for name in TALKATIVE:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    async with closing(place.sink()) as sink:
        assert await sink.deliver(event(payload={"content": "canary-8846"})) == Delivered()
    assert (await place.read())[0].body.count(b"canary-8846") == 1
    assert [record.name for record in caplog.records if "canary-8846" in record.getMessage()] == []
