"""What the examples of one test stand on: a store that is empty again for each of them."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from operator import methodcaller
from pathlib import Path

from sqlalchemy import Connection, delete
from sqlalchemy.engine import make_url

from store.opening import open_store
from store.store import Store
from store.tables import CHANNEL_STATE, METADATA
from tests.model.clocks import OUR_CLOCK, PATH
from tests.model.loop import Loop
from tests.model.world import World


class Ground:
    """What the examples of one test share: an address, a key file, and how a store becomes empty again."""

    def __init__(self, url: str, key_file: Path, names: tuple[str, ...]) -> None:
        self.url, self.key_file, self.names = url, key_file, names

    @contextmanager
    def world(self) -> Iterator[World]:
        with closing(Loop()) as loop:
            monitor = loop.run_until_complete(self.empty())
            world = World(loop, monitor, self.url, self.key_file, self.names)
            with world.clocks.installed():
                loop.run_until_complete(world.clocks.tell_database())
                try:
                    yield world
                finally:
                    loop.run_until_complete(world.end())
                    loop.run_until_complete(monitor.close())

    async def empty(self) -> Store:
        """A reader of the store, in which nothing is."""
        raise NotImplementedError


class File(Ground):
    """A copy of a store that was never used."""

    def make(self) -> None:
        asyncio.run(_make(self.url, self.key_file))
        path = self._path
        path.rename(path.with_suffix(".empty"))

    @property
    def _path(self) -> Path:
        return Path(str(make_url(self.url).database))

    async def empty(self) -> Store:
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()
        shutil.copy(self._path.with_suffix(".empty"), self._path)
        return await open_store(self.url, self.key_file, owner=False)


class Served(Ground):
    """A database of its own, whose clock is ours. The server is not killed here: its commits need no fsync."""

    def make(self) -> None:
        ours = f"ALTER DATABASE {make_url(self.url).database} SET"
        settings = (f"{ours} search_path = {PATH}", f"{ours} synchronous_commit = off")
        asyncio.run(_make(self.url, self.key_file, *OUR_CLOCK, *settings))

    async def empty(self) -> Store:
        monitor = await open_store(self.url, self.key_file, owner=False)

        def transaction(connection: Connection) -> None:
            for table in reversed(METADATA.sorted_tables):
                if table is not CHANNEL_STATE:
                    connection.execute(delete(table))
            for name in ("work", "transitions"):
                connection.exec_driver_sql(f"SELECT setval('{name}_sequence_seq', 1, false)")

        await monitor._database.write(transaction)
        return monitor


async def _make(url: str, key_file: Path, *statements: str) -> None:
    """A store with its schema, written with keys that are the same in each run."""
    keys = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    key_file.touch(mode=0o600)
    key_file.write_text(json.dumps({"active": 1, "sealing": {"1": keys[0]}, "matching": keys[1]}))
    store = await open_store(url, key_file)
    for statement in statements:
        await store._database.write(methodcaller("exec_driver_sql", statement))
    await store.close()
