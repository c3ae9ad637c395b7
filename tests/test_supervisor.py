"""The supervisor: a failing channel stops only itself, is started again, and its exceptions' words stay inside."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import httpx
import pytest
from structlog.testing import capture_logs

from channels.base import Channel, Deliver, State
from channels.errors import ChannelError, NotSent, TooMany
from channels.settings import ChannelSettings
from gateway.supervisor import LONGEST_SECONDS, Health, Supervisor
from gateway.testing import Start
from normalizer.model import Envelope, Parsed
from store.membership import Lead
from tests.test_door import only

AT = datetime(2026, 11, 22, tzinfo=UTC)
QUOTE = "+8613800138000 wrote 路灯不亮"


class Settings(ChannelSettings):
    kind: Literal["fake"] = "fake"


class Idle(Channel[Settings]):
    """Has nothing to run."""

    kind: ClassVar[str] = "fake"
    Settings = Settings
    summary: ClassVar[str] = ""

    def parse(self, envelope: Envelope) -> Parsed:
        return ()


class Busy(Idle):
    """Runs as it is told, one behaviour per start, the last for ever."""

    def __init__(self, name: str, *behaviours: Callable[[], Awaitable[None]]) -> None:
        super().__init__(name, Settings())
        self.behaviours, self.starts = behaviours, 0

    async def run(self, deliver: Deliver, state: State) -> None:
        self.starts += 1
        await self.behaviours[min(self.starts, len(self.behaviours)) - 1]()


async def well() -> None:
    await asyncio.Event().wait()


async def returns() -> None:
    return


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fails() -> None:
        raise error

    return fails


class Waits:
    """Stands in for asyncio.sleep: notes the wait, and lets the clock jump instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, enough: int) -> None:
        self.seconds: list[float] = []
        self.over = asyncio.Event()
        self._enough = enough
        self.now = AT
        monkeypatch.setattr("gateway.supervisor.asyncio.sleep", self)

    def clock(self) -> datetime:
        return self.now

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.now += timedelta(seconds=seconds)
        if len(self.seconds) >= self._enough:
            self.over.set()
            await asyncio.Event().wait()


async def deliver(*_: Any) -> Any:
    raise AssertionError("nothing is delivered here")


def leading(_name: str) -> Lead:
    """The only node leads everything."""
    lead = Lead()
    lead.tell(held=True)
    return lead


def supervise(
    *channels: Idle,
    clock: Callable[[], datetime] = lambda: AT,
    lead: Callable[[str], Lead] = leading,
    jitter: Callable[[], float] = lambda: 1.0,
) -> Supervisor:
    states: Any = dict.fromkeys([channel.name for channel in channels])
    return Supervisor(channels, deliver, states, lead, clock=clock, jitter=jitter)


async def until(supervisor: Supervisor, reached: Callable[[], Awaitable[Any]]) -> None:
    """Run the supervisor until ``reached`` returns; fails after 5 s."""
    running = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(5):
            await reached()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_failing_channel_is_started_again_while_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch, enough=3)
    failing, healthy = Busy("failing", raising(ValueError(QUOTE))), Busy("healthy", well)
    supervisor = supervise(failing, healthy)
    await until(supervisor, waits.over.wait)
    assert (failing.starts, healthy.starts) == (3, 1)
    assert supervisor.health == {
        "failing": Health(running=False, trouble="ValueError", since=AT),
        "healthy": Health(running=True, since=AT),
    }


async def test_a_channel_that_comes_back_is_well_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, back = Waits(monkeypatch, enough=9), asyncio.Event()

    async def recovers() -> None:
        back.set()
        await well()

    supervisor = supervise(Busy("a", raising(OSError()), raising(OSError()), recovers))
    await until(supervisor, back.wait)
    assert waits.seconds == [1.0, 2.0]
    assert supervisor.health["a"] == Health(running=True, since=AT)


async def test_the_waits_double_up_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch, enough=9)
    await until(supervise(Busy("a", raising(OSError()))), waits.over.wait)
    assert waits.seconds == [1, 2, 4, 8, 16, 32, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


async def test_the_waits_vary_by_half_so_that_not_all_come_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch, enough=3)
    jitter = iter([0.0, 0.5, 1.0]).__next__
    await until(supervise(Busy("a", raising(OSError())), jitter=jitter), waits.over.wait)
    assert waits.seconds == [0.5, 1.5, 4.0]


