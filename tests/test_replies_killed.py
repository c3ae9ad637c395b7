"""A node dies by SIGKILL with replies in its hands: nobody is told twice, and what is not known is said to be so."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from normalizer.reply import Outgoing, Sent
from store.opening import open_store
from store.replybox import ReplyBox
from store.tables import REPLIES
from tests.handing import until
from tests.killed import Step, killed_at
from tests.store.conftest import run, sqlite_url
from tests.test_replies import nothing_waits, queued, sending

CITIZENS = (1, 2)


class Stepping(ReplyBox):
    """Before and after each word about a reply is a step."""

    step: Step

    async def take(self, *given: Any, **more: Any) -> Any:
        self.step()
        found = await super().take(*given, **more)
        self.step()
        return found

    async def sent(self, *given: Any) -> None:
        self.step()
        await super().sent(*given)
        self.step()


def send_all(step: Step, folder: Path) -> None:
    asyncio.run(sends_all(folder, step))


async def sends_all(folder: Path, step: Step) -> None:
    """A node's life: it sends what is due. A line in ``told`` is what a citizen has on his telephone."""
    store = await open_store(sqlite_url(folder), folder / "keys.json")
    box = Stepping(store._database, store._membership, store._keyring, "fake")
    box.step = step

    async def send(outgoing: Outgoing) -> Sent:
        step()
        with (folder / "told").open("a") as told:
            told.write(f"{outgoing.id}\n")
        step()
        return Sent(str(outgoing.id))

    async with sending(store, send, box=box):
        await until(lambda: nothing_waits(store))
    await store.close()


async def prepared(folder: Path) -> None:
    store = await open_store(sqlite_url(folder), folder / "keys.json")
    for citizen in CITIZENS:
        await queued(store, citizen=citizen)
    await store.close()


async def fates(folder: Path) -> list[tuple[str, str | None, int]]:
    """Of each reply its state, the reason, and how often its citizen got it."""
    store = await open_store(sqlite_url(folder), folder / "keys.json")
    rows = await run(store, select(REPLIES))
    assert (await store.reconcile()).balanced
    await store.close()
    told = Counter((folder / "told").read_text().split() if (folder / "told").exists() else ())
    return [(str(row.state), row.reason, told[str(row.id)]) for row in rows]


async def test_killed_at_any_step_of_sending_nobody_is_told_twice(tmp_path: Path) -> None:
    seen: set[tuple[str, str | None, int]] = set()
    for step in itertools.count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        await prepared(folder)
        killed = killed_at(step, send_all, folder)
        await sends_all(folder, lambda *_: None)
        seen |= set(await fates(folder))
        shutil.rmtree(folder)
        if not killed:
            break
    assert seen == {("sent", None, 1), ("unknown", "interrupted", 0), ("unknown", "interrupted", 1)}
    assert step > 8
