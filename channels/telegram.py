"""Telegram's Bot API (https://core.telegram.org/bots/api), by webhook or by long polling.

Telegram is not reachable from the Chinese mainland directly: polling through ``proxy`` is the usual way there. Telegram
keeps an update for 24 hours and serves it again until it is acknowledged.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, Field, SecretStr

from channels.base import Admission, Deliver, File, Request, Route, State, StateChange, Webhook
from channels.errors import ChannelError, Missing, Unauthenticated, Undeliverable
from channels.recount import Period, Told, Unanswered, Waiting, ask, numbered
from channels.settings import Secret, WebhookSettings, in_force
from channels.telegram_calls import BotApi, asked_to_wait
from channels.telegram_update import is_id, read_update
from normalizer.model import AttachmentKind, ContactType, Envelope, Parsed
from normalizer.reply import Outgoing, Sent

#: Seconds between two rounds of polling that brought nothing new, and that a poll may take beyond what it was asked to.
PAUSE, SLACK_SECONDS = 1.0, 10
#: A quotation mark that a citizen writes is escaped in JSON: he cannot name another update.
UPDATE_ID = re.compile(rb'"update_id"\s*:\s*([1-9][0-9]{0,17})\b')
FROM_ID = re.compile(rb'"from"\s*:\s*\{\s*"id"\s*:\s*([0-9]{1,20})\b')
#: What is asked of getUpdates; anything else would only become a notice.
UPDATES = ("message", "edited_message", "my_chat_member")


def _shaped(pattern: str, lack: str) -> AfterValidator:
    def check(secret: SecretStr) -> SecretStr:
        if re.fullmatch(pattern, secret.get_secret_value()) is None:
            raise ValueError(lack)
        return secret

    return AfterValidator(check)


SecretToken = Annotated[Secret, _shaped("[A-Za-z0-9_-]{1,256}", "1 to 256 of A-Z, a-z, 0-9, _ and -")]


class TelegramSettings(WebhookSettings):
    """Settings of a Telegram bot."""

    kind: Literal["telegram"] = "telegram"
    """Which adapter."""
    bot_token: Annotated[Secret, _shaped("[0-9]+:[A-Za-z0-9_-]+", "copy it from @BotFather: digits, a colon, letters")]
    """From @BotFather; the part before the colon is the bot's id."""
    secret_token: SecretToken
    """What setWebhook was given; Telegram sends it with every update."""
    previous_secret_token: SecretToken | None = None
    """What it was given before: still opens, so that updates on their way while it is changed are not turned away."""
    mode: Literal["webhook", "poll"] = "webhook"
    """Who calls whom. Telegram refuses to be polled while a webhook is set."""
    api_base: str = "https://api.telegram.org"
    """Where the Bot API is."""
    proxy: Annotated[Secret, _shaped("https?://.+", "write http://host:port or https://host:port")] | None = None
    """Proxy for calls to the Bot API; a secret, since it may hold a password."""
    poll_seconds: Annotated[int, Field(ge=1, le=50)] = 50
    """How long one poll may wait for an update."""


class PollFailed(ChannelError):
    """getUpdates did not answer as it should; ``reason`` is ``network``, ``status_409`` (another poller or a webhook) …"""

    retryable = True


@dataclass(frozen=True, slots=True)
class _Update:
    """One element of getUpdates' answer."""

    #: None where it has none.
    number: int | None
    body: bytes


