"""The door over real sockets: what is too large, too slow, misaddressed or ambiguous is refused, counted, not echoed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.base import Request
from channels.simulated.app import AppPeer
from gateway import door, server
from gateway.clock import now
from gateway.config import Server
from gateway.testing import RunningGateway, Start

MARKER = "m4rker-Zq8"
LIMIT = 128 * 1024  # of POST /v1/messages


def only(*names: str, **changes: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Settings with these channels only; ``changes`` are laid over sections and channels of that name."""

    def change(document: dict[str, Any]) -> None:
        document["channels"] = {name: document["channels"][name] for name in names}
        for name, values in changes.items():
            (document["channels"] if name in names else document).setdefault(name, {}).update(values)

    return change


@pytest.fixture
async def entrance(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    """A gateway with the app and a channel whose path is secret."""
    async with start_gateway(only("app", "weibo")) as gateway:
        yield gateway


def head(line: str = "POST /v1/messages", *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "host: h", *headers, "", ""]).encode("latin-1")


async def exchange(gateway: RunningGateway, *pieces: bytes | Iterable[bytes], seconds: float = 5) -> bytes:
    """Send the pieces and read until the gateway closes; what it said. Raise TimeoutError when it stays open."""
    host, port = gateway.http_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                for piece in chain.from_iterable([p] if isinstance(p, bytes) else p for p in pieces):
                    writer.write(piece)
                    await writer.drain()
            return await said(reader)
    finally:
        writer.transport.abort()


async def said(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the end, whether that is orderly or not."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            found += piece
    return found


@contextlib.contextmanager
def flat_memory(mebibytes: int = 32) -> Iterator[None]:
    """Fails when the process ever holds that much more within the block than before it."""

    def most() -> int:
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024  # type: ignore[index]

    Path("/proc/self/clear_refs").write_text("5")  # proc(5): forget the peak
    before = most()
    yield
    assert most() - before < mebibytes


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What reaches the root logger, as the gateway's own handler sits there; caplog also listens elsewhere."""
    lines: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: lines.append(f"{record.levelname} {record.getMessage()} {record.exc_info}")  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with capture_logs(processors=[lambda _logger, _name, event: lines.append(str(event)) or event]):
        yield lines
    root.setLevel(level)
    root.removeHandler(handler)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def kept(gateway: RunningGateway) -> int:
    return (await gateway.books())["envelopes"]


def peer(gateway: RunningGateway) -> AppPeer:
    return AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())


async def is_served(gateway: RunningGateway, number: str) -> bool:
    """Whether an honest citizen gets through."""
    return (await peer(gateway).say("路灯不亮", sender=number, message_id=number, at=now()).send(gateway)).ok


# -- Too large ---------------------------------------------------------------------------------------------------------


async def test_a_declared_length_over_the_limit_is_refused_before_a_byte_of_it_is_read(
    entrance: RunningGateway,
) -> None:
    answer = await exchange(entrance, head("POST /v1/messages", f"content-length: {LIMIT + 1}", "connection: close"))
    assert status(answer) == 413 and b"application/problem+json" in answer
    assert await entrance.refused("app") == {"oversized": 1}
    assert await kept(entrance) == 0


async def test_the_limit_itself_is_let_in(entrance: RunningGateway) -> None:
    asked = head("POST /v1/messages", f"content-length: {LIMIT}", "connection: close")
    assert status(await exchange(entrance, asked, b" " * LIMIT)) == 401  # it was read, and has no key
    assert await entrance.refused("app") == {"no_key": 1}


async def test_a_stream_without_end_is_cut_at_the_limit(entrance: RunningGateway) -> None:
    asked, sent = head("POST /v1/messages", "transfer-encoding: chunked"), 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield asked
        while True:
            sent += 65_536
            yield b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    with flat_memory():
        await exchange(entrance, endless())
    assert sent < 32 * 1024 * 1024  # what loopback's buffers hold, not gigabytes
    assert await entrance.refused("app") == {"oversized": 1}
    assert await is_served(entrance, "1")


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


async def test_chunks_that_add_up_to_more_than_the_limit_are_refused(entrance: RunningGateway) -> None:
    asked = head("POST /v1/messages", "transfer-encoding: chunked", "connection: close")
    answer = await exchange(entrance, asked, chunked(*[b"x" * 1000] * 132))
    assert status(answer) == 413
    assert await entrance.refused("app") == {"oversized": 1}


