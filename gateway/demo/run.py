"""Running the demo: everything in one process, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from channels.app import AppClient, AppSettings
from channels.base import AnyChannel
from channels.simulated import Ack, Peer
from gateway.clock import now
from gateway.config import Config
from gateway.demo.citizens import letters, peers
from gateway.demo.core import StandInCore
from gateway.demo.dispatch import WORDS, Dispatcher
from gateway.demo.mailboxes import mailboxes
from gateway.demo.post import StandInPost
from gateway.demo.providers import StandInProviders
from gateway.demo.stories import STORIES, Teller
from gateway.node import Node, Role, open_node_store, running
from normalizer.model import HotlineMatter


class DemoFailed(Exception):
    """Something sent has no outcome, or the core did not get every event."""


@dataclass(frozen=True)
class Tally:
    """What a demo run came to; `--json` prints it."""

    sent: int
    outcomes: dict[str, int]
    matters: int
    events_received: int
    #: Replies that reached their citizens: acknowledgements and the core's word.
    replies: int
    seconds: float


@dataclass
class Stage:
    """A running node and the world around it."""

    node: Node
    core: StandInCore
    dispatcher: Dispatcher
    #: Tracking codes of which citizens were told, one entry for each reply.
    replies: list[str] = field(default_factory=list)


class Shown(Protocol):
    """Told what happens."""

    def event(self, event_type: str, matter: HotlineMatter) -> None:
        """The core has an event."""

    def reply(self, kind: str, to: str, words: str) -> None:
        """A citizen has a reply."""

    def story(self, title: str) -> None:
        """Messages follow that have to do with each other."""

    def remark(self, words: str) -> None:
        """Somebody did something."""


@contextlib.asynccontextmanager
async def stage(
    config: Config, channels: Mapping[str, AnyChannel], secrets: Path, shown: Shown
) -> AsyncIterator[Stage]:
    """A running node with all roles, the stand-in core it hands over to, and providers that take its replies."""
    core_settings = config.core
    if core_settings.url is None or core_settings.secret is None:
        raise DemoFailed("the demo needs core.sink: webhook, with url and secret")
    dispatcher, replies = Dispatcher(secrets), list[str]()

    def heard(event_type: str, matter: HotlineMatter) -> None:
        shown.event(event_type, matter)
        dispatcher.heard(event_type, matter)

    def replied(kind: str, to: str, words: str) -> None:
        replies.append(words)
        shown.reply(kind, to, words)

    core = StandInCore(core_settings.url, core_settings.secret.get_secret_value(), heard)
    providers, post = StandInProviders(replied), StandInPost(replied)
    await providers.start()
    await post.start(channels)
    _lead_to(providers.url, channels)
    store = await open_node_store(config, roles=tuple(Role))
    serving = asyncio.create_task(core.run())
    try:
        async with mailboxes(channels), running(Node(config, channels, store)) as node:
            await node.ready()
            dispatcher.url = node.http_url
            yield Stage(node, core, dispatcher, replies)
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await store.close()
        await post.close()
        await providers.close()


def _lead_to(url: str, channels: Mapping[str, AnyChannel]) -> None:
    """Nothing of a demo reaches a real provider."""
    for channel in channels.values():
        settings = channel.settings
        if "api_base" in type(settings).model_fields:
            channel.settings = settings.model_copy(update={"api_base": url})
        if isinstance(settings, AppSettings):
            clients = tuple(_told_at(f"{url}/app", client) for client in settings.clients)
            channel.settings = settings.model_copy(update={"clients": clients})


def _told_at(url: str, client: AppClient) -> AppClient:
    return client.model_copy(update={"push": client.push and client.push.model_copy(update={"url": url})})


async def send_all(stage: Stage, secrets: Path, shown: Shown) -> int:
    """Let every citizen write once, then those who write again; the number of messages acknowledged. Raise DemoFailed."""
    node = stage.node
    channels = peers(node.channels, secrets, node.config.server.public_url)
    at, sent = now(), 0
    for name, delivery in letters(channels, at):
        _heard(stage, channels[name], await delivery.send(node), shown)
        sent += 1
    await settle(stage)
    teller = Teller(node, channels, at)
    for story in STORIES:
        shown.story(story.title)
        acks = await teller.tell(story)
        for name, ack in acks:
            _heard(stage, channels[name], ack, shown)
        sent += len(acks)
        if story.undone is not None and acks:
            shown.remark(await teller.undo(acks[-1][1], story.undone) or "nothing was joined: nothing is to be undone")
    return sent


def _heard(stage: Stage, peer: Peer, ack: Ack, shown: Shown) -> None:
    """Raise DemoFailed when the message was not taken; tell what rode on the acknowledgement."""
    if not ack.ok:
        raise DemoFailed(f"channel {peer.name} answered {ack.status}")
    if (words := peer.answered(ack)) is not None:
        stage.replies.append(words)
        shown.reply(peer.kind, "", words)


async def settle(stage: Stage) -> None:
    """Return when every message has its outcome and every reply is out. Raise DemoFailed."""
    try:
        for _ in range(2):  # the core's word makes further replies
            await stage.node.settled()
            await stage.dispatcher.finished()
        await stage.node.settled()
    except TimeoutError:
        raise DemoFailed("not everything was filed and delivered within 60 s; see the log above") from None


async def once(config: Config, channels: Mapping[str, AnyChannel], secrets: Path, shown: Shown) -> Tally:
    """Send everything, wait until it has arrived, count it. Raise DemoFailed when something is missing."""
    started = time.perf_counter()
    async with stage(config, channels, secrets, shown) as here:
        await settle(here)  # what an earlier run left behind is not ours to count
        before, earlier = await here.node.store.reconcile(), len(here.replies)
        sent = await send_all(here, secrets, shown)
        await settle(here)
        after = await here.node.store.reconcile()
        outcomes = _difference(before.outcomes, after.outcomes)
        owed = after.events["owed"] - before.events["owed"]
        if sum(outcomes.values()) != sent or len(here.core.events) < owed or not after.balanced:
            raise DemoFailed(f"sent {sent}, outcomes {outcomes}, events {len(here.core.events)} of {owed}")
        replies = here.replies[earlier:]
        if untold := [
            code for code in here.dispatcher.told if not any(code in words and WORDS in words for words in here.replies)
        ]:
            raise DemoFailed(f"{len(untold)} citizens did not hear from the core, the first about {untold[0]}")
        seconds = round(time.perf_counter() - started, 2)
        return Tally(sent, outcomes, outcomes.get("filed", 0), len(here.core.events), len(replies), seconds)


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    return {name: number - before.get(name, 0) for name, number in after.items() if number > before.get(name, 0)}
