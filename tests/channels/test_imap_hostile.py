"""A mail server that misbehaves: nothing is lost, nothing is taken twice, nobody stands in another's way."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as searching
from hypothesis import strategies as st

from channels import imap, imap_line, imap_queue
from channels.errors import ChannelError, Unavailable
from channels.imap_line import Lost
from channels.simulated.imap_server import CAPABILITIES, Mail, Session, StandInMailServer
from normalizer.model import Envelope
from tests.channels.imap_world import Running, mail, on, running, stand_in, until

Trick = Callable[[Session, str, str, list[str]], Awaitable[bool]]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long here."""
    monkeypatch.setattr(imap_line, "SILENCE_SECONDS", 0.7)
    monkeypatch.setattr(imap_line, "STEP_SECONDS", 2.0)
    monkeypatch.setattr(imap_queue, "FIRST_SECONDS", 0.3)
    monkeypatch.setattr(imap_queue, "PAUSE", 0.01)
    monkeypatch.setattr(imap, "LIVED_SECONDS", 600.0)


def lying(server: StandInMailServer, folder: str) -> dict[int, Mail]:
    """What lies in a folder; nothing where it has not been made yet."""
    return server.folders[folder].mails if folder in server.folders else {}


def words(mailbox: Running) -> set[str]:
    """Why runs ended."""
    assert all(isinstance(error, ChannelError) for error in mailbox.ended), mailbox.ended
    return {error.reason for error in mailbox.ended if isinstance(error, ChannelError)}


def first_fetches(times: int, misbehave: Callable[[Session, str], Awaitable[None]], uid: str = "1") -> Trick:
    """The first fetches of a mail's text go wrong."""
    left = itertools.count(times, -1)

    async def trick(session: Session, tag: str, verb: str, words: list[str]) -> bool:
        if verb != "UID FETCH" or words[0] != uid or "BODY" not in words[1] or next(left) <= 0:
            return False
        await misbehave(session, tag)
        return True

    return trick


def answers(verb: str, *lines: str) -> Trick:
    """To one command always the same; ``{tag}`` stands for its tag."""

    async def trick(session: Session, tag: str, asked: str, _words: list[str]) -> bool:
        if asked == verb:
            await session.say(*(line.replace("{tag}", tag) for line in lines))
        return asked == verb

    return trick