BESIDE = {
    "extension of a chunk": (b"1;", b"z" * 65_536),
    "one trailer": (b"0\r\nx: ", b"y" * 65_536),
    "trailers": (b"0\r\n", b"x: y\r\n" * 10_000),
    "chunk size with zeros": (b"", b"0" * 65_536),
}


@pytest.mark.parametrize(("start", "more"), BESIDE.values(), ids=BESIDE.keys())
async def test_what_stands_beside_the_body_is_limited_too(entrance: RunningGateway, start: bytes, more: bytes) -> None:
    with flat_memory():
        asked = head("POST /v1/messages", "transfer-encoding: chunked")
        answer = await exchange(entrance, asked, start, *[more] * 1000)
    assert status(answer) in {0, 400}
    assert await kept(entrance) == 0 and await is_served(entrance, "1")


async def test_a_body_in_chunks_of_one_byte_is_read_all_the_same(entrance: RunningGateway) -> None:
    body = b'{"user": {"id": "1"}, "text": "%s"}' % (b"x" * 20_000)
    app = (f"authorization: Bearer {peer(entrance).key}", "idempotency-key: 1")
    asked = head("POST /v1/messages", *app, "transfer-encoding: chunked", "connection: close")
    answer = await exchange(entrance, asked, chunked(*(body[at : at + 1] for at in range(len(body)))) + b"0\r\n\r\n")
    assert status(answer) == 202


@pytest.mark.parametrize(
    "filler",
    [b"x-long: " + b"a" * 1_000_000, b"".join(b"x-%d: 1\r\n" % n for n in range(100_000))],
    ids=["one of 1 MB", "100,000 of them"],
)
async def test_a_head_over_the_limit_is_cut_off_with_flat_memory(entrance: RunningGateway, filler: bytes) -> None:
    asked = b"POST /v1/messages HTTP/1.1\r\nhost: h\r\n" + filler + b"\r\n\r\n"
    with flat_memory():
        for _ in range(20):
            assert await exchange(entrance, *(asked[at : at + 16_384] for at in range(0, len(asked), 16_384))) == b""
    assert await kept(entrance) == 0 and await is_served(entrance, "2")


# -- Too slow ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(server, "BODY_SECONDS", 5.0)


async def test_a_body_that_stops_before_its_declared_end_is_refused(impatient: None, entrance: RunningGateway) -> None:
    answer = await exchange(entrance, head("POST /v1/messages", "content-length: 100", "connection: close"), b"{")
    assert status(answer) == 408 and b"application/problem+json" in answer
    assert await entrance.refused("app") == {"slow": 1}
    assert await kept(entrance) == 0


async def test_a_body_that_never_begins_is_cut_off(
    impatient: None, entrance: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.3)
    assert await exchange(entrance, head("POST /v1/messages", "content-length: 100")) == b""
    assert await kept(entrance) == 0 and await is_served(entrance, "6")


async def drip(gateway: RunningGateway, start: bytes, piece: bytes) -> bytes:
    """Send a piece every now and then until the gateway closes; what it said."""
    host, port = gateway.http_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(start)
    listening = asyncio.create_task(said(reader))
    async with asyncio.timeout(5):
        while not listening.done():
            writer.write(piece)
            await asyncio.wait([listening], timeout=0.05)
    writer.transport.abort()
    return listening.result()


async def test_a_body_that_drips_is_refused(impatient: None, entrance: RunningGateway) -> None:
    answer = await drip(entrance, head("POST /v1/messages", "content-length: 100000", "connection: close"), b" ")
    assert status(answer) == 408
    assert await entrance.refused("app") == {"slow": 1}


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"", b""), (b"POST /v1/mess", b""), (b"POST /v1/messages HTTP/1.1\r\n", b"x: y\r\n")],
    ids=["silent", "stops in its first line", "drips its headers"],
)
async def test_a_socket_that_does_not_come_to_the_point_is_closed(
    impatient: None, entrance: RunningGateway, start: bytes, piece: bytes
) -> None:
    closed, honest = await asyncio.gather(drip(entrance, start, piece), is_served(entrance, "3"))
    assert (closed, honest) == (b"", True)


