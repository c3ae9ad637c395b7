"""Running kept envelopes again through the present code and rules."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from channels.base import AnyChannel
from channels.registry import load
from channels.settings import ChannelSettings
from gateway.clock import Clock
from gateway.difference import Preview, difference, unread
from gateway.offload import Offload, OwnFault
from gateway.rules import CityRules, rules_of
from normalizer.fields import Rules
from normalizer.model import Envelope, Outcome
from store.dossiers import Dossier
from store.store import Store

#: Envelopes read from the store, and sent to a worker, at once; and bytes of them, unless one alone is larger.
PAGE, PAGE_BYTES = 50, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """Which envelopes to run again."""

    outcomes: tuple[str, ...] = (Outcome.MALFORMED, Outcome.FAILED)
    since: datetime | None = None


async def selected(store: Store, selection: Selection) -> list[UUID]:
    """The envelopes of a selection, in order of arrival."""
    found: list[UUID] = []
    while page := await store.replayable(selection.outcomes, selection.since, found[-1] if found else None, PAGE):
        found += [item.envelope_id for item in page]
    return found


async def requeue(store: Store, selection: Selection, clock: Clock, progress: Callable[[int, int], None]) -> list[UUID]:
    """Put the selection's pieces that may be bettered back into the queue; the envelopes they belong to."""
    queued, envelopes = [], await selected(store, selection)
    for number, envelope_id in enumerate(envelopes, start=1):
        if await store.requeue(envelope_id, clock(), selection.outcomes):
            queued.append(envelope_id)
        progress(number, len(envelopes))
    return queued


async def preview(
    store: Store, channels: Mapping[str, AnyChannel], offload: Rereading, selection: Selection, rules: CityRules
) -> AsyncGenerator[Preview, None]:
    """Read the selection's envelopes anew, in order of arrival, without writing anything.

    A page is read from the store while others are in the worker processes; no more are held than these.
    """
    under_way: deque[asyncio.Task[list[Preview]]] = deque()
    try:
        last: UUID | None = None
        while page := await store.dossiers(selection.outcomes, selection.since, last, PAGE, PAGE_BYTES):
            under_way.append(asyncio.create_task(offload.differences(page, channels, rules)))
            last = page[-1].envelope.id
            if len(under_way) > offload.processes:
                for found in await under_way.popleft():
                    yield found
        while under_way:
            for found in await under_way.popleft():
                yield found
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


class Rereading(Offload):
    """The same worker processes, a page a call: asking costs more than reading a text message.

    The deadline is longer than the pipeline's: it is that of a page, and nobody waits behind it.
    """

    def __init__(self, kinds: Iterable[str] = (), processes: int | None = None, seconds: float = 30) -> None:
        super().__init__(kinds, processes, seconds)

    async def differences(
        self, page: Sequence[Dossier], channels: Mapping[str, AnyChannel], rules: CityRules
    ) -> list[Preview]:
        """What would come out of each. Where one hangs or crashes its process, each is read alone."""
        used = {
            name: (channels[name].kind, channels[name].settings)
            for name in {envelope.channel for dossier in page for envelope in _envelopes(dossier)} & channels.keys()
        }
        try:
            return await self._call(False, _differences, page, used, rules)
        except OwnFault:
            if len(page) == 1:
                return [unread(page[0])]
            return [found for one in page for found in await self.differences([one], channels, rules)]


def _envelopes(dossier: Dossier) -> list[Envelope]:
    return [dossier.envelope, *(envelope for file in dossier.matters for envelope in file.envelopes.values())]


def _differences(
    page: Sequence[Dossier], settings: Mapping[str, tuple[str, ChannelSettings]], rules: CityRules
) -> list[Preview]:
    """Runs in the worker."""
    channels = {name: load(kind)(name, chosen) for name, (kind, chosen) in settings.items()}
    return [_difference(dossier, channels, rules_of(rules)) for dossier in page]


def _difference(dossier: Dossier, channels: Mapping[str, AnyChannel], rules: Rules) -> Preview:
    try:
        return difference(dossier, channels, rules)
    except Exception:  # noqa: BLE001 - one that cannot be compared must not hide the rest of its page
        return unread(dossier)
