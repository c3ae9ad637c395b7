"""A decision of an operator."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from normalizer.ids import derived
from normalizer.model import HotlineMatter
from store.documents import tell
from store.events import AMENDED


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides, why and when, and the sinks that are told."""

    by: str
    reason: str
    at: datetime
    sinks: Collection[str]

    def cause(self, matter: HotlineMatter, purpose: str) -> UUID:
        """What the event that tells of it takes its id from; another for each revision."""
        return derived(matter.matter_id, purpose, self.at.isoformat(), matter.revision)

    @property
    def said(self) -> str:
        """His words, under his name."""
        return f"{self.by}: {self.reason}"


def tell_decision(connection: Connection, matter: HotlineMatter, decision: Decision, purpose: str) -> None:
    """Write a matter's next revision, as the decision has it, and tell the core."""
    cause = decision.cause(matter, purpose)
    tell(connection, cause, matter, AMENDED, decision.sinks, decision.at, decision.said)
