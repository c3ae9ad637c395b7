"""The fingerprint of what was said."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer import digest as module
from normalizer.digest import digest
from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    CoordinateSystem,
    Message,
    Place,
)

SENDER = Contact(type=ContactType.PHONE, value="+8613800138000", assurance=Assurance.VERIFIED)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PICTURE = Attachment(id="0", kind=AttachmentKind.IMAGE, reference="media-1")
SQUARE = Place(text="泉城广场", longitude=117.02, latitude=36.66, crs=CoordinateSystem.GCJ_02)


def message(**changes: Any) -> Message:
    full = {
        "key_space": "sms",
        "account": "12345",
        "sender": SENDER,
        "provider_id": "1",
        "sent_at": NOON,
        "title": "路灯",
        "text": "路灯坏了",
        "attachments": (PICTURE,),
        "place": SQUARE,
    }
    return Message(**full | changes)


def test_golden_value() -> None:
    """Stored digests must be found again. If this fails, the canonical form has changed: change DIGEST_VERSION."""
    assert module._canonical(message()).decode() == (
        '[1,"路灯","路灯坏了",[["image","reference","media-1"]],["泉城广场",null,117.02,36.66,"GCJ-02"],null]'
    )
    assert digest(message()).hex() == "30ecc3b244dce2359829ed528b580edfdfc2a8635aae560211213fbb535c637d"


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "路灯坏了\r\n"},
        {"text": "\n路灯坏了  "},
        {"text": "路灯\u200b坏了\x00"},
        {"title": "路灯 "},
        {"sent_at": None},
        {"sent_at": NOON + timedelta(1)},
        {"account": "123456"},
        {"provider_id": "2"},
        {"flags": ("charset_guessed",)},
        {"name": "张三"},
        {"attachments": (PICTURE.model_copy(update={"size": 1, "file_name": "a.jpg", "scan": "clean"}),)},
    ],
)
def test_what_transport_changes_does_not_count(changes: dict[str, Any]) -> None:
    assert digest(message(**changes)) == digest(message())


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "路灯坏了！"},
        {"text": "路 灯坏了"},
        {"text": ""},
        {"title": None},
        {"title": "路灯路灯坏了", "text": ""},
        {"attachments": ()},
        {"attachments": (PICTURE, PICTURE)},
        {"attachments": (PICTURE.model_copy(update={"reference": "media-2"}),)},
        {"attachments": (PICTURE.model_copy(update={"kind": AttachmentKind.FILE}),)},
        {"attachments": (PICTURE.model_copy(update={"sha256": "0" * 64}),)},
        {"place": None},
        {"place": Place()},
        {"place": SQUARE.model_copy(update={"text": "泉城路"})},
        {"place": SQUARE.model_copy(update={"longitude": 117.03})},
        {"place": SQUARE.model_copy(update={"crs": CoordinateSystem.WGS_84})},
        {"place": SQUARE.model_copy(update={"division_code": "370102"})},
    ],
)
def test_what_was_said_counts(changes: dict[str, Any]) -> None:
    assert digest(message(**changes)) != digest(message())


def test_the_time_counts_where_there_is_no_id() -> None:
    first = digest(message(provider_id=None))
    assert first != digest(message(provider_id=None, sent_at=NOON + timedelta(seconds=1)))
    assert first != digest(message(provider_id=None, sent_at=None))
    assert first == digest(message(provider_id=None, sent_at=NOON.astimezone(timezone(timedelta(hours=8)))))


def test_a_sha256_is_not_mistaken_for_a_reference() -> None:
    by_content = PICTURE.model_copy(update={"sha256": "0" * 64, "reference": None})
    by_reference = PICTURE.model_copy(update={"reference": "0" * 64})
    assert digest(message(attachments=(by_content,))) != digest(message(attachments=(by_reference,)))


def test_the_version_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(message())
    monkeypatch.setattr(module, "DIGEST_VERSION", 2)
    assert digest(message()) != before


@settings(deadline=None)
@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_has_a_digest_and_the_same_twice(text: str, heading: str) -> None:
    assert digest(message(text=text, title=heading)) == digest(message(text=text + "\r\n", title=heading))


@settings(deadline=None)
@given(st.text(st.sampled_from('路","[]\\')), st.text(st.sampled_from('路","[]\\')))
def test_title_and_text_are_never_confused(heading: str, text: str) -> None:
    apart = digest(message(title=heading, text=text)) != digest(message(title=text, text=heading))
    assert apart == (heading != text)
