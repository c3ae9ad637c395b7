"""Nodes that stop, are killed and start while the database is away: what they have acknowledged is moved by the next."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.errors import StoreUnavailable
from store.keys import load_or_create
from store.opening import Standby, open_store
from store.store import Store
from tests.killed import killed_at
from tests.line import Line
from tests.store.beside import (
    Opens,
    away,
    balanced,
    emptied,
    line,
    node,
    opens,
    queue,
    until,
    url,
)
from tests.store.conftest import envelope

__all__ = ["line", "node", "opens", "url"]


async def test_a_node_that_stops_and_starts_while_the_database_is_away_moves_all_of_it(
    opens: Opens, line: tuple[Line, str]
) -> None:
    first, sent = await opens(), [envelope(f"{n}".encode()) for n in range(6)]
    await first.keep(sent[0])
    async with away(line[0]):
        await first.keep(sent[1])
        await first.close()
        for one in sent[2:5]:
            node = await opens()
            assert node.trouble is not None
            await node.keep(one)
            if one is not sent[4]:
                await node.close()
        assert await node.journaled() == 4
    await emptied(node)
    await until(lambda: asyncio.sleep(0, node.trouble is None))
    await node.keep(sent[5])
    assert await queue(node) == [one.id for one in sent]
    await balanced(node, 6)


async def test_a_killed_node_leaves_its_journal_to_the_next(
    opens: Opens, line: tuple[Line, str], key_file: Path, tmp_path: Path
) -> None:
    """Killed between acknowledgements, in the middle of a move, and before it has forgotten what it moved."""
    await (await opens()).close()
    told, steps = tmp_path / "told", itertools.count(1)
    while await asyncio.to_thread(killed_at, next(steps), _works, line[1], key_file, tmp_path):
        pass
    acknowledged = told.read_text().split()
    assert next(steps) > 6 and len(acknowledged) > 10
    node = await opens()
    await emptied(node)
    found = {found.body.decode() for found in await node.envelopes()}
    assert set(acknowledged) <= found
    await balanced(node, len(found))


def _works(count: Callable[..., None], url: str, key_file: Path, folder: Path) -> None:
    asyncio.run(_takes_and_moves(count, url, key_file, folder))


async def _takes_and_moves(count: Callable[..., None], url: str, key_file: Path, folder: Path) -> None:
    """In a child: takes deliveries while the database is away, then moves them; ``count`` stands at each step."""
    from store import keeping  # noqa: PLC0415 - the child's own, to be changed

    keeping.PATIENCE_SECONDS = 0.3
    store = await open_store(url, key_file, standby=Standby(folder / "journal"))
    journal, beside = store._keeping._journal, store._keeping
    assert journal is not None
    beside._beside = True
    with (folder / "told").open("a") as told:
        for number in range(3):
            one = envelope(f"{time.monotonic_ns()}-{number}".encode())
            await store.keep(one)
            told.write(one.body.decode() + "\n")
            told.flush()
            count()
    forget = journal.forget

    async def forgets(moved: Any) -> None:
        count()
        await forget(moved)
        count()

    journal.forget = forgets  # type: ignore[method-assign]
    while beside._beside:
        await asyncio.sleep(0.01)
    count()
    await store.close()


async def test_without_its_key_file_no_node_starts_while_the_database_is_away(
    line: tuple[Line, str], key_file: Path, tmp_path: Path
) -> None:
    line[0].cut()
    with pytest.raises(StoreUnavailable):
        await open_store(line[1], key_file, standby=Standby(tmp_path / "journal"))
    assert not key_file.exists() and not (tmp_path / "journal").exists()


async def test_a_node_that_started_blind_with_other_keys_writes_nothing_into_the_database_and_says_why(
    store: Store, opens: Opens, line: tuple[Line, str], key_file: Path
) -> None:
    key_file.unlink()
    load_or_create(key_file, fresh=True)
    async with away(line[0]):
        blind = await opens()
        await blind.keep(envelope())
    await until(lambda: asyncio.sleep(0, "key file does not belong" in str(blind.trouble)))
    assert await blind.journaled() == 1
    await balanced(store, 0)