async def announces_4_gib(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {4294967296}")
    for _ in range(3000):  # 190 MB
        await session.say("x" * 65534)


async def announces_30_mb(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {30000000}")
    for _ in range(500):
        await session.say("x" * 65534)


async def never_ends_a_line(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {10}")
    for _ in range(3000):
        session.writer.write(b"x" * 65536)
        await session.writer.drain()


async def never_ends_an_answer(session: Session, _tag: str) -> None:
    for _ in range(3_000_000):
        await session.say("* 1 FETCH (FLAGS (" + "x " * 1000 + "))")


async def counts_beyond_all_numbers(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {" + "9" * 9000 + "}")


async def nests_without_end(session: Session, tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 X " + "(" * 5000 + ")" * 5000 + ")", f"{tag} OK done")


async def stalls_in_a_literal(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {1000}", "half of it")
    await asyncio.sleep(30)


async def drips(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {100000}")
    for _ in range(300):
        session.writer.write(b"x")
        await asyncio.sleep(0.1)


async def cuts(session: Session, _tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {1000}", "half of it")
    raise EOFError


async def says_bye(session: Session, _tag: str) -> None:
    await session.say("* BYE [UNAVAILABLE] going down")
    raise EOFError


async def answers_another(session: Session, _tag: str) -> None:
    await session.say("ZZZZ99 OK done")


async def is_not_imap(session: Session, _tag: str) -> None:
    await session.say("HTTP/1.1 200 OK")


async def refuses(session: Session, tag: str) -> None:
    await session.say(f"{tag} NO [SERVERBUG] cannot read it")


async def tells_of_another_mail(session: Session, tag: str) -> None:
    await session.say("* 2 FETCH (UID 2 BODY[]<0> {5}", "other)", f"{tag} OK done")


async def has_lost_it(session: Session, tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> NIL)", f"{tag} OK done")


async def gives_half(session: Session, tag: str) -> None:
    await session.say("* 1 FETCH (UID 1 BODY[]<0> {12}", "From: a@b.cn)", f"{tag} OK done")


#: What goes wrong at the first mail → why the run ended; None: the connection goes on.
FETCHES: dict[Callable[[Session, str], Awaitable[None]], str | None] = {
    announces_4_gib: "cut",
    announces_30_mb: "cut",
    never_ends_a_line: "cut",
    never_ends_an_answer: "cut",
    counts_beyond_all_numbers: "garbage",
    nests_without_end: "garbage",
    stalls_in_a_literal: "timeout",
    drips: "timeout",
    cuts: "cut",
    says_bye: "cut",
    answers_another: "cut",
    is_not_imap: "cut",
    refuses: None,
    tells_of_another_mail: None,
    has_lost_it: None,
    gives_half: None,
}


@pytest.mark.parametrize(("misbehave", "word"), FETCHES.items(), ids=lambda one: getattr(one, "__name__", ""))
async def test_one_mail_that_cannot_be_fetched(
    misbehave: Callable[[Session, str], Awaitable[None]], word: str | None
) -> None:
    """The others are taken meanwhile, it is shown, tried again, and taken when the server has come to its senses."""
    async with stand_in() as server:
        for number in (1, 2, 3):
            server.arrive(mail(number))
        server.trick = first_fetches(1, misbehave)
        with memory_within(50):
            async with running(on(server)) as mailbox:
                await until(lambda: len(mailbox.kept) == 2)
                assert mailbox.bodies == [mail(2), mail(3)]
                (remark,) = mailbox.channel.remarks()
                assert remark.startswith("mail that cannot be taken now and is tried again: UID 1 (")
                await until(lambda: len(lying(server, "Done")) == 3 and mailbox.channel.remarks() == ())
    assert mailbox.bodies == [mail(2), mail(3), mail(1)]
    assert words(mailbox) == ({word} if word else set())
    assert lying(server, "INBOX") == {}


async def test_what_is_announced_too_large_is_not_waited_for() -> None:
    async def announces(session: Session, _tag: str) -> None:
        await session.say("* 1 FETCH (UID 1 BODY[]<0> {4294967296}")
        await asyncio.sleep(30)

    async with stand_in() as server:
        server.arrive(mail(1))
        server.trick = first_fetches(1, announces)
        async with running(on(server)) as mailbox:
            await until(lambda: mailbox.kept)
    assert words(mailbox) == {"cut"}


class memory_within:  # noqa: N801 - reads as a word
    """The peak of this process grows by less than so many megabytes within the block."""

    def __init__(self, megabytes: int) -> None:
        self._limit = megabytes

    def __enter__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
        self._before = self._peak()

    def __exit__(self, *error: object) -> None:
        grown = (self._peak() - self._before) / 1024
        assert error[0] is not None or grown < self._limit, f"{grown} MB"

    @staticmethod
    def _peak() -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return int(found[1])


@searching(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"* 1 FETCH (", b"UID 1", b"BODY[]<0> {3}", b'"', b")", b"* NO", b"+ ", b"\r\n", b"{", b"NIL"])), max_size=8), end=st.booleans())  # fmt: skip
async def test_whatever_it_says_ends_the_connection_or_concerns_one_mail(told: list[bytes], end: bool) -> None:
    async def babbles(session: Session, tag: str) -> None:
        session.writer.write(b"* 1 FETCH (" + b" ".join(told) + b"\r\n" + (f"{tag} OK\r\n".encode() if end else b""))
        await session.writer.drain()
        if not end:
            raise EOFError

    async with stand_in() as server:
        server.arrive(mail(1))
        server.arrive(mail(2))
        server.trick = first_fetches(1, babbles)
        async with running(on(server)) as mailbox:
            await until(lambda: mail(1) in mailbox.bodies and mail(2) in mailbox.bodies)
    words(mailbox)


# -- UIDs --------------------------------------------------------------------------------------------------------------


async def test_uids_that_are_no_mail_here_are_left_alone() -> None:
    """``UID n:*`` names the last mail again and again; a search may name what is gone, twice, or nothing."""

    async with stand_in() as server:
        server.arrive(mail(1))
        server.arrive(mail(2))
        server.trick = answers("UID SEARCH", "* SEARCH 7 2 2 0 1", "{tag} OK done")
        async with running(on(server)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 2)
            looks = mailbox.looks
            await until(lambda: mailbox.looks > looks + 3)
    assert mailbox.bodies == [mail(1), mail(2)] and mailbox.ended == []


async def test_a_new_uidvalidity_gives_old_uids_to_other_mails() -> None:
    async with stand_in() as server:
        server.arrive(mail(1))
        async with running(on(server)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 1)
            inbox = server.folders["INBOX"]
            inbox.validity, inbox.next_uid = inbox.validity + 1, 1
            server.cut()
            await until(lambda: mailbox.ended)
            assert server.arrive(mail(2)) == 1
            await until(lambda: len(lying(server, "Done")) == 2)
    assert mailbox.bodies == [mail(1), mail(2)]


async def test_a_mail_that_cannot_be_moved_is_kept_once_and_its_uid_is_not_trusted() -> None:
    async with stand_in() as server:
        server.trick = answers("UID MOVE", "{tag} NO [OVERQUOTA] full")
        server.arrive(mail(1))
        async with running(on(server)) as mailbox:
            await until(lambda: server.asked.count("UID MOVE") >= 4)
            assert mailbox.bodies == [mail(1)]
            assert "UID 1 (not_moved)" in mailbox.channel.remarks()[0]
            lying(server, "INBOX")[1] = Mail(mail(2))  # the same UIDVALIDITY, the same UID, another mail
            await until(lambda: len(mailbox.kept) == 2)
            server.trick = None
            await until(lambda: lying(server, "INBOX") == {})
    assert mailbox.bodies == [mail(1), mail(2)]


async def test_a_server_that_says_it_has_moved_and_has_not() -> None:
    async with stand_in() as server:
        server.trick = answers("UID MOVE", "{tag} OK moved")
        server.arrive(mail(1))
        async with running(on(server)) as mailbox:
            await until(lambda: server.asked.count("UID MOVE") >= 3)
            assert "UID 1 (not_moved)" in mailbox.channel.remarks()[0]
            server.arrive(mail(2))
            await until(lambda: len(mailbox.kept) == 2)
    assert mailbox.bodies == [mail(1), mail(2)] and mailbox.looks < 60


async def test_a_mail_that_others_take_away_meanwhile_is_nobodys_trouble() -> None:
    async def vanishes(session: Session, tag: str) -> None:
        del lying(session.server, "INBOX")[1]
        await session.say("* 1 EXPUNGE", f"{tag} OK done")

    async with stand_in() as server:
        server.arrive(mail(1))
        server.arrive(mail(2))
        server.trick = first_fetches(1, vanishes)
        async with running(on(server)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 1)
            await until(lambda: mailbox.channel.remarks() == ())
    assert mailbox.bodies == [mail(2)] and mailbox.ended == []


# -- Sizes -------------------------------------------------------------------------------------------------------------


async def test_of_a_mail_that_is_too_large_the_beginning_is_kept_and_all_of_it_stays_in_the_mailbox() -> None:
    large = mail(1, size=3_000_000)
    async with stand_in() as server:
        server.arrive(large)
        server.arrive(mail(2))
        async with running(on(server, max_size=2_000_000)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 2)
    assert mailbox.bodies == [large[: 1024 * 1024], mail(2)]
    assert [envelope.flags for envelope in mailbox.kept] == [("oversized",), ()]
    assert server.asked.count("UID FETCH") == 3, "no more of it is fetched"
    assert lying(server, "Done")[1].data == large


@pytest.mark.parametrize("size", [1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 2 * 1024 * 1024])
async def test_pieces_fit_together(size: int) -> None:
    whole = mail(1) + b"x" * (size - len(mail(1)))
    async with stand_in() as server:
        server.arrive(whole)
        async with running(on(server)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 1)
    assert mailbox.bodies == [whole] and mailbox.kept[0].flags == ()


def counts(factor: float) -> Trick:
    """RFC822.SIZE is wrong by that factor."""

    async def trick(session: Session, tag: str, verb: str, words: list[str]) -> bool:
        if verb != "UID FETCH" or "RFC822.SIZE" not in words[1]:
            return False
        size = len(lying(session.server, "INBOX")[1].data)
        await session.say(f"* 1 FETCH (UID 1 RFC822.SIZE {int(size * factor)})", f"{tag} OK done")
        return True

    return trick


WRONG = {
    "too small": (0.1, 1_500_000, True, ()),
    "far too small, too large a mail": (0.1, 3_000_000, False, ("oversized",)),
    "too large": (1.2, 1_500_000, True, ("mail_short",)),
}


@pytest.mark.parametrize(("factor", "size", "whole", "flags"), WRONG.values(), ids=WRONG)
async def test_a_server_that_counts_wrong(factor: float, size: int, whole: bool, flags: tuple[str, ...]) -> None:
    sent = mail(1, size=size)
    async with stand_in() as server:
        server.arrive(sent)
        server.trick = counts(factor)
        async with running(on(server, max_size=2_000_000)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 1)
    assert mailbox.bodies == [sent if whole else sent[: 1024 * 1024]]
    assert mailbox.kept[0].flags == flags


async def test_a_server_that_knows_no_pieces() -> None:
    sent = mail(1, size=2_500_000)

    async def trick(session: Session, tag: str, verb: str, words: list[str]) -> bool:
        if verb == "UID FETCH" and "BODY" in words[1]:
            await session.say(f"* 1 FETCH (UID 1 BODY[] {{{len(sent)}}}", f"{sent.decode()})", f"{tag} OK done")
        return verb == "UID FETCH" and "BODY" in words[1]

    async with stand_in() as server:
        server.arrive(sent)
        server.trick = trick
        async with running(on(server)) as mailbox:
            await until(lambda: len(lying(server, "Done")) == 1)
    assert mailbox.bodies == [sent]


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
