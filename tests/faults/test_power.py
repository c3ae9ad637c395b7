"""The power goes at a random moment: what was acknowledged is on the disk, whatever else is."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.errors import StoreError
from store.opening import open_store
from store.store import Store
from tests.faults.conftest import FULL
from tests.faults.ledger import Ledger, examine, integrity, kept_numbers, result
from tests.faults.load import Letter, Load
from tests.faults.power import Disk
from tests.faults.shim import Record, records
from tests.faults.world import World, controlled, inhabited
from tests.faults.zygote import Zygote

SEEDS, RESTARTED, SECONDS = (200, 20, 10) if FULL else (40, 4, 3)


@dataclass(frozen=True)
class Known:
    """What the world outside knew when the power went."""

    acknowledged: frozenset[int]
    events: frozenset[str]


async def recorded(world: World, **options: bool) -> tuple[Load, list[Record]]:
    """A gateway from its first start to its end, by kill; its writes, and what was said meanwhile."""
    load, control = Load(world, ("app", "wechat", "mailbox")), controlled(world, log=True)
    load.heard_back = lambda letter: control.mark(f"acknowledged {letter.number}")
    world.core.taken = lambda event: control.mark(f"event {event}")
    await world.start(control=control.path, **options)
    async with load.writing():
        await load.acknowledges(10 * SECONDS)
    await world.kill()
    assert control.log is not None
    return load, list(records(control.log))


def known(happened: Sequence[Record]) -> Known:
    """From the marks."""
    said = [record.content.decode().split() for record in happened if record.kind == "m"]
    return Known(
        frozenset(int(what) for kind, what in said if kind == "acknowledged"),
        frozenset(what for kind, what in said if kind == "event"),
    )


async def faults_after(world: World, happened: Sequence[Record], seed: int, data: Path) -> list[str]:
    """Cut the power after what happened; everything wrong with what is on the disk then, a sentence each."""
    data.mkdir(parents=True)
    disk = Disk(world.folder / "data")
    disk.play(happened)
    disk.cut(random.Random(seed), data)
    ledger = Ledger()
    try:
        store = await open_store(f"sqlite:///{data}/gateway.db", data / "keys.json")
    except StoreError as error:
        return [f"seed {seed}: {type(error).__name__}: {error}"]
    try:
        await _look(world, store, known(happened), ledger)
    except StoreError as error:
        ledger.complaints.append(f"{type(error).__name__}: {error}")
    finally:
        await store.close()
    return [f"seed {seed}: {complaint}" for complaint in ledger.complaints]


async def _look(world: World, store: Store, outside: Known, ledger: Ledger) -> None:
    ledger.expect(await integrity(store) == "ok", "the database is damaged")
    books = await store.reconcile()
    ledger.expect(books.balanced, f"the books do not balance: {books.offending}")
    lost = outside.acknowledged - kept_numbers(world.channels, await store.envelopes())
    ledger.expect(not lost, f"acknowledged, not kept: {sorted(lost)}")
    told = {world.core.events[event]["subject"] for event in outside.events}
    unknown = told - {str(matter.matter_id) for matter in await store.matters()}
    ledger.expect(not unknown, f"the core was told of matters that are not there: {sorted(unknown)}")


async def goes_on(world: World, load: Load, happened: Sequence[Record], zygote: Zygote, folder: Path) -> float:
    """Start a gateway on what is left, send again what was not acknowledged, and look at everything; recovery, s."""
    outside = known(happened)
    async with inhabited(folder, zygote, secrets=world.folder / "secrets") as after:
        after.core.events = {event: world.core.events[event] for event in world.core.events if event in outside.events}
        again = Load(after)
        again.letters = [_as_then(letter, outside) for letter in load.letters]
        took = await after.start()
        for letter in again.letters:
            if letter.acknowledged is None:
                await again.insist(letter)
        await after.settled()
        ledger = await examine(after, again, in_order=False)
        assert ledger.complaints == []
    return took


def _as_then(letter: Letter, outside: Known) -> Letter:
    found = copy.copy(letter)
    found.acknowledged = letter.acknowledged if letter.number in outside.acknowledged else None
    return found


async def test_what_was_acknowledged_survives_a_power_cut(world: World, zygote: Zygote, tmp_path: Path) -> None:
    load, everything = await recorded(world)
    assert sum(record.kind == "s" for record in everything) > 10, "no sync was seen: the recording proves nothing"
    found: list[str] = []
    worst = 0.0
    for seed in range(SEEDS):
        happened = everything[: random.Random(seed).randrange(len(everything))]
        cut = tmp_path / f"cut-{seed}"
        found += await faults_after(world, happened, seed, cut / "data")
        if seed < RESTARTED and not found:
            worst = max(worst, await goes_on(world, load, happened, zygote, cut))
    ledger = Ledger(complaints=found)
    result("power_loss", world, ledger, runs=SEEDS, recovery_seconds=worst)
    assert found == []


async def test_the_same_check_fails_where_the_disk_is_not_waited_for(world: World, tmp_path: Path) -> None:
    """The proof that the check can fail: with ``synchronous=OFF`` acknowledged letters are lost, or the file is torn."""
    _, everything = await recorded(world, careless=True)
    found = []
    for seed in range(10):
        happened = everything[: random.Random(seed).randrange(len(everything))]
        found += await faults_after(world, happened, seed, tmp_path / f"cut-{seed}")
    assert found
