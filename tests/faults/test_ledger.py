"""The books of a fault see what is wrong: each of these would otherwise pass unnoticed through every other test here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ledger import Ledger, in_effect, result
from tests.faults.load import Letter, numbers
from tests.faults.world import World


def event(matter: str, *letters: int, sequence: int = 1, filed: bool = True) -> dict[str, Any]:
    said = [{"text": Letter(number, "app", "1", None).text} for number in letters]  # type: ignore[arg-type]  # not asked
    kind = "filed" if filed else "amended"
    return {
        "subject": matter,
        "sequence": str(sequence),
        "type": f"hotline.matter.{kind}.v1",
        "data": {"messages": said},
    }


def test_a_letter_is_known_by_its_number() -> None:
    assert numbers(event("a", 7, 12)["data"]["messages"][1]["text"]) == [12]


def test_once_in_effect() -> None:
    ledger = Ledger()
    events = [event("a", 1), event("b", 2), event("a", 1, 3, sequence=2, filed=False)]
    assert in_effect(events, ledger) == {1: 1, 2: 1, 3: 1}
    assert ledger.complaints == []


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([event("a", 1), event("a", 1)], "one step of a matter came as two events"),
        ([event("a", 1), event("a", 1, 2, sequence=2)], "a matter was filed twice, or never"),
        ([event("a", 1, sequence=2, filed=False)], "a matter was filed twice, or never"),
        ([event("a", 1, sequence=2), event("a", 1, sequence=1, filed=False)], "a: out of order"),
    ],
)
def test_what_the_core_must_not_see(events: list[dict[str, Any]], complaint: str) -> None:
    ledger = Ledger()
    in_effect(events, ledger)
    assert complaint in ledger.complaints


def test_a_letter_in_two_matters_is_counted_twice() -> None:
    assert in_effect([event("a", 1), event("b", 1)], Ledger()) == {1: 2}


def test_results_are_collected(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTS_RESULTS", str(tmp_path / "results"))
    for lost in (set[int](), {4, 5}):
        result("some_fault", world, Ledger(lost=lost), runs=3, recovery_seconds=1.234)
    rows = [json.loads(line) for line in (tmp_path / "results").read_text().splitlines()]
    assert rows[1] == {
        "fault": "some_fault",
        "store": "sqlite",
        "runs": 3,
        "lost": 2,
        "doubled": 0,
        "worst_recovery_seconds": 1.23,
    }
    assert [row["lost"] for row in rows] == [0, 2]
