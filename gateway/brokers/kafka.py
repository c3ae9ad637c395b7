"""Kafka: acks=all, an idempotent producer, and the matter as key, so that its events stay in order in one partition.

Sources: kafka.apache.org, "Producer Configs" (acks, enable.idempotence) and "Topic Configs" (min.insync.replicas,
flush.messages).
"""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    AuthenticationFailedError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from gateway.broker import Answer, Connection, Letter, password_security, read_as
from gateway.config import Core
from gateway.sinks import Park, Pause, Retry

#: Bytes of a request at most: far above what a topic takes, for the broker's own limit is the one that decides.
REQUEST_BYTES = 64 * 1024 * 1024

DENIALS = {AuthenticationFailedError: Pause("not_let_in"), TopicAuthorizationFailedError: Pause("not_permitted")}
REFUSALS = {
    MessageSizeTooLargeError: Park("too_large"),
    RecordListTooLargeError: Park("too_large"),
    UnknownTopicOrPartitionError: Retry("no_topic"),
}


async def open_connection(core: Core, seconds: float) -> Connection:
    """See that the topic is there, and connect. Raise Answer, or what the library raises."""
    security = password_security(core, {"scram-sha-256": SASLScram256, "scram-sha-512": SASLScram512}.get(core.sasl, SASLPlaintext))
    address = urlsplit(core.url or "").netloc
    broker = KafkaBroker(
        address,
        security=security,
        acks="all",
        enable_idempotence=True,
        max_request_size=REQUEST_BYTES,
        request_timeout_ms=int(core.timeout_seconds * 1000),
        logger=None,
    )
    async with contextlib.AsyncExitStack() as undo:
        with read_as(DENIALS):
            weak = await _look(address, security, core.subject, seconds)
            undo.push_async_callback(broker.stop)
            await broker.connect()

        async def publish(letter: Letter) -> None:
            with read_as(DENIALS | REFUSALS):
                await broker.publish(
                    letter.body,
                    core.subject,
                    key=letter.matter_id.encode(),
                    headers={"content-type": letter.content_type},
                    correlation_id=letter.id,
                )

        return Connection(publish, undo.pop_all().aclose, weak)
