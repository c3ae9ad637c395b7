"""What one peer may cost: connections, time, silence, and what is left when it breaks off."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from contextlib import suppress
from typing import Any

import pytest

from channels.simulated import Ack
from channels.smtp import Smtp
from tests.channels.smtp_line import FROM, NOW, OURS, TO, Running, peer, running, session, settings


@pytest.mark.parametrize("cap", ["max_connections", "connections_per_address"])
async def test_connections_are_capped_and_others_go_on(cap: str) -> None:
    async with running(**{cap: 1}) as mailbox:
        async with session(mailbox) as line:
            reader, writer = await asyncio.open_connection(*mailbox.listening("mailbox"))
            assert await reader.read() == b"421 4.7.0 Too many connections\r\n"
            writer.close()
            assert mailbox.refused == ["connections"]
            await line.say(FROM, TO)
            assert (await line.data()).startswith("250")
        async with asyncio.timeout(5):
            while mailbox.channel.address:
                with suppress(AssertionError):
                    async with session(mailbox):
                        return


@pytest.mark.parametrize("limit", ["timeout_seconds", "session_seconds"])
async def test_idle_and_endless_sessions_end(limit: str) -> None:
    async with running(**{limit: 0.2}) as mailbox, session(mailbox) as line:
        assert await line.answer() == "421 4.4.2 Time is up"
        assert await line.reader.read() == b""
        assert mailbox.refused == ["timeout"]


async def test_a_session_that_ended_is_not_ended_again() -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with running(session_seconds=0.2) as mailbox:
        async with session(mailbox) as line:
            await line.say("QUIT")
        await asyncio.sleep(0.3)
    assert faults == []


async def test_a_connection_reset_is_no_fault_of_ours() -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with running() as mailbox:
        for commands in (b"", b"EHLO x\r\nHELP\r\n" * 50, f"EHLO x\r\n{FROM}\r\n{TO}\r\nDATA\r\nhalf".encode()):
            with socket.create_connection(mailbox.listening("mailbox")) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(commands)
                await asyncio.sleep(0.05)
        gc.collect()
        await asyncio.sleep(0.05)
    assert faults == [] and mailbox.kept == []


async def test_a_slow_mail_is_not_an_idle_session() -> None:
    async with running(timeout_seconds=0.5) as mailbox, session(mailbox) as line:
        await line.say(FROM, TO, "DATA")
        for _ in range(8):
            line.writer.write(b"slowly\r\n")
            await asyncio.sleep(0.1)
        assert (await line.raw(b".\r\n")).startswith("250")


async def test_sessions_are_told_when_it_shuts_down() -> None:
    async with running() as mailbox:
        reader, writer = await asyncio.open_connection(*mailbox.listening("mailbox"))
        await reader.readline()
    assert await reader.read() == b"421 4.3.2 Shutting down\r\n"
    writer.close()
    assert mailbox.refused == []


async def test_a_busy_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {listen}"):
            async with asyncio.timeout(5):
                await Smtp("mailbox", settings(listen=listen)).run(Running(Smtp("x", settings())).deliver, None)  # type: ignore[arg-type]


async def test_a_hundred_sessions_at_once() -> None:
    async with running() as mailbox:
        delivery = peer().say("路灯不亮", sender="1", message_id="1", at=NOW)
        acks: list[Ack] = await asyncio.gather(*(delivery.send(mailbox) for _ in range(100)))
    assert [ack for ack in acks if not ack.ok] == []
    assert len(mailbox.kept) == 100


async def test_so_many_mails_a_minute_from_an_address() -> None:
    async with running(mails_per_minute=3) as mailbox, session(mailbox) as line:
        for _ in range(3):
            await line.say(FROM, TO)
            assert (await line.data()).startswith("250")
        assert (await line.say(FROM)).startswith("451 4.7.1"), "the server in front keeps it"
        assert (await line.say("RSET")).startswith("250"), "the session goes on"
        async with session(mailbox) as another:
            assert (await another.say(FROM)).startswith("451 4.7.1"), "also by another session"
    assert len(mailbox.kept) == 3 and mailbox.refused == ["rate", "rate"]


async def test_after_a_flood_of_connections_those_within_go_on() -> None:
    """T27: 1,000 connections at once; each is greeted or told 421, and nobody else than the caller notices."""
    async with running(max_connections=50) as mailbox, session(mailbox) as honest:
        address = mailbox.listening("mailbox")

        async def connect() -> tuple[bytes, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(*address)
            return await reader.readline(), writer

        flood = [one for _ in range(10) for one in await asyncio.gather(*(connect() for _ in range(100)))]
        greeted = [answer for answer, _ in flood if answer.startswith(b"220")]
        assert len(greeted) == 49 and sum(answer.startswith(b"421 4.7.0") for answer, _ in flood) == 951
        await honest.say(FROM, TO)
        assert (await honest.data()).startswith("250")
        for _, writer in flood:
            writer.close()
    assert mailbox.refused.count("connections") == 951 and len(mailbox.kept) == 1


async def test_thousands_of_recipients_are_capped_and_the_mail_is_taken_for_ours() -> None:
    """T27: 5,000 RCPT in one session."""
    async with running() as mailbox, session(mailbox) as line, session(mailbox) as other:
        await line.say(FROM)
        line.writer.write(f"{TO}\r\n".encode() * 5000)
        answers = [await line.answer() for _ in range(5000)]
        await other.say(FROM, TO)
        assert (await other.data()).startswith("250")
        assert (await line.data()).startswith("250")
    assert [answer[:3] for answer in answers] == ["250"] * 50 + ["452"] * 4950
    assert mailbox.refused == ["recipients"] * 4950 and len(mailbox.kept) == 2
    assert mailbox.kept[1].context["recipients"] == OURS


async def test_a_large_mail_holds_nobody_up() -> None:
    """25 MB in lines of 76, while another session asks; measured in full by bench/mail.py."""
    mail = b"Subject: x\r\n\r\n" + b"a" * 76 + b"\r\n"
    large = mail + (b"b" * 76 + b"\r\n") * 330_000
    async with running() as mailbox, session(mailbox) as line, session(mailbox) as other:
        await line.say(FROM, TO, "DATA")
        sending = asyncio.create_task(line.raw(large + b".\r\n"))
        longest = 0.0
        while not sending.done():
            began = asyncio.get_running_loop().time()
            assert (await other.say("NOOP")).startswith("250")
            longest = max(longest, asyncio.get_running_loop().time() - began)
        assert (await sending).startswith("250") and longest < 1
    assert len(mailbox.kept[0].body) == len(large)
