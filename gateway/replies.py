"""Replies out of the door: what is queued for a channel, one after the other per citizen, at most once in effect.

One node at a time sends for a channel, so its provider's limits are those of the whole gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog

from channels.base import AnyChannel, State
from channels.errors import NotSent, Uncertain, Undeliverable
from gateway.clock import Clock
from gateway.config import Config
from gateway.metrics import Metrics
from gateway.pace import Pace
from gateway.rounds import Rounds
from gateway.texts import LABELS, language_of, neutral, written
from normalizer.model import Assurance, ContactType, HotlineMatter
from normalizer.reply import ReplyKind
from store.errors import StoreUnavailable, Superseded
from store.replybox import ReplyBox
from store.updates import Compose, Reach, reply_id
from store.values import Draft, DueReply, Way

log = structlog.get_logger(__name__)

#: Replies under way at once, and sent in a second: every provider we know takes more.
AT_ONCE, PER_SECOND = 8, 20.0
#: How often the queue is looked at when nobody rings, seconds.
IDLE_SECONDS = 1.0
#: First and longest wait of a reply that surely did not go out, seconds; after so many tries the next way is taken.
FIRST_SECONDS, LONGEST_SECONDS, TRIES = 2.0, 600.0, 10
#: The longest wait that a provider may ask for, seconds.
LONGEST_ASKED = 86_400.0
#: How long a channel may take over one reply, seconds; beyond, nobody knows.
SEND_SECONDS = 60.0


#: They lead to him whether he has written there or not, and by whichever of our accounts.
_ANYWHERE = frozenset({ContactType.PHONE, ContactType.MAIL})


class Replies(Rounds):
    """Sends one channel's replies until cancelled; ring it when one was queued.

    What is under way then is ended first, for else nobody would know what became of it.
    """

    stage, names, ends_what_it_began = "replies", "reply_id", True

    def __init__(
        self,
        channel: AnyChannel,
        box: ReplyBox,
        state: State,
        *,
        clock: Clock,
        metrics: Metrics,
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        super().__init__(IDLE_SECONDS)
        self._channel, self._box, self._state = channel, box, state
        self._clock, self._metrics, self._first = clock, metrics, first_seconds
        self._pace = Pace(PER_SECOND)

    async def _start(self) -> int:
        places = AT_ONCE - len(self._under_way)
        if not places or not self._box.lead.held:
            return 0
        try:
            due = await self._box.take(self._channel.reply_limits, self._clock(), places, tuple(self._under_way))
        except Exception as error:  # noqa: BLE001 - it must be looked at again, whatever it was
            if not isinstance(error, Superseded | StoreUnavailable):
                log.error("claim_failed", stage="replies", channel=self._channel.name, error=type(error).__name__)
            return 0
        for reply in due:
            self._begin(reply.outgoing.id, partial(self._send_in_turn, reply))
        return len(due)

    async def _send_in_turn(self, reply: DueReply) -> None:
        async with self._pace:
            await self._send(reply)

    async def _send(self, reply: DueReply) -> None:
        name = self._channel.name
        try:
            async with asyncio.timeout(SEND_SECONDS):
                word = await self._channel.send(reply.outgoing, self._state)
            result = "delivered" if word.delivered else "sent"
        except NotSent as error:
            await self._again(reply, error)
            return
        except Undeliverable as error:
            log.warning("reply_refused", channel=name, reply_id=str(reply.outgoing.id), reason=error.reason)
            self._count("refused")
            await self._box.refused(reply, error.reason, self._clock(), unreachable=error.unreachable)
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, the citizen may have it
            reason = error.reason if isinstance(error, Uncertain) else type(error).__name__
            log.error("reply_unknown", channel=name, reply_id=str(reply.outgoing.id), reason=reason)
            self._count("unknown")
            await self._box.uncertain(reply, reason, self._clock())
            return
        self._count(result)
        await self._box.sent(reply, word, self._clock())

    async def _again(self, reply: DueReply, error: NotSent) -> None:
        at = self._clock()
        if reply.attempts + 1 >= TRIES:
            self._count("refused")
            await self._box.refused(reply, error.reason, at)
            return
        self._count("retry")
        wait = max(min(error.after_seconds, LONGEST_ASKED), min(LONGEST_SECONDS, self._first * 2**reply.attempts))
        await self._box.put_off(reply, error.reason, at, at + timedelta(seconds=wait))

    def _count(self, result: str) -> None:
        self._metrics.replies.labels(self._channel.name, result).inc()


def composing(config: Config, channels: Mapping[str, AnyChannel], kind: ReplyKind, text: str) -> Compose:
    """How an update becomes a reply: on the citizen's own channel first, then on the city's other ways."""

    def compose(matter: HotlineMatter, reach: Reach, update_id: UUID) -> Draft:
        language = language_of(matter.language)
        whole = written(kind, language, matter.tracking_code, text)
        own = [
            Way(word.channel, word.message.account, word.message.sender, whole, word.message.answer_to)
            for word in reach.spoken
            if word.channel in channels and word.message.sender.type in channels[word.channel].reaches
        ]
        ways: dict[tuple[str, str], Way] = {}
        for way in (*own, *_other_ways(config, channels, matter, reach, whole)):
            ways.setdefault((way.channel, way.to.value), way)
        return Draft(
            id=reply_id(update_id),
            kind=kind,
            ways=tuple(ways.values()),
            language=language,
            tracking_code=matter.tracking_code,
            matter_id=matter.matter_id,
            update_id=update_id,
            label=LABELS[kind],
        )

    return compose


def _other_ways(
    config: Config, channels: Mapping[str, AnyChannel], matter: HotlineMatter, reach: Reach, whole: str
) -> list[Way]:
    """In the city's order; on each channel first as he wrote there himself, then what is surely his.

    To an address that he only stated, which may be another's, goes no word of the matter, and nothing at all where he
    wrote under an address that is surely his. An openid or a user's id means something only where he has written under
    it.
    """
    vague = neutral(language_of(matter.language), matter.tracking_code)
    words = {Assurance.VERIFIED: whole}
    if all(word.message.sender.assurance is not Assurance.VERIFIED for word in reach.spoken):
        words[Assurance.ASSERTED] = vague
    ways = []
    for name in config.replies.fallback:
        reaches = channels[name].reaches
        ways += [
            Way(name, word.message.account, word.message.sender, whole)
            for word in reach.elsewhere
            if word.channel == name
            and word.message.sender.type in reaches
            and word.message.sender.assurance is Assurance.VERIFIED
        ]
        ways += [
            Way(name, "", contact, text)
            for assurance, text in words.items()
            for contact in (*reach.verified, *matter.party.contacts)
            if contact.assurance is assurance and contact.type in reaches & _ANYWHERE
        ]
    return ways