async def test_a_socket_that_falls_silent_after_a_request_is_closed(impatient: None, entrance: RunningGateway) -> None:
    answer = await exchange(entrance, head("GET /v1/receipts/x"))
    assert status(answer) == 422 and answer.count(b"HTTP/1.1") == 1


async def test_requests_on_one_socket_are_served_in_order(impatient: None, entrance: RunningGateway) -> None:
    asked = head("GET /v1/receipts/x") + head("PUT /v1/messages") + head("GET /nowhere", "connection: close")
    answer = await exchange(entrance, asked)
    assert [piece[:3] for piece in answer.split(b"HTTP/1.1 ")[1:]] == [b"422", b"405", b"404"]


async def test_300_slow_sockets_do_not_keep_an_honest_citizen_out(impatient: None, entrance: RunningGateway) -> None:
    slow = [exchange(entrance, b"POST /v1/messages HTTP/1.1\r\nx: ") for _ in range(300)]
    *closed, honest = await asyncio.gather(*slow, is_served(entrance, "4"))
    assert (set(closed), honest) == ({b""}, True)


async def test_a_caller_who_hangs_up_leaves_nothing_behind(entrance: RunningGateway, logged: list[str]) -> None:
    host, port = entrance.http_url.removeprefix("http://").split(":")
    for _ in range(5):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head("POST /v1/messages", "content-length: 100") + b"{")
        await writer.drain()
        writer.transport.abort()
    assert await is_served(entrance, "5")
    await entrance.settle()
    assert await kept(entrance) == 1
    assert not any(line.startswith(("WARNING", "ERROR")) for line in logged)


# -- Ambiguous ---------------------------------------------------------------------------------------------------------

AMBIGUOUS = {
    "length and chunks": ("content-length: 5\r\ntransfer-encoding: chunked", b"0\r\n\r\n"),
    "chunks and length": ("transfer-encoding: chunked\r\ncontent-length: 5", b"0\r\n\r\n"),
    "two lengths": ("content-length: 5\r\ncontent-length: 6", b"12345"),
    "a list of lengths": ("content-length: 5, 5", b"12345"),
    "negative length": ("content-length: -5", b"12345"),
    "signed length": ("content-length: +5", b"12345"),
    "hexadecimal length": ("content-length: 0x5", b"12345"),
    "length beyond 64 bits": ("content-length: 18446744073709551621", b"12345"),
    "chunks not last": ("transfer-encoding: chunked, identity", b"0\r\n\r\n"),
    "space before the colon": ("transfer-encoding : chunked", b"0\r\n\r\n"),
    "chunk size no number": ("transfer-encoding: chunked", b"zz\r\n"),
    "chunk size negative": ("transfer-encoding: chunked", b"-1\r\n"),
    "NUL in a header": ("x: a\x00b", b""),
}


async def test_a_request_whose_end_is_ambiguous_is_refused_and_the_socket_closed(entrance: RunningGateway) -> None:
    smuggled = head("GET /livez", "connection: close")
    for label, (headers, body) in AMBIGUOUS.items():
        answer = await exchange(entrance, head("POST /v1/messages", headers) + body + smuggled)
        assert status(answer) in {400, 413} and answer.count(b"HTTP/1.1") == 1, label
        assert b"alive" not in answer, label
    assert await kept(entrance) == 0


# -- Misaddressed ------------------------------------------------------------------------------------------------------


async def ask(gateway: RunningGateway, line: str, *headers: str, body: bytes = b"") -> bytes:
    asked = head(line, *headers, f"content-length: {len(body)}", "connection: close")
    return await exchange(gateway, asked + body)


def path_secret(gateway: RunningGateway) -> str:
    return gateway.channel("weibo").settings.path_secret.get_secret_value()


def wrong_paths(secret: str) -> dict[str, str]:
    return {
        "no secret": "/channels/weibo",
        "slash only": "/channels/weibo/",
        "another": "/channels/weibo/" + "x" * len(secret),
        "prefix": f"/channels/weibo/{secret[:-1]}",
        "suffix": f"/channels/weibo/{secret}x",
        "other case": f"/channels/weibo/{secret.swapcase()}",
        "slash behind": f"/channels/weibo/{secret}/",
        "slash doubled": f"//channels/weibo/{secret}",
        "dots": f"/channels/app/../weibo/{secret}",
    }


