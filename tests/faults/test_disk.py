"""The disk fills up or fails: no acknowledgement is a lie, and service resumes by itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest

from channels.simulated.app import AppPeer
from tests.disks import mounted_at
from tests.faults.conftest import FULL
from tests.faults.ledger import examine, result
from tests.faults.load import Letter, Load
from tests.faults.shim import Control, Operation
from tests.faults.world import World, controlled, inhabited
from tests.faults.zygote import Zygote

CHANNELS = ("app", "wechat", "mailbox")
REFUSALS = {"app": 503, "wechat": 503, "mailbox": 451}
#: Seconds within which service resumes once the fault is gone.
RESUMED = 10.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """16 MiB for the data folder."""
    with mounted_at(tmp_path / "data") as folder:
        yield folder


@pytest.fixture
async def cramped(small_disk: Path, zygote: Zygote) -> AsyncIterator[World]:
    """A world on a small disk."""
    async with inhabited(small_disk.parent, zygote) as made:
        yield made


async def test_a_full_disk_refuses_and_resumes(cramped: World, small_disk: Path) -> None:
    load, worst = Load(cramped, CHANNELS), 0.0
    await cramped.start()
    for _ in range(5 if FULL else 1):
        before = [load.letter(channel, f"10000000{number}") for number, channel in enumerate(CHANNELS)]
        for letter in before:
            await load.insist(letter)
        fill(small_disk)
        refused = await _refused(load, small_disk)
        await _readable_while_full(cramped, before[0])
        (small_disk / "filler").unlink()
        gone = time.monotonic()
        async with asyncio.timeout(3 * RESUMED):
            for letter in [*refused, *(letter for letter in load.letters if letter.acknowledged is None)]:
                await load.insist(letter)
        worst = max(worst, load.first_after(gone))
        await cramped.settled()
    ledger = await examine(cramped, load, in_order=False)
    result("disk_full", cramped, ledger, runs=5 if FULL else 1, recovery_seconds=worst)
    assert ledger.complaints == []
    assert worst < RESUMED


def fill(disk: Path) -> None:
    """Until nothing more goes on it, not even a little."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


async def _refused(load: Load, disk: Path) -> list[Letter]:
    """Write until every channel refuses, ten times each; what still found room in the log is not counted."""
    refusals: list[Letter] = []
    async with asyncio.timeout(60):
        while len(refusals) < 10 * len(CHANNELS):
            fill(disk)
            letter = load.letter(CHANNELS[len(refusals) % len(CHANNELS)])
            if await load.attempt(letter):
                refusals.clear()
                continue
            assert letter.answers == [REFUSALS[letter.channel]], letter
            refusals.append(letter)
    return refusals


async def _readable_while_full(world: World, letter: Letter) -> None:
    """Operations can look, and the app can ask what became of a letter."""
    app = world.peers["app"]
    assert isinstance(app, AppPeer)
    assert (await world.client.get("/livez")).status_code == 200
    assert (await world.client.get("/metrics")).status_code == 200
    async with asyncio.timeout(5):  # it looks at the disk now and then
        while (await world.client.get("/readyz")).status_code != 503:
            await asyncio.sleep(0.05)
    receipt = orjson.loads(letter.receipt)["receipt"]
    asked = await world.client.get(f"/v1/receipts/{receipt}", headers={"authorization": f"Bearer {app.key}"})
    assert asked.status_code == 200, asked.text


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("operation", [Operation.SYNC, Operation.WRITE], ids=["sync", "write"])
async def test_one_operation_that_fails(world: World, error: int, operation: Operation) -> None:
    """The n-th sync or write after a delivery came in: of its own commit, of the pipeline's, of the hand-off's."""
    load, control = Load(world, CHANNELS), controlled(world)
    await world.start(control=control.path)
    await load.insist(load.letter())
    await world.settled()
    runs, worst = 0, 0.0
    for at in range(1, 25) if FULL else (1, 2, 4):
        for channel in CHANNELS:
            control.fail(operation, at, error=error)
            letter = load.letter(channel)
            if not await load.attempt(letter):
                assert letter.answers == [REFUSALS[channel]], letter
                assert control.failed, letter
                gone = time.monotonic()
                await load.insist(letter)
                worst = max(worst, load.first_after(gone))
            assert at > 1 or len(letter.answers) > 1, "acknowledged though its commit failed"
            await world.settled()
            runs += control.failed
            control.disarm()
    ledger = await examine(world, load, in_order=False)
    result(f"{operation.name}_{errno.errorcode[error]}".lower(), world, ledger, runs=runs, recovery_seconds=worst)
    assert ledger.complaints == []
    assert runs


async def test_a_disk_that_fails_for_a_while(world: World) -> None:
    """Every sync fails for two seconds, under load."""
    load, control = Load(world, CHANNELS), controlled(world)
    await world.start(control=control.path)
    worst, runs = 0.0, 10 if FULL else 2
    async with load.writing():
        for run in range(runs):
            await load.acknowledges(10)
            worst = max(worst, await _fails_for_a_while(load, control, (errno.EIO, errno.ENOSPC)[run % 2]))
    await world.settled()
    ledger = await examine(world, load)
    result("disk_fails_for_a_while", world, ledger, runs=runs, recovery_seconds=worst)
    assert ledger.complaints == []
    assert worst < RESUMED


async def _fails_for_a_while(load: Load, control: Control, error: int) -> float:
    control.fail(Operation.SYNC, error=error, onwards=True)
    await asyncio.sleep(0.2)  # what was on its way to be acknowledged is out
    before = load.acknowledged
    await asyncio.sleep(2)
    assert load.acknowledged == before, "acknowledged while nothing could be synced"
    assert control.failed
    control.disarm()
    gone = time.monotonic()
    await load.acknowledges(1)
    return load.first_after(gone)
