"""One SMTP or LMTP session with the mail server in front: aiosmtpd (RFC 5321, RFC 2033), with limits and without leaks."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from functools import partial
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, TLSSetupException, syntax

from channels.mailbox import PLAIN_ADDRESS
from channels.smtp_desk import Desk, names_of

_PATH = re.compile(rf"TO: *(?:<{PLAIN_ADDRESS}>|{PLAIN_ADDRESS})(?: .*)?", re.IGNORECASE)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#: What nearly every sender and recipient is (RFC 5321 section 4.1.2, Mailbox, without quotes and literals).
_USUAL = re.compile(rf"<({_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>(.*)", re.DOTALL)
#: A line end to some, not to SMTP.
_LONE = re.compile(r"\r(?!\n)|(?<!\r)\n")

#: Commands of one kind in one session; a mail server in front sends many mails in one.
_CALLS = {"*": 100, "NOOP": 10_000, "RSET": 10_000, "MAIL": 10_000, "DATA": 10_000, "RCPT": 100_000}
#: The end of the data (RFC 5321 section 4.1.1.4), and how much is read at a time, bytes.
_END, _BLOCK = b"\r\n.\r\n", 256 * 1024


def _too_long(mail: bytes, limit: int) -> bool:
    """Whether a line is longer than ``limit`` bytes; looks at few places of a long mail."""
    place = 0
    while len(mail) - place > limit:
        found = mail.rfind(b"\r\n", place, place + limit)
        if found < 0:
            return True
        place = found + 2
    return False


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
            tls_context=desk.tls,
            require_starttls=desk.tls_required,
            loop=asyncio.get_running_loop(),
        )

    def __dir__(self) -> tuple[str, ...]:
        """Likewise, as in :class:`channels.smtp_desk.Desk`."""
        return names_of(type(self), "smtp_")

    def connection_made(self, transport: Any) -> None:
        """Greet, or say that there are too many; called again when TLS is on."""
        if self._admitted:
            super().connection_made(transport)
            return
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
            self._admitted = False
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
        is_open = not self.transport.is_closing()  # once closed, TLS of Python 3.11 fails at whatever it is asked
        if is_open:
            self.transport.write(f"{status}\r\n".encode())
        # Below TLS: its own abort fails in Python 3.11, and its close waits 30 s for a peer that may say nothing.
        line: Any = self._original_transport or self.transport
        if (is_open and self.transport.get_write_buffer_size()) or line.get_write_buffer_size():
            line.abort()
        else:
            line.close()

    async def ended(self) -> None:
        """Return when the session's task has ended."""
        await asyncio.gather(self._handler_coroutine, return_exceptions=True)

    async def push(self, status: Any) -> None:
        """Count refusals; what aiosmtpd quotes of the command must not end the line, nor need more than ASCII."""
        self._desk.count(status)
        await super().push(_LONE.sub("?", status).encode("ascii", "replace"))

    @syntax("RCPT TO: <address>")
    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Refuse what is more than a plain address before aiosmtpd makes it look like one."""
        # aiosmtpd's parser drops a source route and unquotes, so that the handler would not see them.
        if self.envelope.mail_from and arg and arg.upper().startswith("TO:") and not _PATH.fullmatch(arg):
            await self.push("550 5.1.1 No such mailbox here")
            return
        await super().smtp_RCPT(arg)

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Once: aiosmtpd would put TLS into TLS."""
        if self._tls_protocol is not None:
            await self.push("503 5.5.1 TLS is on already")
            return
        await super().smtp_STARTTLS(arg)
        line: Any = self._original_transport
        if line is not None and line.is_closing():  # we hung up before it was on, which asyncio takes for success
            raise TLSSetupException

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Nobody logs in here."""
        del arg
        await self.push("502 5.5.1 Not offered")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Read the mail in blocks: aiosmtpd takes it line by line, and a large one holds up all others (bench/README.md)."""
        if await self.check_helo_needed():
            return
        if not self.envelope.rcpt_tos or arg:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        mail = await self._mail()
        if mail is None:
            status = "552 5.3.4 Too much mail data"
        elif _too_long(mail, self.line_length_limit):
            status = "500 Line too long"
        else:
            self.envelope.content = self.envelope.original_content = mail
            status = await self._desk.handle_DATA(self, self.session, self.envelope)
        await self.push(status)
        self.envelope = self._create_envelope()

    async def _mail(self) -> bytes | None:
        """All up to the end, without the dots before dots (RFC 5321 section 4.5.2); None when it is too large."""
        limit = self._desk.settings.max_size
        found, large, place = bytearray(b"\r\n"), False, 0
        while (end := found.find(_END, place)) < 0:
            if len(found) > limit + limit // 3 + len(_END):  # a third: every line could be a dot, sent as two
                large = True
                del found[: -len(_END)]
            place = max(0, len(found) - len(_END) + 1)
            block = await self._reader.read(_BLOCK)
            if not block:
                raise ConnectionResetError
            found += block
        self._unread(bytes(found[end + len(_END) :]))
        del found[end + 2 :]
        mail = bytes(found).replace(b"\r\n.", b"\r\n")[2:]
        return None if large or len(mail) > limit else mail

    def _unread(self, rest: bytes) -> None:
        """What came with the end of the mail is commands; aiosmtpd too reaches into the buffer."""
        reader: Any = self._reader
        reader._buffer[:0] = rest  # noqa: SLF001 - asyncio has no other way

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The address and what follows it; aiosmtpd's parser takes 0.2 ms for each, half of what a mail costs."""
        usual = _USUAL.fullmatch(arg)
        return (usual[1], usual[2]) if usual else super()._getaddr(arg)

    def _timeout_cb(self) -> None:
        self.hang_up("421 4.4.2 Time is up")

    def _cb_client_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A command ends with CR LF (RFC 5321 section 2.3.8); aiosmtpd takes a bare LF for one.
        strict: Any = reader
        strict.readuntil = partial(type(reader).readuntil, reader, b"\r\n")
        super()._cb_client_connected(reader, writer)


class LmtpSession(Session, LMTP):
    """The end of the data is answered once for each recipient (RFC 2033 section 4.2); aiosmtpd answers once."""

    _replies = 1

    async def push(self, status: Any) -> None:
        """Repeat the answer as often as it is owed."""
        await super().push("\r\n".join([status] * self._replies))
        self._replies = len(self.envelope.rcpt_tos) if status.startswith("354") else 1
