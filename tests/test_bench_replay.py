from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.replay import Run, complaints, replay

GOOD = Run(envelopes=100, expected=9, read=100, matters=9, seconds=1.0, envelopes_per_second=100, peak_megabytes=120.0)


def test_the_command_reads_what_the_bench_filled_and_names_what_it_changed(tmp_path: Path) -> None:
    run = replay(tmp_path, 45)
    assert (run.read, run.matters, run.expected) == (45, 4, 4)
    assert run.peak_megabytes > 20 and complaints([run]) == []


@pytest.mark.parametrize("fault", [{"read": 99}, {"matters": 8}, {"matters": 10}, {"peak_megabytes": 181.0}])
def test_the_bench_fails_on_what_was_not_read_not_named_or_held_too_long(fault: dict[str, int]) -> None:
    assert len(complaints([GOOD, replace(GOOD, **fault)])) == 1
    assert complaints([GOOD, GOOD]) == []
