"""The broker sink against a real Kafka."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest
import structlog

from gateway.sinks import PAUSE_SECONDS, Delivered, Pause, Result
from tests.brokers import (
    PASSWORD,
    USER,
    Server,
    kafka,
)
from tests.consumers import (
    NOT_LET_IN,
    broker_sink,
    closing,
    kafka_messages,
    kafka_topic,
    kafka_topics,
)
from tests.test_sinks import event

__all__ = ["kafka"]


async def test_a_topic_that_is_missing_pauses_everything_and_is_not_made(kafka: Server) -> None:
    """The broker of the tests makes topics for whoever asks, as Kafka does by default, of one replica."""
    topic = f"hotline.{uuid4().hex}"
    with structlog.testing.capture_logs() as logs:
        async with closing(broker_sink(kafka.url, subject=topic)) as sink:
            assert await sink.deliver(event()) == Pause("no_topic", PAUSE_SECONDS)
            assert [line["event"] for line in logs] == ["topic_missing"]
            assert topic not in await kafka_topics(kafka)
            await kafka_topic(kafka, topic)
            assert await sink.deliver(event()) == Delivered()


async def test_events_of_one_matter_go_to_one_partition_in_order(kafka: Server) -> None:
    topic = f"hotline.{uuid4().hex}"
    await kafka_topic(kafka, topic)
    matters = [uuid4() for _ in range(8)]
    sent = [event(matter_id=matter, sequence=number) for number in range(3) for matter in matters]
    async with closing(broker_sink(kafka.url, subject=topic)) as sink:
        for one in sent:
            assert await sink.deliver(one) == Delivered()
    arrived = await kafka_messages(kafka, topic)
    for matter in matters:
        mine = [orjson.loads(one.body)["sequence"] for one in arrived if one.key == str(matter)]
        assert mine == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        pytest.param({}, ("one_replica", "min_insync_replicas"), id="defaults of one broker"),
        pytest.param({"min.insync.replicas": "2"}, ("one_replica",), id="refuses with fewer than two"),
        pytest.param({"flush.messages": "1"}, None, id="on disk before it is confirmed"),
    ],
)
async def test_a_weak_topic_is_told(kafka: Server, settings: dict[str, str], because: tuple[str, ...] | None) -> None:
    topic = f"hotline.{uuid4().hex}"
    await kafka_topic(kafka, topic, **settings)
    with structlog.testing.capture_logs() as logs:
        async with closing(broker_sink(kafka.url, subject=topic, timeout_seconds=2)) as sink:
            result = await sink.deliver(event())
    assert next((line["because"] for line in logs if line["event"] == "broker_weak"), None) == because
    assert result == Delivered(), "Kafka 4 asks for no more replicas than the topic has, whatever min.insync.replicas"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"password": PASSWORD}, Delivered(), id="scram"),
        pytest.param({"password": PASSWORD, "sasl": "plain"}, Delivered(), id="plain"),
        pytest.param({"password": "wrong-4711"}, NOT_LET_IN, id="scram, wrong password"),
        pytest.param({"password": "wrong-4711", "sasl": "plain"}, NOT_LET_IN, id="plain, wrong password"),
    ],
)
async def test_kafka_lets_in_who_knows_the_password(kafka: Server, settings: dict[str, str], expected: Result) -> None:
    topic = f"hotline.{uuid4().hex}"
    await kafka_topic(kafka, topic)
    address = f"kafka://127.0.0.1:{kafka.sasl_port}"  # type: ignore[attr-defined]
    async with closing(broker_sink(address, subject=topic, username=USER, **settings)) as sink:
        assert await sink.deliver(event()) == expected
