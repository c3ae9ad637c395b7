"""What leaves of a sealed matter: field by field, and nothing that leads to its citizen in any of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    ChannelRef,
    Conduct,
    Contact,
    ContactType,
    CoordinateSystem,
    Evaluation,
    Evidence,
    Flag,
    HotlineMatter,
    Incident,
    Link,
    MatterMessage,
    Party,
    PartyType,
    Place,
    ReplyRoute,
)
from normalizer.sealing import Seal, known_of, outward
from tests.masking import ADDRESS, MAIL, NAME, PHONE, SECRETS, UNIT, WORDS, seen

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
ALIAS, CALLER, MESSAGE = uuid4(), uuid4(), uuid4()
SEAL = Seal(ALIAS, NOW)
CONTACTS = tuple(
    Contact(type=kind, value=value, assurance=Assurance.ASSERTED)
    for kind, value in (
        (ContactType.PHONE, f"+86{PHONE}"),
        (ContactType.MAIL, MAIL),
        (ContactType.APP, "resident-7788"),
    )
)


def link(reason: str = "") -> Link:
    return Link(id=uuid4(), score=0.9, reason=reason, decided_by="rule")


def matter(**change: Any) -> HotlineMatter:
    """Everything that leads to her, in every field that can hold it."""
    picture = Attachment(
        id="0", kind=AttachmentKind.IMAGE, media_type=f"image/jpeg; name={NAME}", size=9, sha256="a" * 64,
        file_name=f"{NAME}身份证.JPG", message_id=MESSAGE,
    )  # fmt: skip
    incident = Incident(
        id=uuid4(), citizens=2, matters=2, contacts=3, citizens_24h=1, first_seen=NOW, last_seen=NOW, title=WORDS[:200]
    )
    told = MatterMessage(
        message_id=MESSAGE, channel="app", sent_at=NOW, received_at=NOW, text=WORDS, quoted=f"--\n{NAME}\n{PHONE}",
        reason=f"{NAME} writes again",
    )  # fmt: skip
    base = HotlineMatter(
        matter_id=uuid4(), tracking_code="2" * 16, title=WORDS[:200], content=WORDS, attachments=(picture,),
        target_unit=f"东湖饭店（{NAME}）", answer=f"已告知{NAME}", operator="1021", partner_number="12315-1",
        sent_at=NOW, received_at=NOW, channel=ChannelRef(name="app", kind="app", account="city-app"), messages=(told,),
        party=Party(type=PartyType.PERSON, name=NAME, unit=UNIT, contact_phone=f"+86{PHONE}", contacts=CONTACTS),
        caller_id=CALLER, confidential=True,
        place=Place(text=f"东湖区{ADDRESS}", division_code="370100", longitude=117.1, latitude=36.6,
                    crs=CoordinateSystem.GCJ_02),
        same_matter_of=link(), follows=link(), incident_id=link(f"like that of {NAME}"), incident=incident,
        contacts_30d=7, matters_30d=4, times_this_matter=2, unanswered_prior=3, last_contact_at=NOW,
        conduct=Conduct(flags=(Flag(kind="threat", score=0.5, evidence=(f"{NAME} says",)),)),
        reply_route=ReplyRoute(channel="app"),
        evaluation=Evaluation(score=1, text=f"{NAME}不满意", message_id=MESSAGE, at=NOW),
        evidence=(
            Evidence(field="party.name", message_id=MESSAGE, span=(0, 2), rule="signature"),
            Evidence(field="kind", message_id=MESSAGE, span=(2, 4), rule="words"),
        ),
    )  # fmt: skip
    return base.model_copy(update=change)


def test_nothing_that_leads_to_her_is_in_the_document() -> None:
    whole = matter()
    assert set(seen(whole.model_dump_json().encode())) == set(SECRETS), "the test would see it"
    told = outward(whole, SEAL).model_dump_json().encode()
    assert seen(told, (*SECRETS, str(CALLER), "resident-7788", "117.1", "a" * 64)) == []
    HotlineMatter.model_validate_json(told)


KEPT = (
    "matter_id",
    "tracking_code",
    "kind",
    "channel",
    "reply_route",
    "operator",
    "partner_number",
    "times_this_matter",
)


@pytest.mark.parametrize("name", KEPT)
def test_what_the_core_needs_stays(name: str) -> None:
    whole = matter()
    assert getattr(outward(whole, SEAL), name) == getattr(whole, name)


STANDS: dict[str, Any] = {
    "caller_id": ALIAS,
    "party": Party(type=PartyType.PERSON),
    "sealed_at": NOW,
    "previously_disclosed": False,
    "same_matter_of": None,
    "follows": None,
    "contacts_30d": 1,
    "matters_30d": 1,
    "unanswered_prior": 0,
    "last_contact_at": None,
}


@pytest.mark.parametrize(("name", "value"), STANDS.items(), ids=STANDS.keys())
def test_what_stands_instead(name: str, value: Any) -> None:
    assert getattr(outward(matter(), SEAL), name) == value


def test_the_words_of_the_report_are_still_there() -> None:
    told = outward(matter(), SEAL)
    for words in (told.title, told.content, told.messages[0].text):
        assert words.startswith("我要举报东湖饭店使用过期食材。")
    assert told.messages[0].quoted == ""


def test_a_file_keeps_its_id_and_loses_its_name() -> None:
    (told,) = outward(matter(), SEAL).attachments
    assert (told.id, told.file_name, told.media_type, told.sha256, told.size) == (
        *("0", "attachment-1.jpg", "image/jpeg", None),
        9,
    )


SIGNED = {
    "as programs write it": (f"路灯不亮\n\n-- \n{UNIT}\n010-00000000", "路灯不亮\n"),
    "without the space": ("路灯不亮\n--\n澜庭", "路灯不亮"),
    "none": ("路灯不亮\n澜庭", "路灯不亮\n澜庭"),
    "a dash among the words": ("路灯\n--\n不亮\n" + "x" * 90, "路灯\n--\n不亮\n" + "x" * 90),
}


@pytest.mark.parametrize(("said", "told"), SIGNED.values(), ids=SIGNED.keys())
def test_a_signature_goes_from_words_and_content(said: str, told: str) -> None:
    message = matter().messages[0].model_copy(update={"text": said})
    after = outward(matter(messages=(message,), content=f"{said}\n\n还有", party=Party()), SEAL)
    assert (after.messages[0].text, after.content) == (told, f"{told}\n\n还有")


PLACES = {
    "house, entrance, room": ("解放路18号2号楼3单元402室", "解放路"),
    "building and number": ("阳光花园5栋1203", "阳光花园"),
    "numbers with dashes": ("幸福里小区12-3-501", "幸福里小区"),
    "Chinese numerals": ("和平街十二号甲单元", "和平街"),
    "a line of the underground": ("地铁10号线公园站", "地铁10号线公园站"),
    "only a street": ("人民路与解放路交叉口", "人民路与解放路交叉口"),
    "nothing but a room": ("501室", None),
}


@pytest.mark.parametrize(("said", "told"), PLACES.values(), ids=PLACES.keys())
def test_a_place_loses_house_and_room(said: str, told: str | None) -> None:
    place = outward(matter(place=Place(text=said, longitude=1, latitude=2)), SEAL).place
    assert place == Place(text=told)


def test_a_span_is_kept_only_into_words_that_are_as_they_were() -> None:
    (kind,) = outward(matter(), SEAL).evidence
    assert (kind.field, kind.span) == ("kind", None)
    plain = matter().messages[0].model_copy(update={"text": "过期食材"})
    (kind,) = outward(matter(messages=(plain,)), SEAL).evidence
    assert kind.span == (2, 4)


def test_what_is_known_otherwise_is_masked_too() -> None:
    bare = matter(party=Party(), content="王府小姐与阿莲都在场", messages=())
    assert "阿莲" not in outward(bare, Seal(ALIAS, NOW, known=("阿莲",))).content


def test_she_is_known_by_name_number_address_and_mailbox() -> None:
    assert {NAME, UNIT, f"+86{PHONE}", MAIL, "ruolan.ouyang", "resident-7788"} <= set(known_of(matter()))
    bare = {"content": "路灯不亮", "messages": ()}
    assert known_of(matter(party=Party(name="王"), **bare)) == (), "one character stands in too many words"


def test_what_she_calls_herself_once_goes_everywhere() -> None:
    told = outward(matter(party=Party(), title=f"{NAME}举报东湖饭店", content=f"我叫{NAME}，饭店有问题"), SEAL)
    assert NAME not in told.model_dump_json()


def test_his_own_firm_is_told_only_as_the_one_that_he_reports() -> None:
    said = {"content": "我是清河县财政局预算股的，举报局长王某某私设小金库", "messages": (), "target_unit": None}
    told = outward(matter(party=Party(), **said), SEAL)
    assert told.target_unit == "清河县财政局"
    assert "财政局" not in told.content and "局长王某某私设小金库" in told.content
    elsewhere = said | {"content": "我在清河县财政局上班，举报河东水泥厂偷排"}
    assert outward(matter(party=Party(), **elsewhere), SEAL).target_unit is None


def test_that_something_had_left_is_said() -> None:
    assert outward(matter(confidential=False), Seal(ALIAS, NOW, disclosed=True)).previously_disclosed is True


@settings(max_examples=60)
@given(st.text(max_size=300), st.text(max_size=100), st.uuids())
def test_any_words_give_a_document(words: str, name: str, alias: UUID) -> None:
    odd = matter(content=words, title=words[:200], place=Place(text=words or None), party=Party(name=name))
    assert outward(odd, Seal(alias, NOW)).caller_id == alias