async def test_who_asks_for_a_longer_wait_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox that does not let us in is not knocked at every minute."""
    waits = Waits(monkeypatch, enough=2)
    await until(supervise(Busy("a", raising(TooMany("login_refused", 600.0)), returns)), waits.over.wait)
    assert waits.seconds == [600.0, 2.0]


@pytest.mark.parametrize(
    ("error", "passing"), [(NotSent("cut"), True), (OSError(), True), (ChannelError("x"), False), (KeyError(), False)]
)
async def test_what_may_pass_by_itself_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, error: Exception, passing: bool
) -> None:
    waits = Waits(monkeypatch, enough=1)
    supervisor = supervise(Busy("a", raising(error)))
    await until(supervisor, waits.over.wait)
    assert supervisor.health["a"].passing is passing


async def test_silence_counts_from_the_last_progress_of_whoever_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    now, lead = [AT], Lead()
    supervisor = supervise(Busy("a", well), clock=lambda: now[0], lead=lambda _: lead)

    async def turns() -> None:
        now[0] += timedelta(hours=1)
        assert supervisor.silence("a") == timedelta(0), "who stands by is not silent"
        lead.tell(held=True)
        await reached(lambda: supervisor.health["a"].running)
        now[0] += timedelta(minutes=2)
        assert supervisor.silence("a") == timedelta(minutes=2)
        supervisor.progressed("a")
        assert supervisor.silence("a") == timedelta(0)
        now[0] += timedelta(minutes=3)
        lead.tell(held=False)
        await reached(lambda: supervisor.health["a"].standing_by)
        assert supervisor.silence("a") == timedelta(0)

    await until(supervisor, turns)


async def test_after_running_well_for_a_while_the_waits_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch, enough=5)
    starts = itertools.count(1)

    async def third_runs_long() -> None:
        if next(starts) == 4:
            waits.now += timedelta(seconds=LONGEST_SECONDS + 1)
        raise OSError

    await until(supervise(Busy("a", third_runs_long), clock=waits.clock), waits.over.wait)
    assert waits.seconds == [1, 2, 4, 1, 2]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        pytest.param(ChannelError("status_409", QUOTE), "status_409", id="a channel's own: its word, not its detail"),
        pytest.param(ValueError(QUOTE), "ValueError", id="another: its type"),
        pytest.param(ExceptionGroup(QUOTE, [ValueError(QUOTE)]), "ExceptionGroup", id="a group"),
        pytest.param(TimeoutError(), "TimeoutError", id="a time-out"),
        pytest.param(OSError(98, "cannot listen on h:25: in use"), "cannot listen on h:25: in use", id="an address"),
    ],
)
async def test_the_trouble_is_one_word_and_never_quotes(
    monkeypatch: pytest.MonkeyPatch, error: Exception, shown: str
) -> None:
    waits = Waits(monkeypatch, enough=1)
    supervisor = supervise(Busy("a", raising(error)))
    with capture_logs() as logs:
        await until(supervisor, waits.over.wait)
    assert supervisor.health["a"].trouble == shown
    assert [(entry["event"], entry["channel"], entry["reason"]) for entry in logs] == [("channel_stopped", "a", shown)]
    assert QUOTE not in str(logs)


async def test_what_has_nothing_to_run_is_not_in_the_health_table() -> None:
    supervisor = supervise(Idle("idle", Settings()), Busy("busy", well))
    assert supervisor.health.keys() == {"busy"}


class Listens(Busy):
    """A server of its own: it runs on every node."""

    listens: ClassVar[bool] = True


async def test_what_polls_runs_only_while_this_node_leads_it_and_a_server_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leads, stopped = {name: Lead() for name in ("channel:polls", "channel:serves")}, asyncio.Event()

    async def polls() -> None:
        try:
            await well()
        finally:
            stopped.set()

    polling, serving = Busy("polls", polls), Listens("serves", well)
    supervisor = supervise(polling, serving, lead=leads.__getitem__)

    async def turns() -> None:
        await reached(lambda: serving.starts)
        assert supervisor.health["polls"] == Health(running=False, standing_by=True)
        for turn in (1, 2):
            stopped.clear()
            leads["channel:polls"].tell(held=True)
            await reached(lambda turn=turn: polling.starts == turn)  # type: ignore[misc]
            assert supervisor.health["polls"] == Health(running=True, since=AT)
            leads["channel:polls"].tell(held=False)
            await stopped.wait()
            await reached(lambda: supervisor.health["polls"] == Health(running=False, standing_by=True))
        assert (polling.starts, serving.starts) == (2, 1)

    await until(supervisor, turns)


async def reached(true: Callable[[], Any]) -> None:
    while not true():
        await asyncio.sleep(0)


async def test_a_run_that_returns_is_started_again_like_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch, enough=2)
    supervisor = supervise(Busy("a", returns))
    await until(supervisor, waits.over.wait)
    assert supervisor.health["a"].trouble == "ended"


async def test_readiness_names_the_channel_and_its_trouble(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram in its polling mode stands for any channel that runs; here its run fails."""
    well_again = asyncio.Event()

    async def run(_self: Any, _deliver: Deliver, _state: State) -> None:
        if well_again.is_set():
            await well()
        await broken.wait()
        raise ChannelError("status_409", QUOTE)

    broken = asyncio.Event()
    monkeypatch.setattr("channels.telegram.Telegram.run", run)
    monkeypatch.setattr("channels.telegram.Telegram.runs", True)
    async with (
        start_gateway(only("telegram", "app")) as gateway,
        httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as client,
    ):
        assert (await client.get("/readyz")).status_code == 200
        broken.set()
        async with asyncio.timeout(5):
            while (answer := await client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.01)
        assert answer.json() == {"status": "not ready", "complaints": ["channel telegram: status_409"], "notes": []}
        assert (await client.get("/livez")).status_code == 200  # the others, and the process, are well
        well_again.set()
        await gateway.node.ready(5)
        assert (await client.get("/readyz")).status_code == 200
