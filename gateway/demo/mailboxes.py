"""Mail servers of the demo: every mailbox that is fetched from is fetched from one of these."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from pydantic import SecretStr

from channels.base import AnyChannel
from channels.imap import ImapSettings
from channels.simulated.imap_server import StandInMailServer

#: Opens the demo's mailboxes, on loopback and for as long as it runs.
PASSWORD = "demo"  # noqa: S105


@contextlib.asynccontextmanager
async def mailboxes(channels: Mapping[str, AnyChannel]) -> AsyncIterator[None]:
    """Within it each mailbox has a server, and its channel is led there."""
    async with contextlib.AsyncExitStack() as stack:
        for channel in channels.values():
            if isinstance(channel.settings, ImapSettings):
                server = StandInMailServer(channel.settings.username, PASSWORD)
                await server.start()
                stack.push_async_callback(server.close)
                channel.settings = _led_to(server, channel.settings)
        yield


def _led_to(server: StandInMailServer, settings: ImapSettings) -> ImapSettings:
    host, port = server.address
    here = {"host": host, "port": port, "tls": False, "ca_file": None, "oauth2": None}
    return settings.model_copy(update=here | {"password": SecretStr(PASSWORD)})
