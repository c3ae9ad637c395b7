"""What all sessions of a mailbox by SMTP or LMTP share: who may come in, how often, for whom, and the keeping of his mail."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiosmtpd.smtp import MISSING, TLSSetupException

from channels.base import Admission, Deliver
from channels.errors import TooMany, Unavailable
from channels.pace import Pace
from normalizer.clean import single_line

if TYPE_CHECKING:
    from channels.smtp import Smtp

log = structlog.get_logger(__name__)

#: What a refusal that aiosmtpd or we send begins with → the word it is counted under.
_REASONS = {
    "421 4.3.2": None,
    "421 4.4.2": "timeout",
    "421 4.7.0 Too many": "connections",
    "421": "commands",
    "451 4.3.0 Fault": "internal",
    "451 4.7.1": "rate",
    "451": "unavailable",
    "452": "recipients",
    "500 Line": "line",
    "550 5.1.1": "relay",
    "550 5.6.0": "bare_lf",
    "552": "oversized",
    "4": "command",
    "5": "command",
}


_NAMES: dict[type, tuple[str, ...]] = {}


def names_of(kind: type, begin: str) -> tuple[str, ...]:
    """The names in a class that begin so; looked for once."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(name for name in dir(kind) if name.startswith(begin))
    return _NAMES[kind]


class _Session(Protocol):
    def hang_up(self, status: str) -> None:
        """Say why and close."""

    async def ended(self) -> None:
        """Return when it has ended."""


class Desk:
    """What all sessions of one run share: aiosmtpd's handler, and the connections that are open."""

    def __init__(self, channel: Smtp, deliver: Deliver) -> None:
        self.channel, self.settings = channel, channel.settings
        self._deliver = deliver
        self._sessions: dict[_Session, str] = {}
        self._from: Counter[str] = Counter()
        self._pace = Pace()
        self.tls_required = bool(self.settings.tls and self.settings.tls.required)
        #: What STARTTLS needs; None: it is not offered.
        self.tls = self.settings.tls.context() if self.settings.tls else None

    @cached_property
    def hostname(self) -> str:
        """What we greet with: the mailbox's domain; our own name is nobody's business."""
        return self.settings.recipients[0].rpartition("@")[2]

    def __dir__(self) -> tuple[str, ...]:
        """What aiosmtpd looks for; it goes through all names for each new session, which cost half of a short one."""
        return names_of(type(self), "handle_")

    def enter(self, session: _Session, peer: str) -> bool:
        """Admit a session unless there are too many, in all or from its address."""
        full = len(self._sessions) >= self.settings.max_connections
        if full or self._from[peer] >= self.settings.connections_per_address:
            return False
        self._sessions[session] = peer
        self._from[peer] += 1
        return True

    def leave(self, session: _Session) -> None:
        """Forget a session that ended."""
        peer = self._sessions.pop(session)
        self._from[peer] -= 1
        if not self._from[peer]:
            del self._from[peer]

    async def close(self) -> None:
        """End every session; a mail not answered yet is not ours, and comes again."""
        open_sessions = list(self._sessions)
        for session in open_sessions:
            session.hang_up("421 4.3.2 Shutting down")
        await asyncio.gather(*(session.ended() for session in open_sessions))

    def count(self, status: str) -> None:
        """Count a refusal by what its answer begins with."""
        if status.startswith(("2", "3")):
            return
        reason = next((word for begin, word in _REASONS.items() if status.startswith(begin)), None)
        if reason is not None:
            self.channel.refused(reason)

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, name: str, lines: list[str]) -> list[str]:  # noqa: N802 - aiosmtpd's name
        """What we can, in one piece. Nobody logs in here, also not by TLS, where aiosmtpd would offer it."""
        session.host_name = name
        return ["\r\n".join(line for line in lines if not line.startswith("250-AUTH"))]

    async def handle_MAIL(self, _server: Any, session: Any, _envelope: Any, _address: str, _options: Any) -> Any:  # noqa: N802 - aiosmtpd's name
        """Take so many mails a minute from an address; the server there keeps the rest and comes again."""
        try:
            self._pace.spend(session.peer[0], self.settings.mails_per_minute)
        except TooMany:
            return "451 4.7.1 Too many mails a minute from your address, try again later"
        return MISSING

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> Any:  # noqa: N802 - aiosmtpd's name
        """Take mail for our own recipients, and no more of them than the limit."""
        if len(envelope.rcpt_tos) >= self.settings.max_recipients:
            return "452 4.5.3 Too many recipients"
        return MISSING if self.channel.takes(address) else "550 5.1.1 No such mailbox here"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail, then say 250."""
        mail: bytes = envelope.original_content
        if mail.count(b"\n") != mail.count(b"\r\n"):
            # RFC 5321 section 2.3.8; servers that take it for a line end can be made to see two mails in one.
            return "550 5.6.0 Line feed without carriage return"
        context = _context(session, envelope)
        context |= await self.channel.looked_up(mail, context)
        admission = Admission(context=context, apparent_sender=envelope.mail_from or "<>")
        try:
            await self._deliver(self.channel.envelope(mail, datetime.now(UTC), admission=admission))
        except Exception as error:  # noqa: BLE001 - whatever it is: nothing was kept, so the mail must come again
            return await self.handle_exception(error)
        return "250 2.0.0 Kept"

    async def handle_exception(self, error: Exception) -> str:
        """Say that it may work later: the answer of aiosmtpd is permanent and tells of our inside."""
        if isinstance(error, TLSSetupException):  # theirs; the session has ended, and nobody is answered
            self.channel.refused("tls")
            return ""
        if isinstance(error, Unavailable):
            return "451 4.3.0 Not kept, try again later"
        log.error("smtp_failed", channel=self.channel.name, error=type(error).__name__)
        return "451 4.3.0 Fault of ours, try again later"


def _context(session: Any, envelope: Any) -> dict[str, str]:
    sender = "" if envelope.mail_from == "<>" else envelope.mail_from
    return {
        "mail_from": single_line(sender),
        "recipients": " ".join(dict.fromkeys(recipient.lower() for recipient in envelope.rcpt_tos)),
        "peer": session.peer[0],
        "helo": single_line(session.host_name),
    }
