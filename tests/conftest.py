"""Fixtures for the whole suite. A missing part is a visible skip, and a failure under REQUIRE_ALL=1."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from channels import registry
from store.postgresql import SESSION

PEERS = Path(__file__).parent / "peers"

# On a developer's machine each run searches elsewhere; in CI the same examples decide as the last time.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# A test process on a crowded machine may rest in a transaction for longer than a node may: tests/faults hold processes of
# their own to the true limit.
IDLE = "idle_in_transaction_session_timeout"
TRUE_IDLE, SESSION[IDLE] = SESSION[IDLE], "60000"

REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"


def missing(part: str) -> None:
    """Skip the test because ``part`` is not on this machine; fail where everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"REQUIRE_ALL=1 and {part} is missing")
    pytest.skip(f"{part} is missing")


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the npm peers are installed; installs them at first use."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node")
    with (PEERS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (PEERS / "node_modules" / ".package-lock.json").exists():
            done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=PEERS, capture_output=True, text=True)
            if done.returncode:
                missing("the npm packages of tests/peers")
    return PEERS / "node_modules"


@pytest.fixture
def node(node_modules: Path) -> Callable[[str, Any], Any]:
    """Run a script in node: it finds ``input`` (JSON) and must return its result, which comes back as JSON."""

    def run(script: str, value: Any) -> Any:
        wrapped = (
            "const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
            f"const result = (() => {{ {script} }})();"
            "process.stdout.write(JSON.stringify(result));"
        )
        done = subprocess.run(
            ["node", "-e", wrapped], cwd=PEERS, input=json.dumps(value), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def poison_kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plug-in of tests/plugins is installed: found by its entry point like any other."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugins"))
    registry._points.cache_clear()
    yield
    registry._points.cache_clear()
    registry.load.cache_clear()
