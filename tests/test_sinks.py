"""Sinks: what the case core gets, and what each way it can answer means. The cores here are real and misbehave."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import hmac
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema
import orjson
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from channels.app import AppSettings
from gateway.clock import now
from gateway.config import Config
from gateway.sinks import (
    ANSWER_BYTES,
    PAUSE_SECONDS,
    Delivered,
    FileSink,
    Park,
    Pause,
    Result,
    Retry,
    WebhookSink,
    judge,
    open_sink,
)
from store.values import DueEvent

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
RAW_SECRET = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(RAW_SECRET).decode()
SOURCE = "https://hotline.example"
PAYLOAD = {"matter_id": "m", "title": "路灯不亮", "content": "朝阳小区 💡\n第二行"}

#: The rules of CloudEvents 1.0.2, JSON event format, for what we use of it; written from the specification.
CLOUD_EVENT = {
    "type": "object",
    "required": ["id", "source", "specversion", "type"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
        "datacontenttype": {"type": "string", "minLength": 1},
        "partitionkey": {"type": "string", "minLength": 1},
        "sequence": {"type": "string", "minLength": 1},
        "data": {"type": "object"},
    },
    "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
}


def event(**changes: Any) -> DueEvent:
    values = {
        "id": uuid4(),
        "matter_id": UUID("0198c0de-0000-7000-8000-000000000000"),
        "sequence": 3,
        "type": "hotline.matter.amended.v1",
        "created_at": datetime(2026, 11, 22, 16, 0, tzinfo=timezone(timedelta(hours=8))),
        "payload": PAYLOAD,
        "attempts": 0,
    }
    return DueEvent(**(values | changes))


# -- What an answer means ----------------------------------------------------------------------------------------------

IN_A_MINUTE = "Sun, 22 Nov 2026 08:01:00 GMT"


@pytest.mark.parametrize(
    ("status", "retry_after", "body", "expected"),
    [
        pytest.param(200, None, b"", Delivered(), id="200 empty"),
        pytest.param(200, None, b"<html>", Delivered(), id="200 garbage"),
        pytest.param(200, None, b"\xff\xfe", Delivered(), id="200 not UTF-8"),
        pytest.param(200, None, b'{"case_number": "JN-1"}', Delivered("JN-1"), id="200 case number"),
        pytest.param(201, None, '{"case_number": "济-1"}'.encode(), Delivered("济-1"), id="201 case number"),
        pytest.param(202, None, b"{}", Delivered(), id="202"),
        pytest.param(204, None, b"", Delivered(), id="204"),
        pytest.param(200, None, b'{"case_number": 7}', Delivered(), id="case number is a number"),
        pytest.param(200, None, b'{"case_number": null}', Delivered(), id="case number is null"),
        pytest.param(200, None, b'{"case_number": ""}', Delivered(), id="case number is empty"),
        pytest.param(200, None, b'{"case_number": ["a"]}', Delivered(), id="case number is a list"),
        pytest.param(200, None, b'{"case_number": "%s"}' % (b"9" * 101), Delivered(), id="case number too long"),
        pytest.param(200, None, b'["case_number"]', Delivered(), id="a list"),
        pytest.param(200, None, b'"case_number"', Delivered(), id="a string"),
        pytest.param(200, None, b"[" * 10_000, Delivered(), id="200 deep"),
        pytest.param(409, None, b'{"case_number": "JN-1"}', Delivered(), id="409 is done"),
        pytest.param(301, None, b"", Retry("http_301"), id="301"),
        pytest.param(302, None, b"", Retry("http_302"), id="302"),
        pytest.param(307, None, b"", Retry("http_307"), id="307"),
        pytest.param(400, None, b"", Park("http_400"), id="400"),
        pytest.param(413, None, b"", Park("http_413"), id="413"),
        pytest.param(422, None, b"", Park("http_422"), id="422"),
        pytest.param(401, None, b"", Pause("http_401", PAUSE_SECONDS), id="401"),
        pytest.param(403, None, b"", Pause("http_403", PAUSE_SECONDS), id="403"),
        pytest.param(404, None, b"", Pause("http_404", PAUSE_SECONDS), id="404"),
        pytest.param(410, None, b"", Pause("http_410", PAUSE_SECONDS), id="410"),
        pytest.param(408, None, b"", Retry("http_408"), id="408"),
        pytest.param(425, None, b"", Retry("http_425"), id="425"),
        pytest.param(429, None, b"", Retry("http_429"), id="429"),
        pytest.param(429, "120", b"", Retry("http_429", 120), id="429 seconds"),
        pytest.param(429, IN_A_MINUTE, b"", Retry("http_429", 60), id="429 date"),
        pytest.param(429, "Sun, 22 Nov 2026 07:00:00 GMT", b"", Retry("http_429"), id="429 date gone by"),
        pytest.param(429, "Sun, 22 Nov 2026 08:01:00 -0000", b"", Retry("http_429"), id="429 date without a zone"),
        pytest.param(429, "9" * 400, b"", Retry("http_429", 86_400), id="429 for ever is a day"),
        pytest.param(429, "-5", b"", Retry("http_429"), id="429 negative"),
        pytest.param(429, "²", b"", Retry("http_429"), id="429 a digit that is no number"),
        pytest.param(429, "soon", b"", Retry("http_429"), id="429 nonsense"),
        pytest.param(429, "", b"", Retry("http_429"), id="429 blank"),
        pytest.param(500, None, b"", Retry("http_500"), id="500"),
        pytest.param(503, "2", b"", Retry("http_503", 2), id="503 seconds"),
        pytest.param(418, None, b"", Retry("http_418"), id="unheard of"),
    ],
)
def test_every_answer_has_its_meaning(status: int, retry_after: str | None, body: bytes, expected: Result) -> None:
    assert judge(status, retry_after, body, AT) == expected


# -- The webhook, against real cores -----------------------------------------------------------------------------------

Core = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(core: Core) -> AsyncIterator[tuple[str, list[httpx.Request]]]:
    """A server that reads one whole request a connection and then does as ``core`` says; its URL and the requests."""
    requests: list[httpx.Request] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", headers.get("Content-Length", "0"))))
            requests.append(
                httpx.Request(head[0].split()[0], SOURCE + head[0].split()[1], headers=headers, content=body)
            )
            await core(body, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events", requests
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@contextlib.asynccontextmanager
async def webhook(
    url: str, *, timeout_seconds: float = 5, clock: Callable[[], datetime] = now
) -> AsyncIterator[WebhookSink]:
    sink = WebhookSink(url, SECRET, SOURCE, timeout_seconds=timeout_seconds, clock=clock)
    try:
        yield sink
    finally:
        await sink.close()


def answers(*responses: bytes) -> Core:
    """Sends these bytes, one after another over the connections, the last for ever."""
    left = list(responses)

    async def core(_body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return core


def response(status: str = "200 OK", body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_the_request_is_a_cloud_event_in_structured_json_with_the_attributes_of_the_contract() -> None:
    sent = event()
    async with listening(answers(response())) as (url, requests), webhook(url) as sink:
        assert await sink.deliver(sent) == Delivered()
    (request,) = requests
    assert (request.method, request.url.path) == ("POST", "/events")
    assert request.headers["content-type"].split(";")[0] == "application/cloudevents+json"
    document = orjson.loads(request.content)
    jsonschema.Draft202012Validator(CLOUD_EVENT).validate(document)
    time = document.pop("time")
    assert datetime.fromisoformat(time) == sent.created_at
    assert document == {
        "specversion": "1.0",
        "id": str(sent.id),
        "source": SOURCE,
        "type": "hotline.matter.amended.v1",
        "subject": str(sent.matter_id),
        "partitionkey": str(sent.matter_id),
        "sequence": "3",
        "datacontenttype": "application/json",
        "data": PAYLOAD,
    }


async def test_the_signature_is_that_of_standard_webhooks() -> None:
    sent = event()
    async with listening(answers(response())) as (url, requests), webhook(url) as sink:
        await sink.deliver(sent)
    (request,) = requests
    headers = dict(request.headers)
    assert Webhook(SECRET).verify(request.content, headers)["id"] == headers["webhook-id"] == str(sent.id)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.content
    mac = base64.b64encode(hmac.new(RAW_SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    for forged in (request.content.replace(b"m", b"n", 1), request.content + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(forged, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(request.content, headers)


async def test_a_retry_keeps_the_id_and_signs_the_new_time() -> None:
    times = iter([AT, AT, AT + timedelta(minutes=10), AT + timedelta(minutes=10)])
    sent = event()
    core = answers(response("500 No"), response())
    async with listening(core) as (url, requests), webhook(url, clock=lambda: next(times, AT)) as sink:
        assert await sink.deliver(sent) == Retry("http_500")
        assert await sink.deliver(sent) == Delivered()
    first, second = (request.headers for request in requests)
    assert first["webhook-id"] == second["webhook-id"] == str(sent.id)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 600
    assert first["webhook-signature"] != second["webhook-signature"]
    assert requests[0].content == requests[1].content


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    async with listening(answers(response())) as (elsewhere, lured):
        core = answers(response(status, b"", f"location: {elsewhere}"))
        async with listening(core) as (url, _), webhook(url) as sink:
            assert await sink.deliver(event()) == Retry(f"http_{status[:3]}")
    assert lured == []


async def test_retry_after_is_read_from_the_answer() -> None:
    core = answers(response("429 Too Many Requests", b"", "retry-after: 7"))
    async with listening(core) as (url, _), webhook(url) as sink:
        assert await sink.deliver(event()) == Retry("http_429", 7)


async def test_a_case_number_is_read_from_a_core_that_compresses_whenever_it_may() -> None:
    async def core(_body: bytes, writer: asyncio.StreamWriter) -> None:
        said = b'{"case_number": "JN-1"}'
        if "gzip" in requests[-1].headers.get("accept-encoding", ""):
            writer.write(response("200 OK", gzip.compress(said), "content-encoding: gzip"))
        else:
            writer.write(response("200 OK", said))
        await writer.drain()

    async with listening(core) as (url, requests), webhook(url) as sink:
        assert await sink.deliver(event()) == Delivered("JN-1")


async def hangs(_body: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hangs_half_way(_body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{")
    await asyncio.Event().wait()


async def drips(_body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def resets_mid_body(_body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()


async def resets_at_once(_body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    ("core", "reason"),
    [
        pytest.param(hangs, "timeout", id="hangs"),
        pytest.param(hangs_half_way, "timeout", id="half open: stops in the middle of the answer"),
        pytest.param(drips, "timeout", id="drips its answer for ever"),
        pytest.param(resets_at_once, None, id="takes the request and resets"),
        pytest.param(resets_mid_body, None, id="resets in the middle of the answer"),
        pytest.param(answers(b"SSH-2.0-OpenSSH_9\r\n"), None, id="speaks no HTTP"),
        pytest.param(answers(b""), None, id="closes without a word"),
        pytest.param(answers(b"HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\n"), None, id="nonsense length"),
    ],
)
async def test_a_core_that_misbehaves_is_tried_again_and_costs_the_timeout_at_most(
    core: Core, reason: str | None
) -> None:
    async with listening(core) as (url, _), webhook(url, timeout_seconds=0.4) as sink:
        async with asyncio.timeout(2):
            result = await sink.deliver(event())
    assert isinstance(result, Retry) and (reason is None or result == Retry(reason))
    assert result.reason.isidentifier()  # a word of ours for the log, not the other side's


async def test_a_core_that_is_not_there_is_tried_again() -> None:
    async with listening(answers(response())) as (url, _):
        pass  # now the port is closed
    async with webhook(url) as sink:
        assert await sink.deliver(event()) == Retry("ClientConnectorError")


async def test_a_huge_answer_is_not_read_whole() -> None:
    written = 0

    async def pours(_body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            writer.write(b" " * 65536)
            await writer.drain()
            written += 65536

    async with listening(pours) as (url, _), webhook(url) as sink:
        assert await sink.deliver(event()) == Delivered()
    assert written < 16 * 1024 * 1024  # what fits the sockets' buffers, not the gigabyte


async def test_a_case_number_behind_the_limit_is_not_looked_for() -> None:
    body = b'{"filler": "' + b"x" * ANSWER_BYTES * 2 + b'", "case_number": "JN-1"}'
    async with listening(answers(response("200 OK", body))) as (url, _), webhook(url) as sink:
        assert await sink.deliver(event()) == Delivered()


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(answers(response("400 Bad"))) as (proxy, asked), listening(answers(response())) as (url, _):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with webhook(url) as sink:
            assert await sink.deliver(event()) == Delivered()
    assert asked == []


# -- The file ----------------------------------------------------------------------------------------------------------


async def test_the_file_holds_one_event_a_line_in_order_of_delivery(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "new" / "folder" / "events.jsonl", SOURCE)
    sent = [event(sequence=number) for number in range(20)]
    for one in sent:
        assert await sink.deliver(one) == Delivered()
    lines = (tmp_path / "new" / "folder" / "events.jsonl").read_bytes().splitlines()
    documents = [orjson.loads(line) for line in lines]
    assert [document["id"] for document in documents] == [str(one.id) for one in sent]
    for document in documents:
        jsonschema.Draft202012Validator(CLOUD_EVENT).validate(document)
    assert documents[0]["data"] == PAYLOAD


async def test_deliveries_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "events.jsonl", SOURCE)
    sent = [event(payload={"content": "字" * 50_000}) for _ in range(16)]
    assert await asyncio.gather(*map(sink.deliver, sent)) == [Delivered()] * 16
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert {orjson.loads(line)["id"] for line in lines} == {str(one.id) for one in sent}
    assert len(lines) == 16


async def test_an_event_is_delivered_only_when_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "events.jsonl", []
    monkeypatch.setattr(os, "fsync", lambda _fd: synced.append(path.read_bytes()))
    sent = event()
    await FileSink(path, SOURCE).deliver(sent)
    assert [orjson.loads(content)["id"] for content in synced] == [str(sent.id)]  # the whole line, before fsync

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert await FileSink(path, SOURCE).deliver(event()) == Retry("OSError")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        pytest.param("occupied/events.jsonl", "NotADirectoryError", id="the folder is a file"),
        pytest.param("folder", "IsADirectoryError", id="the file is a folder"),
        pytest.param("/proc/nowhere/events.jsonl", "FileNotFoundError", id="the folder cannot be made"),
    ],
)
async def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "occupied").write_text("")
    (tmp_path / "folder").mkdir()
    result = await FileSink(tmp_path / place, SOURCE).deliver(event())
    assert isinstance(result, Retry) and result.reason in {reason, "FileExistsError"}


async def test_a_write_that_broke_off_leaves_no_half_line_behind(tmp_path: Path) -> None:
    path, sink = tmp_path / "events.jsonl", FileSink(tmp_path / "events.jsonl", SOURCE)
    first, second = event(), event()
    await sink.deliver(first)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size + 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))  # a write across it fails with EFBIG
    try:
        assert isinstance(await sink.deliver(second), Retry)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert await sink.deliver(second) == Delivered()
    assert [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()] == [str(first.id), str(second.id)]


@pytest.mark.parametrize(
    ("core", "kind"),
    [
        ({"sink": "webhook", "url": "http://127.0.0.1:9/events", "secret": SECRET}, WebhookSink),
        ({"sink": "file", "path": "events.jsonl"}, FileSink),
    ],
    ids=["webhook", "file"],
)
async def test_the_configuration_chooses_the_sink(core: dict[str, Any], kind: type) -> None:
    client = {"id": "a", "key_hash": "sha256:" + "0" * 64, "scopes": ["messages:read"]}
    config = Config.model_validate(
        {"core": core, "channels": {"app": AppSettings.model_validate({"clients": [client]})}}
    )
    sink = open_sink(config.core, SOURCE, now)
    assert type(sink) is kind
    await sink.close()
