"""The broker sink against a real NATS server with JetStream."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from gateway.sinks import PAUSE_SECONDS, Delivered, Park, Pause, Result, Retry
from tests.brokers import (
    PASSWORD,
    USER,
    Server,
    between,
    nats,
    nats_server,
    started,
)
from tests.consumers import (
    NOT_LET_IN,
    NOT_PERMITTED,
    broker_sink,
    closing,
    jetstream,
    nats_messages,
    until_taken,
)
from tests.test_sinks import event

__all__ = ["nats"]

USERS = f"""
jetstream: {{store_dir: js}}
authorization: {{
  users: [
    {{user: {USER}, password: "{PASSWORD}"}}
    {{user: deaf, password: "{PASSWORD}", permissions: {{publish: ["$JS.API.>"]}}}}
    {{user: blind, password: "{PASSWORD}", permissions: {{publish: ["hotline.events"]}}}}
    {{user: lodger, password: "{PASSWORD}", permissions: {{
      publish: ["hotline.events", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.>"]}}}}
  ]
}}
"""


async def test_the_same_event_twice_is_one_message(nats: Server) -> None:
    sent = event()
    async with closing(broker_sink(nats.url)) as sink:
        assert await sink.deliver(sent) == Delivered()
        assert await sink.deliver(sent) == Delivered()
    async with closing(broker_sink(nats.url)) as another:
        assert await another.deliver(sent) == Delivered()
    assert [one.id for one in await nats_messages(nats)] == [str(sent.id)]


async def test_an_event_whose_confirmation_was_lost_is_sent_again_and_stored_once(nats: Server) -> None:
    sent = event()
    async with between(nats) as proxy, closing(broker_sink(proxy.url)) as sink:
        assert await sink.deliver(event()) == Delivered()
        proxy.swallows = b'"seq":2'
        assert await sink.deliver(sent) == Retry("ConnectionResetError")
        assert proxy.swallowed == 1
        assert [one.id for one in await nats_messages(nats)][1:] == [str(sent.id)], "it must have been stored"
        assert await sink.deliver(sent) == Delivered()
    assert len(await nats_messages(nats)) == 2


async def test_ids_are_known_again_after_the_broker_was_killed(nats: Server) -> None:
    sent = event()
    async with closing(broker_sink(nats.url)) as sink:
        assert await sink.deliver(sent) == Delivered()
        nats.kill()
        nats.start()
        assert await until_taken(sink, sent) == Delivered()
    assert len(await nats_messages(nats)) == 1


async def test_a_stream_of_our_making_forgets_no_message_and_knows_ids_for_a_day(nats: Server) -> None:
    with structlog.testing.capture_logs() as logs:
        async with closing(broker_sink(nats.url)) as sink:
            await sink.deliver(event())
    async with jetstream(nats) as context:
        config = (await context.stream_info("hotline_events")).config
    assert (config.subjects, config.storage, config.discard) == (["hotline.events"], "file", "new")
    assert config.retention == "limits" and config.duplicate_window == 24 * 3600
    assert not any(limit and limit > 0 for limit in (config.max_msgs, config.max_bytes, config.max_age))
    assert [(line["event"], line.get("because")) for line in logs] == [
        ("stream_made", None),
        ("broker_weak", ("one_replica",)),
    ]


async def test_a_weak_stream_is_told_once_and_used(nats: Server) -> None:
    config = StreamConfig(
        name="city",
        subjects=["hotline.>"],
        storage=StorageType.MEMORY,
        retention=RetentionPolicy.INTEREST,
        max_msgs=10,
        discard=DiscardPolicy.OLD,
        duplicate_window=60,
    )
    async with jetstream(nats) as context:
        await context.add_stream(config)
    with structlog.testing.capture_logs() as logs:
        async with closing(broker_sink(nats.url)) as sink:
            assert await sink.deliver(event()) == Delivered()
            sink._drop(sink._opening)  # type: ignore[arg-type]
            assert await sink.deliver(event()) == Delivered()
    (told,) = [line for line in logs if line["event"] == "broker_weak"]
    assert told["because"] == (
        "one_replica",
        "in_memory",
        "old_are_discarded",
        "kept_only_for_consumers",
        "short_duplicate_window",
    )


async def test_a_full_stream_is_tried_again_and_its_connection_kept(nats: Server) -> None:
    async with jetstream(nats) as context:
        await context.add_stream(
            StreamConfig(name="s", subjects=["hotline.events"], max_msgs=1, discard=DiscardPolicy.NEW)
        )
        async with closing(broker_sink(nats.url)) as sink:
            assert await sink.deliver(event()) == Delivered()
            opened = sink._opening
            assert await sink.deliver(event()) == Retry("stream_full")
            assert sink._opening is opened
            await context.purge_stream("s")
            assert await sink.deliver(event()) == Delivered()


async def test_a_message_that_the_stream_finds_too_large_is_parked(nats: Server) -> None:
    async with jetstream(nats) as context:
        await context.add_stream(StreamConfig(name="s", subjects=["hotline.events"], max_msg_size=2000))
    async with closing(broker_sink(nats.url)) as sink:
        assert await sink.deliver(event(payload={"content": "x" * 3000})) == Park("too_large")
        assert await sink.deliver(event()) == Delivered()


async def test_a_stream_that_was_deleted_is_made_again(nats: Server) -> None:
    sent = event()
    async with closing(broker_sink(nats.url)) as sink:
        assert await sink.deliver(event()) == Delivered()
        async with jetstream(nats) as context:
            await context.delete_stream("hotline_events")
        assert await sink.deliver(sent) == Retry("no_stream")
        assert await sink.deliver(sent) == Delivered()
    assert [one.id for one in await nats_messages(nats)] == [str(sent.id)]


async def test_a_stream_that_cannot_be_made_pauses_everything_and_says_why(nats: Server) -> None:
    async with jetstream(nats) as context:
        await context.add_stream(StreamConfig(name="hotline_events", subjects=["another"]))
    with structlog.testing.capture_logs() as logs:
        async with closing(broker_sink(nats.url)) as sink:
            assert await sink.deliver(event()) == Pause("no_stream", PAUSE_SECONDS)
    assert [line["because"] for line in logs if line["event"] == "stream_refused"] == [
        "stream name already in use with a different configuration"
    ]


async def test_a_server_without_jetstream_pauses_everything(tmp_path: Path) -> None:
    with started(nats_server(tmp_path / "plain", "")) as server:
        async with closing(broker_sink(server.url)) as sink:
            assert await sink.deliver(event()) == Pause("no_jetstream", PAUSE_SECONDS)


@pytest.mark.parametrize(
    ("username", "password", "expected"),
    [
        pytest.param(None, None, NOT_LET_IN, id="no password"),
        pytest.param(USER, "wrong-4711", NOT_LET_IN, id="wrong password"),
        pytest.param("deaf", PASSWORD, NOT_PERMITTED, id="may not publish"),
        pytest.param("blind", PASSWORD, NOT_PERMITTED, id="may not ask for the stream"),
        pytest.param("lodger", PASSWORD, NOT_PERMITTED, id="may not make the stream that is missing"),
        pytest.param(USER, PASSWORD, Delivered(), id="let in"),
    ],
)
async def test_who_may_not_publish_to_nats_is_told_at_once(
    tmp_path: Path, username: str | None, password: str | None, expected: Result
) -> None:
    with started(nats_server(tmp_path / "nats", USERS)) as server:
        async with closing(broker_sink(server.url, username=username, password=password)) as sink:
            async with asyncio.timeout(4):  # not the delivery's 8 s
                # The server hangs up with its refusal; our PING on its way there can turn that into a bare reset.
                while (told := await sink.deliver(event())) == Retry("ConnectionResetError"):
                    pass
            assert told == expected


async def test_one_who_may_only_publish_needs_a_stream_that_is_there(tmp_path: Path) -> None:
    with started(nats_server(tmp_path / "nats", USERS)) as server:
        async with jetstream(server, user=USER, password=PASSWORD) as context:
            await context.add_stream(StreamConfig(name="s", subjects=["hotline.events"]))
        async with closing(broker_sink(server.url, username="lodger", password=PASSWORD)) as sink:
            assert await sink.deliver(event()) == Delivered()


async def test_tls_is_spoken_with_a_server_of_the_named_authority_only(tmp_path: Path) -> None:
    authority, other = certificates(tmp_path / "nats"), certificates(tmp_path / "other")
    tls = f"jetstream: {{store_dir: js}}\ntls: {{cert_file: {authority}, key_file: {authority.with_name('key.pem')}}}"
    with started(nats_server(tmp_path / "nats", tls)) as server:
        async with closing(broker_sink(server.url, tls=True, ca_file=authority)) as sink:
            assert await sink.deliver(event()) == Delivered()
        async with closing(broker_sink(server.url, tls=True, ca_file=other)) as sink:
            assert await sink.deliver(event()) == Retry("SSLCertVerificationError")
        async with closing(broker_sink(server.url)) as sink:
            assert isinstance(await sink.deliver(event()), Retry)


def certificates(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, and beside it its key."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
    at = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 4711, at - timedelta(days=1), at + timedelta(days=1)
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return folder / "certificate.pem"
