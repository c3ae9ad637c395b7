"""What one normalised message becomes: judged against its caller's past, written as a matter, answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from dedupe.caller import history
from dedupe.incident import incident_of
from dedupe.relation import LONGEST_SECONDS, Asked, relation, when_full
from dedupe.sameness import Looks
from gateway.proving import proving
from gateway.texts import LABELS, Language, language_of, standing, warned, written
from normalizer.fields import Fields
from normalizer.matter import Said, amend, compose
from normalizer.model import (
    Act,
    Assurance,
    Attachment,
    AttachmentKind,
    HotlineMatter,
    Joining,
    KeptMessage,
    Link,
    Outcome,
    Past,
    PastMatter,
    ReplyRoute,
    Tie,
    TieKind,
    Urgency,
    Verdict,
)
from normalizer.reply import Limit, ReplyKind, stepped_at
from store.events import AMENDED
from store.riding import reply_id
from store.values import Draft, Filing, OpenFile, Way

FILED = "hotline.matter.filed.v1"
#: How long the last piece may take from its arrival until it is filed.
GRACE = timedelta(seconds=3)
#: What he says again within this time, without asking for it to be done, he has only sent twice.
TWICE = timedelta(minutes=10)
#: Fields of the matter that hold its links.
_FIELDS = {TieKind.SAME_MATTER: "same_matter_of", TieKind.FOLLOWS: "follows", TieKind.INCIDENT: "incident_id"}
EVENT_TYPES = {
    Act.CHASES: "hotline.matter.chased.v1",
    Act.OBJECTS: "hotline.matter.disputed.v1",
    Act.EVALUATES: "hotline.matter.evaluated.v1",
    Act.WITHDRAWS: "hotline.matter.withdrawn.v1",
}


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new matter needs from outside: an id and a tracking code nobody has yet."""

    matter_id: UUID
    tracking_code: str


@dataclass(frozen=True, slots=True)
class Habits:
    """How the message's channel is answered and listened to."""

    #: How long a conversation's pieces are waited for, seconds; 0: it is none.
    settle_seconds: float = 0.0
    #: Whether we write back at all, and whether a new matter is acknowledged.
    answers: bool = False
    acknowledges: bool = False
    #: The windows in which we may.
    limits: Mapping[str, Limit] = field(default_factory=dict)
    #: The channel by which a code goes to a telephone number; None: there is none.
    codes_by: str | None = None
    #: Which attachments are fetched.
    fetches: frozenset[AttachmentKind] = frozenset()
    #: How it is compared with what came before; None: it is not.
    looks: Looks | None = None


def decide(
    kept: KeptMessage, fields: Fields, fresh: Fresh, habits: Habits, caller_id: UUID, past: Past, open_file: OpenFile
) -> Filing:
    """Relation first, then the document; run under the caller's lock."""
    urgent = fields.triage.urgency is Urgency.IMMEDIATE
    verdict = relation(Asked(kept, fields.cues, past, habits.settle_seconds, habits.looks, urgent))
    matter = open_file(verdict.matter_id) if verdict.matter_id is not None else None
    if matter is not None:
        verdict = when_full(verdict, matter)
    if verdict.outcome is Outcome.FILED:
        new = compose(kept, fields, **asdict(fresh), caller_id=caller_id, reply_route=_route(kept, habits))
        return _among_others(
            _filed(kept, fields, habits, verdict, _linked(_counted(new, past, verdict), verdict)), habits, past, kept
        )
    if verdict.act is Act.ASKS:
        return _asked(kept, fields, habits, verdict, past, matter)
    if verdict.act is Act.PROVES:
        return proving(kept, fields, habits, verdict, past)
    if matter is None:
        return Filing(verdict, None, None)
    more = amend(matter, kept, fields, Said(verdict.act, verdict.answers, verdict.score, verdict.reason))
    if matter.matter_id == past.handed_on:  # who has a mail of ours from the citizen is not the citizen
        more = more.model_copy(update={"party": matter.party})
    if verdict.act is Act.CHASES:
        more = _pressed(more, past, kept, insists=fields.cues.chase)
    return Filing(
        verdict=verdict,
        matter=_counted(more, past, verdict) if matter.caller_id == caller_id else more,
        event_type=EVENT_TYPES.get(verdict.act, AMENDED),
        replies=_warning(kept, fields, habits, more),
        media=_media(kept, habits),
        settles_at=_settles_at(kept, more, habits) if verdict.settling else None,
    )


def _filed(kept: KeptMessage, fields: Fields, habits: Habits, verdict: Verdict, matter: HotlineMatter) -> Filing:
    acknowledged = habits.acknowledges and kept.message.answerable
    replies = _warning(kept, fields, habits, matter) or (
        (_acknowledgement(kept, fields, matter),) if acknowledged else ()
    )
    return Filing(verdict, matter, FILED, replies, _media(kept, habits), _settles_at(kept, matter, habits))


def _linked(matter: HotlineMatter, verdict: Verdict) -> HotlineMatter:
    """The new matter with its links to earlier ones of its caller."""
    return matter.model_copy(update={_FIELDS[tie.kind]: _link(tie) for tie in verdict.ties if tie.kind in _FIELDS})


def _link(tie: Tie) -> Link:
    return Link(
        id=tie.object, score=tie.score, reason=tie.reason, decided_by="rule", level=tie.level, shares=tie.shares
    )


