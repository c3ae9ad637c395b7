"""docs/ADDING_A_CHANNEL.md is true: what stands there is built, installed and passes, in a package of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "ADDING_A_CHANNEL.md"
FILE = re.compile(r"^## [^\n]*`([\w.]+)`\n.*?^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    return dict(FILE.findall(PAGE.read_text(encoding="utf-8")))


def run(*command: str, folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{folder}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=170, check=False
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "fax"
    folder.mkdir()
    for name, content in files().items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_the_page_holds_the_whole_package() -> None:
    assert sorted(files()) == ["fax_peer.py", "hotline_fax.py", "pyproject.toml", "test_hotline_fax.py"]


def test_a_stranger_gets_a_channel_that_passes(package: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    built = run(*pip, "--target", str(installed), ".", folder=package, path=installed)
    assert built.returncode == 0, built.stderr
    (package / "hotline_fax.py").unlink()  # what is tested is what was installed
    listed = run(
        sys.executable, "-c", "from channels.registry import kinds; print(kinds())", folder=package, path=installed
    )
    assert "'fax'" in listed.stdout, listed.stderr
    options = ("-q", "-p", "no:cacheprovider")
    tested = run(sys.executable, "-m", "pytest", *options, "test_hotline_fax.py", folder=package, path=installed)
    assert tested.returncode == 0, tested.stdout[-4000:] + tested.stderr[-1000:]
    assert "1 passed" in tested.stdout
