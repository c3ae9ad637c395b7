"""Text to fields: what the gateway reads from one message, each derived field with the rule and the words behind it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from normalizer.clean import clean, for_matching, single_line
from normalizer.cues import read_cues
from normalizer.fields import Fields, Rules
from normalizer.file_name import shown_name
from normalizer.fingerprint import fingerprint
from normalizer.language import identify
from normalizer.model import (
    Assurance,
    Attachment,
    Contact,
    ContactType,
    Evidence,
    Message,
    Place,
)
from normalizer.phones import phones
from normalizer.staff import against_staff, staff_numbers
from normalizer.title import title
from normalizer.triage import Words, stated, triage

#: The surest way to reach him first.
_SURENESS = (Assurance.VERIFIED, Assurance.ASSERTED, Assurance.SPOOFABLE)
#: Characters of a place (model.Place).
_PLACE = 1000
#: Characters compared; NFKC can lengthen a text eighteenfold (UAX #15).
_MATCHING = 20_000
#: Characters of a name or unit that are looked at; the whole stays in the kept message.
_NAME = 1000


def normalize(
    message: Message, message_id: UUID, rules: Rules | None = None, received_at: datetime | None = None
) -> Fields:
    """Read ``message``; ``message_id`` is ours, for the evidence. Pure and total: any text gives fields.

    ``rules`` judge it, and then ``received_at`` must be told; without them only what was stated is read.
    """
    text = clean(message.text)
    heading, heading_why = _title(message, text, message_id)
    words = Words(message, message_id, heading, text, _place(message.place))
    found = stated(words) if rules is None or received_at is None else triage(words, rules, received_at)
    code, code_rule = identify(text)
    phone, phone_why = _phone(message, text, message_id)
    staff_why = _staff(message, text, message_id)
    matching = for_matching(text[:_MATCHING])
    return Fields(
        text=text,
        matching=matching,
        title=heading,
        language=code,
        contact_phone=phone,
        name=_line(message.name),
        unit=_line(message.unit),
        triage=found,
        attachments=tuple(_attachment(attachment) for attachment in message.attachments),
        cues=read_cues(text),
        prints=_prints(heading, matching, message.place),
        about_hotline_staff=bool(staff_why),
        withheld_from=_concerned(message, text) if staff_why else (),
        evidence=(
            heading_why,
            Evidence(field="language", message_id=message_id, rule=code_rule),
            *phone_why,
            *found.evidence,
            *staff_why,
        ),
    )


def _prints(heading: str, matching: str, place: Place | None) -> bytes:
    where = place.text if place else None
    return fingerprint(for_matching(heading), matching, where and for_matching(where)).pack()


def _title(message: Message, text: str, message_id: UUID) -> tuple[str, Evidence]:
    """The title, and where in the text it stands if it does word for word."""
    heading, rule = title(message.title, text)
    start = text.find(heading.removesuffix("…")) if rule == "title.first_sentence" else -1
    span = None if start < 0 else (start, start + len(heading.removesuffix("…")))
    return heading, Evidence(field="title", message_id=message_id, span=span, rule=rule)


def _phone(message: Message, text: str, message_id: UUID) -> tuple[str | None, tuple[Evidence, ...]]:
    """The number to call back: stated, the sender's, or the first in the words, in this order."""
    rule, span = "phone.stated", None
    number = _stated(message.contacts)
    if number is None and message.sender.type is ContactType.PHONE:
        rule, number = "phone.sender", _line(message.sender.value)
    if number is None and (found := phones(text)):
        rule, number, span = "phone.in_text", found[0].value, (found[0].start, found[0].end)
    if number is None:
        return None, ()
    return number, (Evidence(field="party.contact_phone", message_id=message_id, span=span, rule=rule),)


def _stated(contacts: tuple[Contact, ...]) -> str | None:
    """The surest telephone number among the contacts; the first of equals."""
    numbers = [contact for contact in contacts if contact.type is ContactType.PHONE]
    surest = min(numbers, key=lambda contact: _SURENESS.index(contact.assurance), default=None)
    return _line(surest.value) if surest else None


def _staff(message: Message, text: str, message_id: UUID) -> tuple[Evidence, ...]:
    """Why it is a complaint about the hotline's own people, if it is."""
    found = against_staff(text)
    if not (found or message.about_hotline_staff):
        return ()
    rule = "staff.stated" if message.about_hotline_staff else "staff.in_text"
    span = found.span if found else None
    return (Evidence(field="about_hotline_staff", message_id=message_id, span=span, rule=rule),)


def _concerned(message: Message, text: str) -> tuple[str, ...]:
    writer = (message.operator,) if message.operator else ()
    return tuple(dict.fromkeys((*writer, *staff_numbers(text))))


def _line(value: str | None) -> str | None:
    """One clean line; None when nothing is left."""
    return single_line((value or "")[:_NAME]) or None


def _place(place: Place | None) -> Place | None:
    """The place with its words cleaned; cut again, for NFC can lengthen a text (UAX #15)."""
    return place and place.model_copy(update={"text": (_line(place.text) or "")[:_PLACE] or None})


def _attachment(attachment: Attachment) -> Attachment:
    """The attachment with a name and type fit to be shown; its reference stays, for it must still lead there."""
    return attachment.model_copy(
        update={"file_name": shown_name(attachment.file_name), "media_type": _line(attachment.media_type)}
    )
