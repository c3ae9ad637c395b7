"""What the providers say they delivered, against the books: ``gateway reconcile --providers``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from channels.base import AnyChannel
from channels.recount import Listed, Numbered, Period, Told, Unanswered, Waiting
from normalizer.model import Envelope
from store.errors import StoreError
from store.provided import Provided
from store.store import Store

log = structlog.get_logger(__name__)

#: What is younger may be on its way.
SETTLE = timedelta(minutes=1)
#: How far back is asked where nobody says: as long as Telegram keeps an update.
DEFAULT_SPAN = timedelta(days=1)
#: How far a provider's clock may be off ours.
SKEW = timedelta(hours=1)
#: Messages looked up at once.
BATCH = 500


@dataclass(slots=True)
class Comparison:
    """A provider's count of one channel beside ours."""

    kind: str
    #: Messages or deliveries that the provider counts, without the unsettled; None when it tells no such number.
    listed: int | None = None
    #: Of these, in our books.
    ours: int = 0
    #: Younger than a minute: neither ours nor missing.
    unsettled: int = 0
    #: What the provider counts and we do not have: ids of messages, or numbers of updates.
    missing: list[str] = field(default_factory=list)
    #: What the provider holds and has not delivered; None when it does not tell.
    waiting: int | None = None
    #: Why the waiting do not come.
    obstacle: str | None = None
    #: Why the provider cannot be asked, or not to the end: one word.
    unanswered: str | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.missing and self.obstacle is None


async def compare(
    store: Store, channels: Mapping[str, AnyChannel], now: datetime, since: datetime | None = None
) -> dict[str, Comparison]:
    """Ask every channel's provider at once; by channel."""
    period = Period(since or now - DEFAULT_SPAN, now - SETTLE)
    found = await asyncio.gather(*(_compare(store, channel, period) for channel in channels.values()))
    return dict(zip(channels, found, strict=True))


async def _compare(store: Store, channel: AnyChannel, period: Period) -> Comparison:
    found, asked, unknown = Comparison(channel.kind), list[Listed](), list[Listed]()
    try:
        async for told in channel.recount(period, _deliveries(store, channel, period.since, empty=False)):
            _note(told, found, asked)
            if len(asked) == BATCH:
                unknown += await _unknown(store, asked, period, found)
                asked.clear()
    except Unanswered as error:
        found.unanswered = error.reason
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one channel's fault must not hide what the others tell
        log.error("recount_failed", channel=channel.name, error=type(error).__name__)
        found.unanswered = "fault"
    unknown += await _unknown(store, asked, period, found)
    if unknown:
        missing = await _nowhere(store, channel, period, unknown)
        _count(found, len(unknown) - len(missing), [listed.name for listed in missing])
    if found.listed is None and found.waiting is None and found.unanswered is None:
        found.listed = 0  # it has nothing to tell of
    return found


def _note(told: Told, found: Comparison, asked: list[Listed]) -> None:
    match told:
        case Listed():
            asked.append(told)
        case Numbered():
            _count(found, told.seen, [f"update {number}" for number in told.missing])
        case Waiting():
            found.waiting, found.obstacle = told.number, told.obstacle


def _count(found: Comparison, ours: int, missing: list[str]) -> None:
    found.listed = (found.listed or 0) + ours + len(missing)
    found.ours += ours
    found.missing += missing


async def _unknown(store: Store, asked: list[Listed], period: Period, found: Comparison) -> list[Listed]:
    """Those of which no message is in the books, without the unsettled."""
    if not asked:
        return []
    named = [Provided(one.key_space, one.account, one.sender, one.provider_id) for one in asked]
    unknown = [one for one, known in zip(asked, await store.known(named), strict=True) if not known]
    settled = [one for one in unknown if one.at is None or one.at <= period.until]
    found.unsettled += len(unknown) - len(settled)
    _count(found, len(asked) - len(unknown), [])
    return settled


async def _nowhere(store: Store, channel: AnyChannel, period: Period, unknown: list[Listed]) -> list[Listed]:
    """Those that are in no delivery either of which no message came: an opt-out, what waits in the queue or failed."""
    left = unknown
    async for envelope in _deliveries(store, channel, period.since - SKEW, empty=True):
        left = [one for one in left if one.provider_id.encode() not in envelope.body]
        if not left:
            break
    return left


async def _deliveries(store: Store, channel: AnyChannel, since: datetime, *, empty: bool) -> AsyncIterator[Envelope]:
    last: UUID | None = None
    while page := await store.deliveries(channel.name, since, last, empty=empty):
        for envelope in page:
            yield envelope
        last = page[-1].id
