"""`gateway links`: beside a running node and without one; what is linked is shown with its reasons, and undone."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from channels.simulated.app import AppPeer
from gateway.testing import RunningGateway, Start
from normalizer.model import HotlineMatter, Outcome
from store.tables import TRANSITIONS
from tests.store.conftest import run as run_sql
from tests.test_cli import run_apart, run_beside
from tests.test_door import only
from tests.test_linking import DUST, LAMP, LAMP_AGAIN, LAMP_MORE, OTHER

WORD = ("--reason", "another lamp", "--by", "Li Hua")


def linking(document: dict[str, Any]) -> None:
    only("app")(document)
    document["dedupe"]["linking"] = "join"


async def told(gateway: RunningGateway, *said: tuple[str, str]) -> list[HotlineMatter]:
    app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
    for citizen, text in said:
        delivery = app.post({"user": {"id": citizen}, "text": text}, key=str(uuid4()))
        assert (await delivery.send(gateway)).ok
        await gateway.settle()
    return await gateway.matters()


async def test_beside_a_node_links_are_shown_and_a_message_is_split_off(start_gateway: Start, tmp_path: Path) -> None:
    config = ("--config", str(tmp_path / "config.yaml"))
    async with start_gateway(linking) as gateway:
        matter, other = await told(gateway, ("li", LAMP), ("li", LAMP_MORE), ("li", LAMP_AGAIN), ("li", OTHER))
        shown, (code, out, _) = await asyncio.gather(
            show(matter.tracking_code, *config), run_apart("links", "show", matter.tracking_code, *config)
        )
        assert [one["kind"] for one in shown["said"]] == ["belongs", "belongs"]
        assert all(one["decided_by"] == "rule" and one["shares"] for one in shown["said"])
        assert code == 0 and "with something new" in out
        assert "路灯" not in out, out
        leaving = shown["messages"][1]["message_id"]
        code, out, _ = await run_apart("links", "split", matter.tracking_code, leaving, *WORD, *config)
        assert code == 0 and "the new matter is" in out
        code, out, err = await run_apart("links", "split", matter.tracking_code, leaving, *WORD, *config)
        assert (code, out, len(err.splitlines())) == (1, "", 1) and "links show" in err
        assert (await run_apart("links", "join", other.tracking_code, matter.tracking_code, *WORD, *config))[0] == 0
        await gateway.settle()
        kinds = [event["type"].split(".")[2] for event in gateway.core.events.values()]
        assert sorted(kinds) == ["amended", "amended", "amended", "chased", "filed", "filed", "filed"]
        assert (await gateway.books())["balanced"]


async def show(named: str, *words: str) -> dict[str, Any]:
    code, out, err = await run_apart("links", "show", named, "--json", *words)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


async def test_without_a_node_a_member_is_taken_out_and_decisions_are_exported(
    start_gateway: Start, tmp_path: Path
) -> None:
    config = ("--config", str(tmp_path / "config.yaml"))
    async with start_gateway(linking) as gateway:
        first, second = await told(gateway, ("li", DUST[0]), ("wang", DUST[1]))
        assert first.incident_id is not None and second.incident_id is not None
        incident = str(first.incident_id.id)
    assert (await run_beside("links", "unlink", second.tracking_code, incident, *WORD, *config))[0] == 0
    files = ("--messages", tmp_path / "m.csv", "--gold", tmp_path / "g.csv")
    code, out, _ = await run_beside("links", "export", *files, *WORD, *config)
    assert code == 0 and "1 pairs, 2 messages" in out
    with (tmp_path / "g.csv").open(encoding="utf-8") as gold, (tmp_path / "m.csv").open(encoding="utf-8") as texts:
        (pair,) = csv.DictReader(gold)
        messages = {row["id"]: row for row in csv.DictReader(texts)}
    assert pair["label"] == "0" and {pair["id_a"], pair["id_b"]} == set(messages)
    assert {row["text"] for row in messages.values()} == {DUST[0], DUST[1]}
    assert {row["sender"] for row in messages.values()} == {str(first.caller_id), str(second.caller_id)}
    async with start_gateway(linking) as gateway:
        noted = select(TRANSITIONS.c.reason, TRANSITIONS.c.words).where(TRANSITIONS.c.step == "exported")
        rows = await run_sql(gateway.node.store, noted)
        assert [(row.reason, row.words) for row in rows] == [("Li Hua", b"another lamp")] * 2


async def test_what_is_not_there_is_refused_in_a_sentence(start_gateway: Start, tmp_path: Path) -> None:
    config = ("--config", str(tmp_path / "config.yaml"))
    async with start_gateway(linking) as gateway:
        (matter,) = await told(gateway, ("li", LAMP))
    for words in (
        ("show", "123"),
        ("join", matter.tracking_code, matter.tracking_code, *WORD),
        ("unlink", matter.tracking_code, "123", *WORD),
        ("join", matter.tracking_code, matter.tracking_code, "--incident", *WORD),
    ):
        code, out, err = await run_beside("links", *words, *config)
        assert (code, out, len(err.splitlines())) == (1, "", 1), words
    code, _, err = await run_beside("links", "join", "1", "2", "--by", " ", "--reason", "x", *config)
    assert code == 2 and "--by" in err


async def test_a_repeat_is_recognised_after_a_restart_and_by_the_books(start_gateway: Start) -> None:
    async with start_gateway(linking) as gateway:
        await told(gateway, ("li", LAMP))
    async with start_gateway(linking) as gateway:
        (matter,) = await told(gateway, ("li", LAMP_AGAIN), ("li", LAMP))
        assert len(matter.messages) == 3
        books = await gateway.books()
        assert books["balanced"] and books["outcomes"][Outcome.FILED] == 1
