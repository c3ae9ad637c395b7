"""Composing the hotline matter from what one message says, and adding a further message to it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from normalizer.fields import Fields
from normalizer.model import (
    Act,
    Attachment,
    ChannelRef,
    Conduct,
    Contact,
    Evaluation,
    Flag,
    HotlineMatter,
    KeptMessage,
    MatterMessage,
    Message,
    Party,
    Place,
    ReplyRoute,
    Urgency,
)
from normalizer.staff import staff_numbers
from normalizer.title import NO_WORDS

PARAGRAPH = "\n\n"


@dataclass(frozen=True, slots=True)
class Said:
    """What a citizen does by a further message."""

    act: Act
    #: The core's update that it answers.
    answers: UUID | None = None
    #: Of an evaluation.
    score: int | None = None
    #: Why it belongs to the matter.
    reason: str = ""


REPORTS = Said(Act.REPORTS)
#: What needs somebody soonest comes first.
SOONEST = (Urgency.IMMEDIATE, Urgency.URGENT, Urgency.ROUTINE)
#: Acts whose words belong to the matter's content.
TELLING = frozenset({Act.REPORTS, Act.ANSWERS, Act.OBJECTS})


def compose(
    kept: KeptMessage,
    fields: Fields,
    *,
    matter_id: UUID,
    tracking_code: str,
    caller_id: UUID,
    reply_route: ReplyRoute | None = None,
) -> HotlineMatter:
    """The matter that a message opens."""
    message, read = kept.message, fields.triage
    return HotlineMatter(
        matter_id=matter_id,
        tracking_code=tracking_code,
        kind=read.kind,
        title=fields.title,
        content=fields.text,
        language=fields.language,
        attachments=_outward(kept, fields),
        sent_at=message.sent_at,
        received_at=kept.received_at,
        channel=ChannelRef(name=kept.channel, kind=kept.kind, account=message.account),
        messages=(_part(kept, fields),),
        party=_party(message, fields),
        caller_id=caller_id,
        confidential=read.confidential,
        about_hotline_staff=fields.about_hotline_staff,
        withheld_from=fields.withheld_from,
        disposition=message.disposition,
        answer=message.answer,
        call_back_owed=message.call_back_owed,
        source=message.source,
        operator=message.operator,
        target_unit=read.target_unit,
        occurred_at=read.occurred_at,
        linked_platform=read.linked_platform,
        partner_number=message.partner_number,
        emergency_line=read.emergency_line,
        crisis=read.crisis,
        urgency=read.urgency,
        acceptance=read.acceptance,
        several=read.several,
        conduct=Conduct(flags=read.flags),
        due=read.due,
        place=read.place,
        reply_route=reply_route or ReplyRoute(channel=kept.channel),
        evidence=fields.evidence,
    )


def _party(message: Message, fields: Fields) -> Party:
    read = fields.triage
    return Party(
        type=read.party_type,
        name=fields.name,
        unit=fields.unit or read.unit,
        contact_phone=fields.contact_phone,
        contacts=_contacts(message),
    )


def amend(matter: HotlineMatter, kept: KeptMessage, fields: Fields, said: Said = REPORTS) -> HotlineMatter:
    """The matter with a further message of its caller: his first words stay first, what was missing is filled in."""
    told, read = said.act in TELLING, fields.triage
    words = [matter.content, fields.text if told else ""]
    party = matter.party.model_copy(
        update={
            "name": matter.party.name or fields.name,
            "unit": matter.party.unit or fields.unit or read.unit,
            "contact_phone": matter.party.contact_phone or fields.contact_phone,
            "contacts": tuple(dict.fromkeys((*matter.party.contacts, *_contacts(kept.message)))),
        }
    )
    return matter.model_copy(
        update={
            "revision": matter.revision + 1,
            "title": fields.title if matter.title == NO_WORDS else matter.title,
            "language": matter.language or fields.language,
            "content": PARAGRAPH.join(word for word in words if word),
            "attachments": _renumbered((*matter.attachments, *_outward(kept, fields))),
            "messages": (*matter.messages, _part(kept, fields, said)),
            "party": party,
            "confidential": matter.confidential or read.confidential,
            "about_hotline_staff": matter.about_hotline_staff or fields.about_hotline_staff,
            "withheld_from": _withheld(matter, fields),
            "place": _place(matter.place, read.place),
            "occurred_at": matter.occurred_at or read.occurred_at,
            "target_unit": matter.target_unit or read.target_unit,
            "linked_platform": matter.linked_platform or read.linked_platform,
            "emergency_line": matter.emergency_line or read.emergency_line,
            "crisis": matter.crisis or read.crisis,
            "urgency": min(matter.urgency, read.urgency, key=SOONEST.index),
            "several": matter.several or read.several,
            "conduct": flagged(matter.conduct, read.flags),
            "times_this_matter": matter.times_this_matter + 1,
            "evaluation": _evaluation(kept, fields, said) or matter.evaluation,
            "evidence": (*matter.evidence, *fields.evidence),
        }
    )


def _place(known: Place | None, told: Place | None) -> Place | None:
    """The place as he told it first, with what was missing of it: words, division, the point on the map."""
    if known is None or told is None:
        return known or told
    missing = {"text": known.text or told.text, "division_code": known.division_code or told.division_code}
    if known.longitude is None:
        missing |= {name: getattr(told, name) for name in ("longitude", "latitude", "crs")}
    return known.model_copy(update=missing)


def flagged(conduct: Conduct, flags: tuple[Flag, ...]) -> Conduct:
    """Each kind of flag once, the surest."""
    surest = {flag.kind: flag for flag in sorted((*conduct.flags, *flags), key=lambda flag: flag.score)}
    return conduct.model_copy(update={"flags": tuple(surest.values())})


def _withheld(matter: HotlineMatter, fields: Fields) -> tuple[str, ...]:
    """Who wrote the matter down, once it is a complaint about them; a staff number (工号) that he tells later counts too."""
    if not (matter.about_hotline_staff or fields.about_hotline_staff):
        return matter.withheld_from
    writer = (matter.operator,) if matter.operator else ()
    return tuple(dict.fromkeys((*matter.withheld_from, *writer, *fields.withheld_from, *staff_numbers(fields.text))))


def _evaluation(kept: KeptMessage, fields: Fields, said: Said) -> Evaluation | None:
    if said.act is not Act.EVALUATES:
        return None
    return Evaluation(score=said.score, text=fields.text, message_id=kept.id, at=kept.received_at)


def _part(kept: KeptMessage, fields: Fields, said: Said = REPORTS) -> MatterMessage:
    return MatterMessage(
        message_id=kept.id,
        channel=kept.channel,
        sent_at=kept.message.sent_at,
        received_at=kept.received_at,
        text=fields.text,
        quoted=kept.message.quoted,
        act=said.act,
        answers=said.answers,
        reason=said.reason,
    )


def _contacts(message: Message) -> tuple[Contact, ...]:
    return tuple(dict.fromkeys((message.sender, *message.contacts)))


def _outward(kept: KeptMessage, fields: Fields) -> tuple[Attachment, ...]:
    """Without where we fetch them: a Telegram link holds our token, a mail part means nothing outside."""
    told = {"reference": None, "message_id": kept.id}
    return tuple(attachment.model_copy(update=told) for attachment in fields.attachments)


def _renumbered(attachments: tuple[Attachment, ...]) -> tuple[Attachment, ...]:
    """Unique ids across messages, each of which counts its own from 0."""
    return tuple(
        attachment.model_copy(update={"id": str(index)}) if attachment.id.isdigit() else attachment
        for index, attachment in enumerate(attachments)
    )
