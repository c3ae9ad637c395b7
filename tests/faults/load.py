"""Citizens who write while something breaks, and providers who send again what was not acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import smtplib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.load import split
from bench.messages import wire
from channels.simulated import HttpDelivery
from tests.faults.world import World

#: A provider's patience with one attempt, seconds (WeChat's is 5), and its pause before the next.
PATIENCE, AGAIN_SECONDS = 5.0, 0.05
#: By which a letter is known wherever it turns up.
_NUMBER = re.compile(r"灯杆L(\d{6})")


@dataclass(slots=True)
class Letter:
    """One message of one citizen."""

    number: int
    channel: str
    sender: str
    written_at: datetime
    #: Monotonic time of the acknowledgement; None while there is none.
    acknowledged: float | None = None
    #: Its body.
    receipt: bytes = b""
    #: Statuses that came back, and None for each attempt that got none.
    answers: list[int | None] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What he writes."""
        return f"路灯坏了，编号是灯杆L{self.number:06d}，晚上看不清，请派人来修。"


def numbers(text: str) -> list[int]:
    """The numbers of the letters that are quoted in a text."""
    return [int(found) for found in _NUMBER.findall(text)]


class Load:
    """Some senders, each of whom writes his next letter once the last was acknowledged."""

    def __init__(
        self, world: World, channels: Sequence[str] = ("app", "wechat"), senders: int = 6, pause: float = 0.1
    ) -> None:
        self._world, self._channels, self._pause = world, channels, pause
        self._senders = [(channels[index % len(channels)], str(10**9 + index)) for index in range(senders)]
        self._numbers = itertools.count(1)
        self._connections: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        #: In order of writing, also per sender.
        self.letters: list[Letter] = []
        #: Called with each letter when it is acknowledged.
        self.heard_back: Callable[[Letter], None] = lambda _: None
        self.stopping = False
        self._going = asyncio.Event()
        self._going.set()
        world.at_end.append(self.hang_up)

    # -- what became of it ---------------------------------------------------------------------------------------------

    @property
    def acknowledged(self) -> set[int]:
        """Numbers of the letters that providers were told we have."""
        return {letter.number for letter in self.letters if letter.acknowledged is not None}

    def first_after(self, moment: float) -> float:
        """Seconds from a moment of the monotonic clock to the next acknowledgement."""
        later = [at for letter in self.letters if (at := letter.acknowledged) is not None and at > moment]
        assert later, "nothing was acknowledged any more"
        return min(later) - moment

    async def acknowledges(self, how_many: int, seconds: float = 30) -> None:
        """Return when so many letters more are acknowledged. Raise TimeoutError."""
        wanted = len(self.acknowledged) + how_many
        async with asyncio.timeout(seconds):
            while len(self.acknowledged) < wanted:
                await asyncio.sleep(0.005)

    # -- writing -------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Everybody writes during the block; at its end each letter under way is sent until it is acknowledged."""
        self.stopping = False
        tasks = [asyncio.create_task(self._write(*sender)) for sender in self._senders]
        try:
            yield
            self.stopping = True
            async with asyncio.timeout(60):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.hang_up()

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Nobody begins a new letter during the block."""
        self._going.clear()
        try:
            yield
        finally:
            self._going.set()

    async def _write(self, channel: str, sender: str) -> None:
        while not self.stopping:
            await self._going.wait()
            letter = self.letter(channel, sender)
            await self.insist(letter)
            await asyncio.sleep(self._pause)

    def letter(self, channel: str | None = None, sender: str = "1000000000") -> Letter:
        """A new one, not sent yet."""
        letter = Letter(next(self._numbers), channel or self._channels[0], sender, datetime.now(UTC))
        self.letters.append(letter)
        return letter

    async def attempt(self, letter: Letter) -> bool:
        """Send it once, as its provider would; whether it was acknowledged."""
        delivery = self._world.peers[letter.channel].say(
            letter.text, sender=letter.sender, message_id=str(10**15 + letter.number), at=letter.written_at
        )
        if isinstance(delivery, HttpDelivery):
            status, body = await self._post(letter.sender, delivery)
        else:
            status, body = await self._mail(delivery)
        letter.answers.append(status)
        if not _is_acknowledgement(letter.channel, status, body):
            return False
        letter.acknowledged, letter.receipt = time.monotonic(), body
        self.heard_back(letter)
        return True

    async def insist(self, letter: Letter) -> None:
        """Send it until it is acknowledged."""
        while not await self.attempt(letter):
            await asyncio.sleep(AGAIN_SECONDS)

    async def _mail(self, delivery: Any) -> tuple[int | None, bytes]:
        try:
            ack = await delivery.send(self._world)
        except (OSError, smtplib.SMTPException):
            return None, b""
        return ack.status, ack.body

    async def _post(self, sender: str, delivery: HttpDelivery) -> tuple[int | None, bytes]:
        """On the sender's own connection, kept as long as it lasts."""
        try:
            async with asyncio.timeout(PATIENCE):
                if sender in self._connections and self._connections[sender][0].at_eof():
                    self._connections.pop(sender)[1].close()
                if sender not in self._connections:
                    self._connections[sender] = await asyncio.open_connection("127.0.0.1", self._world.port)
                return await _exchange(*self._connections[sender], wire(delivery))
        except (OSError, TimeoutError):
            if sender in self._connections:
                self._connections.pop(sender)[1].close()
            return None, b""

    def hang_up(self) -> None:
        """Close all connections, so that the next attempt does not meet the end of an old one."""
        while self._connections:
            self._connections.popitem()[1][1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int | None, bytes]:
    writer.write(request)
    answer = b""
    while (found := split(answer)) is None:
        piece = await reader.read(65536)
        if not piece:
            raise ConnectionError("hung up")
        answer += piece
    return found


def _is_acknowledgement(channel: str, status: int | None, body: bytes) -> bool:
    match channel:
        case "app":
            return status == 202
        case "wechat":
            return status == 200 and body == b"success"
        case _:
            return status == 250
