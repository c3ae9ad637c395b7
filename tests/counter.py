"""A counter at which citizens tell things one after the other: real store, real rules, no sockets and no waiting."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import uuid_utils.compat

from gateway.config import Dedupe
from gateway.filing import Fresh, Habits, decide
from gateway.looking import Looking
from gateway.lookout import Lookout
from gateway.rules import CityRules, read
from normalizer.model import Assurance, Contact, ContactType, HotlineMatter, KeptMessage
from normalizer.tracking import tracking_code
from store.store import Store
from store.values import DueEvent, Filing, Work
from tests.store.conftest import NOW, message, to_digest

_NUMBERS = count(1)
#: By what the messages are read.
RULES = CityRules("jinan", "370100", "Asia/Shanghai")


def citizen(name: str, kind: ContactType = ContactType.WECHAT, assurance: Assurance = Assurance.VERIFIED) -> Contact:
    """A person's contact; the same name, the same contact."""
    return Contact(type=kind, value=name, assurance=assurance)


@dataclass(slots=True)
class Counter:
    """Files what it is told, in the order in which it is told."""

    store: Store
    settings: Dedupe = field(default_factory=Dedupe)
    lookout: Lookout | None = None

    async def tell(self, text: str, who: str | Contact = "li", *, days: float = 0, **more: Any) -> Filing:
        """One message, ``days`` after the first; what became of it."""
        return await self.file(*await self.take(text, who, days=days, **more))

    async def take(
        self, text: str, who: str | Contact = "li", *, days: float = 0, **more: Any
    ) -> tuple[Work, KeptMessage]:
        """The same, as far as the queue; only one at a time."""
        sender = citizen(who) if isinstance(who, str) else who
        said = message(text, str(uuid_utils.compat.uuid7()), sender=sender, **more)
        return await to_digest(self.store, said, received_at=NOW + timedelta(days=days))

    async def file(self, work: Work, kept: KeptMessage) -> Filing:
        """As the pipeline does."""
        if self.lookout is None:
            self.lookout = Lookout(self.store.fingerprints(), lambda: kept.received_at, timedelta(days=14))
        fields = read(kept, RULES)
        sight, looks = await Looking(self.settings, self.lookout).look(fields, kept)
        fresh = Fresh(uuid_utils.compat.uuid7(), tracking_code(date(2026, 3, 1), next(_NUMBERS)))
        decision = partial(decide, kept, fields, fresh, Habits(looks=looks))
        return await self.store.file_matter(work, kept, decision, kept.received_at, sight=sight)

    async def matter(self, filing: Filing) -> HotlineMatter:
        """The matter as it stands now."""
        return await matter_of(self.store, filing)


async def matter_of(store: Store, filing: Filing) -> HotlineMatter:
    """The matter of a filing, as it stands now."""
    assert filing.matter is not None
    found = await store.matter(filing.matter.matter_id)
    assert found is not None
    return found


async def events(store: Store, matter_id: UUID | None = None) -> list[DueEvent]:
    """What the core is owed and may get now, of one matter or of all."""
    await store.outbox().lead.gained()
    due = await store.outbox().due(datetime(3000, 1, 1, tzinfo=NOW.tzinfo), 1000)
    return [event for event in due if matter_id in (None, event.matter_id)]
