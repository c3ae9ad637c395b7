"""Whether a person tells again what he told before, and what that makes of his message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from dedupe.features import ASSUMED, Frequencies
from dedupe.likeness import Likeness, Thresholds, likenesses
from dedupe.novelty import novelty
from dedupe.vetoes import Said, doubtful
from normalizer.asking import SHORT, besides
from normalizer.fingerprint import Fingerprint, Hashes
from normalizer.model import (
    Act,
    KeptMessage,
    Level,
    Outcome,
    Past,
    PastMatter,
    PastText,
    Tie,
    TieKind,
    Verdict,
)

#: How long after the city's last word a repeat still belongs to the matter; later it is a new one that follows it.
STILL = timedelta(days=7)
DAY = timedelta(days=1)
#: Of so many of his matters an n-gram tells nothing.
HABIT = 3
#: How much of the names of the one's title the other must have for his word to count that it is the same.
NAMED = 0.2
#: Where in the features (``features.NAMES``) that stands, and that they name two districts.
_NAMED, _DISTRICT = 0, 5
#: The scores as they were measured (bench/fit_likeness.py).
MEASURED = Thresholds()


@dataclass(frozen=True, slots=True)
class Looks:
    """What a message is compared by, and how far back."""

    fingerprint: Fingerprint
    #: How common n-grams are among what was written lately.
    frequencies: Frequencies
    #: How far back the same caller's messages count, and those of others.
    same_caller: timedelta = timedelta(days=30)
    incident: timedelta = timedelta(days=14)
    #: How sure one must be.
    thresholds: Thresholds = MEASURED
    #: False: whatever is alike is proposed to a person, and nothing is joined.
    joins: bool = True

    def level(self, found: Likeness) -> Level | None:
        """As sure as the likeness is, as far as anything may be joined; None: not alike."""
        return Level.SUGGESTION if found.level is Level.LINK and not self.joins else found.level


@dataclass(frozen=True, slots=True)
class Compared:
    """An earlier message, and how like it the present one is."""

    text: PastText
    likeness: Likeness
    level: Level


def compared(looks: Looks, texts: Iterable[PastText], now: datetime) -> list[Compared]:
    """Those that are alike at all, the most alike first."""
    taken = [text for text in texts if not text.apart]
    others = [(text.fingerprint, text.own, abs(now - text.received_at) / DAY) for text in taken]
    judged = likenesses(looks.fingerprint, others, looks.frequencies, looks.thresholds)
    found = [(text, one, looks.level(one)) for text, one in zip(taken, judged, strict=True) if one is not None]
    alike = [Compared(text, one, level) for text, one, level in found if level is not None]
    return sorted(alike, key=lambda one: (one.level is not Level.LINK, -one.likeness.score))


def tie(kind: TieKind, one: Compared, reason: str) -> Tie:
    """The link to the matter of an earlier message."""
    return Tie(kind, one.text.matter.matter_id, one.level, one.likeness.score, reason, one.likeness.shares)


def tells_again(looks: Looks, past: Past, kept: KeptMessage) -> Verdict | None:
    """What a message is that is like an earlier one of the same person; None when it is like none."""
    now, own = kept.received_at, [text for text in past.alike if text.own]
    found = compared(replace(looks, frequencies=_his(looks.frequencies, own)), own, now)
    if not found:
        return None
    one = replace(found[0], level=Level.LINK) if _says_so(looks, kept, found) else found[0]
    over = _over(looks, one.text, now)
    if over is not None:
        return _new(one, TieKind.FOLLOWS, f"takes up an earlier matter: {over}")
    if one.level is Level.SUGGESTION:
        return _new(one, TieKind.SAME_MATTER, "may be about an earlier matter of his: a person should look")
    if _stands_alone(kept):
        return _new(
            one, TieKind.SAME_MATTER, "is about an earlier matter of his, and has an answer or number of its own"
        )
    return _repeats(looks, past, kept, one)


def _says_so(looks: Looks, kept: KeptMessage, found: Sequence[Compared]) -> bool:
    """He speaks of an earlier letter on this place, and only one matter of his is like it: then somewhat alike is enough."""
    one, said = found[0], kept.message.text
    if not looks.joins or len(said) > SHORT or len({other.text.matter.matter_id for other in found}) > 1:
        return False
    apart = one.likeness.values[_DISTRICT] or doubtful(Said.by(looks.fingerprint), Said.by(one.text.fingerprint))
    return one.likeness.values[_NAMED] >= NAMED and not apart and besides(said)[1]


@dataclass(frozen=True, slots=True)
class _Habitual:
    """How common n-grams are for somebody who writes these in whatever he writes: they tell nothing of his matters."""

    known: Frequencies
    habits: Hashes

    @property
    def total(self) -> int:
        return self.known.total

    def of(self, grams: Hashes) -> NDArray[np.floating | np.integer]:
        """What he always writes is in every message."""
        return np.where(np.isin(grams, self.habits), self.known.total + ASSUMED, self.known.of(grams))


def _his(known: Frequencies, own: Sequence[PastText]) -> Frequencies:
    """The letters of a heavy writer look alike: what stands in ``HABIT`` of his matters is his habit of writing."""
    matters: dict[UUID, list[Hashes]] = {}
    for text in own:
        matters.setdefault(text.matter.matter_id, []).append(text.fingerprint.grams)
    if len(matters) < HABIT:
        return known
    written = np.concatenate([np.unique(np.concatenate(grams)) for grams in matters.values()])
    grams, counts = np.unique(written, return_counts=True)
    return _Habitual(known, grams[counts >= HABIT])


def _over(looks: Looks, text: PastText, now: datetime) -> str | None:
    """Why what he says now is a new matter all the same; None: it is not."""
    matter = text.matter
    if matter.withdrawn_at is not None:
        return "he had taken it back"
    ended = max((at for at in (matter.answered_at, matter.closed_at) if at is not None), default=None)
    if ended is not None and now - ended > STILL:
        return f"the city's last word was {(now - ended).days} days ago"
    if now - text.received_at > looks.same_caller:
        return f"he last spoke of it {(now - text.received_at).days} days ago"
    return None


def _stands_alone(kept: KeptMessage) -> bool:
    """A linked platform's own number, or what an operator answered at once, needs a matter to stand in."""
    return kept.message.partner_number is not None or kept.message.disposition != "to_handle"


def _new(one: Compared, kind: TieKind, reason: str) -> Verdict:
    return Verdict(outcome=Outcome.FILED, reason=reason, ties=(tie(kind, one, reason),))


def _repeats(looks: Looks, past: Past, kept: KeptMessage, one: Compared) -> Verdict:
    matter = one.text.matter
    news = _news(looks, past, kept, matter)
    reason = f"tells again what he told before, {news}" if news else "asks again, with nothing new"
    told = tie(TieKind.BELONGS, one, reason)
    if news is None:
        return Verdict(outcome=Outcome.CHASED, act=Act.CHASES, matter_id=matter.matter_id, reason=reason, ties=(told,))
    return Verdict(outcome=Outcome.ATTACHED, matter_id=matter.matter_id, reason=reason, ties=(told,))


def _news(looks: Looks, past: Past, kept: KeptMessage, matter: PastMatter) -> str | None:
    """What is new in it, in words; None: nothing."""
    if kept.message.attachments:
        return "with something attached"
    known = [text.fingerprint for text in past.alike if text.own and text.matter.matter_id == matter.matter_id]
    found = novelty(looks.fingerprint, known, looks.frequencies, kept.message.text)
    return None if found.nothing else f"with something new ({found.share:.0%} of the words)"
