"""What a message is to the matters before it. Redeliveries never come here: the database's unique key settled them.

One question after the other, the surest first; the first that has an answer decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dedupe.sameness import Looks, tells_again
from normalizer.cues import Cues
from normalizer.model import (
    Act,
    ContactType,
    HotlineMatter,
    KeptMessage,
    Level,
    Outcome,
    Past,
    PastMatter,
    Tie,
    TieKind,
    Verdict,
)

#: What one matter may hold: every event carries all of it. Beyond, a message is a matter of its own.
MOST_MESSAGES, MOST_CHARACTERS = 50, 100_000
#: How long a conversation's pieces are collected at most, from its first, seconds; later ones amend the matter.
LONGEST_SECONDS = 180.0
#: How long one conversation may go on: whoever writes for longer without a pause tells of more than one thing.
SITTING = timedelta(hours=1)
#: How long a question of the core waits for an answer, and how long a result can be evaluated or objected to.
QUESTION, RESULT = timedelta(days=7), timedelta(days=30)
#: Where a telephone number can be bound to the account one writes from.
ACCOUNTS = frozenset({ContactType.WECHAT, ContactType.WEIBO, ContactType.TELEGRAM, ContactType.MAIL})
#: How late a further message of a group may come; telephones use a name for one again.
TOGETHER = timedelta(days=1)
#: How long after a call what he sends from the same number can be what he promised in it.
CALL = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that is looked at."""

    kept: KeptMessage
    cues: Cues
    past: Past
    #: How long the channel's pieces are waited for, seconds; 0: it is no conversation.
    settle_seconds: float = 0.0
    #: How it is compared with earlier ones; None: it is not.
    looks: Looks | None = None
    #: Danger to life or limb: whatever else he asks of the hotline, it is told to the core.
    urgent: bool = False

    @property
    def now(self) -> datetime:
        """When the message came."""
        return self.kept.received_at


def relation(asked: Asked) -> Verdict:
    """What the message is. A named matter of somebody else is no link: a number alone opens nobody's file."""
    for question in _QUESTIONS:
        if asked.urgent and question in _ENDING:
            continue
        if (verdict := question(asked)) is not None:
            return verdict
    if asked.kept.message.in_reply_to is not None:
        return _filed("names a matter that is not its caller's")
    return _filed("no earlier matter named")


def when_full(verdict: Verdict, matter: HotlineMatter) -> Verdict:
    """A matter that holds as much as one may takes no more: what he tells is a new one, linked to it."""
    full = len(matter.messages) >= MOST_MESSAGES or len(matter.content) >= MOST_CHARACTERS
    if not full or verdict.outcome is not Outcome.ATTACHED:
        return verdict
    reason = "the matter it belongs to holds as much as one matter may"
    ties = tuple(replace(tie, kind=TieKind.SAME_MATTER) for tie in verdict.ties)
    return _filed(reason).model_copy(update={"ties": ties or (_continues(matter, reason),)})


def _continues(matter: HotlineMatter, reason: str) -> Tie:
    return Tie(TieKind.SAME_MATTER, matter.matter_id, Level.LINK, 1.0, reason)


def _filed(reason: str) -> Verdict:
    return Verdict(outcome=Outcome.FILED, reason=reason)


def _attached(matter_id: object, reason: str, **more: object) -> Verdict:
    return Verdict.model_validate(
        {"outcome": Outcome.ATTACHED, "matter_id": matter_id, "reason": reason} | more, strict=False
    )


# -- The questions, in their order -------------------------------------------------------------------------------------


def _was_placed(asked: Asked) -> Verdict | None:
    """An operator has decided it, and that stands when the message is read again."""
    placed = asked.past.placed
    if placed is None:
        return None
    return _attached(placed.matter_id, f"{placed.operator} put it there")


def _opts_out(asked: Asked) -> Verdict | None:
    """By SMS only: elsewhere people unfollow or block us, and the provider tells."""
    if not asked.cues.opt_out or asked.kept.message.sender.type is not ContactType.PHONE:
        return None
    return Verdict(outcome=Outcome.ANSWERED, act=Act.OPTS_OUT, reason="asks for no more messages")


