"""A mail server that misbehaves with one mail: nothing is lost, nothing is taken twice, nobody is in another's way."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as searching
from hypothesis import strategies as st

from channels.simulated.imap_server import Mail, Session
from tests.channels.imap_world import Trick, answers, hasty, lying, mail, on, running, stand_in, until, words

__all__ = ["hasty"]
pytestmark = pytest.mark.usefixtures("hasty")


def first_fetches(times: int, misbehave: Callable[[Session, str], Awaitable[None]], uid: str = "1") -> Trick:
    """The first fetches of a mail's text go wrong."""
    left = itertools.count(times, -1)

    async def trick(session: Session, tag: str, verb: str, words: list[str]) -> bool:
        if verb != "UID FETCH" or words[0] != uid or "BODY" not in words[1] or next(left) <= 0:
            return False
        await misbehave(session, tag)
        return True

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
