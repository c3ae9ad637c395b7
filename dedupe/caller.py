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
    #: Matters of his before the present one to which the city owes a result.
    unanswered_prior: int


def history(past: Past, verdict: Verdict) -> History:
    """Count contacts and matters apart, so that joining messages never shrinks the city's figures."""
    opened = 1 if verdict.matter_id is None else 0
    return History(
        contacts_30d=past.contacts_30d + 1,
        matters_30d=max(1, past.matters_30d + opened),
        last_contact_at=past.last_contact_at,
        unanswered_prior=past.open_matters - _counts_itself(past, verdict),
    )


def _counts_itself(past: Past, verdict: Verdict) -> bool:
    """Whether the matter that the message belongs to is among those without a result."""
    known = {one.matter_id: one.open for one in (*past.matters, *past.coded, *(text.matter for text in past.alike))}
    return verdict.matter_id is not None and known.get(verdict.matter_id, False)
