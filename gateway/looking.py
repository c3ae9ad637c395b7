"""Looking for what was written lately that may be about the same, before a message is filed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from dedupe.likeness import Thresholds
from dedupe.sameness import MEASURED, Looks
from gateway.clock import Clock
from gateway.config import Config, Dedupe
from gateway.lookout import Lookout
from normalizer.fields import Fields
from normalizer.fingerprint import Fingerprint
from normalizer.model import KeptMessage
from store.past import Sight
from store.store import Store


@dataclass(frozen=True, slots=True)
class Looking:
    """How a city wants messages compared, and this node's index of them."""

    settings: Dedupe
    lookout: Lookout

    async def look(self, fields: Fields, kept: KeptMessage) -> tuple[Sight, Looks]:
        """What the store is to recall, and how it is judged."""
        prints = Fingerprint.unpack(fields.prints)
        found = await self.lookout.alike(prints, kept.received_at)
        sight = Sight(prints, {one.entry.message_id: one.entry.fingerprint for one in found})
        looks = Looks(
            fingerprint=prints,
            frequencies=self.lookout.index,
            same_caller=timedelta(days=self.settings.same_caller_days),
            incident=timedelta(days=self.settings.incident_days),
            thresholds=thresholds_of(self.settings),
            joins=self.settings.linking == "join",
        )
        return sight, looks


def thresholds_of(settings: Dedupe) -> Thresholds:
    """The city's own scores, where it has any."""
    own = {"link": settings.link_score, "suggestion": settings.suggestion_score}
    return replace(MEASURED, **{name: score for name, score in own.items() if score is not None})


def looking_of(config: Config, store: Store, clock: Clock) -> Looking | None:
    """As the configuration has it; None: nothing is compared."""
    settings = config.dedupe
    if settings.linking == "off":
        return None
    window = timedelta(days=settings.incident_days)
    return Looking(settings, Lookout(store.fingerprints(), clock, window, settings.index_messages))
