"""The way back by mail, through the running gateway: threads, bounces, machines, all over real SMTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from channels.simulated import MailDelivery
from gateway import replies as sending
from gateway.testing import RunningGateway, Start
from store.tables import MATTERS, WINDOWS
from tests.brokers import free_port
from tests.channels.mailroom import Got, MailServer, OddServer
from tests.channels.town import CITIZEN, OURS, Town, report, town

OTHER = "li@example.org"


@pytest.fixture
async def place(start_gateway: Start) -> AsyncIterator[Town]:
    async with town(start_gateway) as found:
        yield found


async def withdrawn(place: Town) -> list[Any]:
    return [row.withdrawn_at for row in await place._read(MATTERS.select())]


# -- Threads -----------------------------------------------------------------------------------------------------------


async def test_the_citizen_gets_his_number_and_then_the_cores_word_in_his_thread(place: Town) -> None:
    letter = place.mail("朝阳路的路灯不亮。", message_id="<first@example.net>", references="<before@x>")
    assert await place.takes(letter) == ["filed"]
    matter = await place.matter()
    (ack,) = place.server.got
    assert matter.tracking_code in ack.text and ack.header("Subject") == f"Re: 路灯[{matter.tracking_code}]"
    word = await place.told()
    assert "已派人维修。" in word.text and word.recipients == (CITIZEN,)
    for got in (ack, word):
        assert got.mail["In-Reply-To"] == "<first@example.net>"
        assert got.mail["References"].split() == ["<before@x>", "<first@example.net>"]
    assert [str(row.state) for row in await place.replies()] == ["sent", "sent"]


ANSWERS = {
    "In-Reply-To": lambda got: {"in_reply_to": got.mail["Message-ID"]},
    "References": lambda got: {"references": f"<x@y> {got.mail['Message-ID']} <z@y>"},
    "our own address alone": lambda got: {"to": got.mail["Reply-To"] or ""},
    "our own address, written in capitals": lambda got: {"to": got.mail["Reply-To"].upper()},
    "his own earlier mail": lambda got: {"in_reply_to": got.mail["In-Reply-To"]},
}


@pytest.mark.parametrize("how", ANSWERS.values(), ids=ANSWERS)
async def test_what_answers_us_finds_its_matter(place: Town, how: Any) -> None:
    await place.writes("朝阳路的路灯不亮。")
    await place.writes("另一件事：井盖坏了。")
    first = (await place.gateway.matters())[0]
    assert await place.writes("第三根灯杆。", **how(place.server.got[0])) == "attached"
    assert [row.matter_id for row in await place.messages()][-1] == first.matter_id
    assert "第三根灯杆。" in (await place.gateway.matters())[0].content


async def test_a_later_answer_is_found_too_and_a_question_is_answered_by_replying(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    word = await place.told()
    assert await place.writes("是第三根。", in_reply_to=word.mail["Message-ID"]) == "attached"
    assert await place.writes("进度？", in_reply_to=word.mail["Message-ID"]) == "answered"
    assert await place.writes("撤回诉求", in_reply_to=word.mail["Message-ID"]) == "answered"
    assert (await withdrawn(place))[0] is not None


def changed(text: str) -> str:
    """Another letter in the middle."""
    return text[:20] + ("a" if text[20] != "a" else "b") + text[21:]


async def test_marks_that_are_not_ours_lead_nowhere(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    (ack,) = place.server.got
    for forged in (changed(ack.mail["Message-ID"]), f"<{'a' * 48}@example.gov.cn>", "<x@example.gov.cn>"):
        assert await place.writes("井盖坏了。", in_reply_to=forged) == "filed"
    for forged in (changed(ack.mail["Reply-To"]), f"mayor+{'a' * 48}@example.gov.cn", "mayor+x@example.gov.cn"):
        assert (await place.refuses(place.mail("井盖坏了。", to=forged))).status == 550
    other = ack.mail["Reply-To"].replace("mayor+", "office+")
    assert (await place.refuses(place.mail("井盖坏了。", to=other))).status == 550


async def test_a_mark_in_a_header_is_checked_as_well(place: Town) -> None:
    """By IMAP no session has looked at it before."""
    await place.writes("朝阳路的路灯不亮。")
    address = place.server.got[0].mail["Reply-To"]
    forged = place.mail("井盖坏了。", delivered_to=changed(address))
    assert (await place.takes(forged))[-1] == "filed"
    assert (await place.takes(place.mail("第三根。", delivered_to=address)))[-1] == "attached"


async def test_where_the_mail_server_has_no_tags_none_are_taken(start_gateway: Start) -> None:
    async with town(start_gateway, reply_tags=False) as place:
        await place.writes("朝阳路的路灯不亮。")
        (ack,) = place.server.got
        token = ack.mail["Message-ID"].strip("<>").partition("@")[0]
        assert (await place.refuses(place.mail("x", to=f"mayor+{token}@example.gov.cn"))).status == 550
        assert await place.writes("第三根。", in_reply_to=ack.mail["Message-ID"]) == "attached"


async def test_whoever_was_shown_our_mail_adds_to_the_matter_and_can_do_nothing_else(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    before, ours = await place.matter(), place.server.got[0].mail["Message-ID"]
    assert (
        await place.writes("我是他的邻居，也看到了。", OTHER, in_reply_to=ours, message_id="<his@example.org>")
        == "attached"
    )
    assert await place.writes("撤回诉求", OTHER, in_reply_to=ours) == "attached"
    assert await place.writes("撤回诉求", OTHER, in_reply_to="<his@example.org>") == "attached"
    assert await place.writes("再补充一点。", OTHER, in_reply_to="<his@example.org>") == "attached"
    assert await withdrawn(place) == [None]
    after = await place.matter()
    assert after.party == before.party and "邻居" in after.content
    for _ in range(20):
        await place.takes(place.mail("还有。", OTHER, in_reply_to=ours))
    assert (await place.told()).recipients == (CITIZEN,)
    assert all(OTHER not in got.recipients for got in place.server.got)


async def test_his_own_mails_lead_only_him_to_his_matter(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。", message_id="<first@example.net>")
    assert await place.writes("井盖坏了。", OTHER, in_reply_to="<first@example.net>") == "filed"


async def test_a_number_in_the_subject_counts_only_for_whom_it_is_his(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    code = (await place.matter()).tracking_code
    assert await place.writes("第三根灯杆。", subject=f"Re: 路灯[{code}]") == "attached"
    assert await place.writes("第三根灯杆。", OTHER, subject=f"Re: 路灯[{code}]") == "filed"
    assert code not in "".join(got.text for got in place.server.got if got.recipients == (OTHER,))


async def test_the_same_id_with_another_body_is_another_mail(place: Town) -> None:
    first = place.mail("朝阳路的路灯不亮。", message_id="<same@example.net>")
    second = place.mail("井盖坏了。", message_id="<same@example.net>")
    outcomes = await place.takes(first, second, first, second)
    assert sorted(outcomes) == ["filed", "filed", "redelivered", "redelivered"]
    assert sum("id_reused" in row.flags for row in await place.messages()) == 1


async def test_without_an_id_the_words_and_the_date_tell_one_mail_from_another(place: Town) -> None:
    date, later = "Sun, 22 Nov 2026 16:00:00 +0800", "Sun, 22 Nov 2026 16:00:01 +0800"
    first = place.mail("朝阳路的路灯不亮。", message_id=None, date=date)
    others = [
        place.mail("朝阳路的路灯不亮。", message_id=None, date=later),
        place.mail("井盖坏了。", message_id=None, date=date),
    ]
    assert sorted(await place.takes(first, first, *others)) == ["filed", "filed", "filed", "redelivered"]


# -- Bounces -----------------------------------------------------------------------------------------------------------


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


# -- Machines ----------------------------------------------------------------------------------------------------------


async def test_a_sender_is_answered_by_ourselves_once_a_day(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    await place.writes("井盖坏了。", "Zhang@example.net")
    code = (await place.matter()).tracking_code
    assert await place.writes(f"进度 {code}", "Zhang@example.net") == "answered"
    assert len(place.acknowledged) == 1
    await place.writes("噪音扰民。", OTHER)
    assert len(place.acknowledged) == 2
    await place.told("已受理。")
    await place.told("已派人。")
    assert len(place.server.got) == 4, "the core's word is not counted"
    over = update(WINDOWS).values(expires_at=datetime.now(UTC))
    await place.gateway.node.store._database.write(lambda connection: connection.execute(over))
    await place.writes("垃圾没人清运。")
    assert len(place.acknowledged) == 3


NEVER: dict[str, dict[str, Any]] = {
    "ourselves": {"sender": OURS},
    "ourselves by tag": {"sender": f"mayor+{'a' * 48}@example.gov.cn"},
    "no-reply": {"sender": "no-reply@example.net"},
    "noreply": {"sender": "noreply@163.com"},
    "do not reply": {"sender": "do-not-reply@example.net"},
    "postmaster": {"sender": "postmaster@example.net"},
    "mailer-daemon": {"sender": "MAILER-DAEMON@example.net"},
    "null sender": {"mail_from": ""},
    "auto-submitted": {"auto_submitted": "auto-generated"},
    "auto-replied": {"auto_submitted": "auto-replied; owner-email=x@y"},
    "bulk": {"precedence": "bulk"},
    "a list": {"list_id": "<news.example.net>"},
    "suppressed": {"x_auto_response_suppress": "All"},
    "our own loop": {"x_loop": OURS},
    "out of office": {"subject": "自动回复：外出", "text": "您好，您的邮件已收到，我会尽快回复您。"},
}


@pytest.mark.parametrize("how", NEVER.values(), ids=NEVER)
async def test_these_are_never_answered(place: Town, how: dict[str, Any]) -> None:
    more = {"text": "朝阳路的路灯不亮。", "sender": CITIZEN} | how
    await place.takes(place.mail(more.pop("text"), more.pop("sender"), **more))
    assert place.server.got == []
    assert sum((await place.gateway.books())["outcomes"].values()) == 1


# -- Two gateways that write to each other -----------------------------------------------------------------------------


class Stripping(MailServer):
    """A relay that hands on what it takes without anything that marks a machine's mail."""

    def __init__(self, to: RunningGateway | None = None, keep: bool = False) -> None:
        super().__init__()
        self.to, self.keep = to, keep

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        got = self.got[-1]
        raw, sender = got.raw, got.mail_from
        if not self.keep:
            marks = (b"Auto-Submitted", b"X-Auto-Response", b"X-Loop", b"Message-ID", b"In-Reply-To", b"References")
            lines = raw.split(b"\r\n")
            raw = b"\r\n".join(line for line in lines if not line.startswith((*marks, b" <")))
            sender = got.mail["From"].rpartition("<")[2].rstrip(">")
        assert self.to is not None
        ack = await MailDelivery("mailbox", sender, got.recipients, raw).send(self.to)
        return answer if ack.ok else f"{ack.status} no"


