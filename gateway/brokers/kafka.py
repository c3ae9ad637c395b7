"""Kafka: acks=all, an idempotent producer, and the matter as key, so that its events stay in order in one partition.

Sources: kafka.apache.org, "Producer Configs" (acks, enable.idempotence) and "Topic Configs" (min.insync.replicas,
flush.messages).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import SASLPlaintext, SASLScram256, SASLScram512

from gateway.broker import Answer, Connection, Letter, Refusal, read_as
from gateway.brokers.credentials import security
from gateway.config import SinkSettings
from gateway.sinks import Park, Pause, Result, Retry

log = structlog.get_logger(__name__)

MECHANISMS = {"plain": SASLPlaintext, "scram-sha-256": SASLScram256, "scram-sha-512": SASLScram512}
#: What decides how durable a confirmed message is.
SETTINGS = ("min.insync.replicas", "flush.messages")
#: Bytes of a request at most: far above what a topic takes, for the broker's own limit is the one that decides.
REQUEST_BYTES = 64 * 1024 * 1024

DENIALS: dict[type[Exception], Result] = {
    SaslAuthenticationFailed: Pause("not_let_in"),
    UnsupportedSaslMechanismError: Pause("not_let_in"),
    IllegalSaslStateError: Pause("not_let_in"),
    TopicAuthorizationFailedError: Pause("not_permitted"),
    UnknownTopicOrPartitionError: Retry("no_topic"),  # opening anew tells whether it is gone for good
}
REFUSALS: dict[type[Exception], Result] = {
    MessageSizeTooLargeError: Park("too_large"),
    RecordListTooLargeError: Park("too_large"),
}


async def open_connection(settings: SinkSettings, seconds: float) -> Connection:
    """See that the topic is there, and connect. Raise Answer, or what the library raises."""
    parts, chosen = urlsplit(settings.url or ""), security(settings, MECHANISMS[settings.sasl])
    broker = KafkaBroker(
        parts.netloc,
        security=chosen,
        acks="all",
        enable_idempotence=True,
        max_request_size=REQUEST_BYTES,
        request_timeout_ms=int(settings.timeout_seconds * 1000),
        logger=None,
    )
    async with contextlib.AsyncExitStack() as undo:
        with read_as(DENIALS):
            how = {"request_timeout_ms": int(seconds * 1000)} | parse_security(chosen)
            (await create_conn(parts.hostname, parts.port, **how)).close()  # tells why not, which those below do not
            weak = await _look(AIOKafkaAdminClient(bootstrap_servers=parts.netloc, **how), settings.subject)
            undo.push_async_callback(broker.stop)
            await broker.connect()

        async def publish(letter: Letter) -> None:
            with read_as(DENIALS), read_as(REFUSALS, Refusal):
                await broker.publish(
                    letter.body,
                    settings.subject,
                    key=letter.matter_id.encode(),
                    headers={"content-type": letter.content_type},
                    correlation_id=letter.id,
                )

        return Connection(publish, undo.pop_all().aclose, weak)


async def _look(admin: AIOKafkaAdminClient, topic: str) -> tuple[str, ...]:
    """Why the topic may lose what it has confirmed. Raise Answer when there is no such topic.

    Only a list of all topics tells without making it: a broker may make a topic, of one replica, for whoever asks for it.
    """
    try:
        await admin.start()
        if topic not in await admin.list_topics():
            log.error("topic_missing", topic=topic)
            raise Answer(Pause("no_topic"))
        (described,) = await admin.describe_topics([topic])
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict.fromkeys(SETTINGS))
        (answer,) = await admin.describe_configs([resource])
    finally:
        await admin.close()
    replicas = min(len(partition["replicas"]) for partition in described["partitions"])
    settings = {name: value for name, value, *_ in answer.resources[0][-1]}  # empty where we may not see them
    return tuple(_weak(replicas, settings))


def _weak(replicas: int, settings: dict[str, str]) -> Iterator[str]:
    if settings.get("flush.messages") == "1":
        return  # on disk before it is confirmed
    if replicas < 2:
        yield "one_replica"
    if int(settings.get("min.insync.replicas", 2)) < 2:
        yield "min_insync_replicas"
