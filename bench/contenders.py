"""The servers that are compared, each a process of its own on loopback with a folder of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version
from typing import Any, Literal

import yaml

from store.sqlite import sqlite_driver

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0


def circumstances() -> dict[str, Any]:
    """What every result says of the day and the machine it was measured on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": python_version(),
        "sqlite": sqlite_driver().sqlite_version,
        "cores": os.cpu_count(),
    }


@dataclass(frozen=True, slots=True)
class Contender:
    """What is measured: a server, and the channel that is sent to."""

    kind: Literal["bare", "edge", "whole"]
    channel: str

    @property
    def name(self) -> str:
        """As the table calls it."""
        return self.kind if self.kind == "bare" else f"{self.kind} {self.channel}"

    def command(self, folder: Path, port: int) -> list[str]:
        """The command line; ``folder`` holds config.yaml."""
        config = str(folder / "config.yaml")
        rest = {
            "bare": ["bench.bare", str(port)],
            "edge": ["bench.edge", config],
            "whole": ["gateway.cli", "serve", "--config", config],
        }
        return [sys.executable, "-m", *rest[self.kind]]


@contextlib.contextmanager
def serving(
    contender: Contender, folder: Path, store_url: str = "sqlite:///gateway.db"
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server's process and port, once it answers; killed at the end with all that it started."""
    port = free_port()
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(port, store_url)), encoding="utf-8")
    with started(contender.command(folder, port), folder, port) as process:
        yield process, port


@contextlib.contextmanager
def started(command: list[str], folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process of a command that listens on the port, once it does; killed at the end with all that it started."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(process, port, folder / "log")
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and its children, which share its session."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def settings(port: int, store_url: str = "sqlite:///gateway.db") -> dict[str, Any]:
    """A configuration beside whose folder lies ``secrets``; the core is a file, so that no other process takes part."""

    def secret(name: str) -> dict[str, str]:
        return {"file": f"../secrets/{name}"}

    client: dict[str, Any] = {"id": "city-app", "key_hash": secret("app-key-hash"), "scopes": ["messages:write"]}
    client["requests_per_minute"] = 10_000_000  # the limit is not what is measured
    return {
        "server": {"listen": f"127.0.0.1:{port}", "public_url": "https://hotline.example"},
        "store": {"url": store_url, "files": "files", "journal": "journal"},
        "keys": {"file": "keys.json"},
        "core": {"sink": "file", "path": "events.jsonl"},
        "dedupe": {"settle_seconds": 0, "linking": "off"},
        "replies": {"acknowledge": False, "ride": False},
        "channels": {
            "app": {"kind": "app", "clients": [client]},
            "wechat": {
                "kind": "wechat",
                "app_id": "wx0123456789abcdef",
                "token": secret("wechat-token"),
                "encoding_aes_key": secret("wechat-aes-key"),
                "app_secret": secret("wechat-app-secret"),
            },
        },
    }


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
