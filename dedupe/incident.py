"""Whether a new matter has the same cause as matters of other callers.

A matter joins an incident when it is surely like a member, and at least somewhat like the first matter: a chain of likenesses,
each of which is a little off, does not lead from one cause to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from dedupe.likeness import likeness
from dedupe.sameness import DAY, Compared, Looks, compared, tie
from normalizer.fingerprint import Fingerprint
from normalizer.model import Joining, Level, Past, PastIncident, Tie, TieKind

#: Matters that one new matter brings into its incident at most.
BROUGHT = 5


def incident_of(looks: Looks, past: Past, now: datetime) -> Joining | Tie | None:
    """The incident that a new matter joins or makes; a tie: somebody should look; None: nobody told of the like."""
    others = [text for text in past.alike if not text.own and now - text.received_at <= looks.incident]
    alike = compared(looks, others, now)
    sure = [one for one in alike if one.level is Level.LINK]
    for one in sure:
        known = one.text.incident
        if known is not None and _like_the_first(looks, one, known, now):
            return _joins(looks, one, known, sure, now)
    free = [one for one in sure if one.text.incident is None]
    if free:
        return _begins(looks, free, now)
    return _proposed(alike[0]) if alike else None


def _like_the_first(looks: Looks, one: Compared, known: PastIncident, now: datetime) -> bool:
    return known.first is not None and _somewhat(looks, looks.fingerprint, known.first, one.text.received_at, now)


def _somewhat(looks: Looks, a: Fingerprint, b: Fingerprint, then: datetime, now: datetime) -> bool:
    apart = abs(now - then) / DAY
    found = likeness(a, b, looks.frequencies, same_caller=False, apart_days=apart, thresholds=looks.thresholds)
    return looks.level(found) is not None


def _joins(looks: Looks, one: Compared, known: PastIncident, sure: Sequence[Compared], now: datetime) -> Joining:
    found = tie(TieKind.INCIDENT, one, "tells of the same cause as a matter of this incident")
    free = [other for other in sure if other.text.incident is None]
    also = _brought(looks, free, known.first, now)
    return Joining(known.id, known.first_id, replace(found, object=known.id), also)


def _begins(looks: Looks, free: Sequence[Compared], now: datetime) -> Joining:
    """The oldest of those like it speaks for the incident."""
    oldest = min(free, key=lambda one: one.text.received_at)
    found = tie(TieKind.INCIDENT, oldest, "tells of the same cause as another citizen")
    others = [one for one in free if one.text.matter.matter_id != oldest.text.matter.matter_id]
    return Joining(None, oldest.text.matter.matter_id, found, _brought(looks, others, oldest.text.fingerprint, now))


def _brought(
    looks: Looks, others: Sequence[Compared], first: Fingerprint | None, now: datetime
) -> tuple[tuple[UUID, Tie], ...]:
    """The matters that come along, each once: they are like the new one, were in no incident, and are like the first."""
    reason = "tells of the same cause as a later matter of this incident"
    found = {
        one.text.matter.matter_id: tie(TieKind.INCIDENT, one, reason)
        for one in others
        if first is not None and _somewhat(looks, one.text.fingerprint, first, one.text.received_at, now)
    }
    return tuple(found.items())[:BROUGHT]


def _proposed(one: Compared) -> Tie:
    """To the incident where there is one, else to the other's matter; nothing is joined."""
    known = one.text.incident
    found = tie(
        TieKind.ALIKE if known is None else TieKind.INCIDENT, one, "may be about the same as another citizen's matter"
    )
    found = replace(found, level=Level.SUGGESTION)
    return found if known is None else replace(found, object=known.id)
