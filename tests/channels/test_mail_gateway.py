"""The way back by mail, through the running gateway: threads, all over real SMTP."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import Start
from store.tables import MATTERS
from tests.channels.town import CITIZEN, Town, changed, place, town

__all__ = ["place"]

OTHER = "li@example.org"


async def withdrawn(place: Town) -> list[Any]:
    return [row.withdrawn_at for row in await place._read(MATTERS.select())]


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
    await place.takes(first)  # read together, both would be flagged
    outcomes = await place.takes(second, first, second)
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
