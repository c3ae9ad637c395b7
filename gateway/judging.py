"""How a message's conduct is judged, from what was decided about it and how its writer has been writing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from channels.base import AnyChannel
from dedupe.conduct import Limits, Present, SecondHand, habit, judge
from gateway.config import Conduct
from normalizer.fields import Fields
from normalizer.heard import Judged, Recent
from normalizer.model import Act, KeptMessage, Outcome, Past, PastMatter, PastText, TieKind, Urgency
from normalizer.model.matter import Flag
from store.values import Filing, Judge

#: The kinds of channel on which others write down what a citizen says: operators, and linked platforms.
CALLS, PARTNER = "telephone", "partner"
#: What a citizen has a right to do about a matter of his, as often as he likes.
RIGHTS = frozenset({Act.ANSWERS, Act.EVALUATES, Act.ASKS, Act.CHASES, Act.OBJECTS, Act.WITHDRAWS, Act.PROVES})
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Judging:
    """How conduct is judged here."""

    limits: Limits
    second_hand: SecondHand
    #: How long a flag counts.
    flags_last: timedelta

    def of(self, kept: KeptMessage, fields: Fields, said: tuple[Flag, ...] = ()) -> Judge:
        """Of this message; ``said``: what its words are flagged for."""
        return Judge(partial(self._judge, kept, fields, said), self.flags_last)

    def _judge(
        self, kept: KeptMessage, fields: Fields, said: tuple[Flag, ...], recent: Recent, past: Past, filing: Filing
    ) -> Judged:
        found = present(kept, fields.prints, past, filing)
        if found.repeats:
            recent = replace(recent, repeats=recent.repeats + _said_again(fields.prints, past))
        return judge(habit(recent, found, self.second_hand), said, kept.received_at, self.limits)


def judging_of(settings: Conduct, channels: Mapping[str, AnyChannel]) -> Judging:
    """As the configuration says."""
    limits = settings.model_dump(exclude={"hold_minutes", "flag_days"})
    return Judging(
        Limits(**limits, hold=timedelta(minutes=settings.hold_minutes)),
        SecondHand(_of_kind(channels, CALLS), _of_kind(channels, CALLS, PARTNER)),
        timedelta(days=settings.flag_days),
    )


def _of_kind(channels: Mapping[str, AnyChannel], *kinds: str) -> frozenset[str]:
    return frozenset(name for name, channel in channels.items() if channel.kind in kinds)


def present(kept: KeptMessage, prints: bytes, past: Past, filing: Filing) -> Present:
    """What counts of the message that is judged."""
    verdict, matter = filing.verdict, filing.matter
    repeats = _repeats(prints, past, filing)
    return Present(
        received_at=kept.received_at,
        matter_id=matter.matter_id if matter else None,
        channel=kept.channel,
        chases=verdict.act in RIGHTS and not repeats,
        repeats=repeats,
        unanswered=past.open_matters,
        others=_others(prints, past, kept.received_at),
        immediate=matter is not None and matter.urgency is Urgency.IMMEDIATE,
    )


def _repeats(prints: bytes, past: Past, filing: Filing) -> bool:
    """Whether it asks again for what was answered, with nothing new: so decided, or in the very words of before."""
    verdict = filing.verdict
    if verdict.outcome is Outcome.CHASED:
        return _answered(_known(past).get(verdict.matter_id)) is not None
    follows = any(tie.kind is TieKind.FOLLOWS for tie in verdict.ties)
    return follows and any(one.own and _answered(one.matter) and _same(one, prints) for one in past.alike)


def _known(past: Past) -> dict[UUID | None, PastMatter]:
    return {one.matter_id: one for one in (*past.matters, *past.coded, *(text.matter for text in past.alike))}


def _answered(matter: PastMatter | None) -> datetime | None:
    """When, if it has been and was not taken back."""
    return (matter.answered_at or matter.closed_at) if matter and matter.withdrawn_at is None else None


def _said_again(prints: bytes, past: Past) -> int:
    """How often he has opened another matter in the very same words after the city's answer."""
    own = [text for text in past.alike if text.own and _same(text, prints)]
    answers = [at for text in own if (at := _answered(text.matter)) is not None]
    return sum(bool(answers) and text.received_at > min(answers) for text in own)


def _others(prints: bytes, past: Past, at: datetime) -> int:
    """Other callers who said the same within the hour, as far as the index shows them."""
    return len(
        {
            text.matter.matter_id
            for text in past.alike
            if not text.own and at - text.received_at < HOUR and _same(text, prints)
        }
    )


def _same(text: PastText, prints: bytes) -> bool:
    return text.fingerprint.pack() == prints
