"""A mail server that lacks something, idles badly, does not let us in; a store that is away: the mail is taken all the same."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels import imap_queue
from channels.errors import Unavailable
from channels.imap_line import Line, Lost
from channels.simulated.imap_server import CAPABILITIES, Session, StandInMailServer
from normalizer.model import Envelope
from tests.channels.imap_world import hasty, lying, mail, on, running, stand_in, until, words

__all__ = ["hasty"]
pytestmark = pytest.mark.usefixtures("hasty")


# -- What the server cannot do -----------------------------------------------------------------------------------------


def without(*lacking: str) -> tuple[str, ...]:
    return tuple(one for one in CAPABILITIES if one not in lacking)


async def test_without_move_it_copies_and_removes_only_ours() -> None:
    async with stand_in(capabilities=without("MOVE")) as server:
        server.arrive(mail(1))
        lying(server, "INBOX")[server.arrive(mail(2))].flags.add(r"\Deleted")
        async with running(on(server)) as mailbox:
            await until(lambda: [*lying(server, "INBOX")] == [2])
    assert mailbox.bodies == [mail(1)], "what somebody has marked as deleted is not ours"
    assert len(lying(server, "Done")) == 1


async def test_without_uidplus_what_is_done_stays_marked_and_is_not_taken_again() -> None:
    async with stand_in(capabilities=without("MOVE", "UIDPLUS")) as server:
        server.arrive(mail(1))
        async with running(on(server)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 1)
            looks = mailbox.looks
            await until(lambda: mailbox.looks > looks + 3)
    assert mailbox.bodies == [mail(1)]
    assert lying(server, "INBOX")[1].flags == {r"\Deleted"}


async def test_done_folder_is_made_again_when_somebody_takes_it_away() -> None:
    async with stand_in() as server, running(on(server)) as mailbox:
        await until(lambda: mailbox.looks)
        del server.folders["Done"]
        server.arrive(mail(1))
        await until(lambda: "Done" in server.folders and len(lying(server, "Done")) == 1)
    assert mailbox.bodies == [mail(1)]


async def test_netease_wants_to_know_who_we_are_before_select() -> None:
    async def trick(session: Session, tag: str, verb: str, words: list[str]) -> bool:
        unsafe = verb == "SELECT" and "ID" not in session.server.asked
        if unsafe:
            await session.say(f"{tag} NO SELECT Unsafe Login. Please contact kefu@188.com for help")
        return unsafe

    async with stand_in() as server:
        server.trick = trick
        server.arrive(mail(1))
        async with running(on(server)) as mailbox:
            await until(lambda: mailbox.kept)
        assert mailbox.ended == []
    async with stand_in(capabilities=without("ID")) as server:
        server.trick = trick
        async with running(on(server)) as mailbox:
            await until(lambda: mailbox.ended)
        assert words(mailbox) == {"unsafe_login"}


# -- IDLE --------------------------------------------------------------------------------------------------------------


async def test_without_idle_it_is_polled() -> None:
    async with stand_in(capabilities=without("IDLE")) as server, running(on(server)) as mailbox:
        await until(lambda: mailbox.looks)
        server.arrive(mail(1))
        await until(lambda: mailbox.kept)
    assert "IDLE" not in server.asked and mailbox.ended == []


async def idles_without_a_word(session: Session, tag: str) -> None:
    await session.say("+ idling")
    await session.reader.readline()
    await session.say(f"{tag} OK done")


async def refuses_to_idle(session: Session, tag: str) -> None:
    await session.say(f"{tag} BAD not today")


async def has_news_before_it_idles(session: Session, tag: str) -> None:
    await session.say("* 1 EXISTS")
    await idles_without_a_word(session, tag)


async def hangs_up(_session: Session, _tag: str) -> None:
    raise EOFError


async def does_not_come_back(session: Session, _tag: str) -> None:
    await session.say("+ idling")
    await asyncio.sleep(60)


async def talks_without_end(session: Session, tag: str) -> None:
    await session.say("+ idling", *["* OK still here"] * 50)
    await session.reader.readline()
    await session.say(f"{tag} OK done")


#: How it idles → why connections ended; what is polled for is found all the same.
IDLES: dict[Callable[[Session, str], Awaitable[None]], set[str]] = {
    idles_without_a_word: set(),
    refuses_to_idle: set(),
    has_news_before_it_idles: set(),
    hangs_up: {"cut"},
    does_not_come_back: {"timeout"},
    talks_without_end: set(),
}


@pytest.mark.parametrize(("misbehave", "expected"), IDLES.items(), ids=lambda one: getattr(one, "__name__", ""))
async def test_mail_is_found_however_the_server_idles(
    misbehave: Callable[[Session, str], Awaitable[None]], expected: set[str]
) -> None:
    async def trick(session: Session, tag: str, verb: str, _words: list[str]) -> bool:
        if verb == "IDLE":
            await misbehave(session, tag)
        return verb == "IDLE"

    async with stand_in() as server:
        server.trick = trick
        async with running(on(server)) as mailbox:
            for number in range(3):
                await until(lambda: "IDLE" in server.asked)
                server.arrive(mail(number))
                await until(lambda number=number: len(mailbox.kept) == number + 1)  # type: ignore[misc]
            if expected:
                await until(lambda: server.asked.count("IDLE") == imap_queue.IDLE_LOSSES)
                looks = mailbox.looks
                await until(lambda: mailbox.looks > looks + 2)
                assert server.asked.count("IDLE") == imap_queue.IDLE_LOSSES, "from now on it is only polled"
    assert words(mailbox) == expected


async def test_mail_that_comes_between_the_look_and_idle_is_not_waited_for() -> None:
    async def trick(session: Session, _tag: str, verb: str, _words: list[str]) -> bool:
        if verb == "IDLE" and "UID MOVE" not in session.server.asked:
            session.server.arrive(mail(1))
        return False

    async with stand_in() as server, running(on(server, poll_seconds=600, alarm_minutes=20)) as mailbox:
        server.trick = trick
        await until(lambda: mailbox.kept)


async def test_a_dead_peer_is_noticed_while_idling() -> None:
    """imapclient's own idle_check says "nothing" at once, for ever."""
    async with stand_in() as server, running(on(server, poll_seconds=600, alarm_minutes=20)) as mailbox:
        await until(lambda: "IDLE" in server.asked)
        server.cut()
        await until(lambda: mailbox.ended)
        await until(lambda: server.asked.count("IDLE") == 2)
        server.arrive(mail(1))
        await until(lambda: mailbox.kept)
    assert words(mailbox) == {"cut"} and len(mailbox.ended) == 1


