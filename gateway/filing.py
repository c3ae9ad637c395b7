"""What one normalised message becomes: judged against its caller's past, written as a matter. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from uuid import UUID

from dedupe.caller import history
from dedupe.relation import relation
from normalizer.matter import amend, compose
from normalizer.model import KeptMessage, Past
from normalizer.normalize import Fields
from store.values import Filing

FILED = "hotline.matter.filed.v1"
AMENDED = "hotline.matter.amended.v1"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new matter needs from outside: an id and a tracking code nobody has yet."""

    matter_id: UUID
    tracking_code: str


def decide(kept: KeptMessage, fields: Fields, fresh: Fresh, caller_id: UUID, past: Past) -> Filing:
    """Relation first, then the document; run under the caller's lock."""
    verdict = relation(kept.message, past)
    if past.named is not None and verdict.matter_id == past.named.matter_id:
        matter, event_type = amend(past.named, kept, fields), AMENDED
    else:
        matter, event_type = compose(kept, fields, **asdict(fresh), caller_id=caller_id), FILED
    counted = matter.model_copy(update=asdict(history(past, verdict)))
    return Filing(verdict=verdict, matter=counted, event_type=event_type)