def _among_others(filing: Filing, habits: Habits, past: Past, kept: KeptMessage) -> Filing:
    """The filing of a new matter with what links it to those of other callers; each keeps his own."""
    found = habits.looks and incident_of(habits.looks, past, kept.received_at)
    if found is None or filing.matter is None:
        return filing
    if isinstance(found, Joining):
        return replace(filing, joining=found)
    verdict = filing.verdict.model_copy(update={"ties": (*filing.verdict.ties, found)})
    return replace(filing, verdict=verdict, matter=_linked(filing.matter, verdict))


def _pressed(matter: HotlineMatter, past: Past, kept: KeptMessage, *, insists: bool) -> HotlineMatter:
    """Whoever waits for an answer and asks again is heard sooner; what he only sent twice changes nothing."""
    known = {one.matter_id: one for one in (*past.matters, *past.coded, *(text.matter for text in past.alike))}
    found = known.get(matter.matter_id)
    before = matter.messages[-2].received_at if len(matter.messages) > 1 else kept.received_at
    waits = insists or kept.received_at - before >= TWICE
    if matter.urgency is not Urgency.ROUTINE or not waits or (found is not None and not found.open):
        return matter
    return matter.model_copy(update={"urgency": Urgency.URGENT})


def _asked(
    kept: KeptMessage, fields: Fields, habits: Habits, verdict: Verdict, past: Past, matter: HotlineMatter | None
) -> Filing:
    """Told to a contact that is surely its citizen's, or that wrote on the matter; any other hears what strangers hear."""
    asking = kept.message.sender
    if matter is not None and asking.assurance is not Assurance.VERIFIED and asking not in matter.party.contacts:
        matter, verdict = None, verdict.model_copy(update={"matter_id": None})
    known = matter is not None or bool(fields.cues.codes)
    answers = habits.answers and kept.message.answerable and known
    return Filing(verdict, matter, None, (_status(kept, fields, verdict, past, matter),) if answers else ())


def _media(kept: KeptMessage, habits: Habits) -> tuple[Attachment, ...]:
    return tuple(one for one in kept.message.attachments if one.kind in habits.fetches and one.reference)


def _settles_at(kept: KeptMessage, matter: HotlineMatter, habits: Habits) -> datetime | None:
    """Until when the matter's event waits for further pieces; danger waits for nothing."""
    if not habits.settle_seconds or matter.urgency is Urgency.IMMEDIATE:
        return None
    piece = kept.received_at + timedelta(seconds=habits.settle_seconds)
    return min(piece, matter.received_at + timedelta(seconds=LONGEST_SECONDS)) + GRACE


def _counted(matter: HotlineMatter, past: Past, verdict: Verdict) -> HotlineMatter:
    return matter.model_copy(update=asdict(history(past, verdict)))


def _route(kept: KeptMessage, habits: Habits) -> ReplyRoute:
    limit = habits.limits.get(kept.message.opens or "")
    if limit is None:
        return ReplyRoute(channel=kept.channel)
    return ReplyRoute(
        channel=kept.channel,
        expires_at=stepped_at(kept.message.sent_at, kept.received_at) + timedelta(seconds=limit.seconds),
        remaining=limit.count,
    )


# -- What is answered at once ------------------------------------------------------------------------------------------


def _acknowledgement(kept: KeptMessage, fields: Fields, matter: HotlineMatter) -> Draft:
    language = language_of(fields.language)
    text = written(ReplyKind.ACKNOWLEDGEMENT, language, matter.tracking_code)
    return _draft(kept, language, ReplyKind.ACKNOWLEDGEMENT, text, matter.tracking_code, matter.matter_id)


def _warning(kept: KeptMessage, fields: Fields, habits: Habits, matter: HotlineMatter) -> tuple[Draft, ...]:
    """The number to call at once, for whoever tells of danger - whether or not new matters are acknowledged."""
    if not fields.triage.warnings or not habits.answers:
        return ()
    language = language_of(fields.language)
    text = warned(language, fields.triage.warnings, matter)
    return (_draft(kept, language, ReplyKind.WARNING, text, matter.tracking_code, matter.matter_id),)


def _status(kept: KeptMessage, fields: Fields, verdict: Verdict, past: Past, matter: HotlineMatter | None) -> Draft:
    """By name of his own matter only; any other code is answered as if there were none.

    In the language in which he asks; whoever sends nothing but the number gets his matter's.
    """
    own = (*past.coded, *past.matters, *((past.named,) if past.named else ()))
    known: dict[UUID, PastMatter] = {one.matter_id: one for one in own}
    found = known.get(verdict.matter_id) if verdict.matter_id else None
    code = matter.tracking_code if matter else (fields.cues.codes or ("",))[0]
    language = language_of(fields.language or (matter.language if matter else None))
    return _draft(kept, language, ReplyKind.STATUS, standing(found, language, code), code, verdict.matter_id)


def _draft(
    kept: KeptMessage, language: Language, kind: ReplyKind, text: str, code: str, matter_id: UUID | None
) -> Draft:
    said = kept.message
    way = Way(kept.channel, said.account, said.sender, text, said.answer_to)
    return Draft(reply_id(kept.id), kind, (way,), language, code or None, matter_id, label=LABELS[kind])