# -- Beginning ---------------------------------------------------------------------------------------------------------


async def hangs_before_it_greets(session: Session, *_: Any) -> bool:
    await asyncio.sleep(30)
    return True


GREETINGS: dict[str, tuple[bytes, str]] = {
    "bye": (b"* BYE too busy\r\n", "greeting"),
    "http": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "greeting"),
    "nothing, and hangs up": (b"", "greeting"),
    "no IMAP4rev1": (b"* OK hi\r\n* CAPABILITY X\r\n", "timeout"),
    "binary": (b"\x16\x03\x01\x00\x00\xff\r\n", "greeting"),
    "silence": (b"* OK", "timeout"),
}


@pytest.mark.parametrize(("greeting", "word"), GREETINGS.values(), ids=GREETINGS)
async def test_what_does_not_greet_as_a_mail_server(greeting: bytes, word: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if word != "timeout":
            writer.close()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        server = StandInMailServer("x", "x")
        server.address = listening.sockets[0].getsockname()
        async with running(on(server)) as mailbox:
            await until(lambda: mailbox.ended)
    assert words(mailbox) == {word}


LOGINS = {
    "wrong": ("NO [AUTHENTICATIONFAILED] no", "login_refused", 600.0),
    "not allowed": ("NO LOGIN Login error password error", "login_refused", 600.0),
    "not now": ("NO [UNAVAILABLE] back end is down", "not_now", None),
    "too many": ("NO Too many connections", "not_now", None),
    "cut": (None, "cut", None),
}


@pytest.mark.parametrize(("answer", "word", "wait"), LOGINS.values(), ids=LOGINS)
async def test_why_we_are_not_let_in(answer: str | None, word: str, wait: float | None) -> None:
    async def trick(session: Session, tag: str, verb: str, _words: list[str]) -> bool:
        if verb == "LOGIN":
            if answer is None:
                raise EOFError
            await session.say(f"{tag} {answer}")
        return verb == "LOGIN"

    async with stand_in() as server:
        server.trick = trick
        async with running(on(server)) as mailbox:
            await until(lambda: mailbox.ended)
    assert words(mailbox) == {word}
    assert getattr(mailbox.ended[0], "after_seconds", None) == wait
    assert isinstance(mailbox.ended[0], Lost) == (wait is None)


async def test_years_of_mail_are_not_filed_by_surprise() -> None:
    async with stand_in() as server:
        for number in range(201):
            server.arrive(mail(number))
        old = datetime.now(UTC) - timedelta(days=400)
        for one in [*lying(server, "INBOX").values()][:198]:
            one.at = old
        async with running(on(server)) as mailbox:
            await until(lambda: mailbox.ended)
        assert words(mailbox) == {"many_mails_set_since"} and mailbox.kept == []
        since = (datetime.now(UTC) - timedelta(days=7)).date().isoformat()
        async with running(on(server, since=since)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 3)
            looks = mailbox.looks
            await until(lambda: mailbox.looks > looks + 2)
            assert len(mailbox.kept) == 3 and len(lying(server, "INBOX")) == 198
            state = mailbox.state
        for number in range(300):
            server.arrive(mail(1000 + number))
        channel = on(server)
        async with running(channel) as mailbox:  # not the first time: an outage may leave as many
            mailbox.state = state
            await until(lambda: lying(server, "INBOX") == {} and len(mailbox.kept) == 498)


# -- Keeping -----------------------------------------------------------------------------------------------------------


async def test_one_mail_that_cannot_be_kept_stops_nobody() -> None:
    left = itertools.count(3, -1)

    async def refuse(envelope: Envelope) -> None:
        if b"n1" in envelope.body and next(left) > 0:
            raise ValueError("+8613800138000 wrote")

    async with stand_in() as server:
        for number in (1, 2, 3):
            server.arrive(mail(number))
        async with running(on(server)) as mailbox:
            mailbox.before = refuse
            await until(lambda: len(mailbox.kept) == 2)
            assert mailbox.channel.remarks()[0].endswith("UID 1 (ValueError)")
            await until(lambda: lying(server, "INBOX") == {})
    assert mailbox.bodies == [mail(2), mail(3), mail(1)] and mailbox.ended == []


async def test_while_the_store_is_away_all_stays_in_the_mailbox() -> None:
    away = True

    async def unavailable(_envelope: Envelope) -> None:
        if away:
            raise Unavailable("unavailable")

    async with stand_in() as server:
        for number in (1, 2, 3):
            server.arrive(mail(number))
        async with running(on(server)) as mailbox:
            mailbox.before = unavailable
            await until(lambda: len(mailbox.ended) >= 3)
            assert len(lying(server, "INBOX")) == 3 and mailbox.kept == []
            assert words(mailbox) == {"unavailable"}
            away = False
            await until(lambda: lying(server, "INBOX") == {})
    assert sorted(mailbox.bodies) == sorted(mail(number) for number in (1, 2, 3))


async def test_nothing_is_moved_before_it_is_kept() -> None:
    keep = asyncio.Event()

    async def wait(_envelope: Envelope) -> None:
        await keep.wait()

    async with stand_in() as server:
        server.arrive(mail(1))
        async with running(on(server)) as mailbox:
            mailbox.before = wait
            await until(lambda: "UID FETCH" in server.asked)
            await asyncio.sleep(0.2)
            assert "UID MOVE" not in server.asked and [*lying(server, "INBOX")] == [1]
            keep.set()
            await until(lambda: lying(server, "INBOX") == {})


async def test_cancelled_in_the_middle_it_ends_at_once() -> None:
    """Whatever its thread waits for: a node that stops does not wait for a mail server."""

    async def hangs(*_: Any) -> bool:
        await asyncio.sleep(30)
        return True

    async with stand_in() as server:
        server.trick = hangs
        async with running(on(server)) as mailbox:
            await until(lambda: server.asked)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 0.5 and mailbox.kept == []


async def test_a_connection_that_came_when_nobody_waited_any_more_is_given_back() -> None:
    """Greeted in the very moment of the end: no client was ever handed over that could close it."""

    def greets(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rwb") as line:
            line.write(b"* OK hi\r\n")
            line.flush()
            tag = line.readline().split()[0]
            line.write(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
            line.flush()
            line.read()

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as server:
        served, line = server.submit(greets, listener), Line("late")
        opening = asyncio.create_task(line.open("127.0.0.1", listener.getsockname()[1], None))
        await asyncio.sleep(0)  # its thread begins
        held = line._thread.submit(lambda: line._plug._socket).result(
            10
        )  # and has been greeted, which this loop has not seen
        opening.cancel()
        await asyncio.wait({opening})
        line.close()
        line._thread.shutdown()
        assert held is not None and held.fileno() == -1
        served.result(10)
