from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest
import uuid_utils.compat

from channels.base import AnyChannel, Channel
from channels.errors import Malformed
from channels.settings import ChannelSettings
from gateway.difference import NOT_READ, READ, MatterChange, Preview, difference, field_changes
from normalizer.matter import amend, compose
from normalizer.model import (
    Acceptance,
    Assurance,
    Attachment,
    AttachmentKind,
    Conduct,
    Contact,
    ContactType,
    Envelope,
    Flag,
    HotlineMatter,
    KeptMessage,
    MatterKind,
    Message,
    Notice,
    Parsed,
    PartyType,
    Place,
    RegistrationSource,
    Urgency,
)
from normalizer.normalize import normalize
from store.dossiers import Dossier, MatterFile, Piece

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
CALLER = UUID(int=7)
SENDER = Contact(type=ContactType.APP, value="resident-1", assurance=Assurance.VERIFIED)


class LinesSettings(ChannelSettings):
    kind: Literal["lines"] = "lines"


class Lines(Channel[LinesSettings]):
    """A message per line of the body."""

    kind = "lines"
    Settings = LinesSettings
    summary = "for tests"

    def parse(self, envelope: Envelope) -> Parsed:
        match envelope.body.decode():
            case "odd":
                raise Malformed("odd")
            case "raise":
                raise RuntimeError("quotes the citizen")
            case "none":
                return Notice(reason="nothing")
            case text:
                return tuple(said(line, number) for number, line in enumerate(text.split("\n")))


CHANNELS: dict[str, AnyChannel] = {"lines": Lines("lines", LinesSettings())}


def said(text: str, number: int = 0, **more: Any) -> Message:
    return Message(key_space="lines", account="desk", sender=SENDER, provider_id=f"{text}{number}", text=text, **more)


def envelope(text: str, channel: str = "lines") -> Envelope:
    return Envelope(id=uuid_utils.compat.uuid7(), channel=channel, kind="lines", received_at=NOW, body=text.encode())


def pieces(kept: Envelope, *messages: Message) -> list[Piece]:
    """As they were read when ``kept`` was unpacked."""
    return [
        Piece(uuid_utils.compat.uuid7(), kept.id, position, "lines", "lines", NOW, message.model_dump(mode="json"))
        for position, message in enumerate(messages)
    ]


def file(*members: Piece, envelopes: tuple[Envelope, ...] = (), **other: Any) -> MatterFile:
    """The matter that these give, with ``other`` fields than the present rules would give."""
    matter: HotlineMatter | None = None
    for piece in members:
        message = Message.model_validate(piece.content)
        kept = KeptMessage(piece.id, piece.envelope_id, "lines", "lines", NOW, message)
        fields = normalize(message, piece.id)
        new = {"matter_id": UUID(int=1), "tracking_code": "2603010000000019", "caller_id": CALLER}
        matter = compose(kept, fields, **new) if matter is None else amend(matter, kept, fields)
    assert matter is not None
    document = matter.model_copy(update=other).model_dump(mode="json")
    return MatterFile(matter.matter_id, document, members, {one.id: one for one in envelopes})


def read(kept: Envelope, members: list[Piece], *files: MatterFile, was: tuple[str, ...] = ("filed",)) -> Preview:
    return difference(Dossier(kept, was, tuple(members), files), CHANNELS, None)


def test_what_was_read_alike_differs_in_nothing() -> None:
    kept = envelope("路灯坏了\n井盖没了")
    members = pieces(kept, said("路灯坏了"), said("井盖没了", 1))
    found = read(kept, members, file(members[0]), file(members[1]), was=("filed", "filed"))
    assert found == Preview(kept.id, "lines", ("filed", "filed"), "2 messages")
    assert not found.changed


def test_a_message_read_otherwise_names_its_fields() -> None:
    kept = envelope("路灯坏了\n井盖没了")
    members = pieces(kept, said("路灯坏了"), said("井盖没了", 1, title="井盖", name="张三"))
    found = read(kept, members)
    assert (found.changes, found.changed) == (("1.title", "1.name"), True)


@pytest.mark.parametrize(
    ("text", "would_be", "was", "changed"),
    [
        ("odd", "malformed", "malformed", False),
        ("odd", "malformed", "notice", True),
        ("raise", "failed", "failed", False),
        ("none", "notice", "notice", False),
        ("none", "notice", "malformed", True),
        ("路灯", "1 message", "malformed", True),
    ],
)
def test_what_an_envelope_without_messages_would_be(text: str, would_be: str, was: str, changed: bool) -> None:
    found = read(envelope(text), [], was=(was,))
    assert (found.would_be, found.changed) == (would_be, changed)


def test_an_envelope_of_a_channel_taken_away_would_fail() -> None:
    assert read(envelope("路灯", "gone"), [], was=("malformed",)).would_be == "failed"


# -- matters -----------------------------------------------------------------------------------------------------------


def test_a_matter_filed_by_another_rule_names_its_fields() -> None:
    kept = envelope("路灯坏了三天")
    members = pieces(kept, said("路灯坏了三天"))
    found = read(kept, members, file(*members, title="灯", urgency=Urgency.URGENT))
    assert found.matters == (MatterChange(UUID(int=1), ("title", "urgency")),)
    assert not found.changed, "the envelope itself is read as before"


def amended() -> tuple[list[Envelope], list[Piece]]:
    envelopes = [envelope("路灯坏了三天"), envelope("电话13812345678"), envelope("还是没修")]
    members = [pieces(one, said(one.body.decode()))[0] for one in envelopes]
    return envelopes, members


