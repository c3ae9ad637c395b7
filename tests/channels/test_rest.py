"""Calling a provider: what may have gone out is never called unsent, and a file comes from where it may."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from channels import rest
from channels.errors import Missing, NotSent, Unavailable, Uncertain
from channels.rest import call, fetch

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


@contextlib.asynccontextmanager
async def provider(serve: Serve) -> AsyncIterator[str]:
    """An HTTP server of bare sockets: it can misbehave as it likes. Gives its URL."""

    connections: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer, await reader.readuntil(b"\r\n\r\n"))
        finally:
            writer.close()
            connections.discard(task)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def answering(body: bytes, *headers: str, status: str = "200 OK") -> Serve:
    async def serve(_: Any, writer: asyncio.StreamWriter, __: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return serve


async def hangs(*_: Any) -> None:
    await asyncio.sleep(30)


async def cuts(_: Any, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"errcode"')
    await writer.drain()


async def closes(*_: Any) -> None:
    return


async def babbles(_: Any, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


# -- call --------------------------------------------------------------------------------------------------------------


async def test_an_answer_is_read() -> None:
    async with provider(answering(b'{"errcode":0}', "Retry-After: 7")) as url:
        told = await call("POST", url, json={"text": "路灯"})
    assert (told.status, told.json(), told.retry_after()) == (200, {"errcode": 0}, 7.0)


async def test_a_provider_that_is_not_there_has_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent):
        await call("POST", f"http://127.0.0.1:{port}/", json={})


@pytest.mark.parametrize("serve", [hangs, cuts, closes, babbles], ids=lambda serve: serve.__name__)
async def test_whatever_happens_after_the_connection_it_may_have_it(serve: Serve) -> None:
    async with provider(serve) as url:
        with pytest.raises(Uncertain):
            await call("POST", url, json={}, seconds=0.3)


async def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ANSWER_BYTES", 1000)
    async with provider(answering(b"x" * 2000)) as url:
        with pytest.raises(Uncertain):
            await call("GET", url)


@pytest.mark.parametrize("body", [b"<html>502</html>", b"[]", b"", b"\xff"])
async def test_an_answer_in_other_words_is_uncertain(body: bytes) -> None:
    async with provider(answering(body)) as url:
        told = await call("POST", url)
        with pytest.raises(Uncertain):
            told.json()


async def test_a_redirect_is_not_followed_with_our_key() -> None:
    async with provider(answering(b"", "Location: http://127.0.0.1:1/", status="302 Found")) as url:
        assert (await call("GET", url, auth=("id", "key"))).status == 302


# -- fetch -------------------------------------------------------------------------------------------------------------


async def test_a_file_from_the_configured_place() -> None:
    serve = answering(b"abc", "Content-Type: image/png", 'Content-Disposition: attachment; filename="a.png"')
    async with provider(serve) as url:
        _, file = await fetch(f"{url}/file", [], own=url)
    assert (file.content, file.media_type, file.name) == (b"abc", "image/png", "a.png")


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/a",
        "https://evil.example/a",
        "https://files.example.evil.example/a",
        "https://user@files.example/a",
        "https://files.example:8443/a",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "gopher://files.example/",
        "",
    ],
)
async def test_other_places_are_not_gone_to(url: str) -> None:
    with pytest.raises(Missing):
        await fetch(url, ["files.example"], own="https://api.example")


PRIVATE = (
    *("127.0.0.1", "10.0.0.8", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
    *("::1", "::", "fd00::1", "fe80::1", "fec0::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:4136:e378::1", "2001:db8::1"),
)


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_listed_name_that_leads_into_our_own_network_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    asked: list[str] = []

    async def lie(_self: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connects(_self: Any, _socket: socket.socket, where: Any) -> None:
        asked.append(where[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", lie)
    monkeypatch.setattr(asyncio.get_running_loop().__class__, "sock_connect", connects)
    with pytest.raises(Unavailable):
        await fetch("https://files.example/a", ["files.example"])
    assert asked == ["files.example"]


@pytest.mark.parametrize("address", ["8.8.8.8", "114.114.114.114", "2400:3200::1"])
async def test_a_name_is_asked_for_once_and_what_it_said_first_is_gone_to(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Whoever rebinds his name after the check is not asked again."""
    answers, gone_to = [address, "127.0.0.1", "10.0.0.8"], []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    async def rebinds(_self: Any, _host: str, port: int, **_: Any) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    async def connects(_self: Any, _socket: socket.socket, where: Any) -> None:
        gone_to.append(where[0])
        raise ConnectionRefusedError

    loop = asyncio.get_running_loop().__class__
    monkeypatch.setattr(loop, "getaddrinfo", rebinds)
    monkeypatch.setattr(loop, "sock_connect", connects)
    with pytest.raises(Unavailable):
        await fetch("https://files.example/a", ["files.example"])
    assert gone_to == [address] and len(answers) == 2


