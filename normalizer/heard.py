"""What conduct is judged by, and how it is judged: passed between the store, which remembers, and the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from normalizer.model import Outcome
from normalizer.model.matter import Flag


@dataclass(frozen=True, slots=True)
class Heard:
    """An earlier message of a person, as much of it as tells how often he writes."""

    received_at: datetime
    #: Mark of its words, the same for the same words; None: it has none.
    words: bytes | None
    #: The matter it belongs to; None: to none.
    matter_id: UUID | None
    outcome: Outcome | None
    #: The channel's name.
    channel: str


@dataclass(frozen=True, slots=True)
class Recent:
    """What the store recalls of how a person has been writing."""

    #: Mark of the present message's words.
    words: bytes | None = None
    #: His messages of the last hour before it, the newest first; 500 at most.
    messages: tuple[Heard, ...] = ()
    #: In the last 30 days: how often he asked again, with nothing new, about something that had been answered.
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What is noticed of a message's conduct, and what follows: a hold for a person to look, and nothing harder."""

    flags: tuple[Flag, ...] = ()
    #: Until when it waits for a person; None: it goes on.
    until: datetime | None = None
    #: Danger to life: it waits for nothing, and what is held of the same sender goes on.
    immediate: bool = False
    #: A person should look at the matter.
    review: bool = False


#: A message of which nothing is noticed.
NOTHING = Judged()
