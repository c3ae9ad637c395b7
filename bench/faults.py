"""Run every fault and print the table: make faults (SHORT=1: small numbers, a few minutes).

The tests of tests/faults write a line per fault; the table goes to bench/results/faults.json after a full run. With an
argument, pytest's ``-k``, only some are run, and their lines take the place of the former ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT

RESULTS = ROOT / "bench" / "results" / "faults.json"
COLUMNS = ("fault", "store", "runs", "lost", "doubled", "worst_recovery_seconds")


def run(which: str, *, short: bool) -> tuple[int, list[dict[str, Any]]]:
    """Pytest's exit code, and a row for each fault and store."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        lines = Path(folder, "results")
        environment = os.environ | {"FAULTS_RESULTS": str(lines)} | ({} if short else {"FAULTS": "full"})
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--show-capture=no", "-k", which, "tests/faults"]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        found = lines.read_text(encoding="utf-8").splitlines() if lines.exists() else []
    return code, [json.loads(line) for line in found]


def joined(former: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each fault and store, the newer one."""
    newest = {(row["fault"], row["store"]): row for row in (*former, *rows)}
    return [newest[key] for key in sorted(newest)]


def show(rows: list[dict[str, Any]]) -> None:
    """The table."""
    table = Table(*COLUMNS, box=SIMPLE)
    for row in rows:
        table.add_row(*(str(row[name]) for name in COLUMNS))
    Console().print(table)


def main() -> None:
    """Run, print, write; the exit code is that of the tests."""
    short, which = bool(os.environ.get("SHORT")), " ".join(sys.argv[1:])
    code, rows = run(which, short=short)
    former = json.loads(RESULTS.read_text(encoding="utf-8")) if which and RESULTS.exists() else []
    rows = joined(former, rows)
    show(rows)
    if not short and rows:
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.exit(code)


if __name__ == "__main__":
    main()
