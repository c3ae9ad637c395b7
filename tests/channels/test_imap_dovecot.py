"""The mailbox on a real server: Dovecot."""

from __future__ import annotations

import asyncio

from tests.channels.imap_world import mail, on, running, until
from tests.dovecot import Dovecot, dovecot

__all__ = ["dovecot"]


async def test_what_waits_is_kept_and_then_moved_unread(dovecot: Dovecot) -> None:
    mails = [mail(1), mail(2, size=3_000_000), mail(3)]
    dovecot.put(*mails)
    async with running(on(dovecot)) as mailbox:
        await until(lambda: len(mailbox.kept) == 3)
        await until(lambda: not dovecot.uids())
        dovecot.put(mail(4))
        await until(lambda: len(mailbox.kept) == 4 and not dovecot.uids())
    assert mailbox.bodies == [*mails, mail(4)] and mailbox.ended == []
    assert len(dovecot.uids("Done")) == 4 and dovecot.flags("Done") == set()
    assert mailbox.kept[0].context["mail_from"] == "citizen1@example.net"


async def test_idle_brings_news_at_once_and_polling_does_where_it_is_silent(dovecot: Dovecot) -> None:
    async with running(on(dovecot, poll_seconds=600)) as mailbox:
        await until(lambda: mailbox.looks == 1)
        await asyncio.sleep(0.3)
        began = asyncio.get_running_loop().time()
        dovecot.put(mail(1))
        await until(lambda: mailbox.kept)
        assert asyncio.get_running_loop().time() - began < 5
