"""Who is calling, and how often he has had to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from normalizer.model import Past, Verdict


@dataclass(frozen=True, slots=True)
class History:
    """A caller's last 30 days, the present message included where a count says so."""

    contacts_30d: int
    matters_30d: int
    last_contact_at: datetime | None


def history(past: Past, verdict: Verdict) -> History:
    """Count contacts and matters apart, so that joining messages never shrinks the city's figures."""
    opened = 1 if verdict.matter_id is None else 0
    return History(
        contacts_30d=past.contacts_30d + 1,
        matters_30d=max(1, past.matters_30d + opened),
        last_contact_at=past.last_contact_at,
    )
