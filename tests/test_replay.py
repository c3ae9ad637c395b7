"""`gateway replay --diff`: over everything the channels brought, by the worker processes, and when it is stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from channels.simulated import HttpDelivery
from channels.simulated.app import AppPeer
from gateway import replay
from gateway.commands import replay as command
from gateway.commands.replay import Tally
from gateway.demo.citizens import letters, peers
from gateway.difference import MatterChange, Preview
from gateway.loading import load_config
from gateway.replay import Rereading, Selection, preview
from gateway.rules import CityRules
from gateway.testing import PUBLIC_URL, RunningGateway, Start
from normalizer.model import Outcome

#: In place of the rule for titles: at most 20 characters instead of 40, in every process of Python that is started.
OTHER_RULE = """
import sys
sys.path.insert(0, {root!r})
import normalizer.title as changed
before = changed.title
changed.title = lambda given, text, limit=40: before(given, text, 20)
"""
ROOT = Path(__file__).parent.parent


async def gateway_says(*words: str | Path, **environment: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()


async def everybody_writes(gateway: RunningGateway) -> None:
    """Messages on every channel, one matter of three, a redelivery, and what cannot be read."""
    others = peers(gateway.node.channels, gateway.secrets, PUBLIC_URL)
    for _, delivery in letters(others, datetime.now(UTC)):
        assert (await delivery.send(gateway)).ok
    app = others["app"]
    assert isinstance(app, AppPeer)
    user = {"id": "u-1", "name": "张三"}
    await app.post(
        {"user": user, "text": "和平路的路灯坏了三天了，晚上过马路什么都看不清楚，请尽快派人来修理。"}, key="m1"
    ).send(gateway)
    await gateway.settle()
    (matter,) = [m for m in await gateway.matters() if m.party.name == "张三"]
    for number, text in enumerate(("电话13812345678", "还是没有人来。")):
        body = {"user": user, "text": text, "in_reply_to": str(matter.matter_id)}
        assert (await app.post(body, key=f"a{number}").send(gateway)).ok
        await gateway.settle()
    telegram = gateway.secrets / "telegram-secret-token"
    headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.read_text()}
    await HttpDelivery("/channels/telegram", b"{", headers).send(gateway)
    await gateway.settle()


async def test_a_rule_change_names_the_matters_that_would_differ(start_gateway: Start, tmp_path: Path) -> None:
    async with start_gateway() as gateway:
        await everybody_writes(gateway)
        matters = await gateway.matters()
        books = await gateway.books()
        long = {str(m.matter_id) for m in matters if len(m.title) > 20}
        assert 0 < len(long) < len(matters) and max(len(m.messages) for m in matters) == 3

        node, everything = gateway.node, Selection(tuple(Outcome))
        async with Rereading(seconds=120) as rereading:
            found = [
                one
                async for one in preview(
                    node.store, node.channels, rereading, everything, CityRules.of(node.config.city)
                )
            ]
        assert len(found) == books["envelopes"]
        assert not [one for one in found if one.changed or one.matters]

        (tmp_path / "sitecustomize.py").write_text(OTHER_RULE.format(root=str(ROOT)))
        config = tmp_path / "config.yaml"
        code, out, _ = await gateway_says("replay", "--diff", "--json", "--config", config, PYTHONPATH=str(tmp_path))
        *lines, total = map(json.loads, out.splitlines())
        assert code == 0 and {line["matter"]: line["fields"] for line in lines} == {one: ["title"] for one in long}
        counts = {"read": books["envelopes"], "of": books["envelopes"], "envelopes": 0, "matters": len(long)}
        assert total == counts | {"fields": {"title": len(long)}, "stopped": False}
        assert not any(m.title in out or m.content in out for m in matters)
        assert await gateway.books() == books, "nothing was written"


# -- worker processes --------------------------------------------------------------------------------------------------


@pytest.fixture
async def poisoned(start_gateway: Start, poison_kind: None, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """Seven envelopes kept while all was well; once the cure is gone, the fourth does what it says."""
    cure = tmp_path / "cure"
    cure.touch()

    def only_poison(document: dict[str, Any]) -> None:
        document["channels"] = {"poison": {"kind": "poison", "key": "a-key-of-ours", "cure": str(cure)}}

    async with start_gateway(only_poison) as gateway:
        yield gateway


async def send(gateway: RunningGateway, *how: str) -> None:
    for number, do in enumerate(how):
        body = json.dumps({"do": do, "sender": str(number), "id": str(number), "text": "路灯不亮"}).encode()
        assert (await HttpDelivery("/channels/poison", body, {"key": "a-key-of-ours"}).send(gateway)).ok
    await gateway.settle()


@pytest.mark.parametrize("how", ["raise", "crash"])
async def test_one_envelope_that_fails_does_not_hide_the_others(
    poisoned: RunningGateway, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(poisoned, "say", "say", "say", how, "say", "say", "say")
    (tmp_path / "cure").unlink()
    monkeypatch.setattr(replay, "PAGE", 3)
    node, everything = poisoned.node, Selection(tuple(Outcome))
    async with Rereading(seconds=120) as rereading:
        found = [
            one
            async for one in preview(node.store, node.channels, rereading, everything, CityRules.of(node.config.city))
        ]
    assert [one.envelope_id for one in found] == [one.id for one in await poisoned.envelopes()]
    assert [one.would_be for one in found] == ["1 message"] * 3 + ["failed"] + ["1 message"] * 3
    assert [one.changed for one in found] == [False] * 3 + [True] + [False] * 3


async def test_pages_are_read_by_several_processes_at_once_and_no_more_are_held(
    poisoned: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(poisoned, *["say"] * 12)
    monkeypatch.setattr(replay, "PAGE", 1)
    offload, held, most = Rereading(processes=2, seconds=120), 0, 0
    differences = offload.differences

    async def counting(*asked: Any) -> list[Preview]:
        nonlocal held, most
        held += 1
        most = max(most, held)
        try:
            return await differences(*asked)
        finally:
            held -= 1

    monkeypatch.setattr(offload, "differences", counting)
    node = poisoned.node
    async with offload:
        async for one in preview(
            node.store, node.channels, offload, Selection(tuple(Outcome)), CityRules.of(node.config.city)
        ):
            assert not one.changed
    assert most == offload.processes + 1


# -- in a terminal -----------------------------------------------------------------------------------------------------


async def test_ctrl_c_ends_it_with_what_was_read_and_leaves_no_process(
    poisoned: RunningGateway, tmp_path: Path
) -> None:
    """SIGINT to the whole group, as a terminal sends it, while an envelope hangs in a worker."""
    await send(poisoned, "say", "hang")
    (tmp_path / "cure").unlink()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "replay", "--diff", "--json", "--config", tmp_path / "config.yaml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[:1]])},
    )
    async with asyncio.timeout(120):
        while not [one for one in members(process.pid) if one != process.pid]:
            await asyncio.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")
    told = json.loads(out)
    assert (told["stopped"], told["of"], told["read"] < 2) == (True, 2, True)
    assert members(process.pid) == []


def members(session: int) -> list[int]:
    """Processes of a session that have not ended (proc_pid_stat(5))."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(owner) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


