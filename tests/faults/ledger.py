"""The books of a fault: what was acknowledged, what the store holds, what took effect at the core."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from channels.base import AnyChannel
from channels.errors import Malformed
from normalizer.model import Envelope, HotlineMatter
from store.store import Store
from tests.faults.load import Load, numbers
from tests.faults.world import World


@dataclass(slots=True)
class Ledger:
    """What was found after a fault. Good when there are no complaints."""

    #: Numbers of acknowledged letters that are not in the store, or did not reach the core.
    lost: set[int] = field(default_factory=set)
    #: Numbers of letters that took effect twice.
    doubled: set[int] = field(default_factory=set)
    #: Everything wrong, a sentence each.
    complaints: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        """Complain unless it holds."""
        if not holds:
            self.complaints.append(sentence)


async def examine(world: World, load: Load, *, in_order: bool = True) -> Ledger:
    """Look at everything, once the gateway has settled.

    ``in_order``: every sender wrote his next letter after the last was acknowledged, and the clock was not moved.
    """
    ledger = Ledger()
    await _reconcile(world, ledger)
    async with world.store() as store:
        kept, matters = kept_numbers(world.channels, await store.envelopes()), await store.matters()
        if world.store_kind == "sqlite":
            ledger.expect(await integrity(store) == "ok", "the database is damaged")
    effects = in_effect(world.core.events.values(), ledger)
    ledger.lost = (load.acknowledged - kept) | (load.acknowledged - set(effects))
    ledger.doubled = {number for number, times in effects.items() if times > 1}
    ledger.expect(not load.acknowledged - kept, f"acknowledged, not kept: {sorted(load.acknowledged - kept)}")
    ledger.expect(not ledger.lost, f"acknowledged, not at the core: {sorted(ledger.lost)}")
    ledger.expect(not ledger.doubled, f"more than once in effect: {sorted(ledger.doubled)}")
    ledger.expect(bool(load.acknowledged), "nothing was acknowledged at all")
    if in_order:
        _check_order(load, matters, ledger)
    return ledger


async def _reconcile(world: World, ledger: Ledger) -> None:
    """`gateway reconcile --json`: balanced, and nothing pending, waiting, parked or failed."""
    code, printed = await world.run("reconcile", "--json")
    if code != 0:
        ledger.complaints.append(f"reconcile ended with {code}: {printed[-1000:]}")
        return
    books = json.loads(printed)
    outcomes, events = books["outcomes"], books["events"]
    ledger.expect(books["balanced"], f"the books do not balance: {books['offending']}")
    ledger.expect(books["pending"] == 0 and books["envelopes"] == books["unpacked"], f"pending: {books}")
    ledger.expect(sum(outcomes.values()) == books["messages"], f"messages without outcome: {books}")
    ledger.expect(events["owed"] == events["delivered"], f"events not delivered: {events}")
    ledger.expect(outcomes["failed"] == outcomes["malformed"] == 0, f"outcomes of our own fault: {outcomes}")


async def integrity(store: Store) -> str:
    """What SQLite finds wrong with its file; ``ok``."""
    return str(await store._database.read(lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar()))


def kept_numbers(channels: Mapping[str, AnyChannel], envelopes: Iterable[Envelope]) -> set[int]:
    """Letters whose raw delivery is in the store, by reading each with its channel."""
    return {number for envelope in envelopes for number in _read(channels[envelope.channel], envelope)}


def _read(channel: AnyChannel, envelope: Envelope) -> list[int]:
    try:
        parsed = channel.parse(envelope)
    except Malformed:
        return []
    return [number for said in parsed for number in numbers(said.text)] if isinstance(parsed, tuple) else []


def in_effect(events: Iterable[Mapping[str, Any]], ledger: Ledger) -> Counter[int]:
    """How often each letter is in a matter at the core, by the last state of each matter."""
    latest: dict[str, Mapping[str, Any]] = {}
    steps: Counter[tuple[str, str]] = Counter()
    filed: Counter[str] = Counter()
    for event in events:
        matter = event["subject"]
        steps[matter, event["sequence"]] += 1
        filed[matter] += event["type"] == "hotline.matter.filed.v1"
        ledger.expect(
            matter not in latest or int(latest[matter]["sequence"]) < int(event["sequence"]), f"{matter}: out of order"
        )
        latest[matter] = event
    ledger.expect(all(times == 1 for times in steps.values()), "one step of a matter came as two events")
    ledger.expect(all(times == 1 for times in filed.values()), "a matter was filed twice, or never")
    return Counter(
        number for event in latest.values() for said in event["data"]["messages"] for number in numbers(said["text"])
    )


def _check_order(load: Load, matters: Sequence[HotlineMatter], ledger: Ledger) -> None:
    """Letters of one sender were filed in the order in which he wrote them."""
    place: dict[int, int] = {}
    for matter in matters:
        for said in matter.messages:
            for number in numbers(said.text):
                place[number] = len(place)
    by_sender: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for letter in load.letters:
        if letter.number in place:
            by_sender[letter.channel, letter.sender].append(letter.number)
    for (_, sender), written in by_sender.items():
        filed = sorted(written, key=lambda number: place[number])
        ledger.expect(filed == written, f"letters of {sender} were filed out of order: {filed}")


def result(fault: str, world: World, ledger: Ledger, *, runs: int, recovery_seconds: float) -> dict[str, Any]:
    """A row of bench/results/faults.json; appended to the file that FAULTS_RESULTS names, a JSON line each."""
    row = {
        "fault": fault,
        "store": world.store_kind,
        "runs": runs,
        "lost": len(ledger.lost),
        "doubled": len(ledger.doubled),
        "worst_recovery_seconds": round(recovery_seconds, 2),
    }
    if "FAULTS_RESULTS" in os.environ:
        with Path(os.environ["FAULTS_RESULTS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return row
