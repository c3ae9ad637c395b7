"""A connection to an IMAP server (RFC 9051, RFC 3501): imapclient on a thread of its own, bounded in time and memory.

imapclient blocks, is not thread-safe, and believes whatever length a server announces. So every step runs on the one
thread of its connection, with a deadline after which the connection is cut, and all reading goes through
:class:`_Wire`, which counts bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import select
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from channels.errors import ChannelError

#: Silence that ends a connection, and what one step may take in all, seconds.
SILENCE_SECONDS, STEP_SECONDS = 30.0, 120.0
#: What a server may send in one step, and in one line, bytes: a SEARCH that lists a million mails has 8 MB.
STEP_BYTES = 12 * 1024 * 1024
LINE_BYTES = 10 * 1024 * 1024
READ_BYTES = 64 * 1024

T = TypeVar("T")


class Lost(ChannelError):
    """The connection is of no use any more, or never came about: ``cut``, ``timeout``, ``garbage``, the system's words."""

    retryable = True


class Refused(ChannelError):
    """The server answered NO or BAD to one step; the connection goes on. ``told`` is its answer, never shown."""

    def __init__(self, reason: str, told: str = "") -> None:
        super().__init__(reason)
        self.told = told


class _Plug:
    """What the event loop pulls to end whatever the connection's thread waits for."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pulled = False

    def hold(self, one: socket.socket) -> None:
        """``one`` is the socket now."""
        self._socket = one
        if self._pulled:
            self.pull()

    def pull(self) -> None:
        """Cut it: reading ends at once."""
        self._pulled = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own, which takes the TLS layer away under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; only when its thread rests."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()


class _Wire(imaplib.IMAP4):
    """imaplib with reading of our own: bounded, and the end of the connection is never mistaken for silence."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, plug: _Plug) -> None:
        self._context, self._plug = context, plug
        self._got = bytearray()
        #: Bytes the server may still send in this step.
        self.left = STEP_BYTES
        super().__init__(host, port, SILENCE_SECONDS)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Connect; with TLS from the first byte where there is a context (RFC 8314)."""
        self.host, self.port = host, port
        self._use(socket.create_connection((host, port), timeout))
        try:
            if self._context is not None:
                self._wrap(self._context)
        except Exception:
            self.shutdown()
            raise

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """Change to TLS. What was sent before the handshake is anybody's (RFC 9051 section 11.1)."""
        assert ssl_context is not None  # noqa: S101 - imaplib's default would not verify
        answer = self._simple_command("STARTTLS")
        if answer[0] != "OK" or self._got:
            raise self.abort("STARTTLS refused")
        self._wrap(ssl_context)
        self._tls_established = True
        self._get_capabilities()
        return answer

    def login(self, user: str, password: str) -> Any:
        """LOGIN; imaplib does not quote the user, whose name may hold a backslash at Exchange."""
        answer = self._simple_command("LOGIN", self._quote(user), self._quote(password))
        if answer[0] != "OK":
            raise self.error(answer[1][-1])
        self.state = "AUTH"
        return answer

    def read(self, size: int) -> bytes:
        """A literal; one that is announced too large is not waited for."""
        if size > self.left + len(self._got):
            raise self.abort("literal too large")
        while len(self._got) < size:
            self._fill()
        return self._take(size)

    def readline(self) -> bytes:
        """A line of bounded length."""
        seen = 0
        while (end := self._got.find(b"\n", seen)) < 0:
            if (seen := len(self._got)) > LINE_BYTES:
                raise self.abort("line too long")
            self._fill()
        return self._take(end + 1)

    def waits(self) -> bool:
        """Whether something was received that nobody has read yet."""
        pending = self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0
        return bool(self._got) or pending > 0

    def idle(self) -> bytes:
        """Ask for IDLE; the tag by which its end will be known. Raise Refused."""
        tag: bytes = self._command("IDLE")
        while self._get_response() is not None:  # None: the server's "+"
            if self.tagged_commands.pop(tag) is not None:
                raise Refused("idle")
            self.tagged_commands[tag] = None
        return tag

    def shutdown(self) -> None:
        """Close."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def _fill(self) -> None:
        data = self.sock.recv(READ_BYTES)
        if not data:
            raise self.abort("socket error: EOF")
        self.left -= len(data)
        if self.left < 0:
            raise self.abort("too much")
        self._got += data

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._got)[:size])
        del self._got[:size]
        return taken

    def _wrap(self, context: ssl.SSLContext) -> None:
        sock = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self._use(sock)
        sock.do_handshake()

    def _use(self, sock: socket.socket) -> None:
        self.sock = sock
        self._plug.hold(sock)

    def _log(self, line: Any) -> None:
        """Nothing: imaplib keeps the last lines, the one with the password too."""


class Client(IMAPClient):  # type: ignore[misc]  # ships no types
    """imapclient over our wire. Use it on the thread of its :class:`Line` only."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, plug: _Plug) -> None:
        self._wanted = (host, port, context, plug)
        super().__init__(host, port, ssl=context is not None, timeout=SILENCE_SECONDS)
        self._imap.debug = 0
        self.normalise_times = False

    def _create_IMAP4(self) -> _Wire:  # noqa: N802 - imapclient's name
        return _Wire(*self._wanted)

    @property
    def wire(self) -> _Wire:
        """The connection below."""
        wire: _Wire = self._imap
        return wire

    def authenticate(self, mechanism: str, answers: Callable[[bytes], bytes]) -> None:
        """SASL (RFC 9051 section 6.2.2). Raise LoginError."""
        self.sasl_login(mechanism, answers)

    def wait(self, seconds: float) -> None:
        """IDLE (RFC 2177) until the server says anything, ``seconds`` at most.

        imapclient's ``idle`` takes news that come before the server's ``+`` for a refusal, and its ``idle_check`` returns
        an empty list at once, for ever, on a dead peer.
        """
        tag = self.wire.idle()
        if not self.wire.waits():
            poller = select.poll()
            poller.register(self.wire.sock, select.POLLIN)
            poller.poll(seconds * 1000)
        self.wire.send(b"DONE\r\n")
        self._consume_until_tagged_response(tag, "IDLE")


