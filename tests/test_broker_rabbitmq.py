"""The broker sink against a real RabbitMQ."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import aio_pika
import pytest

from gateway.sinks import PAUSE_SECONDS, Delivered, Pause, Result, Retry
from tests.brokers import (
    Server,
    between,
    rabbitmq,
)
from tests.consumers import (
    NOT_LET_IN,
    NOT_PERMITTED,
    amqp_messages,
    broker_sink,
    closing,
    until_taken,
)
from tests.test_sinks import event

__all__ = ["rabbitmq"]


@contextlib.asynccontextmanager
async def channel(server: Server) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(server.url) as connection:
        yield await connection.channel()


async def test_rabbitmq_after_a_lost_confirmation_gets_the_event_again_under_the_same_id(rabbitmq: Server) -> None:
    """It does not remove copies: the consumer knows them by message_id."""
    sent, queue = event(), f"hotline.{uuid4().hex}"
    async with between(rabbitmq) as proxy, closing(broker_sink(proxy.url, subject=queue)) as sink:
        assert await sink.deliver(event()) == Delivered()
        proxy.swallows = b"\x00\x3c\x00\x50"  # basic.ack: class 60, method 80
        assert isinstance(await sink.deliver(sent), Retry)
        assert proxy.swallowed == 1
        assert await sink.deliver(sent) == Delivered()
    assert [one.id for one in await amqp_messages(rabbitmq, queue)][1:] == [str(sent.id)] * 2


@pytest.mark.parametrize("kept_back", [b"\x00\x14\x00\x0b", b"\x00\x32\x00\x0b"], ids=["channel", "queue"])
async def test_a_rabbitmq_that_hangs_half_open_leaves_nothing_behind(rabbitmq: Server, kept_back: bytes) -> None:
    """channel.open-ok (class 20, method 11) and queue.declare-ok (class 50, method 11) never come."""
    async with between(rabbitmq) as proxy, closing(broker_sink(proxy.url, timeout_seconds=0.5)) as sink:
        proxy.keeps_back = kept_back
        for _ in range(3):
            assert await sink.deliver(event()) == Retry("timeout")
        proxy.keeps_back = None
        assert await until_taken(sink, event()) == Delivered()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"username": "guest", "password": "wrong-4711"}, NOT_LET_IN, id="wrong password"),
        pytest.param({"vhost": "/nowhere"}, Pause("no_virtual_host", PAUSE_SECONDS), id="no such virtual host"),
        pytest.param({"subject": "amq.reserved"}, NOT_PERMITTED, id="may not declare"),
    ],
)
async def test_who_may_not_publish_to_rabbitmq_is_told(
    rabbitmq: Server, settings: dict[str, str], expected: Result
) -> None:
    vhost = settings.get("vhost", "")
    more = {name: value for name, value in settings.items() if name != "vhost"}
    async with closing(broker_sink(rabbitmq.url + vhost, **more)) as sink:
        assert await sink.deliver(event()) == expected


@pytest.mark.parametrize("durable", [True, False])
async def test_a_queue_that_is_no_quorum_queue_is_refused(rabbitmq: Server, durable: bool) -> None:
    queue = f"hotline.{uuid4().hex}"
    async with channel(rabbitmq) as opened, closing(broker_sink(rabbitmq.url, subject=queue)) as sink:
        await opened.declare_queue(queue, durable=durable)
        assert await sink.deliver(event()) == Pause("other_queue", PAUSE_SECONDS)
        await opened.queue_delete(queue)
        assert await sink.deliver(event()) == Delivered()


async def test_a_queue_that_was_deleted_is_no_silent_loss_and_is_declared_again(rabbitmq: Server) -> None:
    sent, queue = event(), f"hotline.{uuid4().hex}"
    async with channel(rabbitmq) as opened, closing(broker_sink(rabbitmq.url, subject=queue)) as sink:
        assert await sink.deliver(event()) == Delivered()
        await opened.queue_delete(queue)
        assert await sink.deliver(sent) == Retry("no_queue")
        assert await sink.deliver(sent) == Delivered()
    assert [one.id for one in await amqp_messages(rabbitmq, queue)] == [str(sent.id)]
