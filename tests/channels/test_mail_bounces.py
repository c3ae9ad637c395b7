"""Answers that do not arrive: bounces of every shape come back to the reply, and nothing is told twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.simulated import MailDelivery
from gateway import replies as sending
from gateway.testing import Start
from tests.channels.mailroom import Got, OddServer
from tests.channels.town import CITIZEN, OURS, Town, changed, place, report, town

__all__ = ["place"]


def bounce(got: Got, to: str, status: str = "5.1.1", **more: Any) -> MailDelivery:
    returned = {"From": OURS, "Message-ID": got.mail["Message-ID"], "Subject": "x"}
    return MailDelivery("mailbox", "", (to,), report(to, CITIZEN, status, returned, **more))


async def outcome_of_reply(place: Town) -> tuple[str, str | None]:
    row = (await place.replies())[-1]
    return str(row.state), row.reason


@pytest.mark.parametrize("to", ["plain", "tagged"])
async def test_a_bounce_comes_back_to_the_reply_and_to_the_matters_books(place: Town, to: str) -> None:
    await place.writes("朝阳路的路灯不亮。")
    word = await place.told()
    assert word.mail_from != "" and await outcome_of_reply(place) == ("sent", None)
    assert await place.takes(bounce(word, word.mail_from if to == "tagged" else OURS)) == ["filed"]
    assert await outcome_of_reply(place) == ("failed", "no_such_mailbox")
    matter = await place.matter()
    (told,) = await place.gateway.node.store.updates_of(matter.matter_id)
    assert told["reply_state"] == "failed"
    outcomes = (await place.gateway.books())["outcomes"]
    assert {name: count for name, count in outcomes.items() if count} == {"filed": 1, "notice": 1}
    assert len(place.server.got) == 2, "nobody answers a bounce"


async def test_a_delay_is_no_failure_and_a_forged_bounce_is_none(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    word = await place.told()
    await place.takes(bounce(word, OURS, "4.4.1", action="delayed"))
    forged = Got("", (), word.raw.replace(word.mail["Message-ID"].encode(), changed(word.mail["Message-ID"]).encode()))
    await place.takes(bounce(forged, OURS))
    assert await outcome_of_reply(place) == ("sent", None)


async def test_a_bounce_without_a_word_of_ours_is_known_by_where_it_came(place: Town) -> None:
    """Some servers return neither our headers nor a report."""
    await place.writes("朝阳路的路灯不亮。")
    word = await place.told()
    letter = place.mail(
        "您的邮件无法投递。", "MAILER-DAEMON@example.net", to=word.mail_from, subject="系统退信", mail_from=""
    )
    await place.takes(letter)
    assert await outcome_of_reply(place) == ("failed", "bounced")


async def test_a_mail_of_which_nothing_was_known_is_settled_by_its_bounce(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OddServer({".": "cut"}).running() as odd:
        outgoing = {"host": "127.0.0.1", "port": odd.port, "tls": "none"}
        async with town(start_gateway, outgoing=outgoing) as place:
            await place.writes("朝阳路的路灯不亮。")
            assert await outcome_of_reply(place) == ("unknown", "cut")
            raw = next(line for line in odd.heard if line.endswith(b"\r\n.\r\n"))
            await place.takes(bounce(Got("", (), raw), OURS))
            assert await outcome_of_reply(place) == ("failed", "no_such_mailbox")


async def test_a_citizens_server_that_refuses_him_is_heard_at_once(place: Town) -> None:
    place.server.refuses[CITIZEN] = "550 5.1.1 unknown"
    await place.writes("朝阳路的路灯不亮。")
    assert await outcome_of_reply(place) == ("failed", "status_550")


async def test_what_did_not_go_out_goes_out_when_the_server_is_back(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sending.Replies.__init__.__kwdefaults__ or {}, "first_seconds", 0.05)
    async with town(start_gateway) as place:
        place.server.refuses[CITIZEN] = "451 4.7.1 greylisted"
        assert (await place.mail("朝阳路的路灯不亮。").send(place.gateway)).ok
        async with asyncio.timeout(20):
            while not (rows := await place.replies()) or not rows[0].attempts:
                await asyncio.sleep(0.02)
        place.server.refuses.clear()
        await place.gateway.settle()
        assert await outcome_of_reply(place) == ("sent", None) and len(place.server.got) == 1