class Line:
    """One connection and its thread. Every step may raise Lost or Refused; after Lost only ``close`` is left."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"imap-{name}")
        self._plug = _Plug()
        self._client: Client | None = None

    async def open(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Connect and read the greeting."""
        self._client = await self._run(STEP_SECONDS, lambda: _greeted(host, port, context, self._plug))

    async def step(self, work: Callable[[Client], T], waits: float = 0.0) -> T:
        """Do ``work`` on the connection's thread. What takes too long ends the connection; ``waits``: seconds it may rest."""
        client = self._client
        if client is None:
            raise Lost("closed")

        def alone() -> T:
            client.wire.left = STEP_BYTES
            client.wire.untagged_responses.clear()  # imaplib gathers what nobody asked for
            return work(client)

        return await self._run(STEP_SECONDS + waits, alone)

    def close(self) -> None:
        """Cut the connection and let its thread end."""
        self._plug.pull()
        # Also where the greeting came just when nobody waited for it any more, so that there is no client to ask.
        self._thread.submit(self._plug.close)
        self._client = None
        self._thread.shutdown(wait=False)

    async def _run(self, seconds: float, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, lambda: _plainly(work))
        future.add_done_callback(_heed)
        try:
            done, _ = await asyncio.wait({future}, timeout=seconds)
        except asyncio.CancelledError:
            self._plug.pull()
            raise
        if not done:
            self._plug.pull()
            raise Lost("timeout")
        return future.result()


def _heed(future: asyncio.Future[Any]) -> None:
    """How a step ended that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()


def _greeted(host: str, port: int, context: ssl.SSLContext | None, plug: _Plug) -> Client:
    try:
        return Client(host, port, context, plug)
    except imaplib.IMAP4.error:
        raise Lost("greeting") from None


def _plainly(work: Callable[[], T]) -> T:
    """``work`` with the errors of four libraries told as ours."""
    try:
        return work()
    except ChannelError:
        raise
    except LoginError as error:
        # imapclient says so too when the connection was cut meanwhile.
        if isinstance(error.__context__, imaplib.IMAP4.abort):
            raise Lost("cut") from None
        raise Refused("login", str(error)) from None
    except imaplib.IMAP4.readonly:
        raise Refused("read_only") from None
    except imaplib.IMAP4.abort:
        raise Lost("cut") from None
    except imaplib.IMAP4.error as error:
        raise Refused("refused", str(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever a server's words do to the libraries ends with this connection
        raise Lost(_word(error)) from None


def _word(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "timeout"
        case ssl.SSLCertVerificationError():
            return "certificate"
        case ssl.SSLError():
            return "tls"
        case OSError():
            return error.strerror or "network"
        case _:
            return "garbage"
