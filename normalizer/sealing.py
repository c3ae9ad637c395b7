"""What leaves the house of a matter whose citizen stays unnamed: his words, masked, and a way back, but not who he is.

Weifang article 11 paragraph 3 (whoever reports may ask to stay unnamed), article 7 and Jinan article 10 (no personal data
is disclosed), Anti-Unfair Competition Law article 16 (who reports is kept secret). One function for every way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any
from uuid import UUID

from normalizer.model import Attachment, Conduct, Evidence, HotlineMatter, Link, MatterMessage, Party, Place

Mask = Callable[[str], str]
"""From words to the same without whatever leads to the citizen."""

#: The longest title (``HotlineMatter.title``), and the shortest word that is looked for as a name.
TITLE, SHORTEST = 200, 2
#: The label of a name (``normalizer.naming``).
NAME = "姓名"
#: Building, entrance, floor, house and room; a line of the underground (十号线) is none.
_HOUSE = re.compile(
    r"(?:[0-9０-９A-Za-z一二三四五六七八九十百零〇甲乙丙丁]{1,6}\s?"
    r"(?:号楼|号院|单元|幢|栋|座|楼|层|室|户|房|号|#)(?!线)){1,6}(?:[0-9０-９]{1,5}(?![0-9０-９]))?"
    r"|[0-9０-９]{1,4}(?:[-－–—][0-9０-９]{1,5}){1,4}"
)
#: Characters of a signature, and its lines, at most.
SIGNATURE = 1_000
_SIGNATURE = re.compile(r"\n-- ?(?:\n[^\n]{0,80}){1,12}\Z")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,60}")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")


@dataclass(frozen=True, slots=True)
class Seal:
    """What stands in place of a citizen who stays unnamed, and since when."""

    #: In place of the caller's id: of this matter alone, so that no two matters of one citizen can be put together by it.
    alias: UUID
    #: Since when.
    at: datetime
    #: Whether something of the matter may have left before, with who he is in it.
    disclosed: bool = False
    #: His names, numbers and addresses that are known otherwise than from the document.
    known: tuple[str, ...] = ()


def outward(matter: HotlineMatter, seal: Seal) -> HotlineMatter:
    """The matter as everybody but the citizen himself may have it.

    What is told of his other matters is left out too: by a count or the time of his last message the same citizen could be
    found among those who gave their name.
    """
    mask = cache(partial(unnamed, known=(*known_of(matter), *seal.known)))
    messages = tuple(_message(one, mask) for one in matter.messages)
    whole = {
        after.message_id for before, after in zip(matter.messages, messages, strict=True) if before.text == after.text
    }
    return matter.model_copy(
        update={
            "confidential": True,
            "sealed_at": seal.at,
            "previously_disclosed": seal.disclosed,
            "caller_id": seal.alias,
            "party": Party(type=matter.party.type),
            "messages": messages,
            "attachments": tuple(_attachment(place, one) for place, one in enumerate(matter.attachments)),
            "place": matter.place and _place(matter.place, mask),
            "conduct": _conduct(matter.conduct, mask),
            "evidence": _evidence(matter.evidence, whole),
            **_words(matter, mask),
            **_links(matter, mask),
            "contacts_30d": 1,
            "matters_30d": 1,
            "unanswered_prior": 0,
            "last_contact_at": None,
        }
    )


def known_of(matter: HotlineMatter) -> tuple[str, ...]:
    """By what the citizen could be known, as the matter tells it; what he calls himself in one place goes in every other."""
    party = matter.party
    said = (party.name, party.unit, party.contact_phone, *(one.value for one in party.contacts))
    found = [word.strip() for word in said if word and len(word.strip()) >= SHORTEST]
    mailboxes = [box for word in found if len(box := word.partition("@")[0]) > SHORTEST and "@" in word]
    return tuple(dict.fromkeys((*found, *mailboxes, *_called(matter))))


def _called(matter: HotlineMatter) -> list[str]:
    """The names that his own words give him."""
    from normalizer.naming import names  # noqa: PLC0415 - as below

    apart = (one.text for one in matter.messages if one.text not in matter.content)
    return [
        text[one.start : one.end]
        for text in (matter.content, *apart)
        for one in names(text, ())
        if one.label == NAME and one.end - one.start >= SHORTEST
    ]


def unnamed(text: str, known: Collection[str]) -> str:
    """The words, with whatever names or leads to the citizen masked."""
    from normalizer.naming import masked, names  # noqa: PLC0415 - half a second, and few matters are sealed

    return masked(text, names(text, known)) if text else text


def signature(text: str) -> str:
    """The end of a mail that is set apart as its signature (RFC 3676 section 4.3), from its delimiter on; nothing if none is.

    Elsewhere one with a telephone number stays with the words; here it must not.
    """
    found = _SIGNATURE.search(text[-SIGNATURE:])
    return found[0] if found else ""


def _words(matter: HotlineMatter, mask: Mask) -> dict[str, Any]:
    """Title, content, and what else somebody has written."""
    said, content = matter.evaluation, matter.content
    for message in matter.messages:
        if signed := signature(message.text):
            content = content.replace(signed, "")
    return {
        "title": mask(matter.title)[:TITLE],
        "content": mask(content),
        "answer": matter.answer and mask(matter.answer),
        "target_unit": _target(matter, mask),
        "evaluation": said and said.model_copy(update={"text": mask(said.text)}),
    }


def _target(matter: HotlineMatter, mask: Mask) -> str | None:
    """The body that he reports; his own too, whose name has gone from his words with what he says of himself."""
    from normalizer.naming_self import own_body  # noqa: PLC0415 - as above

    body = matter.target_unit or own_body(matter.content)
    return body and mask(body)


def _links(matter: HotlineMatter, mask: Mask) -> dict[str, Any]:
    """Those to his own matters go: one of them may bear his name. An incident is of many citizens, and stays."""
    incident, link = matter.incident, matter.incident_id
    return {
        "same_matter_of": None,
        "follows": None,
        "incident_id": link and _reasoned(link, mask),
        "incident": incident and incident.model_copy(update={"title": mask(incident.title)}),
    }


def _reasoned(link: Link, mask: Mask) -> Link:
    return link.model_copy(update={"reason": mask(link.reason)})


def _message(message: MatterMessage, mask: Mask) -> MatterMessage:
    """Without what stood below a mail: signatures and quoted headers name him."""
    text = mask(message.text.removesuffix(signature(message.text)))
    reason = mask(message.reason)
    return message.model_copy(update={"text": text, "quoted": "", "reason": reason})


def _attachment(place: int, attachment: Attachment) -> Attachment:
    """Found again by its id. Its name and declared type are the citizen's words; by its digest it would be found elsewhere."""
    found = _EXTENSION.search(attachment.file_name or "")
    declared = _MEDIA_TYPE.match(attachment.media_type or "")
    name = f"attachment-{place + 1}{found[0].lower() if found else ''}"
    kept = {"media_type": declared[0] if declared else None, "file_name": attachment.file_name and name}
    return attachment.model_copy(update={**kept, "sha256": None, "reference": None})


def _place(place: Place, mask: Mask) -> Place:
    """Without the point, which may be where he stood, and without house and room, where he may live."""
    text = _HOUSE.sub("", mask(place.text)).strip(" ,，、;；") if place.text else None
    return Place(text=text or None, division_code=place.division_code)


def _conduct(conduct: Conduct, mask: Mask) -> Conduct:
    flags = tuple(
        flag.model_copy(update={"evidence": tuple(mask(one) for one in flag.evidence)}) for flag in conduct.flags
    )
    return conduct.model_copy(update={"flags": flags})


def _evidence(evidence: tuple[Evidence, ...], whole: Collection[UUID]) -> tuple[Evidence, ...]:
    """Nothing about who he is; a span only into words that are as they were."""
    told = (one for one in evidence if one.field.partition(".")[0] != "party")
    return tuple(one if one.message_id in whole else one.model_copy(update={"span": None}) for one in told)
