"""The broker sink against real brokers: what is confirmed is there, also after SIGKILL; what is not is sent again."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import ValidationError

from channels.simulated import Delivery
from gateway.broker import TALKATIVE
from gateway.config import SinkSettings
from gateway.demo.citizens import peers
from gateway.sinks import Delivered, Park, Retry
from gateway.testing import PUBLIC_URL, Start
from tests.brokers import (
    Server,
    kafka,
    nats,
    nats_server,
    quorum_queue_is_on_disk,
    rabbitmq,
    started,
)
from tests.consumers import (
    Place,
    amqp_messages,
    broker_sink,
    closing,
    kafka_messages,
    kafka_topic,
    nats_messages,
    until_taken,
)
from tests.ports import free_port
from tests.test_sinks import PAYLOAD, SECRET, answers, event, listening, response, webhook

__all__ = ["kafka", "nats", "rabbitmq"]

CONTENT_TYPE = "application/cloudevents+json"


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
    first, second = event(), event()
    async with closing(place.sink(timeout_seconds=2)) as sink:
        assert await until_taken(sink, first) == Delivered()
        if place.server.scheme == "amqp":
            await quorum_queue_is_on_disk(place.server, time.time())
        place.server.kill()
        async with asyncio.timeout(3):
            result = await sink.deliver(second)
        assert isinstance(result, Retry) and result.reason.isidentifier()
        place.server.start()
        assert await until_taken(sink, second) == Delivered()
    arrived = [one.id for one in await place.read()]
    assert list(dict.fromkeys(arrived)) == [str(first.id), str(second.id)]


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


async def test_a_broker_that_hangs_is_used_again_when_it_wakes_and_nothing_is_left_open(place: Place) -> None:
    first, second = event(), event()
    async with closing(place.sink(timeout_seconds=0.5)) as sink:
        assert await until_taken(sink, first) == Delivered()
        with place.server.hanging():
            for _ in range(4):
                result = await sink.deliver(second)
                assert isinstance(result, Retry) and result.reason.isidentifier()
        assert await until_taken(sink, second) == Delivered()
    assert {one.id for one in await place.read()} == {str(first.id), str(second.id)}


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


# -- Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"url": "nats://nats.city"}, "nats://nats.city:4222"),
        ({"url": "kafka://kafka.city"}, "kafka://kafka.city:9092"),
        ({"url": "amqp://rabbit.city"}, "amqp://rabbit.city:5672"),
        ({"url": "amqp://rabbit.city/hotline", "tls": True}, "amqp://rabbit.city:5671/hotline"),
        ({"url": "nats://[::1]"}, "nats://[::1]:4222"),
        ({"url": "nats://nats.city:4000"}, "nats://nats.city:4000"),
    ],
)
def test_an_address_is_completed_by_the_brokers_own_port(settings: dict[str, Any], address: str) -> None:
    assert SinkSettings.model_validate({"sink": "broker"} | settings).url == address


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        pytest.param({}, "needs url", id="no address"),
        pytest.param({"url": "http://nats.city"}, "not a broker's address", id="a webhook's address"),
        pytest.param({"url": "redis://nats.city"}, "not a broker's address", id="another broker"),
        pytest.param({"url": "nats://a:1,b:2"}, "not a broker's address", id="two addresses"),
        pytest.param({"url": "nats://nats.city/events"}, "not a broker's address", id="a path"),
        pytest.param({"url": "nats://nats.city:99999"}, "not a broker's address", id="no such port"),
        pytest.param({"url": "nats://core:geheim@nats.city"}, "set username and password", id="a password in it"),
        pytest.param({"url": "nats://a", "username": "core"}, "go together", id="no password"),
        pytest.param({"url": "nats://a", "password": "geheim"}, "go together", id="no username"),
        pytest.param({"url": "nats://a", "subject": "hotline.>"}, "for example hotline.events", id="a wildcard"),
        pytest.param({"url": "nats://a", "subject": "x" * 201}, "for example hotline.events", id="a long subject"),
        pytest.param({"url": "nats://a", "ca_file": "/nowhere.pem"}, "file of certificates", id="no certificates"),
        pytest.param({"url": "nats://a", "ca_file": __file__}, "file of certificates", id="something else"),
        pytest.param({"sink": "webhook", "url": "nats://a", "secret": SECRET}, "http://", id="a webhook to a broker"),
    ],
)
def test_a_fault_of_the_settings_is_told_with_its_mend_and_without_the_value(
    settings: dict[str, Any], mend: str
) -> None:
    with pytest.raises(ValidationError, match=mend) as caught:
        SinkSettings.model_validate({"sink": "broker"} | settings)
    assert "geheim" not in str(caught.value)


# -- The whole gateway ---------------------------------------------------------------------------------------------------


def _to(url: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["core"] = {"sink": "broker", "url": url}

    return change


async def test_the_gateway_hands_over_to_nats_and_its_books_balance(nats: Server, start_gateway: Start) -> None:
    async with start_gateway(_to(nats.url)) as gateway:
        sent = await _say(gateway, 8)
        await gateway.settle()
        books = await gateway.books()
    assert books["balanced"], books["offending"]
    assert books["events"]["owed"] == books["events"]["delivered"] == books["outcomes"]["filed"] == sent
    arrived = [orjson.loads(one.body) for one in await nats_messages(nats)]
    assert len(arrived) == len({one["id"] for one in arrived}) == sent
    assert {one["data"]["content"] for one in arrived} == {f"路灯第{number}盏不亮" for number in range(sent)}


async def test_the_gateway_starts_without_its_broker_and_keeps_what_it_owes(
    tmp_path: Path, start_gateway: Start
) -> None:
    server = nats_server(tmp_path / "nats")
    async with start_gateway(_to(server.url)) as gateway:
        sent = await _say(gateway, 3)
        await _until(gateway, lambda books: books["events"]["waiting"] == sent and not books["pending"])
        with started(server):
            await gateway.settle()
            arrived = await nats_messages(server)
        books = await gateway.books()
    assert books["balanced"] and books["events"]["delivered"] == sent == len(arrived)


async def _say(gateway: Any, count: int) -> int:
    app = peers(gateway.node.channels, gateway.secrets, PUBLIC_URL)["app"]
    for number in range(count):
        at = datetime.now(UTC)
        delivery: Delivery = app.say(f"路灯第{number}盏不亮", sender=str(number), message_id=str(number), at=at)
        assert (await delivery.send(gateway)).ok
    return count


async def _until(gateway: Any, true: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(60):
        while not true(await gateway.books()):
            await asyncio.sleep(0.05)