def test_a_matter_of_several_messages_differs_in_nothing() -> None:
    envelopes, members = amended()
    whole = file(*members, envelopes=tuple(envelopes[1:]))
    assert whole.document["content"].count("\n\n") == 2 and whole.document["party"]["contact_phone"]
    assert read(envelopes[0], members[:1], whole).matters == ()
    assert read(envelopes[1], members[1:2], file(*members, envelopes=(envelopes[0], envelopes[2]))).matters == ()


def test_a_later_message_read_otherwise_shows_in_the_matter() -> None:
    envelopes, members = amended()
    whole = file(*members, envelopes=(envelopes[1], Envelope(envelopes[2].id, "lines", "lines", NOW, b"other")))
    assert read(envelopes[0], members[:1], whole).matters == (MatterChange(UUID(int=1), ("content",)),)


@pytest.mark.parametrize("text", ["odd", "raise", "none"])
def test_a_matter_whose_message_is_not_read_any_more(text: str) -> None:
    envelopes, members = amended()
    gone = Envelope(envelopes[1].id, "lines", "lines", NOW, text.encode())
    whole = file(*members, envelopes=(gone, envelopes[2]))
    assert read(envelopes[0], members[:1], whole).matters == (MatterChange(UUID(int=1), ("messages",)),)


def test_a_matter_whose_message_is_not_in_the_books_any_more() -> None:
    envelopes, members = amended()
    whole = file(*members, envelopes=tuple(envelopes[1:]))
    short = MatterFile(whole.id, whole.document, whole.pieces[:2], whole.envelopes)
    assert read(envelopes[0], members[:1], short).matters == (MatterChange(UUID(int=1), ("messages",)),)


def test_messages_of_envelopes_too_large_are_taken_as_they_were_kept() -> None:
    envelopes, members = amended()
    assert read(envelopes[0], members[:1], file(*members)).matters == ()
    found = read(envelopes[0], members[:1], file(*members, title="灯"))
    assert found.matters == (MatterChange(UUID(int=1), ("title",)),)


# -- which fields ------------------------------------------------------------------------------------------------------

PICTURE = Attachment(id="0", kind=AttachmentKind.IMAGE, media_type="image/png", file_name="a.png")
#: Another value for each field that is compared.
OTHER: dict[str, Any] = {
    "kind": MatterKind.PRAISE,
    "title": "另一个",
    "content": "另一个",
    "language": "en",
    "attachments": (PICTURE.model_copy(update={"kind": AttachmentKind.FILE}),),
    "target_unit": "城管局",
    "about_hotline_staff": True,
    "disposition": "answered_on_the_spot",
    "occurred_at": NOW,
    "confidential": True,
    "place": Place(text="东口"),
    "emergency_line": "119",
    "crisis": True,
    "urgency": Urgency.URGENT,
    "acceptance": Acceptance(suggestion="refer"),
    "linked_platform": "12315",
    "source": RegistrationSource.VISIT,
    "operator": "1021",
    "answer": "已当场答复",
    "call_back_owed": True,
    "withheld_from": ("1021",),
    "partner_number": "12315-7",
    "several": True,
}
PARTY: dict[str, Any] = {
    "type": PartyType.PERSON,
    "name": "李四",
    "unit": "某厂",
    "contact_phone": "+8613800138000",
    "contacts": (),
}


def matter() -> HotlineMatter:
    kept = envelope("路灯")
    message = said("路灯", attachments=(PICTURE,))
    (piece,) = pieces(kept, message)
    return HotlineMatter.model_validate(file(piece).document)


def test_every_field_is_either_compared_or_not_read_from_messages() -> None:
    assert set(READ) == OTHER.keys() | {"party", "conduct"}
    assert set(READ) | NOT_READ == HotlineMatter.model_fields.keys()


@pytest.mark.parametrize("name", OTHER)
def test_each_compared_field_is_noticed(name: str) -> None:
    before = matter()
    assert field_changes(before, before.model_copy(update={name: OTHER[name]})) == (name,)


def test_what_is_said_is_compared_and_what_is_done_is_not() -> None:
    before = matter()
    for kind, changes in (("insult", ("conduct.flags",)), ("flood", ()), ("repeat_without_reason", ())):
        flagged = Conduct(flags=(Flag(kind=kind, score=0.9),))
        assert field_changes(before, before.model_copy(update={"conduct": flagged})) == changes


@pytest.mark.parametrize("name", PARTY)
def test_each_part_of_the_party_is_noticed(name: str) -> None:
    before = matter()
    party = before.party.model_copy(update={name: PARTY[name]})
    assert field_changes(before, before.model_copy(update={"party": party})) == (f"party.{name}",)


def test_what_is_learnt_by_fetching_an_attachment_is_no_difference() -> None:
    before = matter()
    fetched = PICTURE.model_copy(update={"media_type": "image/jpeg", "size": 9, "sha256": "0" * 64, "scan": "clean"})
    assert field_changes(before, before.model_copy(update={"attachments": (fetched,)})) == ()


def test_history_and_ids_are_no_difference() -> None:
    before = matter()
    later = {"revision": 9, "contacts_30d": 5, "received_at": NOW + timedelta(days=1), "evidence": ()}
    assert field_changes(before, before.model_copy(update=later)) == ()


def test_a_preview_holds_nothing_that_a_citizen_wrote() -> None:
    kept = envelope("金丝雀八八四六")
    members = pieces(kept, said("金丝雀八八四六", name="金丝雀"))
    found = read(kept, members, file(*members, title="金丝雀"))
    assert found.changes and found.matters and "金丝雀" not in repr(found)
