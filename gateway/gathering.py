"""Messages taken in one after the other as the gateway does, and compared: the way from texts to judged pairs."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from dedupe.index import Entry, Index
from dedupe.likeness import Likeness, likeness, likenesses
from gateway.labelled import Pair, Written
from gateway.lookout import CANDIDATES
from gateway.measure_pairs import Judged
from normalizer.clean import clean, for_matching
from normalizer.fingerprint import Fingerprint, fingerprint
from normalizer.model import Share
from normalizer.title import title

#: Earlier messages of the same sender that are looked at.
OWN = 50
#: Longer than anybody's texts are kept.
EVER = timedelta(days=36_500)
DAY = timedelta(days=1)
#: When a message was written of which that is not known, nor of any before.
_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
#: A feature that adds less is not named.
_ADDS = 0.005
#: Told the number of each message when it is done.
Progress = Callable[[int], None]


@dataclass(slots=True)
class Costs:
    """CPU time of this process, seconds, over all messages."""

    fingerprint: float = 0.0
    index: float = 0.0
    comparing: float = 0.0

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Add what happens within to ``name``."""
        began = time.process_time()
        yield
        setattr(self, name, getattr(self, name) + time.process_time() - began)

    def written(self, messages: int) -> dict[str, Any]:
        """Microseconds a message, all together and each."""
        each = {name: 1e6 * getattr(self, name) / messages for name in ("fingerprint", "index", "comparing")}
        return {
            "microseconds_per_message": round(sum(each.values()), 1),
            "microseconds": {name: round(spent, 1) for name, spent in each.items()},
        }


@dataclass(slots=True)
class Gathered:
    """All messages, fingerprinted, in the index, each with the earlier ones that it is compared with."""

    messages: Sequence[Written]
    #: When each was written; one without a time with the last that has one.
    times: list[datetime]
    prints: list[Fingerprint]
    index: Index
    #: By the index; by the sender, the newest first.
    found: list[tuple[int, ...]]
    own: list[tuple[int, ...]]
    costs: Costs = field(default_factory=Costs)

    def same_sender(self, a: int, b: int) -> bool:
        """Whether one person wrote both, as far as the file says."""
        return self.messages[a].sender == self.messages[b].sender != ""

    def apart(self, a: int, b: int) -> float:
        """Days between them; nan: not known."""
        first, second = self.messages[a].at, self.messages[b].at
        return float("nan") if first is None or second is None else abs(second - first) / DAY

    def candidates(self, b: int) -> list[int]:
        """What a message is compared with."""
        return list(dict.fromkeys((*self.own[b], *self.found[b])))

    def alike(self, b: int, others: Sequence[int]) -> list[Likeness | None]:
        """How alike a message is to others; None: not at all."""
        known = [(self.prints[a], self.same_sender(a, b), self.apart(a, b)) for a in others]
        return likenesses(self.prints[b], known, self.index)

    def exactly(self, a: int, b: int) -> Likeness:
        """How alike two are, however little."""
        own, apart = self.same_sender(a, b), self.apart(a, b)
        return likeness(self.prints[b], self.prints[a], self.index, same_caller=own, apart_days=apart)


def gather(messages: Sequence[Written], days: float | None, progress: Progress) -> Gathered:
    """Take the messages in as the gateway would, one after the other; ``days``: how far apart two may be compared."""
    window = EVER if days is None else timedelta(days=days)
    gathered = Gathered(messages, [], [], Index(window), [], [])
    senders: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=OWN))
    last = _BEFORE
    for number, one in enumerate(messages):
        last = one.at or last  # one without a time comes last
        gathered.times.append(last)
        words = (*_words(one), one.place)
        with gathered.costs.counted("fingerprint"):
            made = fingerprint(*words)
        gathered.prints.append(made)
        entry = Entry(number, UUID(int=number), last, made)
        with gathered.costs.counted("index"):
            found = gathered.index.find(made, last, most=CANDIDATES)
            gathered.index.add(entry)
        near = _near(gathered, number, days)
        gathered.found.append(tuple(near(one.entry.number for one in found)))
        gathered.own.append(tuple(near(reversed(senders[one.sender]))) if one.sender else ())
        senders[one.sender].append(number)
        progress(number)
    return gathered


def _near(gathered: Gathered, b: int, days: float | None) -> Callable[[Iterable[int]], Iterator[int]]:
    """Leave out what is further apart, or may be."""
    return lambda others: (a for a in others if days is None or gathered.apart(a, b) <= days)


def _words(one: Written) -> tuple[str, str]:
    """Title and text as the gateway compares them (``normalizer.normalize``)."""
    text = clean(one.text)
    return for_matching(title(one.title, text)[0]), for_matching(text)


# -- Pairs judged ------------------------------------------------------------------------------------------------------


def judge(gathered: Gathered, pairs: Iterable[Pair]) -> Iterator[Judged]:
    """Exactly these pairs, whether the gateway would have met them or not."""
    for one in pairs:
        yield _judged(gathered, one, gathered.exactly(one.a, one.b))


def judge_found(gathered: Gathered, progress: Progress) -> Iterator[Judged]:
    """Every message with its candidates, as the gateway does it, and the time this takes is counted; then exactly."""
    for b in range(len(gathered.messages)):
        others = gathered.candidates(b)
        with gathered.costs.counted("comparing"):
            alike = gathered.alike(b, others)
        yield from (
            _judged(gathered, Pair(a, b), one or gathered.exactly(a, b)) for a, one in zip(others, alike, strict=True)
        )
        progress(b)


def _judged(gathered: Gathered, pair: Pair, alike: Likeness) -> Judged:
    a, b = pair.a, pair.b
    found = a in gathered.found[b]
    return Judged(
        a,
        b,
        level=alike.level,
        score=alike.score,
        reason=reason(alike.shares, alike.veto),
        same=pair.same,
        own=gathered.same_sender(a, b),
        vetoed=alike.veto is not None,
        found=found,
        met=found or a in gathered.own[b],
    )


def reason(shares: Iterable[Share], veto: str | None) -> str:
    """What speaks against it whatever the score, and what each feature adds to this, the most first."""
    added = {share.feature: share.value * share.weight for share in shares}
    most = sorted(added.items(), key=lambda item: -abs(item[1]))
    told = [f"{feature} {one:+.2f}" for feature, one in most if abs(one) >= _ADDS]
    return "; ".join([f"veto: {veto}", *told] if veto else told)


def near(gathered: Gathered, pairs: Iterable[Pair], days: float | None) -> list[Pair]:
    """The pairs that are at most ``days`` apart; with a limit those of unknown time are left out."""
    return [one for one in pairs if days is None or gathered.apart(one.a, one.b) <= days]


def named(gathered: Gathered, one: Judged) -> dict[str, Any]:
    """A pair for programs: ids, never words."""
    label = None if one.same is None else int(one.same)
    ids = {"id_a": gathered.messages[one.a].id, "id_b": gathered.messages[one.b].id}
    return ids | {"label": label, "verdict": one.verdict, "score": round(one.score, 4), "reason": one.reason}
