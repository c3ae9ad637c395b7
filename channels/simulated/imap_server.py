"""A mail server with one mailbox that speaks just enough IMAP (RFC 3501) for the demo, and for tests to misbehave in."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

CAPABILITIES = ("IMAP4rev1", "IDLE", "MOVE", "UIDPLUS", "ID", "AUTH=XOAUTH2")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\((?:[^()"]|"[^"]*")*\))|(\S+)')
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n$")
_SECTION = re.compile(r"BODY(\.PEEK)?\[(HEADER)?\](?:<(\d+)\.(\d+)>)?|FLAGS|RFC822\.SIZE|INTERNALDATE")


@dataclass
class Mail:
    """One mail in a folder."""

    data: bytes
    flags: set[str] = field(default_factory=set)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Folder:
    """UIDs count up and are never given twice."""

    validity: int
    mails: dict[int, Mail] = field(default_factory=dict)
    next_uid: int = 1

    def add(self, mail: Mail) -> int:
        """Its UID."""
        uid, self.next_uid = self.next_uid, self.next_uid + 1
        self.mails[uid] = mail
        return uid


class StandInMailServer:
    """Listens on loopback; ``arrive`` is what the world's mail does."""

    def __init__(self, username: str, password: str, capabilities: Sequence[str] = CAPABILITIES) -> None:
        self.username, self.password, self.capabilities = username, password, capabilities
        self.folders = {"INBOX": Folder(int(time.time()))}
        #: Told of each command before it is served; what returns True has served it. Tests misbehave here.
        self.trick: Callable[[Session, str, str, list[str]], Any] | None = None
        #: Verbs, in the order in which they came.
        self.asked: list[str] = []
        self.address = ("", 0)
        self.changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Stop listening and cut every session."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def cut(self) -> None:
        """Cut every session."""
        for session in self._sessions:
            session.cancel()

    def arrive(self, data: bytes, folder: str = "INBOX") -> int:
        """A mail arrives; its UID."""
        uid = self.folders[folder].add(Mail(data))
        self.stir()
        return uid

    def stir(self) -> None:
        """Wake who idles."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
        try:
            await Session(self, reader, writer).run()
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            return
        finally:
            with contextlib.suppress(OSError):
                writer.transport.abort()


class Session:
    """One connection."""

    def __init__(self, server: StandInMailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.folder: Folder | None = None
        self._literal = b""
        #: The folder's next UID when the client was last told how many mails there are.
        self._told = 0

    async def run(self) -> None:
        """Greet and serve until the other side goes."""
        await self.say("* OK stand-in mail server")
        while line := await self._line():
            tag, verb, *words = self._split(line)
            if verb.upper() == "UID":
                verb, words = f"UID {words[0]}", words[1:]
            await self.serve(tag, verb.upper(), words)

    async def serve(self, tag: str, verb: str, words: list[str]) -> None:
        """One command."""
        self.server.asked.append(verb)
        trick = self.server.trick
        if trick is not None and await trick(self, tag, verb, words):
            return
        answer = getattr(self, "_do_" + verb.lower().replace(" ", "_"), None)
        if answer is None:
            await self.say(f"{tag} BAD unknown command")
            return
        end = await answer(*words)
        await self.say(f"{tag} {end or 'OK done'}")
        if verb == "LOGOUT":
            raise EOFError

    async def say(self, *lines: str) -> None:
        """Lines to the client."""
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape"))
        await self.writer.drain()

    async def _line(self) -> str:
        """A command line; what a literal held is in ``_literal``."""
        line = await self.reader.readline()
        while found := _LITERAL.search(line):
            if not found[2]:
                await self.say("+ go on")
            self._literal = await self.reader.readexactly(int(found[1]))
            line = line[: found.start()] + await self.reader.readline()
        return line.decode().strip()

    @staticmethod
    def _split(line: str) -> list[str]:
        return [
            re.sub(r"\\(.)", r"\1", quoted) if not (group or word) else group or word
            for quoted, group, word in _TOKEN.findall(line)
        ]

    async def _do_capability(self) -> None:
        await self.say(f"* CAPABILITY {' '.join(self.server.capabilities)}")

    async def _do_login(self, username: str, password: str) -> str:
        right = (username, password) == (self.server.username, self.server.password)
        return "OK logged in" if right else "NO [AUTHENTICATIONFAILED] no"

    async def _do_id(self, *_words: str) -> None:
        await self.say("* ID NIL")

    async def _do_noop(self) -> None:
        if self.folder is not None:
            self._told = self.folder.next_uid
            await self.say(f"* {len(self.folder.mails)} EXISTS")

    async def _do_logout(self) -> None:
        await self.say("* BYE")

    async def _do_list(self, _reference: str, pattern: str) -> None:
        await self.say(*(f'* LIST () "/" "{name}"' for name in self.server.folders if pattern in {"*", name}))

    async def _do_create(self, name: str) -> str | None:
        if name in self.server.folders:
            return "NO [ALREADYEXISTS] there is one"
        self.server.folders[name] = Folder(int(time.time()))
        return None

    async def _do_select(self, name: str) -> str:
        if (folder := self.server.folders.get(name)) is None:
            return "NO no such folder"
        self.folder = folder
        await self._do_noop()
        await self.say(
            "* 0 RECENT",
            r"* FLAGS (\Deleted \Seen)",
            f"* OK [UIDVALIDITY {folder.validity}] yes",
            f"* OK [UIDNEXT {folder.next_uid}] yes",
        )
        return "OK [READ-WRITE] selected"

    async def _do_examine(self, name: str) -> str:
        return (await self._do_select(name)).replace("READ-WRITE", "READ-ONLY")

    async def _do_append(self, name: str, *_flags: str) -> str:
        folder, data = self.server.folders[name], self._literal
        uid = self.server.arrive(data, name)
        return f"OK [APPENDUID {folder.validity} {uid}] taken"

    async def _do_uid_search(self, *words: str) -> None:
        await self.say(" ".join(["* SEARCH", *map(str, self._search([*words]))]))

    async def _do_uid_fetch(self, uids: str, items: str) -> None:
        for uid in self._among(uids):
            self.writer.write(self._fetched(uid, items) + b"\r\n")
            await self.writer.drain()

    async def _do_uid_store(self, uids: str, _how: str, flags: str) -> None:
        for uid in self._among(uids):
            self._mails[uid].flags |= set(flags.strip("()").split())

    async def _do_uid_copy(self, uids: str, name: str) -> str | None:
        if name not in self.server.folders:
            return "NO [TRYCREATE] no such folder"
        for uid in self._among(uids):
            self.server.folders[name].add(self._mails[uid])
        return None

    async def _do_uid_expunge(self, uids: str) -> None:
        await self._expunge(uid for uid in self._among(uids) if r"\Deleted" in self._mails[uid].flags)

    async def _do_uid_move(self, uids: str, name: str) -> str | None:
        if (refused := await self._do_uid_copy(uids, name)) is None:
            await self._expunge(self._among(uids))
        return refused

    async def _do_idle(self) -> None:
        await self.say("+ idling")
        done = asyncio.ensure_future(self.reader.readline())
        try:
            while not done.done():
                changed = asyncio.ensure_future(self.server.changed.wait())
                if (
                    self.folder is None or self.folder.next_uid == self._told
                ):  # else: since the last word, not since now
                    await asyncio.wait({done, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if not done.done():
                    await self._do_noop()
        finally:
            done.cancel()

    @property
    def _mails(self) -> dict[int, Mail]:
        if self.folder is None:
            raise EOFError
        return self.folder.mails

    def _among(self, uids: str) -> list[int]:
        """The UIDs of a set that are there; ``n:*`` names the last one even when it is below n (RFC 3501, 6.4.8)."""
        last, found = max(self._mails, default=0), list[int]()
        for part in uids.split(","):
            low, _, high = part.replace("*", str(last)).partition(":")
            ends = sorted((int(low), int(high or low)))
            found += [uid for uid in self._mails if ends[0] <= uid <= ends[1]]
        return found

    def _search(self, words: list[str]) -> list[int]:
        found = [*self._mails]
        while words:
            match words.pop(0).upper():
                case "UNDELETED":
                    found = [uid for uid in found if r"\Deleted" not in self._mails[uid].flags]
                case "SINCE":
                    day = datetime.strptime(words.pop(0), "%d-%b-%Y").replace(tzinfo=UTC)
                    found = [uid for uid in found if self._mails[uid].at >= day]
                case "UID":
                    found = [uid for uid in self._among(words.pop(0)) if uid in found]
        return found

    def _fetched(self, uid: int, items: str) -> bytes:
        mail, told = self._mails[uid], f"UID {uid}".encode()
        for found in _SECTION.finditer(items):
            match found[0]:
                case "FLAGS":
                    told += f" FLAGS ({' '.join(mail.flags)})".encode()
                case "RFC822.SIZE":
                    told += f" RFC822.SIZE {len(mail.data)}".encode()
                case "INTERNALDATE":
                    told += mail.at.strftime(' INTERNALDATE "%d-%b-%Y %H:%M:%S +0000"').encode()
                case _:
                    told += self._section(mail, found)
        return b"* %d FETCH (%s)" % ([*self._mails].index(uid) + 1, told)

    @staticmethod
    def _section(mail: Mail, found: re.Match[str]) -> bytes:
        data, name = mail.data, f"BODY[{found[2] or ''}]"
        if found[2]:
            data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        if found[1] is None:
            mail.flags.add(r"\Seen")
        if found[3] is not None:
            data, name = data[int(found[3]) :][: int(found[4])], f"{name}<{found[3]}>"
        return f" {name} {{{len(data)}}}\r\n".encode() + data

    async def _expunge(self, uids: Iterable[int]) -> None:
        for uid in list(uids):
            number = [*self._mails].index(uid) + 1
            del self._mails[uid]
            await self.say(f"* {number} EXPUNGE")