async def test_a_wrong_path_secret_is_not_found_and_counted(entrance: RunningGateway) -> None:
    secret = path_secret(entrance)
    for label, path in wrong_paths(secret).items():
        answer = await ask(entrance, f"GET {path}")
        assert status(answer) == 404, label
        assert secret.encode() not in answer and MARKER.encode() not in answer
    assert await entrance.refused("weibo") == {"path": 7}
    assert status(await ask(entrance, f"GET /channels/weibo/{secret}")) == 403  # this is the path; it is not signed


async def test_an_unknown_channel_is_not_found_and_counted_without_its_name(entrance: RunningGateway) -> None:
    for path in (f"/channels/{MARKER}", "/channels/", f"/channels/{MARKER}/x", "/channels/%00"):
        answer = await ask(entrance, f"POST {path}")
        assert status(answer) == 404 and MARKER.encode() not in answer
    assert await entrance.refused("unknown") == {"path": 4}
    assert MARKER not in entrance.node.metrics.exposition().decode()


async def test_another_method_is_refused_with_the_one_that_is_served(entrance: RunningGateway) -> None:
    methods = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
    for method in methods:
        answer = await ask(entrance, f"{method} /v1/messages")
        assert status(answer) == 405 and b"\r\nallow: POST\r\n" in answer, method
        assert method == "HEAD" or b"application/problem+json" in answer, method  # as the contract says of the API
    assert await entrance.refused("app") == {"method": len(methods)}


# -- No echo, nothing kept ---------------------------------------------------------------------------------------------


async def test_no_refusal_echoes_what_came_and_each_is_counted(entrance: RunningGateway, logged: list[str]) -> None:
    key = f"authorization: Bearer {peer(entrance).key}"
    signed = f"/channels/weibo/{path_secret(entrance)}?signature={MARKER}&timestamp=1&nonce=2&echostr={MARKER}"
    asked: list[tuple[str, tuple[str, ...], bytes]] = [
        (f"POST /v1/messages?x={MARKER}", (f"authorization: Bearer {MARKER}",), MARKER.encode()),
        ("POST /v1/messages", (key, f"idempotency-key: {MARKER} x"), b"{}"),
        ("POST /v1/messages", (key, f"idempotency-key: {MARKER}"), MARKER.encode()),
        ("POST /v1/messages", (key, f"idempotency-key: {MARKER}"), b'{"%s": 1}' % MARKER.encode()),
        ("POST /v1/messages", (key, "idempotency-key: k"), b'{"user": {"id": "1"}, "kind": "%s"}' % MARKER.encode()),
        (f"PUT /v1/messages?{MARKER}", (), MARKER.encode()),
        (f"GET /channels/weibo/{MARKER}", (), b""),
        (f"GET {signed}", (), b""),
        (f"POST {signed}", (), MARKER.encode()),
        (f"POST /channels/{MARKER}", (), b""),
        (f"GET /v1/receipts/{MARKER}", (key,), b""),
        (f"GET /v1/matters/{MARKER}", (key,), b""),
        (f"GET /{MARKER}", (f"cookie: {MARKER}",), b""),
    ]
    for line, headers, body in asked:
        answer = await ask(entrance, line, *headers, body=body)
        assert 400 <= status(answer) < 500, line
        assert MARKER.encode() not in answer, line
    assert await kept(entrance) == 0
    counted = [sum((await entrance.refused(name)).values()) for name in ("app", "weibo", "unknown")]
    assert counted == [6, 3, 1]
    assert MARKER not in "".join(logged) + entrance.node.metrics.exposition().decode()


async def test_nothing_is_acknowledged_while_the_store_is_down(entrance: RunningGateway) -> None:
    delivery = peer(entrance).say("路灯不亮", sender="6", message_id="6", at=now())
    async with entrance.store_down():
        ack = await delivery.send(entrance)
    assert (ack.status, await kept(entrance)) == (503, 0)
    assert await entrance.refused("app") == {"unavailable": 1}
    assert (await delivery.send(entrance)).status == 202