class Telegram(Webhook[TelegramSettings]):
    """One Telegram bot."""

    kind = "telegram"
    Settings = TelegramSettings
    summary = "Telegram bot (webhook or long polling)"
    #: Two texts of 4096 characters (a reply quotes another), each character up to 12 bytes of JSON, and their entities.
    max_body = 256 * 1024
    conversational = True
    reaches = frozenset({ContactType.TELEGRAM})
    fetches = frozenset({AttachmentKind.IMAGE, AttachmentKind.VOICE, AttachmentKind.VIDEO, AttachmentKind.FILE})

    def routes(self) -> tuple[Route, ...]:
        """None while polling."""
        return super().routes() if self.settings.mode == "webhook" else ()

    def authenticate(self, request: Request) -> Admission:
        """The secret token; TLS protects the body."""
        stated = request.header("X-Telegram-Bot-Api-Secret-Token")
        if stated is None:
            raise Unauthenticated("secret_missing")
        known = in_force(self.settings.secret_token, self.settings.previous_secret_token)
        if not any(hmac.compare_digest(stated, one.get_secret_value()) for one in known):
            raise Unauthenticated("secret")
        return Admission(apparent_sender=_apparent_sender(request.body))

    @property
    def runs(self) -> bool:
        """Only while polling."""
        return self.settings.mode == "poll"

    async def run(self, deliver: Deliver, state: State) -> None:
        """Poll for ever; the cursor moves in the same transaction that keeps an update. Raise PollFailed."""
        async with self._bot.client(read=self.settings.poll_seconds + SLACK_SECONDS) as client:
            offset = await state.get("offset")
            while True:
                before = offset
                for update in await self._updates(client, offset):
                    offset = await self._keep(update, offset, deliver, state)
                self.progressed()
                if offset == before:
                    await asyncio.sleep(PAUSE)

    @property
    def _bot(self) -> BotApi:
        token, proxy = self.settings.bot_token.get_secret_value(), self.settings.proxy
        return BotApi(token, self.settings.api_base, proxy.get_secret_value() if proxy else None)

    async def _keep(self, update: _Update, offset: str | None, deliver: Deliver, state: State) -> str | None:
        """Deliver one update and return the next offset.

        One without a number cannot move the cursor: it is kept once, and the next one that has a number passes it.
        """
        admission = Admission(apparent_sender=_apparent_sender(update.body))
        envelope = self.envelope(update.body, datetime.now(UTC), admission=admission)
        if update.number is not None:
            following = str(update.number + 1)
            await deliver(envelope, StateChange("offset", offset, following))
            return following
        secret = self.settings.bot_token.get_secret_value().encode()
        mark = f"unnumbered:{hmac.new(secret, update.body, hashlib.sha256).hexdigest()}"
        if await state.get(mark) is None:
            await deliver(envelope, StateChange(mark, None, "kept"))
        return offset

    async def _updates(self, client: httpx.AsyncClient, offset: str | None) -> list[_Update]:
        """The waiting updates; where one makes the whole answer unreadable, the first of them alone, as it came."""
        if (found := _split(await self._call(client, offset, 100))) is not None:
            return found
        alone = await self._call(client, offset, 1)
        if (found := _split(alone)) is not None:
            return found
        number = UPDATE_ID.search(alone)
        if number is None:
            raise PollFailed("unreadable")
        return [_Update(int(number[1]), alone)]

    async def _call(self, client: httpx.AsyncClient, offset: str | None, limit: int) -> bytes:
        asked = {"limit": limit, "timeout": self.settings.poll_seconds, "allowed_updates": UPDATES}
        if offset is not None:
            asked["offset"] = int(offset)
        while True:
            try:
                answer = await client.post(self._bot.url("getUpdates"), json=asked)
            except (httpx.HTTPError, httpx.InvalidURL):
                raise PollFailed("network") from None
            if answer.status_code != 429:
                break
            await asyncio.sleep(asked_to_wait(answer.content))
        if answer.status_code != 200:
            raise PollFailed(f"status_{answer.status_code}")
        return answer.content

    async def recount(self, period: Period, kept: AsyncIterator[Envelope]) -> AsyncIterator[Told]:
        """Gaps in ``update_id``, which counts up by one, and what getWebhookInfo says is still waiting.

        After a week without updates the ids may start anew at random (https://core.telegram.org/bots/api#update): a step
        of more than a thousand is such a start, not a gap.
        """
        numbers = [
            (int(number[1]), envelope.received_at)
            async for envelope in kept
            if (number := UPDATE_ID.search(envelope.body)) is not None
        ]
        yield numbered(numbers, period.until)
        async with self._bot.client(read=10) as client:
            told = await ask(client, self._bot.url("getWebhookInfo"), lambda reply: asked_to_wait(reply.body))
        yield _waiting(told, self.settings.mode, period)

    def parse(self, envelope: Envelope) -> Parsed:
        """A message, new or edited; a notice for all other updates."""
        return read_update(envelope.body, self.settings.bot_token.get_secret_value().partition(":")[0])

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """To the citizen's private chat, also where he wrote in a group: his matter is nobody else's."""
        del state
        if not outgoing.to.value.isascii() or not outgoing.to.value.isdigit():
            raise Undeliverable("address")
        number = await self._bot.say(int(outgoing.to.value), outgoing.text)
        return Sent(f"{outgoing.to.value}:{number}")

    async def download(self, reference: str, state: State) -> File:
        """``file:`` and Telegram's file id."""
        del state
        kind, _, file_id = reference.partition(":")
        if kind != "file" or not file_id:
            raise Missing("reference")
        return await self._bot.fetch(file_id)


def _apparent_sender(update: bytes) -> str:
    """The first that is said to be ``from`` somebody."""
    found = FROM_ID.search(update)
    return found[1].decode() if found else ""


def _split(answer: bytes) -> list[_Update] | None:
    """The updates of an answer, None when it cannot be read. The standard json takes what orjson refuses, on purpose."""
    try:
        found = json.loads(answer)["result"]
        return [_Update(_number(one), json.dumps(one).encode()) for one in found] if isinstance(found, list) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _number(update: Any) -> int | None:
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if is_id(number) else None


def _waiting(document: Any, mode: str, period: Period) -> Waiting:
    """https://core.telegram.org/bots/api#webhookinfo. What waits is on its way unless something told is in its way."""
    told = document.get("result") if isinstance(document, dict) else None
    number = told.get("pending_update_count") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(number, int) or isinstance(number, bool):
        raise Unanswered("garbage")
    erred, said = told.get("last_error_date"), told.get("last_error_message")
    obstacle = None
    if mode == "poll":
        obstacle = "webhook_set" if told.get("url") else None
    elif not told.get("url"):
        obstacle = "no_webhook"
    elif is_id(erred) and erred >= period.since.timestamp():
        obstacle = "".join(filter(str.isprintable, said))[:200] if isinstance(said, str) and said else "error"
    return Waiting(number, obstacle if number else None)
