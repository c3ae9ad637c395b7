"""Whoever tells of danger: heard before every other question, his event waits for nothing, and he is told whom to call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from gateway.filing import Fresh, Habits, decide
from gateway.rules import CityRules, read
from gateway.texts import WARNINGS
from normalizer.model import Act, Assurance, Contact, ContactType, HotlineMatter, KeptMessage, Outcome, Past, Urgency
from normalizer.reply import ReplyKind
from store.values import Filing
from tests.test_filing import CODE, ME, NOW, kept, matter, past_matter

RULES = CityRules("jinan", "370100", "Asia/Shanghai")
FIRE = "泉城路3号楼着火了，浓烟很大，有人被困，快来人！"
PHONE = Contact(type=ContactType.PHONE, value="+8613800000000", assurance=Assurance.SPOOFABLE)
SILENT = Habits(settle_seconds=60, answers=True)


def filed(said: KeptMessage, habits: Habits = SILENT, past: Past | None = None, opened: Any = None) -> Filing:
    fresh = Fresh(uuid4(), CODE)
    return decide(said, read(said, RULES), fresh, habits, ME, past or Past(), lambda _: opened)


def test_he_is_told_the_number_where_new_matters_are_not_acknowledged() -> None:
    found = filed(kept(FIRE))
    (reply,) = found.replies
    assert reply.kind is ReplyKind.WARNING and found.matter is not None
    assert "119" in reply.ways[0].text and CODE in reply.ways[0].text
    assert (found.matter.urgency, found.matter.emergency_line) == (Urgency.IMMEDIATE, "119")


def test_his_event_does_not_wait_for_further_pieces() -> None:
    assert filed(kept(FIRE)).settles_at is None
    assert filed(kept("路灯坏了")).settles_at == NOW + timedelta(seconds=63)


def test_where_nobody_is_written_to_nobody_is() -> None:
    assert filed(kept(FIRE), Habits()).replies == ()


def test_one_reply_and_no_acknowledgement_besides() -> None:
    (reply,) = filed(kept(FIRE), Habits(answers=True, acknowledges=True)).replies
    assert reply.kind is ReplyKind.WARNING


def test_who_writes_english_is_told_in_english() -> None:
    (reply,) = filed(
        kept("Help! The house is on fire, people are trapped inside, please send the fire brigade now!")
    ).replies
    assert WARNINGS["119"] in reply.ways[0].text


def test_who_may_harm_himself_is_told_of_help() -> None:
    (reply,) = filed(kept("我不想活了，现在站在楼顶，马上跳下去")).replies
    assert "12356" in reply.ways[0].text


@pytest.mark.parametrize("text", ["TD 我家着火了快来人救命", "退订。楼里着火了，救命，快来人！"])
def test_what_also_looks_like_an_opt_out_is_heard(text: str) -> None:
    found = filed(kept(text, sender=PHONE))
    assert (found.verdict.outcome, found.verdict.act) == (Outcome.FILED, Act.REPORTS)


def opened(**more: Any) -> tuple[HotlineMatter, Past]:
    known = matter(**more)
    return known, Past(matters=(past_matter(known),), open_matters=1)


def test_a_chase_that_tells_of_danger_is_no_mere_chase() -> None:
    known, past = opened()
    found = filed(kept(f"催办！怎么还没人处理？{FIRE}"), past=past, opened=known)
    assert found.verdict.outcome is not Outcome.CHASED
    assert found.matter is not None and found.matter.urgency is Urgency.IMMEDIATE


def test_more_about_a_matter_makes_it_immediate_and_warns() -> None:
    known, past = opened()
    found = filed(kept(FIRE), past=replace(past, named=past.matters[0]), opened=known)
    assert found.verdict.outcome is Outcome.ATTACHED and found.matter is not None
    assert (found.matter.urgency, found.matter.emergency_line) == (Urgency.IMMEDIATE, "119")
    assert [reply.kind for reply in found.replies] == [ReplyKind.WARNING]


def test_what_was_immediate_stays_so_whatever_he_adds() -> None:
    known, past = opened(urgency=Urgency.IMMEDIATE, emergency_line="119")
    found = filed(kept("消防已经来过，补充一下：是三楼"), past=replace(past, named=past.matters[0]), opened=known)
    assert found.verdict.outcome is Outcome.ATTACHED and found.matter is not None
    assert (found.matter.urgency, found.replies) == (Urgency.IMMEDIATE, ())