async def test_a_fault_of_ours_is_a_503_and_its_text_stands_nowhere(
    entrance: RunningGateway, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    def breaks(_request: Request) -> None:
        raise RuntimeError(MARKER)

    monkeypatch.setattr(entrance.channel("app"), "authenticate", breaks)
    answer = await ask(entrance, "POST /v1/messages", body=b"{}")
    assert status(answer) == 503 and await kept(entrance) == 0
    told = "".join(logged)
    assert "door_failed" in told and "RuntimeError" in told
    assert MARKER not in told + answer.decode() + entrance.node.metrics.exposition().decode()
    assert await entrance.refused("app") == {"internal": 1}


# -- Who is calling ----------------------------------------------------------------------------------------------------

PROXIES = Server(trusted_proxies=("127.0.0.1/32", "10.0.0.0/8", "fd00::/8"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "peer", "forwarded", "expected"),
    [
        pytest.param(Server(), "192.0.2.1", [], "192.0.2.1", id="no proxy"),
        pytest.param(
            Server(), "192.0.2.1", ["127.0.0.1"], "192.0.2.1", id="no proxy is trusted: the header is not read"
        ),
        pytest.param(PROXIES, "192.0.2.1", ["127.0.0.1"], "192.0.2.1", id="the peer is no trusted proxy"),
        pytest.param(PROXIES, "10.1.1.1", ["192.0.2.1"], "192.0.2.1", id="through a proxy"),
        pytest.param(PROXIES, "10.1.1.1", ["127.0.0.1, 192.0.2.1"], "192.0.2.1", id="what the caller wrote himself"),
        pytest.param(PROXIES, "10.1.1.1", ["192.0.2.1, 10.2.2.2"], "192.0.2.1", id="through two proxies"),
        pytest.param(PROXIES, "10.1.1.1", ["192.0.2.1", "10.2.2.2"], "192.0.2.1", id="in two headers"),
        pytest.param(
            PROXIES, "10.1.1.1", ["203.0.113.9, 192.0.2.1, 10.2.2.2"], "192.0.2.1", id="the last untrusted one"
        ),
        pytest.param(PROXIES, "fd00::1", ["2001:db8::1"], "2001:db8::1", id="IPv6"),
        pytest.param(PROXIES, "10.1.1.1", [], "0.0.0.0", id="a proxy that does not say for whom"),
        pytest.param(PROXIES, "10.1.1.1", ["unknown"], "0.0.0.0", id="no address"),
        pytest.param(PROXIES, "10.1.1.1", ["192.0.2.1:4711"], "0.0.0.0", id="with a port"),
        pytest.param(PROXIES, "10.1.1.1", [""], "0.0.0.0", id="empty"),
        pytest.param(PROXIES, "10.1.1.1", ["\xff\xfe"], "0.0.0.0", id="not ASCII"),
    ],
)
def test_the_caller_is_the_last_that_no_trusted_proxy_wrote_itself(
    settings: Server, peer: str, forwarded: list[str], expected: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    assert door.caller({"client": (peer, 1), "headers": headers}, settings) == expected


@pytest.mark.parametrize(
    ("proxies", "forwarded", "reason"),
    [
        pytest.param([], "203.0.113.7", "network", id="undeclared proxy is not believed"),
        pytest.param(["127.0.0.0/8"], "203.0.113.7", "missing", id="declared proxy is"),
        pytest.param(["127.0.0.0/8"], "203.0.113.7, 192.0.2.1", "network", id="the caller's own entry is not"),
    ],
)
async def test_allowed_networks_judge_the_caller_behind_the_proxy(
    start_gateway: Start, proxies: list[str], forwarded: str, reason: str
) -> None:
    change = only("weibo", weibo={"allowed_networks": ["203.0.113.0/24"]}, server={"trusted_proxies": proxies})
    async with start_gateway(change) as gateway:
        line = f"POST /channels/weibo/{path_secret(gateway)}"
        assert status(await ask(gateway, line, f"x-forwarded-for: {forwarded}")) == 403
        assert await gateway.refused("weibo") == {reason: 1}


def test_a_busy_address_is_told_with_the_mend(tmp_path: Path) -> None:
    with contextlib.closing(server.bind("127.0.0.1:0", "server.listen")) as taken:
        taken.listen()
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {busy}: .*; choose another server.listen"):
            server.bind(busy, "server.listen")
