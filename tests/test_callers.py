"""`gateway callers`: beside a running node and without one; contacts masked, and what an operator says kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from channels.simulated.app import AppPeer
from gateway.testing import RunningGateway, Start
from normalizer.model import HotlineMatter
from store.people import Word
from tests.test_cli import run, run_apart, run_beside, write
from tests.test_door import only

WORD = ("--reason", "at the counter", "--by", "Li Hua")


async def two_matters(gateway: RunningGateway) -> list[HotlineMatter]:
    app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
    for citizen in ("resident-1234", "resident-5678"):
        assert (await app.post({"user": {"id": citizen}, "text": "路灯不亮"}, key=citizen).send(gateway)).ok
        await gateway.settle()
    return await gateway.matters()


async def test_beside_a_node_two_are_joined_shown_and_parted(start_gateway: Start, tmp_path: Path) -> None:
    config = ("--config", str(tmp_path / "config.yaml"))
    async with start_gateway(only("app")) as gateway:
        first, second = await two_matters(gateway)
        code, out, _ = await run_apart("callers", "join", first.tracking_code, second.tracking_code, *WORD, *config)
        assert code == 0 and "joined" in out
        shown = await show(second.tracking_code, *config)
        assert shown["person"] == str(first.caller_id) and len(shown["callers"]) == 2
        assert [contact["value"] for contact in shown["contacts"]] == ["re***34", "re***78"]
        (join,) = shown["joins"]
        assert (join["evidence"], join["decided_by"], join["reason"]) == ("operator", "Li Hua", "at the counter")
        await gateway.settle()
        told = {event["data"]["matter_id"]: event["data"]["caller_id"] for event in gateway.core.events.values()}
        assert set(told.values()) == {str(first.caller_id)}, "the core has been told"
        full = await show(first.tracking_code, "--reveal", *WORD, *config)
        assert [contact["value"] for contact in full["contacts"]] == ["resident-1234", "resident-5678"]
        for expected in (0, 1):
            assert (await run_apart("callers", "undo", join["id"], *WORD, *config))[0] == expected
        assert len((await gateway.node.store.people().sheet(second.tracking_code)).callers) == 1
        assert (await gateway.books())["balanced"]


async def show(named: str, *words: str) -> dict[str, Any]:
    code, out, err = await run_apart("callers", "show", named, "--json", *words)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


async def test_without_a_node_the_store_is_written_by_the_command(start_gateway: Start, tmp_path: Path) -> None:
    config = ("--config", str(tmp_path / "config.yaml"))
    async with start_gateway(only("app")) as gateway:
        first, second = await two_matters(gateway)
        join_id = await gateway.node.store.people().join(
            first.tracking_code, second.tracking_code, Word("Li Hua", "at the counter", gateway.node.clock())
        )
    code, out, _ = await run_beside("callers", "show", first.tracking_code, *config)
    assert code == 0 and "2 callers" in out and "resident" not in out
    assert (await run_beside("callers", "undo", join_id, *WORD, *config))[0] == 0
    code, out, err = await run_beside("callers", "join", first.tracking_code, str(uuid4()), *WORD, *config)
    assert (code, out, len(err.splitlines())) == (1, "", 1) and "is no caller and no matter" in err


def test_nobody_joins_or_reads_without_name_and_reason(tmp_path: Path) -> None:
    config = ("--config", str(write(tmp_path)))
    for words in (
        ("callers", "join", "a", "b", "--by", "Li Hua"),
        ("callers", "join", "a", "b", "--reason", " ", "--by", "Li Hua"),
        ("callers", "undo", str(uuid4()), "--reason", "x"),
        ("callers", "show", "a", "--reveal", "--by", "Li Hua"),
    ):
        result = run(*words, *config)
        assert (result.exit_code, result.stdout) == (2, ""), words
