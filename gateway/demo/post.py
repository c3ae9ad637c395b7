"""A stand-in for the city's submission server and for citizens' mailboxes: takes what the gateway writes by mail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import SMTP

from channels.base import AnyChannel
from channels.mail_settings import Submission
from channels.mailbox import MailSettings

Heard = Callable[[str, str, str], None]
"""Told the channel's kind, the citizen's address and the words."""


class StandInPost:
    """One server for each mailbox that answers."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._servers: list[asyncio.Server] = []

    async def start(self, channels: Mapping[str, AnyChannel]) -> None:
        """Listen on free ports of loopback, and lead the mailboxes there."""
        for channel in channels.values():
            settings = channel.settings
            if isinstance(settings, MailSettings) and settings.outgoing is not None:
                here = Submission(host="127.0.0.1", port=await self._listen(channel.kind), tls="none")
                channel.settings = settings.model_copy(update={"outgoing": here})

    async def _listen(self, kind: str) -> int:
        loop = asyncio.get_running_loop()
        handler = _Handler(lambda to, words: self._heard(kind, to, words))
        server = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()
            await server.wait_closed()


class _Handler:
    def __init__(self, heard: Callable[[str, str], None]) -> None:
        self._heard = heard

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        content: Any = message_from_bytes(envelope.original_content).get_payload(decode=True)
        for recipient in envelope.rcpt_tos:
            self._heard(recipient, content.decode().strip())
        return "250 2.0.0 Taken"
