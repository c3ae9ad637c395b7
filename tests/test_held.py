"""`gateway held`, and holds in a running gateway: a flood waits for a person, its neighbours and danger wait for nothing."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console
from sqlalchemy import select

from channels.simulated.app import AppPeer
from dedupe.conduct import Limits
from gateway.commands.held import list_held
from gateway.commands.held_decide import release_held
from gateway.config import Conduct, Config
from gateway.judging import judging_of
from gateway.loading import load_config
from gateway.testing import RunningGateway, Start
from store.tables import TRANSITIONS
from tests.store.conftest import run as run_sql
from tests.test_door import only

WORD = ("--by", "Li Hua", "--reason", "a test of the machine")


def strict(document: dict[str, Any]) -> None:
    """Two messages a minute are a flood, ten are held."""
    only("app")(document)
    document["conduct"] = {"flood_per_minute": 2, "pieces_per_minute": 1000, "copies_per_minute": 1000}


def in_an_instant(document: dict[str, Any]) -> None:
    strict(document)
    document["conduct"]["hold_minutes"] = 0.05


async def write(gateway: RunningGateway, who: str, *texts: str) -> None:
    app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
    for text in texts:
        assert (await app.post({"user": {"id": who}, "text": text}, key=str(uuid4())).send(gateway)).ok


async def until(gateway: RunningGateway, filed: int, held: int) -> dict[str, Any]:
    """The books, once so many are filed and so many held."""
    async with asyncio.timeout(90):
        while True:
            books = await gateway.node.store.reconcile()
            if (books.outcomes["filed"], books.held) == (filed, held):
                assert books.balanced, books.offending
                return books.outcomes
            await asyncio.sleep(0.02)


async def said(gateway: RunningGateway) -> list[str]:
    return [matter.content for matter in await gateway.matters()]


def settings(tmp_path: Path) -> Config:
    return load_config(tmp_path / "config.yaml")[0]


def console() -> tuple[Console, io.StringIO]:
    printed = io.StringIO()
    return Console(file=printed, width=200), printed


async def test_a_flood_is_held_neighbours_flow_and_danger_overrides(start_gateway: Start) -> None:
    async with start_gateway(strict) as gateway:
        await write(gateway, "flooder", *(f"路灯{n}" for n in range(12)))
        await until(gateway, filed=9, held=3)
        await write(gateway, "honest", "井盖没了")
        await until(gateway, filed=10, held=3)
        await write(gateway, "flooder", "着火了，快来")
        await until(gateway, filed=14, held=0)
        assert [text for text in await said(gateway) if text != "井盖没了"] == [
            *(f"路灯{n}" for n in range(12)),
            "着火了，快来",
        ]
        by_words = {matter.content: matter for matter in await gateway.matters()}
        assert by_words["着火了，快来"].conduct.flags == by_words["井盖没了"].conduct.flags == ()
        (flag,) = by_words["路灯11"].conduct.flags
        assert (flag.kind, flag.evidence[0]) == ("flood", "12 messages within a minute, 12 different texts")
        assert by_words["路灯11"].conduct.disposition == "review"
        assert by_words["路灯5"].conduct.disposition == "none"


async def test_a_held_message_that_nobody_looks_at_goes_on_by_itself(start_gateway: Start) -> None:
    async with start_gateway(in_an_instant) as gateway:
        await write(gateway, "flooder", *(f"路灯{n}" for n in range(12)))
        await until(gateway, filed=12, held=0)
        assert await said(gateway) == [f"路灯{n}" for n in range(12)]
        assert (await gateway.matters())[-1].conduct.disposition == "review"
        await gateway.settle()
        assert len(gateway.core.events) == 12


async def test_a_surge_of_honest_people_in_danger_is_neither_held_nor_flagged(start_gateway: Start) -> None:
    async with start_gateway(strict) as gateway:
        await asyncio.gather(*(write(gateway, f"citizen-{n}", "我们楼着火了") for n in range(50)))
        await until(gateway, filed=50, held=0)
        assert all(matter.conduct.flags == () for matter in await gateway.matters())


async def test_an_operator_reads_releases_and_refuses_beside_a_running_node(
    start_gateway: Start, tmp_path: Path
) -> None:
    async with start_gateway(strict) as gateway:
        await write(gateway, "flooder", *(f"路灯{n}" for n in range(12)))
        await until(gateway, filed=9, held=3)
        code, shown, _ = await apart(tmp_path, "list", "--json")
        first, second, third = json.loads(shown)
        assert code == 0 and first["flags"] == [{"kind": "flood", "score": 0.9}]
        assert first["until"] and second["until"] is None
        assert {one["sender"] for one in (first, second, third)} == {1}
        code, shown, _ = await apart(tmp_path, "show", first["message_id"], *WORD)
        assert code == 0 and "路灯9" in shown
        assert (await apart(tmp_path, "release", first["message_id"], *WORD))[0] == 0
        await until(gateway, filed=10, held=2)
        assert (await apart(tmp_path, "refuse", second["message_id"], "--all", *WORD))[0] == 0
        assert (await until(gateway, filed=10, held=0))["refused"] == 2
        assert gateway.node.metrics.outcomes.labels("app", "refused")._value.get() == 2
        code, shown, told = await apart(tmp_path, "release", second["message_id"], *WORD)
        assert (code, shown, len(told.splitlines())) == (1, "", 1) and "gateway held list" in told
        assert (await apart(tmp_path, "refuse", second["message_id"], "--by", " ", "--reason", "x"))[0] == 2
        steps = await run_sql(gateway.node.store, select(TRANSITIONS).where(TRANSITIONS.c.reason == "Li Hua"))
        assert sorted(row.step for row in steps) == ["read", "refused", "refused", "released"]
        assert {row.words for row in steps} == {b"a test of the machine"}
        await write(gateway, "flooder", "着火了")
        await until(gateway, filed=11, held=0)


async def apart(folder: Path, *words: str, group: str = "held") -> tuple[int | None, str, str]:
    """Run `gateway held`, or another group of commands, as a process of its own: its exit code, and what it printed."""
    script = (
        "-c",
        f"from gateway.cli_{group} import {group}; {group}()",
        *words,
        "--config",
        str(folder / "config.yaml"),
    )
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, *script, **pipes)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_without_a_node_a_command_decides_and_the_next_start_goes_on(
    start_gateway: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, printed = console()
    async with start_gateway(strict) as gateway:
        await write(gateway, "flooder", *(f"路灯{n}" for n in range(11)))
        await until(gateway, filed=9, held=2)
    config = settings(tmp_path)
    await list_held(config, out, as_json=True)
    first = json.loads(capsys.readouterr().out)[0]
    await list_held(config, out, as_json=False)
    assert "flood 0.90" in printed.getvalue() and "路灯" not in printed.getvalue()
    assert await release_held(config, UUID(first["message_id"]), "Li Hua", "a test", out, every=True) == 0
    assert "2 go on" in printed.getvalue()
    assert await list_held(config, out, as_json=False) == 0 and "nothing is held" in printed.getvalue()
    async with start_gateway(strict) as gateway:
        await until(gateway, filed=11, held=0)


def test_the_settings_and_the_rules_have_the_same_limits() -> None:
    assert judging_of(Conduct(), {}).limits == Limits()
