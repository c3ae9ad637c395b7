"""`gateway conduct`: beside a running node and without one, each reading and each decision with a name."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from sqlalchemy import select

from gateway.testing import Start
from store.tables import TRANSITIONS
from tests.store.conftest import run as run_sql
from tests.test_held import WORD, apart, strict, until, write

FLOOD = [f"路灯{n}" for n in range(5)]


async def test_flags_are_shown_disputed_taken_away_and_cleared_with_a_name(
    start_gateway: Start, tmp_path: Path
) -> None:
    async with start_gateway(strict) as gateway:
        await write(gateway, "flooder", *FLOOD)
        await until(gateway, filed=5, held=0)
        matter = (await gateway.matters())[-1]
        code, shown, _ = await apart(tmp_path, "show", str(matter.caller_id), "--json", *WORD, group="conduct")
        assert code == 0 and {one["kind"] for one in json.loads(shown)} == {"flood"}
        assert (await apart(tmp_path, "appeal", matter.tracking_code, *WORD, group="conduct"))[0] == 0
        bundle = tmp_path / "bundle.json"
        to = ("--to", str(bundle))
        assert (await apart(tmp_path, "export", matter.tracking_code, *to, *WORD, group="conduct"))[0] == 0
        assert json.loads(bundle.read_text(encoding="utf-8"))["messages"][0]["text"] == "路灯4"
        assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
        code, _, told = await apart(tmp_path, "export", matter.tracking_code, *to, *WORD, group="conduct")
        assert code == 1 and len(told.splitlines()) == 1, "an older bundle is not overwritten"
    assert (await apart(tmp_path, "clear", matter.tracking_code, *WORD, group="conduct"))[0] == 0
    code, _, told = await apart(tmp_path, "clear", matter.tracking_code, *WORD, group="conduct")
    assert code == 1 and len(told.splitlines()) == 1
    async with start_gateway(strict) as gateway:
        await gateway.settle()
        assert (await gateway.matters())[-1].conduct.flags == ()
        steps = await run_sql(gateway.node.store, select(TRANSITIONS).where(TRANSITIONS.c.reason == "Li Hua"))
        assert [row.step for row in steps] == [
            "conduct_read",
            "conduct_appealed",
            "conduct_exported",
            "conduct_exported",
            "conduct_cleared",
        ]