def _proves_a_number(asked: Asked) -> Verdict | None:
    """Where a person has an account of his own. Whether the code was right is said in the answer, and not here."""
    if asked.past.confirmed is not None:
        return Verdict(outcome=Outcome.ANSWERED, act=Act.PROVES, reason="gives back a code for a telephone number")
    if asked.cues.binds is None or asked.kept.message.sender.type not in ACCOUNTS:
        return None
    return Verdict(outcome=Outcome.ANSWERED, act=Act.PROVES, reason="asks for a code for a telephone number")


def _names_it(asked: Asked) -> Verdict | None:
    """By its id, or by the mail that it answers; a mail may also ask there how the matter stands."""
    named, threaded = asked.past.named, asked.kept.message.in_reply_to is None
    if named is None or (threaded and asked.cues.status):
        return None
    reason = "answers a mail about this matter of its caller" if threaded else "names this matter of its caller"
    about = None if asked.urgent else _about(asked, named)
    return about or _attached(named.matter_id, reason, answers=_question_of(named, asked.now))


def _answers_what_he_was_shown(asked: Asked) -> Verdict | None:
    """Somebody has a mail of ours from the citizen: his words are added, but he can neither end nor judge the matter."""
    if asked.past.handed_on is None or asked.past.coded or asked.cues.status:
        return None
    return _attached(asked.past.handed_on, "answers a mail that we wrote to the citizen at another address")


def _changes_an_earlier_one(asked: Asked) -> Verdict | None:
    if asked.past.amended is None:
        return None
    return _attached(asked.past.amended, "is the new wording of an earlier message", settling=True)


def _was_overtaken_by_its_change(asked: Asked) -> Verdict | None:
    latest, name = asked.past.latest, asked.kept.message.provider_id
    if latest is None or latest.amends is None or latest.amends != name:
        return None
    return _attached(latest.matter_id, "is the first wording of the message before", settling=True)


def _belongs_to_a_group(asked: Asked) -> Verdict | None:
    latest, group = asked.past.latest, asked.kept.message.group
    if latest is None or group is None or group != latest.group or asked.now - latest.received_at > TOGETHER:
        return None
    return _attached(latest.matter_id, "came together with the message before", settling=True)


def _asks_how_it_stands(asked: Asked) -> Verdict | None:
    """With a code that is not his, he gets the same answer as with one that does not exist."""
    if not asked.cues.status:
        return None
    named = (asked.past.named,) if asked.past.named else asked.past.matters
    known = asked.past.coded or (() if asked.cues.codes else named)
    if not asked.cues.codes and not known:
        return None  # he who has no matter asks something else
    return Verdict(
        outcome=Outcome.ANSWERED,
        act=Act.ASKS,
        matter_id=known[0].matter_id if known else None,
        reason="asks how it stands",
    )


def _is_about_one(asked: Asked) -> Verdict | None:
    """By its code, or because there is only one it can be about."""
    for matter in asked.past.coded:
        if (verdict := _about(asked, matter)) is not None:
            return verdict
    for chosen in (_awaiting_answer, _awaiting_mark, _only_answered, _only_open):
        if (found := chosen(asked)) is not None and (verdict := _about(asked, found)) is not None:
            return verdict
    return None


def _answers_a_question(asked: Asked) -> Verdict | None:
    matter = _awaiting_answer(asked)
    if matter is not None:
        return _attached(matter.matter_id, "answers the core's question", answers=matter.asked, act=Act.ANSWERS)
    visited = _awaiting_mark(asked)
    if visited is None or not _recent(visited.asked_at, asked.now, QUESTION):
        return None
    return _attached(visited.matter_id, "answers the return visit at length", answers=visited.asked, act=Act.ANSWERS)


def _goes_on_telling(asked: Asked) -> Verdict | None:
    latest = asked.past.latest
    if latest is None or not asked.settle_seconds:
        return None
    since, whole = asked.now - latest.received_at, asked.now - latest.began_at
    if since > timedelta(seconds=asked.settle_seconds) or whole > SITTING:
        return None
    return _attached(latest.matter_id, "a further piece of what he is telling", settling=True)


def _adds_to_a_coded_one(asked: Asked) -> Verdict | None:
    if not asked.past.coded:
        return None
    return _attached(asked.past.coded[0].matter_id, "names this matter of its caller by its code")


