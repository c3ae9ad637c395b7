"""Several gateways on one PostgreSQL: identical but for their ports and their own disks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from channels.simulated import Peer
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from store.store import Store
from tests.faults.load import Letter
from tests.faults.world import SETTLE_SECONDS, Core, World
from tests.faults.zygote import Zygote

NODES = 4
#: How long the Bot API waits for an update, seconds.
POLL_SECONDS = 1


class BotApi:
    """Telegram's getUpdates for one bot. It wants one caller: a second ends the first with 409, as the real one does."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.letters: dict[int, Letter] = {}
        #: Times (monotonic) at which somebody polled, and how often two did at once.
        self.polled: list[float] = []
        self.conflicts = 0
        self._asking: asyncio.Event | None = None
        self.url = ""

    def say(self, letter: Letter) -> None:
        """A citizen writes to the bot."""
        number = len(self.updates) + 1
        person = {"id": int(letter.sender), "is_bot": False, "first_name": "市民"}
        chat = {"id": int(letter.sender), "type": "private"}
        message = {"message_id": number, "from": person, "chat": chat, "date": 1_760_000_000, "text": letter.text}
        self.updates.append({"update_id": number, "message": message})
        self.letters[number] = letter

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[BotApi]:
        """On loopback until the block ends."""
        application = web.Application()
        application.router.add_post("/{bot}/getUpdates", self._get_updates)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _get_updates(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.polled.append(time.monotonic())
        offset = asked.get("offset", 1)
        for number in range(1, offset):
            if (letter := self.letters[number]).acknowledged is None:
                letter.acknowledged = time.monotonic()
        if self._asking is not None:
            self._asking.set()
            self.conflicts += 1
        ended = self._asking = asyncio.Event()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    while len(self.updates) < offset and not ended.is_set():
                        await asyncio.sleep(0.02)
        finally:
            if self._asking is ended:
                self._asking = None
        if ended.is_set():
            return web.json_response({"ok": False, "error_code": 409, "description": "Conflict"}, status=409)
        return web.json_response({"ok": True, "result": self.updates[offset - 1 :]})


class Cluster:
    """What ``Load`` and ``examine`` need of a world, over several."""

    store_kind = "postgresql"

    def __init__(self, worlds: list[World], core: Core) -> None:
        self.worlds, self.core = worlds, core
        #: Those that answer.
        self.up: set[int] = set()
        self.at_end: list[Callable[[], None]] = []
        self._chance = random.Random(4)

    @property
    def port(self) -> int:
        """One that answers, another each time."""
        return self.worlds[self._chance.choice(sorted(self.up))].port

    def listening(self, channel: str) -> tuple[str, int]:
        """Where a channel that is a server of its own listens."""
        return self.worlds[min(self.up)].listening(channel)

    @property
    def peers(self) -> dict[str, Peer]:
        """The providers."""
        return self.worlds[0].peers

    @property
    def channels(self) -> Any:
        """By name."""
        return self.worlds[0].channels

    async def start(self, *numbers: int) -> None:
        """Start these; the first of all makes the key file that the others get."""
        for number in numbers:
            world = self.worlds[number]
            keys = self.worlds[0].folder / "data" / "keys.json"
            if number and not (world.folder / "data" / "keys.json").exists():
                shutil.copy(keys, world.folder / "data" / "keys.json")
            await world.start()
            self.up.add(number)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """A command beside them."""
        return await self.worlds[min(self.up)].run(*arguments)

    def store(self) -> contextlib.AbstractAsyncContextManager[Store]:
        """The store, to read."""
        return self.worlds[0].store()

    async def settled(self, seconds: float = SETTLE_SECONDS) -> float:
        """Return the seconds until nothing is pending and the core has every event."""
        return await self.worlds[min(self.up)].settled(seconds)

    async def told(self) -> str:
        """What those that are up say of themselves, for whoever looks at a failure."""
        found = []
        for number in sorted(self.up):
            child = self.worlds[number].child
            ends = child.printed()[-1500:] if child is not None else ""
            found.append(f"node {number}: {await self.worlds[number].gauges()}\n{ends}")
        return "\n".join(found)


@contextlib.asynccontextmanager
async def clustered(folder: Path, zygote: Zygote, url: str, bot: BotApi) -> AsyncIterator[Cluster]:
    """Four gateways, none of them started; nothing of them runs afterwards."""
    secrets = folder / "secrets"
    make_secrets(secrets)
    core = Core((secrets / "core-secret").read_text())
    serving = asyncio.create_task(core.run())
    worlds = []
    for number in range(NODES):
        (folder / str(number) / "data").mkdir(parents=True)
        world = World(folder / str(number), url, zygote, core, secrets)
        _add_bot(world, bot, secrets)
        worlds.append(world)
    cluster = Cluster(worlds, core)
    try:
        yield cluster
    finally:
        for end in cluster.at_end:
            end()
        for world in worlds:
            if world.child is not None:
                world.child.end_all()
                await world.child.exited()
            await world.client.aclose()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _add_bot(world: World, bot: BotApi, secrets: Path) -> None:
    settings = yaml.safe_load(world.config_file.read_text(encoding="utf-8"))
    settings["channels"]["telegram"] = {
        "kind": "telegram",
        "mode": "poll",
        "bot_token": {"file": str(secrets / "telegram-bot-token")},
        "secret_token": {"file": str(secrets / "telegram-secret-token")},
        "api_base": bot.url,
        "poll_seconds": POLL_SECONDS,
    }
    world.config_file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    world.config, world.channels = load_config(world.config_file)