@asynccontextmanager
async def two(start_gateway: Start, keep: bool) -> AsyncIterator[tuple[Town, Town]]:
    """Each other's citizens: what one sends goes to the other's mailbox."""
    first, second = Stripping(keep=keep), Stripping(keep=keep)
    async with first.running(), second.running():

        def change(name: str, server: MailServer) -> Any:
            def edit(document: dict[str, Any]) -> None:
                ours = {"kind": "smtp", "listen": f"127.0.0.1:{free_port()}", "recipients": [f"mayor@{name}.example"]}
                document["channels"] = {"mailbox": ours | {"outgoing": server.settings}}
                document["store"] |= {"url": f"sqlite:///{name}.db", "files": f"{name}-files"}
                document["keys"], document["replies"] = {"file": f"{name}.json"}, {"acknowledge": True}

            return edit

        async with (
            start_gateway(change("one", first)) as one,
            start_gateway(change("two", second)) as other,
        ):
            first.to, second.to = other, one
            yield Town(one, first), Town(other, second)


@pytest.mark.parametrize("keep", [True, False], ids=["marks kept", "marks stripped"])
async def test_two_gateways_fall_silent_after_one_round(start_gateway: Start, keep: bool) -> None:
    async with two(start_gateway, keep) as (one, other):
        start = one.mail("路灯不亮。", "mayor@two.example", to="mayor@one.example", subject="路灯")
        assert (await start.send(one.gateway)).ok
        for _ in range(4):
            await one.gateway.settle()
            await other.gateway.settle()
        assert (len(one.server.got), len(other.server.got)) == ((1, 0) if keep else (1, 1))
        before = len(one.server.got) + len(other.server.got)
        await one.takes(one.mail("还有井盖。", "mayor@two.example", to="mayor@one.example", subject="井盖"))
        await other.gateway.settle()
        await one.gateway.settle()
        assert len(one.server.got) + len(other.server.got) == before, "nor does a further mail wake them"
        for place in (one, other):
            assert (await place.gateway.books())["balanced"]
