"""What the gateway reads from one message."""

import time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer.cues import Cues
from normalizer.fields import Fields, Triage
from normalizer.fingerprint import fingerprint
from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    Evidence,
    MatterKind,
    Message,
    Place,
)
from normalizer.normalize import normalize

ID = UUID("01938c3e-0000-7000-8000-000000000001")
OPENID = Contact(type=ContactType.WECHAT, value="o-1", assurance=Assurance.VERIFIED)


def phone(number: str, assurance: Assurance = Assurance.ASSERTED) -> Contact:
    return Contact(type=ContactType.PHONE, value=number, assurance=assurance)


def read(**changes: Any) -> Fields:
    full = {"key_space": "wechat", "account": "gh_1", "sender": OPENID, "provider_id": "1", "text": "路灯坏了"}
    return normalize(Message(**full | changes), ID)


def why(fields: Fields, field: str) -> Evidence | None:
    return next((evidence for evidence in fields.evidence if evidence.field == field), None)


def test_every_field_of_a_full_message() -> None:
    fields = read(
        text="尊敬的领导：您好！\r\n路灯坏了，请回电13800138000。\x00",
        name=" 张\u200b三 ",
        unit="某\n公司",
        matter_kind=MatterKind.HELP,
        confidential=True,
        place=Place(text="泉城\u202e广场", longitude=117.0),
        attachments=(
            Attachment(
                id="0",
                kind=AttachmentKind.IMAGE,
                file_name="图\u202egpj.exe\n",
                reference="a\u200bb",
                media_type="image/png\r",
            ),
        ),
    )
    assert fields == Fields(
        text="尊敬的领导：您好！\n路灯坏了，请回电13800138000。",
        prints=fields.prints,
        matching="尊敬的领导:您好!路灯坏了,请回电13800138000。",
        title="路灯坏了，请回电13800138000",
        language="zh",
        contact_phone="+8613800138000",
        name="张三",
        unit="某 公司",
        triage=Triage(
            kind=MatterKind.HELP,
            confidential=True,
            place=Place(text="泉城广场", longitude=117.0),
            evidence=(Evidence(field="kind", message_id=ID, rule="kind.stated"),),
        ),
        attachments=(
            Attachment(
                id="0", kind=AttachmentKind.IMAGE, file_name="图gpj.exe", reference="a\u200bb", media_type="image/png"
            ),
        ),
        cues=Cues(short=True),
        evidence=(
            Evidence(field="title", message_id=ID, span=(10, 29), rule="title.first_sentence"),
            Evidence(field="language", message_id=ID, rule="language.script"),
            Evidence(field="party.contact_phone", message_id=ID, span=(18, 29), rule="phone.in_text"),
            Evidence(field="kind", message_id=ID, rule="kind.stated"),
        ),
    )


def test_an_empty_message() -> None:
    fields = read(text="", name="\u200b", unit=" ", place=Place(text="\x00"))
    assert (fields.title, fields.language, fields.contact_phone) == ("（无文字）", None, None)
    assert (fields.name, fields.unit, fields.triage.kind, fields.triage.place) == (
        None,
        None,
        MatterKind.OTHER,
        Place(),
    )
    assert [evidence.rule for evidence in fields.evidence] == ["title.none", "language.script"]


def test_a_subject_is_the_title_and_no_words_of_the_text() -> None:
    fields = read(title="Re: 路灯\n不亮", text="路灯 不亮")
    assert fields.title == "路灯 不亮"
    assert why(fields, "title") == Evidence(field="title", message_id=ID, rule="title.subject")


def test_a_cut_title_points_at_its_words() -> None:
    fields = read(text="您好。" + "路" * 50)
    evidence = why(fields, "title")
    assert evidence is not None and evidence.span == (3, 42)


def test_what_it_is_compared_by_comes_from_title_words_and_place() -> None:
    fields = read(text="路灯坏了，请来修", title="泉景花园", place=Place(text="泉城广场"))
    expected = fingerprint("泉景花园", "路灯坏了,请来修", "泉城广场")
    assert fields.prints == expected.pack() != read(text="路灯坏了，请来修").prints


def test_a_title_folded_to_one_line_points_nowhere() -> None:
    fields = read(text="路灯  坏了，已经三天没有人来修理")
    assert fields.title == "路灯 坏了，已经三天没有人来修理"
    assert why(fields, "title") == Evidence(field="title", message_id=ID, rule="title.first_sentence")


@pytest.mark.parametrize(
    ("contacts", "sender", "text", "number", "rule"),
    [
        (("1a", "2v"), "3", "13800138000", "2", "phone.stated"),
        (("1s", "2a", "4a"), "3", "13800138000", "2", "phone.stated"),
        (("1s",), "3", "13800138000", "1", "phone.stated"),
        ((), "3", "13800138000", "3", "phone.sender"),
        ((), None, "13800138000、13900139000", "+8613800138000", "phone.in_text"),
    ],
)
def test_which_number_is_called_back(
    contacts: tuple[str, ...], sender: str | None, text: str, number: str, rule: str
) -> None:
    sure = {"v": Assurance.VERIFIED, "a": Assurance.ASSERTED, "s": Assurance.SPOOFABLE}
    mail = Contact(type=ContactType.MAIL, value="a@example.org", assurance=Assurance.VERIFIED)
    stated = (mail, *(phone(contact[0], sure[contact[1]]) for contact in contacts))
    fields = read(contacts=stated, sender=phone(sender) if sender else OPENID, text=text)
    evidence = why(fields, "party.contact_phone")
    assert fields.contact_phone == number and evidence is not None and evidence.rule == rule
    assert (evidence.span is None) == (rule != "phone.in_text")


def test_names_do_not_outgrow_the_model() -> None:
    long = "\u0958" * 1000  # NFC makes two of each
    fields = read(
        place=Place(text=long),
        attachments=(Attachment(id="0", kind=AttachmentKind.FILE, file_name=long[:255]),),
    )
    Fields.model_validate_json(fields.model_dump_json())
    assert (place := fields.triage.place) is not None and place.text is not None and len(place.text) == 1000


@settings(deadline=None)
@given(st.text(st.characters()), st.none() | st.text())
def test_any_message_is_read_and_can_be_stored(text: str, other: str | None) -> None:
    fields = read(text=text, title=other, name=other, unit=other, place=Place(text=other))
    assert Fields.model_validate_json(fields.model_dump_json()) == fields
    assert all(
        evidence.span is None or 0 <= evidence.span[0] < evidence.span[1] <= len(fields.text)
        for evidence in fields.evidence
    )


@settings(deadline=None)
@given(st.text(st.characters()))
def test_reading_twice_gives_the_same(text: str) -> None:
    assert read(text=text) == read(text=text)
    assert read(text=read(text=text).text).text == read(text=text).text


@pytest.mark.parametrize("piece", ["\u0300\u0316", "1 ", "13800138000 ", "领导", "\U000e0041", "\ud800", "hello "])
def test_a_megabyte_is_read_soon(piece: str) -> None:
    text = "a" + piece * (1_000_000 // len(piece))
    started = time.process_time()
    read(text=text, title=text, name=text, unit=text)
    assert time.process_time() - started < 5  # far less on an idle machine; quadratic would be minutes
