"""The tools themselves: a shim or a simulated disk that does nothing would let every other test here pass."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults import shim
from tests.faults.power import Disk
from tests.faults.shim import Control, Operation, Record, preloaded, records

LINES = """
import os
file = os.open("data/lines", os.O_WRONLY | os.O_CREAT, 0o600)
for number in range(5):
    try:
        os.write(file, b"%d\\n" % number)
        os.fsync(file)
    except OSError as error:
        print(error.errno)
"""
NAMES = """
import os
with open("data/draft", "wb", buffering=0) as file:
    file.write(b"abc")
    os.pwrite(file.fileno(), b"X", 1)
    file.truncate(2)
    os.fsync(file.fileno())
os.link("data/draft", "data/kept")
os.rename("data/draft", "data/moved")
os.unlink("data/moved")
folder = os.open("data", os.O_RDONLY)
os.fsync(folder)
"""


@pytest.fixture
def control(tmp_path: Path) -> Control:
    (tmp_path / "data").mkdir()
    return Control(tmp_path / "control", tmp_path / "data", tmp_path / "log")


def run(library: Path, control: Control, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=control.path.parent,
        env=preloaded(library, control),
        capture_output=True,
        text=True,
    )


def test_killed_just_before_an_operation(shim_library: Path, control: Control, tmp_path: Path) -> None:
    control.kill(3, Operation.WRITE)
    assert run(shim_library, control, LINES).returncode == -9
    assert (tmp_path / "data" / "lines").read_text() == "0\n1\n"


@pytest.mark.parametrize(
    ("operation", "onwards", "told", "left"),
    [
        (Operation.WRITE, False, [errno.ENOSPC], "0\n2\n3\n4\n"),
        (Operation.WRITE, True, [errno.ENOSPC] * 4, "0\n"),
        (Operation.SYNC, False, [errno.ENOSPC], "0\n1\n2\n3\n4\n"),
    ],
)
def test_an_operation_fails(
    shim_library: Path,
    control: Control,
    tmp_path: Path,
    operation: Operation,
    onwards: bool,
    told: list[int],
    left: str,
) -> None:
    control.fail(operation, 2, error=errno.ENOSPC, onwards=onwards)
    assert [int(line) for line in run(shim_library, control, LINES).stdout.split()] == told
    assert (tmp_path / "data" / "lines").read_text() == left
    assert control.failed == len(told)


def test_what_happens_is_recorded_in_order(shim_library: Path, control: Control, tmp_path: Path) -> None:
    control.mark("before")
    assert run(shim_library, control, NAMES).returncode == 0
    control.mark("after")
    data = str(tmp_path / "data")
    found = [(r.kind, os.path.relpath(r.path, data) if r.path else "", r.content) for r in records(tmp_path / "log")]
    assert found == [
        ("m", "", b"before"),
        ("w", "draft", b"abc"),
        ("w", "draft", b"X"),
        ("t", "draft", b""),
        ("s", "draft", b""),
        ("l", "draft", f"{data}/kept".encode()),
        ("r", "draft", f"{data}/moved".encode()),
        ("u", "moved", b""),
        ("s", ".", b""),
        ("m", "", b"after"),
    ]
    disk = Disk(tmp_path / "data")
    disk.play(records(tmp_path / "log"))
    (tmp_path / "cut").mkdir()
    disk.cut(random.Random(1), tmp_path / "cut")
    assert {path.name: path.read_bytes() for path in (tmp_path / "cut").iterdir()} == {"kept": b"aX"}


def test_the_clock_is_moved(shim_library: Path, control: Control) -> None:
    control.set_clock(-86_400)
    told = float(run(shim_library, control, "import time; print(time.time())").stdout)
    assert 86_390 < time.time() - told < 86_410


def test_what_was_not_synced_may_be_lost_or_torn_and_what_was_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    name = str(folder / "file")
    first, second = Record("w", 7, 0, name, b"a" * 2048, 0), Record("w", 7, 2048, name, b"b" * 2048, 3)
    synced = [first, Record("s", 7, 1, name, b"", 1), Record("s", 1, 2, str(folder), b"", 2)]
    states = set()
    for seed in range(200):
        disk, cut = Disk(folder), tmp_path / str(seed)
        cut.mkdir()
        disk.play([*synced, second])
        disk.cut(random.Random(seed), cut)
        states.add((cut / "file").read_bytes())
    assert all(state.startswith(b"a" * 2048) for state in states)
    assert {b"a" * 2048, b"a" * 2048 + b"b" * 2048} < states, "never lost, or never written"
    assert any(b"\0" * 512 + b"b" * 512 in state for state in states), "never torn"


def test_a_name_needs_its_folder_synced(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    name = str(folder / "file")
    happened = [Record("w", 7, 0, name, b"a", 0), Record("s", 7, 1, name, b"", 1)]
    there = []
    for seed in range(20):
        disk, cut = Disk(folder), tmp_path / str(seed)
        cut.mkdir()
        disk.play(happened)
        disk.cut(random.Random(seed), cut)
        there.append((cut / "file").exists())
    assert set(there) == {True, False}


def test_the_c_side_and_ours_agree_on_the_layout(shim_library: Path, control: Control) -> None:
    control.count(Operation.WRITE)
    run(shim_library, control, LINES)
    assert control.counted == 5
    assert shim.EVERYTHING == 31
