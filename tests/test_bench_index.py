from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from bench import index as bench
from bench.index import Size, complaints, measured

SMALL = Size(10_000, 200.0, 150.0, 50.0, 5.0, 1800.0, 0.99, 1.0)
LARGE = replace(SMALL, messages=1_000_000, bytes_a_message=1400.0)


@pytest.mark.parametrize("fault", [{"microseconds": 261.0}, {"bytes_a_message": 1537.0}, {"recall": 0.89}])
def test_the_bench_fails_on_what_is_slow_or_large_or_blind(fault: dict[str, Any]) -> None:
    assert len(complaints([SMALL, replace(LARGE, **fault)])) == 1
    assert complaints([SMALL, LARGE]) == []


def test_planted_pairs_are_found_and_strangers_are_not_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PAIRS": 20, "TIMED": 20, "TURN": 10}.items():
        monkeypatch.setattr(bench, name, value)
    (size,) = measured([400], Console(quiet=True))
    assert size.recall >= 0.95 and size.exact_recall == 1.0
    assert size.microseconds == size.search_microseconds + size.insert_microseconds > 0
    monkeypatch.setattr(bench.Index, "find", lambda *_: [])
    assert next(measured([400], Console(quiet=True))).recall == 0.0
