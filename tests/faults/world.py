"""What a fault happens to: a gateway process with its store, the core it hands over to, and the folder of both.

folder/config.yaml  folder/secrets/  folder/*.log   what stays
folder/data/                                        store, keys and files: what faults may hit
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from channels.base import AnyChannel
from channels.simulated import Peer
from gateway.config import Config
from gateway.demo.citizens import peers
from gateway.demo.core import StandInCore
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from store.opening import open_store
from store.store import Store
from tests.faults.shim import Control
from tests.faults.zygote import Child, Zygote
from tests.ports import free_port

PUBLIC_URL = "https://hotline.example"
#: Seconds in which a gateway is ready, and in which it settles what it has, on a busy machine.
READY_SECONDS, SETTLE_SECONDS = 30.0, 120.0


class Core(StandInCore):
    """A stand-in core that can be away, and takes any clock for right: the signature decides."""

    def __init__(self, secret: str) -> None:
        super().__init__("http://127.0.0.1:0/events", secret)
        self._verifier = _Timeless(secret)
        #: While set, the answer to everything.
        self.refusing: int | None = None
        #: How often each event was sent, taken or not, by id.
        self.deliveries: Counter[str] = Counter()
        #: How many of them were refused.
        self.refused = 0
        #: Called with the id of each event taken, before the gateway is answered.
        self.taken: Callable[[str], None] = lambda _: None

    def _take(self, scope: Any, body: bytes) -> tuple[int, bytes]:
        identity = dict(scope["headers"])[b"webhook-id"].decode()
        self.deliveries[identity] += 1
        if self.refusing is not None:
            self.refused += 1
            return self.refusing, b"{}"
        answer = super()._take(scope, body)
        if identity in self.events:
            self.taken(identity)
        return answer


class _Timeless(Webhook):
    """Standard Webhooks without the window of five minutes."""

    def verify(self, data: bytes | str, headers: dict[str, str], *, json_parse: bool = True) -> Any:
        identity, at, signatures = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        text = data.decode() if isinstance(data, bytes) else data
        if self.sign(identity, datetime.fromtimestamp(int(at), UTC), text) not in signatures.split():
            raise WebhookVerificationError("wrong signature")
        return orjson.loads(data)


class World:
    """Use :func:`inhabited`. It is what the simulated peers send to (``channels.simulated.Addresses``)."""

    def __init__(self, folder: Path, url: str, zygote: Zygote, core: Core, secrets: Path) -> None:
        self.folder, self.core, self._zygote, self._secrets = folder, core, zygote, secrets
        self.store_kind = url.partition(":")[0]
        #: Called when this world ends.
        self.at_end: list[Callable[[], None]] = []
        self.child: Child | None = None
        self._numbers = itertools.count(1)
        self._ports = {name: free_port() for name in ("http", "mailbox")}
        self.http_url = f"http://127.0.0.1:{self._ports['http']}"
        self.config_file = folder / "config.yaml"
        self.config_file.write_text(yaml.safe_dump(self._settings(url)), encoding="utf-8")
        self.config: Config
        self.channels: dict[str, AnyChannel]
        self.config, self.channels = load_config(self.config_file)
        self.peers: dict[str, Peer] = peers(self.channels, secrets, PUBLIC_URL)
        self.client = httpx.AsyncClient(trust_env=False, base_url=self.http_url, timeout=10)

    @property
    def port(self) -> int:
        """Of the HTTP entrance."""
        return self._ports["http"]

    def listening(self, channel: str) -> tuple[str, int]:
        """Where a channel that is a server of its own listens, whether it runs or not."""
        return "127.0.0.1", self._ports[channel]

    def _settings(self, url: str) -> dict[str, Any]:
        def secret(name: str) -> dict[str, str]:
            return {"file": str(self._secrets / name)}

        client = {"id": "city-app", "key_hash": secret("app-key-hash"), "scopes": ["messages:write", "messages:read"]}
        return {
            "server": {"listen": f"127.0.0.1:{self.port}", "public_url": PUBLIC_URL},
            "store": {"url": url, "files": "data/files", "journal": "data/journal"},
            "keys": {"file": "data/keys.json"},
            "core": {"url": self.core.url, "secret": secret("core-secret")},
            "conduct": {
                "hold_minutes": 0
            },  # our few senders write as fast as they are heard: nobody would let them go on
            "dedupe": {"settle_seconds": 0, "linking": "off"},
            "replies": {"acknowledge": False, "ride": False},
            "channels": {
                "app": {"kind": "app", "clients": [client]},
                "wechat": {
                    "kind": "wechat",
                    "app_id": "wx0123456789abcdef",
                    "token": secret("wechat-token"),
                    "encoding_aes_key": secret("wechat-aes-key"),
                    "app_secret": secret("wechat-app-secret"),
                },
                "mailbox": {
                    "kind": "smtp",
                    "listen": f"127.0.0.1:{self._ports['mailbox']}",
                    "recipients": ["mayor@example.gov.cn"],
                },
            },
        }

    # -- the process ---------------------------------------------------------------------------------------------------

    async def start(self, **options: Any) -> float:
        """Start the gateway; the seconds until it was ready. Options are those of ``Zygote.run``."""
        started = time.monotonic()
        log = self.folder / f"gateway-{next(self._numbers)}.log"
        self.child = self._zygote.run(["serve", "--config", str(self.config_file)], log, **options)
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self.is_ready():
                    assert self.child.exit_code is None, f"the gateway ended:\n{self.child.printed()}"
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise AssertionError(f"the gateway is not ready:\n{self.child.printed()}") from None
        return time.monotonic() - started

    async def is_ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            return (await self.client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        """SIGKILL, and what it started goes with it."""
        assert self.child is not None
        self.child.signal(signal.SIGKILL)
        await self.child.exited()
        self.child.end_all()

    async def stop(self, seconds: float = 10) -> int:
        """SIGTERM; the exit code. Raise TimeoutError when it does not end within ``seconds``."""
        assert self.child is not None
        self.child.signal(signal.SIGTERM)
        return await self.child.exited(seconds)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Another command of the same program: its exit code and what it printed."""
        log = self.folder / f"command-{next(self._numbers)}.log"
        child = self._zygote.run([*arguments, "--config", str(self.config_file)], log)
        return await child.exited(), child.printed()

    # -- looking at it -------------------------------------------------------------------------------------------------

    async def settled(self, seconds: float = SETTLE_SECONDS) -> float:
        """Return the seconds until nothing is pending and the core has every event. Raise AssertionError."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                while any((await self.gauges()).values()) or not await self.is_ready():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            assert self.child is not None
            gauges = await self.gauges()
            raise AssertionError(f"not settled: {gauges}\n{self.child.printed()[-4000:]}") from None
        return time.monotonic() - started

    async def gauges(self) -> dict[str, float]:
        """Work pending and events waiting."""
        told = (await self.client.get("/metrics")).text
        names = ("hotline_pending_envelopes", "hotline_handoff_waiting")
        return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", told, re.MULTILINE) if name in names}

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The store, to read; beside the gateway or when it has ended."""
        store = await open_store(self.config.store.url, Path(self.config.keys.file), owner=False)
        try:
            yield store
        finally:
            await store.close()


@contextlib.asynccontextmanager
async def inhabited(
    folder: Path,
    zygote: Zygote,
    *,
    url: str = "sqlite:///data/gateway.db",
    secrets: Path | None = None,
) -> AsyncIterator[World]:
    """A world whose core listens and whose gateway does not run yet; nothing of it runs afterwards."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    secrets = secrets or folder / "secrets"
    make_secrets(secrets)
    core = Core((secrets / "core-secret").read_text())
    serving = asyncio.create_task(core.run())
    world = World(folder, url, zygote, core, secrets)
    try:
        yield world
    finally:
        for end in world.at_end:
            end()
        if world.child is not None:
            world.child.end_all()
            await world.child.exited()
        await world.client.aclose()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def controlled(world: World, *, log: bool = False) -> Control:
    """The shim's control over what happens below ``data``; with ``log`` it is recorded."""
    return Control(world.folder / "control", world.folder / "data", world.folder / "disk.log" if log else None)