async def test_a_terminal_shows_a_bar_and_a_file_gets_only_the_lines(
    poisoned: RunningGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await send(poisoned, "say", "raise", "say")
    (tmp_path / "cure").unlink()
    config, channels = load_config(tmp_path / "config.yaml")
    terminal = StringIO()
    err = Console(file=terminal, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    code = await command.preview_on(
        config, channels, Selection(tuple(Outcome)), Console(soft_wrap=True), err, fields=True
    )
    shown, told = terminal.getvalue(), capsys.readouterr().out
    assert code == 0 and "3/3" in shown and "100%" in shown and "envelope" not in shown
    first, *rest = told.splitlines()
    assert first.startswith("envelope ") and first.endswith(" poison: filed → failed: messages: 1 → 0")
    assert rest[0].startswith("matter ") and rest[0].endswith(": messages")
    assert rest[1:] == [
        "3 envelopes read again, 1 would come out differently; nothing was written",
        "1 matters would differ: messages 1",
    ]


def tally(**more: bool) -> tuple[Tally, StringIO]:
    file = StringIO()
    console = Console(file=file, soft_wrap=True)
    return Tally(console, console, **{"as_json": False, "fields": True} | more), file


def differing(number: int) -> Preview:
    change = MatterChange(replay.UUID(int=number), ("title",))
    return Preview(replay.UUID(int=number), "app", ("filed",), "1 message", matters=(change,))


def test_a_person_gets_the_first_lines_and_the_number_of_the_others() -> None:
    counted, file = tally()
    for number in range(command.SHOWN + 5):
        counted.add(differing(number))
    counted.sum_up()
    lines = file.getvalue().splitlines()
    assert len(lines) == command.SHOWN + 3
    assert lines[command.SHOWN] == "… and 5 more; --json prints all"


def test_a_program_gets_all() -> None:
    counted, file = tally(as_json=True)
    for number in range(command.SHOWN + 5):
        counted.add(differing(number))
    counted.sum_up()
    assert len(file.getvalue().splitlines()) == command.SHOWN + 6


def test_a_dry_run_names_no_fields_and_no_matters() -> None:
    counted, file = tally(fields=False)
    counted.add(differing(1))
    counted.add(Preview(replay.UUID(int=2), "app", ("malformed",), "1 message", ("messages: 0 → 1",)))
    counted.sum_up()
    assert [line.split(" ")[0] for line in file.getvalue().splitlines()] == ["envelope", "2"]
    assert "messages:" not in file.getvalue()