@pytest.mark.parametrize(
    "onward",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.8/",
        "https://[::1]/",
        "//localhost/",
        "https://files.example.evil.example/",
        "http://files.example/",
        "https://files.example@evil.example/",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_leads_to_no_other_place(onward: str) -> None:
    async with provider(answering(b"", f"Location: {onward}", status="302 Found")) as url:
        with pytest.raises(Missing):
            await fetch(f"{url}/a", ["files.example"], own=url)


async def test_a_redirect_to_a_listed_name_in_our_own_network_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with provider(answering(b"", "Location: https://files.example/a", status="302 Found")) as url:
        loop = asyncio.get_running_loop()
        getaddrinfo, connect, gone_to = loop.getaddrinfo, loop.sock_connect, []

        async def lies(_self: Any, host: str, port: int, **more: Any) -> list[Any]:
            if host == "files.example":
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
            return await getaddrinfo(host, port, **more)

        async def connects(_self: Any, which: socket.socket, where: Any) -> None:
            gone_to.append(where[1])
            await connect(which, where)

        monkeypatch.setattr(loop.__class__, "getaddrinfo", lies)
        monkeypatch.setattr(loop.__class__, "sock_connect", connects)
        with pytest.raises(Unavailable):
            await fetch(f"{url}/a", ["files.example"], own=url)
        assert gone_to == [int(url.rpartition(":")[2])]


async def test_our_key_stays_with_the_first_host() -> None:
    heads: list[bytes] = []

    async def storage(reader: Any, writer: asyncio.StreamWriter, head: bytes) -> None:
        heads.append(head)
        await answering(b"abc")(reader, writer, head)

    async with provider(storage) as second:

        async def api(reader: Any, writer: asyncio.StreamWriter, head: bytes) -> None:
            heads.append(head)
            await answering(b"", f"Location: {second}/stored", status="307 Temporary Redirect")(reader, writer, head)

        async with provider(api) as first:
            with pytest.raises(Missing):
                await fetch(f"{first}/a", [], own=first, headers={"authorization": "Basic c2VjcmV0"})
    assert len(heads) == 1 and b"c2VjcmV0" in heads[0]


async def test_a_redirect_within_the_place_is_followed_a_few_times() -> None:
    async def around(reader: Any, writer: asyncio.StreamWriter, head: bytes) -> None:
        left = int(head.split(b" ")[1][1:])
        if left:
            await answering(b"", f"Location: /{left - 1}", status="302 Found")(reader, writer, head)
        else:
            await answering(b"abc")(reader, writer, head)

    async with provider(around) as url:
        assert (await fetch(f"{url}/3", [], own=url))[1].content == b"abc"
        with pytest.raises(Missing):
            await fetch(f"{url}/9", [], own=url)


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (answering(b"", status="404 Not Found"), Missing),
        (answering(b"", status="410 Gone"), Missing),
        (answering(b"", status="500 Oops"), Unavailable),
        (answering(b"", status="429 Slow"), Unavailable),
        (answering(b"x" * 2000), Missing),
        (hangs, Unavailable),
        (cuts, Unavailable),
        (closes, Unavailable),
    ],
)
async def test_what_cannot_be_fetched_is_gone_or_to_be_tried_again(serve: Serve, error: type[Exception]) -> None:
    async with provider(serve) as url:
        with pytest.raises(error):
            await fetch(url, [], own=url, limit=1000, seconds=0.3)


async def test_what_unpacks_to_more_than_it_seems_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(10_000_000))
    async with provider(answering(packed, "Content-Encoding: gzip")) as url:
        assert (await fetch(url, [], own=url, limit=100_000))[1].content == packed
