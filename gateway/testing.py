"""Test help that ships with the package: the ``gateway`` fixture, a whole gateway over real sockets.

A pytest plug-in (entry point ``pytest11``); with it a plug-in channel's own tests call
``channels.testing.check_channel``. Override the fixture ``gateway_settings`` to change the configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels.base import AnyChannel
from normalizer.model import Envelope, HotlineMatter

PUBLIC_URL = "https://hotline.example"
#: Where nobody listens: no test reaches a real provider.
NOWHERE = "http://127.0.0.1:1"


class RunningGateway:
    """A gateway under test, with the stand-in core it hands over to."""

    def __init__(self, node: Any, core: Any, mail: Any, secrets: Path) -> None:
        #: gateway.node.Node, gateway.demo.core.StandInCore, channels.simulated.imap_server.StandInMailServer, and the
        #: folder of its test secrets.
        self.node, self.core, self.mail, self.secrets = node, core, mail, secrets
        self.http_url: str = node.http_url
        #: What request signatures cover.
        self.public_url = PUBLIC_URL

    def listening(self, channel: str) -> tuple[str, int]:
        """Host and port of a channel that is a server of its own."""
        found: tuple[str, int] = self.node.listening(channel)
        return found

    def channel(self, name: str) -> AnyChannel:
        """The configured channel of that name."""
        found: AnyChannel = self.node.channels[name]
        return found

    async def settle(self) -> None:
        """Return when nothing is pending; raise TimeoutError after 60 s."""
        await self.node.settled()

    async def books(self) -> dict[str, Any]:
        """What ``gateway reconcile --json`` prints."""
        books = await self.node.store.reconcile()
        return asdict(books) | {"balanced": books.balanced}

    async def matters(self) -> list[HotlineMatter]:
        """All matters, in order of filing."""
        found: list[HotlineMatter] = await self.node.store.matters()
        return found

    async def envelopes(self) -> list[Envelope]:
        """All envelopes, in order of arrival."""
        found: list[Envelope] = await self.node.store.envelopes()
        return found

    async def refused(self, channel: str) -> dict[str, float]:
        """``hotline_refused_requests_total`` of the channel, by reason."""
        return {
            sample.labels["reason"]: sample.value
            for family in self.node.metrics.refused.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.labels["channel"] == channel
        }

    @contextlib.asynccontextmanager
    async def store_down(self) -> AsyncIterator[None]:
        """Within it, every write to the store fails as a lost database does."""
        from store.errors import StoreUnavailable  # noqa: PLC0415 - see start_gateway

        database = self.node.store._database  # noqa: SLF001 - the one seam at which a fault can be put
        works = database.write

        async def fails(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("down")

        database.write = fails
        try:
            yield
        finally:
            database.write = works


Start = Callable[..., contextlib.AbstractAsyncContextManager[RunningGateway]]


@pytest.fixture(scope="session")
def worker_parents() -> Iterator[Any]:
    """One parent of worker processes for all gateways of the run."""
    from gateway.offload import Parents  # noqa: PLC0415 - as below

    parents = Parents()
    yield parents
    parents.close()


@pytest.fixture
def start_gateway(tmp_path: Path, worker_parents: Any) -> Start:
    """Give a function that starts a gateway for an ``async with``; its argument may edit the settings before."""
    # Imported late: a pytest plug-in is loaded in every run of this environment, and should cost nothing there.
    from channels.simulated.imap_server import StandInMailServer  # noqa: PLC0415
    from gateway.demo.core import StandInCore  # noqa: PLC0415
    from gateway.demo.secrets import make_secrets  # noqa: PLC0415
    from gateway.loading import load_config  # noqa: PLC0415
    from gateway.node import Node, Role, open_node_store, running  # noqa: PLC0415
    from gateway.offload import PARENTS  # noqa: PLC0415

    @contextlib.asynccontextmanager
    async def start(
        change: Callable[[dict[str, Any]], None] = lambda _: None, **options: Any
    ) -> AsyncIterator[RunningGateway]:
        secrets = tmp_path / "secrets"
        make_secrets(secrets)
        core = StandInCore("http://127.0.0.1:0/events", (secrets / "core-secret").read_text())
        serving = asyncio.create_task(core.run())
        mail = StandInMailServer("letters@example.gov.cn", (secrets / "imap-password").read_text())
        await mail.start()
        document = settings(core.url, mail.address[1])
        change(document)
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
        try:
            config, channels = load_config(tmp_path / "config.yaml")
            store = await open_node_store(config, roles=tuple(Role))
            try:
                shared = PARENTS.set(worker_parents)
                node = Node(config, channels, store, **{"retry_seconds": (0.05, 0.05)} | options)
                PARENTS.reset(shared)
                async with running(node):
                    await node.ready()
                    yield RunningGateway(node, core, mail, secrets)
            finally:
                await store.close()
        finally:
            serving.cancel()
            await asyncio.gather(serving, mail.close(), return_exceptions=True)

    return start


@pytest.fixture
async def gateway(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    """A running gateway with one channel of every built-in kind."""
    async with start_gateway() as running_gateway:
        yield running_gateway


def settings(core_url: str, mail_port: int = 1) -> dict[str, Any]:
    """A configuration on free ports, with one channel of every built-in kind."""

    def secret(name: str) -> dict[str, str]:
        return {"file": f"secrets/{name}"}

    return {
        "server": {"listen": "127.0.0.1:0", "public_url": PUBLIC_URL},
        "store": {"url": "sqlite:///gateway.db", "files": "files", "journal": "journal", "reserve_megabytes": 1},
        "keys": {"file": "keys.json"},
        "core": {"url": core_url, "secret": secret("core-secret")},
        "dedupe": {"settle_seconds": 0, "linking": "off"},
        "replies": {"acknowledge": False},
        "channels": {
            "wechat": {
                "kind": "wechat",
                "app_id": "wx0123456789abcdef",
                "token": secret("wechat-token"),
                "encoding_aes_key": secret("wechat-aes-key"),
                "app_secret": secret("wechat-app-secret"),
                "api_base": NOWHERE,
            },
            "weibo": {
                "kind": "weibo",
                "app_secret": secret("weibo-app-secret"),
                "access_token": secret("weibo-access-token"),
                "path_secret": secret("weibo-path"),
                "api_base": NOWHERE,
                "upload_base": NOWHERE,
            },
            "sms": {
                "kind": "sms_twilio",
                "account_sid": "AC0123456789abcdef0123456789abcdef",
                "auth_token": secret("sms-auth-token"),
                "number": "+15005550006",
                "api_base": NOWHERE,
            },
            "sms_aliyun": {
                "kind": "sms_aliyun",
                "path_secret": secret("aliyun-path"),
                "allowed_networks": ["127.0.0.0/8"],
            },
            "sms_tencent": {
                "kind": "sms_tencent",
                "path_secret": secret("tencent-path"),
                "allowed_networks": ["127.0.0.0/8"],
            },
            "mailbox": {"kind": "smtp", "listen": "127.0.0.1:0", "recipients": ["mayor@example.gov.cn"]},
            "imap": {
                "kind": "imap",
                "host": "127.0.0.1",
                "port": mail_port,
                "tls": False,
                "username": "letters@example.gov.cn",
                "password": secret("imap-password"),
                "folder": "INBOX",
                "done_folder": "Done",
            },
            "telegram": {
                "kind": "telegram",
                "bot_token": secret("telegram-bot-token"),
                "secret_token": secret("telegram-secret-token"),
                "api_base": NOWHERE,
            },
            "app": {
                "kind": "app",
                "clients": [
                    {
                        "id": "city-app",
                        "key_hash": secret("app-key-hash"),
                        "scopes": ["messages:write", "messages:read"],
                    }
                ],
            },
            "telephone": {
                "kind": "telephone",
                "clients": [
                    {"id": "cti", "key_hash": secret("telephone-key-hash"), "scopes": ["registrations:write"]},
                ],
            },
            "partner": {
                "kind": "partner",
                "clients": [
                    {"id": "market", "key_hash": secret("partner-key-hash"), "scopes": ["transfers:write"]},
                ],
            },
            "open311": {
                "kind": "open311",
                "jurisdiction_id": "hotline.example",
                "api_keys": [{"id": "reporter", "key_hash": secret("open311-key-hash")}],
            },
        },
    }
