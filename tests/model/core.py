"""The case core of the model: answers as it is told, knows an event by its id, and minds the order per matter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from gateway.sinks import Result, Retry, judge
from store.values import DueEvent


class Says(StrEnum):
    """How the core answers."""

    OK = "200"
    #: It took effect, and nobody hears of it.
    LOST = "lost"
    TIMEOUT = "timeout"
    KNOWN = "409"
    LATER = "429"
    BROKEN = "503"
    REFUSED = "400"
    UNWELCOME = "401"


@dataclass
class Core:
    """What took effect, and what should never have come."""

    complaints: list[str] = field(default_factory=list)
    #: What each event said, in order of their effect.
    effects: dict[UUID, DueEvent] = field(default_factory=dict)
    #: Events that have taken effect, per matter.
    heard: Counter[UUID] = field(default_factory=Counter)
    places: dict[tuple[UUID, int], UUID] = field(default_factory=dict)

    def answer(self, event: DueEvent, says: Says, now: datetime) -> Result:
        """What becomes of an event that arrives."""
        if self.places.setdefault((event.matter_id, event.sequence), event.id) != event.id:
            self.complaints.append(f"{event.matter_id}: step {event.sequence} came under two ids")
        if says in {Says.OK, Says.LOST, Says.KNOWN}:
            self._take(event)
        if says in {Says.LOST, Says.TIMEOUT}:
            return Retry("timeout")
        return judge(int(says), "30" if says is Says.LATER else None, b'{"case_number": "A1"}', now)

    def _take(self, event: DueEvent) -> None:
        if event.id in self.effects:
            return
        if event.sequence != self.heard[event.matter_id] + 1:
            self.complaints.append(f"{event.matter_id}: step {event.sequence} came after {self.heard[event.matter_id]}")
        self.heard[event.matter_id] += 1
        self.effects[event.id] = event

    def texts(self) -> Counter[str]:
        """How often each text is in the last word on a matter."""
        last: dict[UUID, dict[str, Any]] = {
            event.matter_id: event.payload or {"messages": []} for event in self.effects.values()
        }
        return Counter(said["text"] for matter in last.values() for said in matter["messages"])
