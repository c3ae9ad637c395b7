"""`gateway backup` and `gateway restore` as an operator uses them, with a gateway that is killed in between."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.simulated.app import AppPeer
from gateway.clock import now
from gateway.demo.core import StandInCore
from store.opening import open_store
from tests.test_cli import reconciled, run, run_apart, run_beside, start, write


class Town:
    """A configuration, a core that remembers, citizens, and a gateway in a process of its own that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            self.core_port, port = (server.getsockname()[1] for server in (first, second))
        self.http_url = f"http://127.0.0.1:{port}"

        def change(document: dict[str, Any]) -> None:
            document["core"]["url"] = f"http://127.0.0.1:{self.core_port}/events"
            document["server"]["listen"] = f"127.0.0.1:{port}"

        self.config = write(folder, change)
        self.secrets = folder / "secrets"
        #: What the core knows by event id, and how often it was told again; kept while it is away.
        self.events: dict[str, Any] = {}
        self.repeated = 0
        self.peer = AppPeer("app", None, key=(self.secrets / "app-key").read_text())
        self._numbers = itertools.count(1)

    @contextlib.asynccontextmanager
    async def core_runs(self) -> AsyncIterator[None]:
        """Within it the core takes events; it remembers those of before."""
        secret = (self.secrets / "core-secret").read_text()
        core = StandInCore(f"http://127.0.0.1:{self.core_port}/events", secret)
        core.events = self.events
        serving = asyncio.create_task(core.run())
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            self.repeated += core.repeated

    @contextlib.asynccontextmanager
    async def gateway_runs(self) -> AsyncIterator[None]:
        """Within it a gateway serves; SIGKILL ends it."""
        process = await start("serve", "--config", self.config)
        said = asyncio.create_task(process.communicate())
        try:
            async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
                while not await self._serves(client):
                    assert not said.done(), said.result()
                    await asyncio.sleep(0.05)
            yield
        finally:
            if process.returncode is None:
                process.kill()
            await said

    async def _serves(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.http_url}/livez")).is_success
        except httpx.TransportError:
            return False

    async def say(self, count: int) -> None:
        """Citizens write, each something else; returns when all is acknowledged."""
        for number in itertools.islice(self._numbers, count):
            said = self.peer.say(f"诉求{number}", sender=str(number), message_id=str(number), at=now())
            assert (await said.send(self)).ok

    async def until(self, **counts: int) -> None:
        """Return when the books show these counts of events, and nothing waits to be filed."""
        store = await open_store(f"sqlite:///{self.folder}/gateway.db", self.folder / "keys.json", owner=False)
        try:
            async with asyncio.timeout(60):
                while True:
                    # First the queue: what has left it has its events in the books that are read after it.
                    if not await store.pending() and counts.items() <= (await store.reconcile()).events.items():
                        return
                    await asyncio.sleep(0.05)
        finally:
            await store.close()

    def lose_the_store(self) -> None:
        for path in self.folder.glob("gateway.db*"):
            path.unlink()


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


async def test_a_restored_node_sends_again_what_was_in_flight_and_the_core_sees_nothing_twice(town: Town) -> None:
    backup = town.folder / "backup"
    async with town.gateway_runs():
        async with town.core_runs():
            await town.say(5)
            await town.until(delivered=5, waiting=0)
        await town.say(5)  # in flight: the core is away
        await town.until(delivered=5, waiting=5)
        saving = asyncio.create_task(run_beside("backup", backup, "--config", town.config))
        while not saving.done():
            await town.say(1)  # a busy node
        code, told, _ = await saving
        assert (code, "✓ the books balance" in told) == (0, True)
        assert f"{town.folder}/keys.json is not in it: save it apart" in told
        async with town.core_runs():
            await town.say(5)
            await town.until(waiting=0)
    delivered = dict(town.events)
    town.lose_the_store()
    code, told, _ = await run_beside("restore", backup, "--config", town.config)
    assert (code, "✓ the books balance" in told) == (0, True)
    in_flight = (await reconciled(town.config))["events"]["waiting"]
    assert in_flight >= 5
    async with town.gateway_runs(), town.core_runs():
        await town.until(waiting=0)
        await town.say(1)
        await town.until(waiting=0)
    assert town.repeated >= in_flight
    assert {known: town.events[known] for known in delivered} == delivered
    after = await reconciled(town.config)
    assert after["events"]["owed"] == after["events"]["delivered"] == after["outcomes"]["filed"]


async def test_a_second_backup_of_the_same_name_and_a_restore_beside_a_node_are_refused(town: Town) -> None:
    backup = town.folder / "backup"
    async with town.gateway_runs():
        assert (await run_beside("backup", backup, "--config", town.config))[0] == 0
        code, out, err = await run_beside("backup", backup, "--config", town.config)
        assert (code, out) == (1, "")
        assert err == f"✗ {backup} is there already: name another file, backups are never overwritten\n"
        code, out, err = await run_beside("restore", backup, "--config", town.config)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert "gateway.db is in use by a running gateway: stop it" in err


async def test_a_backup_that_cannot_be_used_is_told_in_one_sentence(town: Town) -> None:
    store = await open_store(f"sqlite:///{town.folder}/gateway.db", town.folder / "keys.json")
    await store.close()
    backup = town.folder / "backup"
    assert (await run_beside("backup", backup, "--config", town.config))[0] == 0
    town.lose_the_store()
    shutil.move(town.folder / "keys.json", town.folder / "apart")
    code, out, err = await run_beside("restore", backup, "--config", town.config)
    assert (code, out) == (1, "")
    assert err == f"✗ cannot read the key file {town.folder}/keys.json: No such file or directory\n"
    shutil.move(town.folder / "apart", town.folder / "keys.json")
    backup.write_bytes(backup.read_bytes()[:-1])
    code, out, err = await run_beside("restore", backup, "--config", town.config)
    assert (code, out) == (1, "")
    assert err == f"✗ {backup} is no whole backup: it was cut short or changed, use another one\n"


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_on_postgresql_both_commands_say_what_to_use_instead(tmp_path: Path, command: str) -> None:
    path = write(tmp_path, lambda document: document["store"].update(url="postgresql:///hotline?host=/nowhere"))
    result = run(command, str(tmp_path / "backup"), "--config", str(path))
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert "this is for SQLite; on PostgreSQL use" in result.stderr and "docs/OPERATING.md" in result.stderr


async def test_an_older_program_refuses_a_newer_store_in_one_sentence(town: Town) -> None:
    store = await open_store(f"sqlite:///{town.folder}/gateway.db", town.folder / "keys.json")
    await store._database.write(
        lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    )
    await store.close()
    for words in (("serve",), ("migrate",), ("reconcile",), ("replay",), ("backup", str(town.folder / "backup"))):
        apart = words == ("serve",)  # it sets up logging
        code, out, err = await (run_apart if apart else run_beside)(*words, "--config", town.config)
        assert (code, out) == (1, ""), words
        assert err.strip() == "✗ the store is newer than this program: install the version that made it", words


async def test_what_lies_in_a_bucket_is_named_as_not_in_the_backup(tmp_path: Path) -> None:
    path = write(tmp_path, lambda document: document["store"].update(files="s3://city/files"))
    store = await open_store(f"sqlite:///{tmp_path}/gateway.db", tmp_path / "keys.json")
    await store.close()
    code, out, _ = await run_beside("backup", tmp_path / "backup.tar", "--config", path)
    assert code == 0 and "s3://city/files" in out
    assert not list(tmp_path.glob("**/s3:*"))
