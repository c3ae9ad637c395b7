"""What somebody does to the hotline: floods it, lets a machine write, occupies its lines, repeats what was answered.

Signs for a person to judge, each with its counts. They hold at most: only an operator refuses (Weifang article 34).
Asking again about what is unanswered is a right and counts for nothing here, and danger to life overrides every sign.
The same words from many callers are a campaign or an incident, and no abuse; from one caller they are copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from normalizer.heard import Heard, Judged, Recent
from normalizer.model import Outcome
from normalizer.model.matter import Flag

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
#: The most that a sign is worth which nobody is held for: its messages were heard, or answered, already.
SOFT = 0.8


@dataclass(frozen=True, slots=True)
class Limits:
    """What no person does by hand. From a limit on a sign scores .5, from five times of it .9."""

    #: Messages within a minute and an hour, the pieces of one conversation counted as one.
    flood_per_minute: int = 20
    flood_per_hour: int = 200
    #: The same with every piece counted: nine pictures and some sentences are far below it.
    pieces_per_minute: int = 60
    pieces_per_hour: int = 400
    #: The very same words within a minute and an hour.
    copies_per_minute: int = 6
    copies_per_hour: int = 20
    #: Calls that operators took within an hour.
    calls_per_hour: int = 10
    #: Repeats without a new fact of what was answered, within 30 days.
    repeats_30d: int = 3
    #: From which score on a message waits for a person, and how long after it came at most; zero: it never does.
    hold_score: float = 0.9
    hold: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Habit:
    """How a person has been writing, the present message included in every count."""

    #: Messages within the last minute, the different texts among them, and how many it are with the pieces of each
    #: conversation counted as one.
    minute: int = 1
    texts_minute: int = 1
    turns_minute: int = 1
    #: The same of the last hour.
    hour: int = 1
    texts_hour: int = 1
    turns_hour: int = 1
    #: How often he wrote the very same words.
    same_minute: int = 1
    same_hour: int = 1
    #: His calls that operators took within the hour, chases and missed ones aside.
    calls_hour: int = 0
    #: This message asks for something that the city owes.
    chases: bool = False
    #: It asks again, with nothing new, for what was answered; so often within 30 days. 0: it does not.
    repeats: int = 0
    #: Matters of his without a result.
    unanswered: int = 0
    #: Other callers who wrote the very same words within the hour, as far as they are known.
    others: int = 0
    #: It tells of danger to life.
    immediate: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """The message that is judged."""

    received_at: datetime
    matter_id: object = None
    #: The channel's name.
    channel: str = ""
    chases: bool = False
    #: It repeats what was answered.
    repeats: bool = False
    unanswered: int = 0
    others: int = 0
    immediate: bool = False


@dataclass(frozen=True, slots=True)
class SecondHand:
    """Names of the channels on which others write down what a citizen says: their pace is not his."""

    #: Operators, of calls.
    calls: frozenset[str] = frozenset()
    #: Operators and linked platforms.
    channels: frozenset[str] = frozenset()


def habit(recent: Recent, present: Present, second_hand: SecondHand) -> Habit:
    """Count."""
    lately = [one for one in recent.messages if _within(one, present, HOUR)]
    written = [one for one in lately if one.channel not in second_hand.channels]
    own = Habit() if present.channel in second_hand.channels else _written(recent.words, present, written)
    heard = present.channel in second_hand.calls and recent.words is not None and not present.chases
    return replace(
        own,
        calls_hour=sum(_is_call(one, second_hand.calls) for one in lately) + 1 if heard else 0,
        chases=present.chases,
        repeats=recent.repeats + 1 if present.repeats else 0,
        unanswered=present.unanswered,
        others=present.others,
        immediate=present.immediate,
    )


def _written(words: bytes | None, present: Present, hour: Sequence[Heard]) -> Habit:
    """What he wrote himself."""
    minute = [one for one in hour if _within(one, present, MINUTE)]
    return Habit(
        minute=len(minute) + 1,
        texts_minute=_texts(minute, words),
        turns_minute=len(minute) + 1 - _further_pieces(minute, present),
        hour=len(hour) + 1,
        texts_hour=_texts(hour, words),
        turns_hour=len(hour) + 1 - _further_pieces(hour, present),
        same_minute=_same(minute, words),
        same_hour=_same(hour, words),
    )


def done(habit: Habit, limits: Limits) -> tuple[Flag, ...]:
    """The signs, each with its counts in words."""
    if habit.immediate:
        return ()
    found = (_flood(habit, limits), _occupies(habit, limits), _repeats(habit, limits))
    return tuple(flag for flag in found if flag is not None)


def judge(habit: Habit, said: tuple[Flag, ...], received_at: datetime, limits: Limits) -> Judged:
    """What follows from what he does and from what he says (``said``)."""
    if habit.immediate:
        return Judged(said, immediate=True)
    flags = (*said, *done(habit, limits))
    grave = any(flag.score >= limits.hold_score for flag in flags)
    return Judged(flags, until=received_at + limits.hold if grave and limits.hold else None, review=grave)


# -- The signs ---------------------------------------------------------------------------------------------------------


def _flood(habit: Habit, limits: Limits) -> Flag | None:
    """More than a hand writes, or the same words as often as only a machine sends them."""
    signs = tuple(_rates(habit, limits)) + tuple(_copies(habit, limits))
    found = [(score, told) for count, limit, told in signs if (score := _score(count, limit)) is not None]
    if not found:
        return None
    evidence = list(dict.fromkeys(told for _, told in found))
    if habit.others:
        evidence.append(f"the same words came from {_of(habit.others, 'other caller')} too: those are no abuse")
    if habit.unanswered:
        evidence.append(f"{_of(habit.unanswered, 'matter')} of his without a result")
    return Flag(kind="flood", score=max(score for score, _ in found), evidence=tuple(evidence))


def _rates(habit: Habit, limits: Limits) -> Iterator[tuple[int, int, str]]:
    """A conversation is one message, as long as a hand could write its pieces."""
    in_minute = _told(habit.minute, habit.texts_minute, "a minute")
    in_hour = _told(habit.hour, habit.texts_hour, "an hour")
    yield habit.turns_minute, limits.flood_per_minute, in_minute
    yield habit.minute, limits.pieces_per_minute, in_minute
    yield habit.turns_hour, limits.flood_per_hour, in_hour
    yield habit.hour, limits.pieces_per_hour, in_hour


def _copies(habit: Habit, limits: Limits) -> Iterator[tuple[int, int, str]]:
    """Whoever waits for an answer may ask in the same words all day long; not faster than a hand."""
    yield habit.same_minute, limits.copies_per_minute, f"the same words {habit.same_minute} times within a minute"
    if not habit.chases:
        yield habit.same_hour, limits.copies_per_hour, f"the same words {habit.same_hour} times within an hour"


def _occupies(habit: Habit, limits: Limits) -> Flag | None:
    score = _score(habit.calls_hour, limits.calls_per_hour)
    return _soft("harassment", score, f"{habit.calls_hour} calls within an hour, none about what is owed to him")


def _repeats(habit: Habit, limits: Limits) -> Flag | None:
    """Only where it was answered and nothing new is told (Weifang article 34, 无正当理由反复)."""
    score = _score(habit.repeats, limits.repeats_30d) if not habit.chases else None
    told = f"asked {habit.repeats} times within 30 days about what was answered, with nothing new"
    return _soft("repeat_without_reason", score, told)


def _soft(kind: Literal["harassment", "repeat_without_reason"], score: float | None, told: str) -> Flag | None:
    return Flag(kind=kind, score=min(score, SOFT), evidence=(told,)) if score is not None else None


def _score(count: int, limit: int) -> float | None:
    """.5 at the limit, .75 at twice, .9 at five times of it."""
    return round(1 - 0.5 * limit / count, 3) if count >= limit else None


def _told(messages: int, texts: int, within: str) -> str:
    return f"{_of(messages, 'message')} within {within}, {_of(texts, 'different text')}"


def _of(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# -- Counting ----------------------------------------------------------------------------------------------------------


def _within(one: Heard, present: Present, time: timedelta) -> bool:
    return timedelta(0) <= present.received_at - one.received_at < time


def _further_pieces(messages: Sequence[Heard], present: Present) -> int:
    """Pieces of conversations, the first of each aside; what asks again, or only asks, is no piece of a telling."""
    told = (Outcome.FILED, Outcome.ATTACHED)
    ids: list[object] = [one.matter_id for one in messages if one.matter_id is not None and one.outcome in told]
    if present.matter_id is not None and not present.chases:
        ids.append(present.matter_id)
    return sum(number - 1 for number in Counter(ids).values())


def _texts(messages: Sequence[Heard], words: bytes | None) -> int:
    """Messages without words (pictures) are each another."""
    all_words = [one.words for one in messages] + [words]
    return len({one for one in all_words if one is not None}) + all_words.count(None)


def _same(messages: Sequence[Heard], words: bytes | None) -> int:
    return 1 + sum(words is not None and one.words == words for one in messages)


def _is_call(one: Heard, calls: frozenset[str]) -> bool:
    """A missed call has no words, and is our fault; nor counts a call about what is owed to him."""
    owed = (Outcome.CHASED, Outcome.ANSWERED)
    return one.channel in calls and one.words is not None and one.outcome not in owed
