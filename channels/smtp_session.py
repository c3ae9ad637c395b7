"""One SMTP or LMTP session with the mail server in front: aiosmtpd (RFC 5321, RFC 2033), with limits and without leaks."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import MISSING, SMTP

from channels.base import Admission, Deliver
from channels.errors import Unavailable
from channels.mailbox import PLAIN_ADDRESS
from normalizer.clean import single_line

if TYPE_CHECKING:
    from channels.smtp import Smtp

log = structlog.get_logger(__name__)

_PATH = re.compile(rf"TO: *(?:<{PLAIN_ADDRESS}>|{PLAIN_ADDRESS})(?: .*)?", re.IGNORECASE)
#: A line end to some, not to SMTP.
_LONE = re.compile(r"\r(?!\n)|(?<!\r)\n")

#: Commands of one kind in one session; a mail server in front sends many mails in one.
_CALLS = {"*": 100, "NOOP": 10_000, "RSET": 10_000, "MAIL": 10_000, "DATA": 10_000, "RCPT": 100_000}
#: What a refusal that aiosmtpd or we send begins with → the word it is counted under.
_REASONS = {
    "421 4.3.2": None,
    "421 4.4.2": "timeout",
    "421 4.7.0 Too many": "connections",
    "421": "commands",
    "451 4.3.0 Fault": "internal",
    "451": "unavailable",
    "452": "recipients",
    "500 Line": "line",
    "550 5.1.1": "relay",
    "550 5.6.0": "bare_lf",
    "552": "oversized",
    "4": "command",
    "5": "command",
}


class Desk:
    """What all sessions of one run share: aiosmtpd's handler, and the connections that are open."""

    def __init__(self, channel: Smtp, deliver: Deliver) -> None:
        self.channel, self.settings = channel, channel.settings
        self._deliver = deliver
        self._sessions: dict[Session, str] = {}
        self._from: Counter[str] = Counter()

    @cached_property
    def hostname(self) -> str:
        """What we greet with: the mailbox's domain; our own name is nobody's business."""
        return self.settings.recipients[0].rpartition("@")[2]

    def enter(self, session: Session, peer: str) -> bool:
        """Admit a session unless there are too many, in all or from its address."""
        full = len(self._sessions) >= self.settings.max_connections
        if full or self._from[peer] >= self.settings.connections_per_address:
            return False
        self._sessions[session] = peer
        self._from[peer] += 1
        return True

    def leave(self, session: Session) -> None:
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
        reason = next((word for begin, word in _REASONS.items() if status.startswith(begin)), None)
        if reason is not None:
            self.channel.refused(reason)

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
        admission = Admission(context=_context(session, envelope), apparent_sender=envelope.mail_from or "<>")
        try:
            await self._deliver(self.channel.envelope(mail, datetime.now(UTC), admission=admission))
        except Exception as error:  # noqa: BLE001 - whatever it is: nothing was kept, so the mail must come again
            return await self.handle_exception(error)
        return "250 2.0.0 Kept"

    async def handle_exception(self, error: Exception) -> str:
        """Say that it may work later: the answer of aiosmtpd is permanent and tells of our inside."""
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


class _StrictReader:
    """A command line ends with CR LF (RFC 5321 section 2.3.8); aiosmtpd takes a bare LF for one."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.read = reader.read
        self._until = reader.readuntil

    async def readuntil(self, separator: bytes = b"\r\n") -> bytes:
        return await self._until(separator)


class Session(SMTP):
    """One connection, SMTP."""

    # None before the connection in aiosmtpd, where nothing of ours runs.
    envelope: Any
    transport: Any
    _handler_coroutine: Any

    #: Chinese HTML mail has lines far beyond the 1000 octets of RFC 5321 section 4.5.3.1.6.
    line_length_limit = 65536

    def __init__(self, desk: Desk) -> None:
        #: aiosmtpd keeps them on the class, where one session's EHLO changes another's.
        self.command_size_limits: dict[str, int] = defaultdict(lambda: SMTP.command_size_limit)
        self._desk, self._admitted = desk, False
        self._end: asyncio.TimerHandle | None = None
        super().__init__(
            desk,
            data_size_limit=desk.settings.max_size,
            enable_SMTPUTF8=True,
            hostname=desk.hostname,
            ident="12345",
            timeout=desk.settings.timeout_seconds,
            command_call_limit=_CALLS,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: Any) -> None:
        """Greet, or say that there are too many."""
        self._admitted = self._desk.enter(self, (transport.get_extra_info("peername") or ("unknown",))[0])
        if not self._admitted:
            self._desk.count(status := "421 4.7.0 Too many connections")
            transport.write(f"{status}\r\n".encode())
            transport.close()
            return
        self._end = self.loop.call_later(self._desk.settings.session_seconds, self._timeout_cb)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Clear up."""
        if self._end is not None:
            self._end.cancel()
        if self._admitted:
            self._desk.leave(self)
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Take what came, and count the silence anew."""
        # A large mail on a slow line is not silence; aiosmtpd counts from the DATA command.
        if self._admitted:
            self._reset_timeout()
            super().data_received(data)

    def hang_up(self, status: str) -> None:
        """Say why and close; a peer that does not read is cut off."""
        self._desk.count(status)
        self.transport.write(f"{status}\r\n".encode())
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    async def ended(self) -> None:
        """Return when the session's task has ended."""
        await asyncio.gather(self._handler_coroutine, return_exceptions=True)

    async def push(self, status: Any) -> None:
        """Count refusals; what aiosmtpd quotes of the command must not end the line, nor need more than ASCII."""
        self._desk.count(status)
        await super().push(_LONE.sub("?", status).encode("ascii", "replace"))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Refuse what is more than a plain address before aiosmtpd makes it look like one."""
        # aiosmtpd's parser drops a source route and unquotes, so that the handler would not see them.
        if self.envelope.mail_from and arg and arg.upper().startswith("TO:") and not _PATH.fullmatch(arg):
            await self.push("550 5.1.1 No such mailbox here")
            return
        await super().smtp_RCPT(arg)

    def _timeout_cb(self) -> None:
        self.hang_up("421 4.4.2 Time is up")

    def _cb_client_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strict: Any = _StrictReader(reader)
        super()._cb_client_connected(strict, writer)


class LmtpSession(Session, LMTP):
    """The end of the data is answered once for each recipient (RFC 2033 section 4.2); aiosmtpd answers once."""

    _replies = 1

    async def push(self, status: Any) -> None:
        """Repeat the answer as often as it is owed."""
        await super().push("\r\n".join([status] * self._replies))
        self._replies = len(self.envelope.rcpt_tos) if status.startswith("354") else 1
