"""What somebody is answered who shows that a telephone number is his. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.texts import LABELS, PROVING, language_of
from normalizer.fields import Fields
from normalizer.ids import derived
from normalizer.model import Assurance, Contact, ContactType, KeptMessage, Past, Verdict
from normalizer.reply import ReplyKind
from store.riding import reply_id
from store.values import CODE_PLACE, Asking, Draft, Filing, Way

if TYPE_CHECKING:
    from gateway.filing import Habits


def proving(kept: KeptMessage, fields: Fields, habits: Habits, verdict: Verdict, past: Past) -> Filing:
    """The answer, and the code where one is asked for. Whoever has a spoofable address cannot show anything by it."""
    answered, asking = habits.answers and kept.message.answerable, None
    sure = kept.message.sender.assurance is Assurance.VERIFIED
    if past.confirmed is not None:
        said = "right" if past.confirmed else "wrong"
    elif fields.cues.binds is None or habits.codes_by is None or not (answered and sure):
        said = "impossible"
    else:
        said, asking = "asked", _code(kept, fields, habits.codes_by, fields.cues.binds)
    replies = (_answer(kept, fields, said),) if answered else ()
    return Filing(verdict, None, None, replies, asking=asking)


def _answer(kept: KeptMessage, fields: Fields, said: str) -> Draft:
    language, heard = language_of(fields.language), kept.message
    way = Way(kept.channel, heard.account, heard.sender, PROVING[said][language], heard.answer_to)
    return Draft(reply_id(kept.id), ReplyKind.BINDING, (way,), language, label=LABELS[ReplyKind.BINDING])


def _code(kept: KeptMessage, fields: Fields, channel: str, number: str) -> Asking:
    language = language_of(fields.language)
    to = Contact(type=ContactType.PHONE, value=number, assurance=Assurance.ASSERTED)
    way = Way(channel, "", to, PROVING["code"][language].format(code=CODE_PLACE))
    draft = Draft(derived(kept.id, "code"), ReplyKind.CODE, (way,), language, label=LABELS[ReplyKind.CODE])
    return Asking(number, draft)