def _completes_a_call(asked: Asked) -> Verdict | None:
    """What he sends after a call to an operator, and which speaks of it or is nothing but pictures."""
    call, message = asked.past.registered, asked.kept.message
    if call is None or not _recent(call.received_at, asked.now, CALL):
        return None
    if not (asked.cues.call or (message.attachments and not message.text.strip())):
        return None
    return _attached(call.matter_id, "completes what he just told an operator by telephone")


def _tells_it_again(asked: Asked) -> Verdict | None:
    return tells_again(asked.looks, asked.past, asked.kept) if asked.looks is not None else None


_QUESTIONS: tuple[Callable[[Asked], Verdict | None], ...] = (
    _was_placed,
    _opts_out,
    _proves_a_number,
    _names_it,
    _answers_what_he_was_shown,
    _changes_an_earlier_one,
    _was_overtaken_by_its_change,
    _belongs_to_a_group,
    _asks_how_it_stands,
    _is_about_one,
    _answers_a_question,
    _goes_on_telling,
    _adds_to_a_coded_one,
    _completes_a_call,
    _tells_it_again,
)
#: Of these the core hears nothing, or only that a matter has ended.
_ENDING = frozenset({_opts_out, _proves_a_number, _asks_how_it_stands, _is_about_one})


# -- What he says about a matter ---------------------------------------------------------------------------------------


def _about(asked: Asked, matter: PastMatter) -> Verdict | None:
    """An evaluation, a withdrawal, an objection, a chase - as far as the matter has come for it."""
    cues, now = asked.cues, asked.now
    visited = matter.asks == "return_visit" and _recent(matter.asked_at, now, RESULT)
    answered = _recent(matter.answered_at or matter.closed_at, now, RESULT)
    if cues.withdrawal and matter.withdrawn_at is None:
        return _said(matter, Outcome.ANSWERED, Act.WITHDRAWS, "takes it back")
    if cues.score is not None and (visited or answered):
        return _said(matter, Outcome.ANSWERED, Act.EVALUATES, "evaluates the result", asked=visited, score=cues.score)
    if cues.short and not asked.kept.message.attachments and visited and _recent(matter.asked_at, now, QUESTION):
        return _said(matter, Outcome.ANSWERED, Act.EVALUATES, "answers the return visit", asked=True)
    if answered and cues.objection:
        return _said(matter, Outcome.ATTACHED, Act.OBJECTS, "objects to the result")
    if matter.open and cues.chase and matter.asks != "question":
        return _said(matter, Outcome.CHASED, Act.CHASES, "asks again, with nothing new")
    return None


def _said(
    matter: PastMatter, outcome: Outcome, act: Act, reason: str, *, asked: bool = False, score: int | None = None
) -> Verdict:
    answers = matter.asked if asked else None
    return Verdict(outcome=outcome, act=act, matter_id=matter.matter_id, answers=answers, score=score, reason=reason)


def _question_of(matter: PastMatter, now: datetime) -> object:
    open_ = matter.asks == "question" and matter.withdrawn_at is None and _recent(matter.asked_at, now, QUESTION)
    return matter.asked if open_ else None


def _recent(at: datetime | None, now: datetime, within: timedelta) -> bool:
    return at is not None and now - at <= within


# -- Which matter it can only be about ---------------------------------------------------------------------------------


def _awaiting_answer(asked: Asked) -> PastMatter | None:
    """The one asked last."""
    waiting = [m for m in asked.past.matters if _question_of(m, asked.now) is not None]
    return max(waiting, key=_asked_at, default=None)


def _awaiting_mark(asked: Asked) -> PastMatter | None:
    visited = [m for m in asked.past.matters if m.asks == "return_visit" and _recent(m.asked_at, asked.now, RESULT)]
    return max(visited, key=_asked_at, default=None)


def _asked_at(matter: PastMatter) -> datetime:
    return matter.asked_at or matter.filed_at


def _only_answered(asked: Asked) -> PastMatter | None:
    answered = [m for m in asked.past.matters if _recent(m.answered_at or m.closed_at, asked.now, RESULT)]
    return answered[0] if len(answered) == 1 else None


def _only_open(asked: Asked) -> PastMatter | None:
    """A chase in the middle of telling is a piece of it."""
    if _goes_on_telling(asked) is not None:
        return None
    still = [m for m in asked.past.matters if m.open]
    return still[0] if len(still) == 1 else None
