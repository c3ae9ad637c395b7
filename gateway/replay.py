"""Running kept envelopes again through the present code and rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from channels.base import AnyChannel
from channels.errors import Malformed
from gateway.clock import Clock
from gateway.offload import Offload, OwnFault
from normalizer.model import Envelope, Message, Notice, Outcome
from store.store import Store

PAGE = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """Which envelopes to run again."""

    outcomes: tuple[str, ...] = (Outcome.MALFORMED, Outcome.FAILED)
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would change about one envelope; names of fields only, never what a citizen wrote."""

    envelope_id: UUID
    channel: str
    was: tuple[str, ...]
    would_be: str
    changes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything would come out differently."""
        return bool(self.changes) or (self.would_be in (Outcome.MALFORMED, Outcome.FAILED)) != bool(
            {Outcome.MALFORMED, Outcome.FAILED} & set(self.was)
        )


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
    store: Store, channels: Mapping[str, AnyChannel], offload: Offload, selection: Selection
) -> AsyncIterator[Preview]:
    """Read the selection's envelopes anew, without writing anything."""
    last: UUID | None = None
    while page := await store.replayable(selection.outcomes, selection.since, last, PAGE):
        for item in page:
            envelope = await store.envelope(item.envelope_id)
            before = await store.messages(item.envelope_id)
            would_be, after = await _read(offload, channels.get(item.channel), envelope)
            yield Preview(item.envelope_id, item.channel, item.outcomes, would_be, _changes(before, after))
        last = page[-1].envelope_id


async def _read(offload: Offload, channel: AnyChannel | None, envelope: Envelope) -> tuple[str, tuple[Message, ...]]:
    if channel is None:
        return Outcome.FAILED, ()
    try:
        parsed = await offload.parse(channel, envelope)
        for message in () if isinstance(parsed, Notice) else parsed:
            await offload.normalize(message, envelope.id)
    except Malformed:
        return Outcome.MALFORMED, ()
    except OwnFault:
        return Outcome.FAILED, ()
    if isinstance(parsed, Notice):
        return Outcome.NOTICE, ()
    return f"{len(parsed)} message{'s' if len(parsed) != 1 else ''}", parsed


def _changes(before: tuple[Message, ...], after: tuple[Message, ...]) -> tuple[str, ...]:
    """Names of the fields that differ, message by message."""
    if len(before) != len(after):
        return (f"messages: {len(before)} → {len(after)}",)
    return tuple(
        f"{index}.{name}"
        for index, (old, new) in enumerate(zip(before, after, strict=True))
        for name in Message.model_fields
        if getattr(old, name) != getattr(new, name)
    )
