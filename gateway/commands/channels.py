"""`gateway channels`: the kinds there are, their settings, and how each configured channel fares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from channels.registry import BrokenKind, kinds, load
from gateway.config import Server
from gateway.loading import ConfigFaults, load_config

#: Settings that every kind has and nobody needs to read about in the list.
COMMON = frozenset({"kind"})


def list_channels(config_path: Path) -> dict[str, Any]:
    """``kinds`` with their settings, and ``configured`` channels with their state, by name."""
    return {"kinds": {kind: _kind(kind) for kind in kinds()}, "configured": _configured(config_path)}


def _kind(kind: str) -> dict[str, Any]:
    try:
        found = load(kind)
    except BrokenKind as error:
        return {"summary": str(error), "required": [], "optional": []}
    fields = {name: field for name, field in found.Settings.model_fields.items() if name not in COMMON}
    return {
        "summary": found.summary,
        "required": sorted(name for name, field in fields.items() if field.is_required()),
        "optional": sorted(name for name, field in fields.items() if not field.is_required()),
    }


def _configured(config_path: Path) -> dict[str, dict[str, str]]:
    """By name: the kind and ``ok``, ``not running``, or what is wrong or worth knowing."""
    try:
        config, channels = load_config(config_path)
    except ConfigFaults as faults:
        return {"": {"kind": "", "state": f"config.yaml cannot be used: {faults.faults[0]}"}}
    told = _told(config.server)
    return {name: {"kind": channel.kind, "state": _state(name, told)} for name, channel in channels.items()}


def _state(name: str, told: list[str] | None) -> str:
    if told is None:
        return "not running, or not telling without server.token"
    mine = [c.partition(": ")[2] for c in told if c.startswith(f"channel {name}: ")]
    return "; ".join(mine) or "ok"


def _told(server: Server) -> list[str] | None:
    """What the running node complains of and notes; None when none runs here, or it may not tell (see server.token)."""
    host, _, port = server.listen.rpartition(":")
    headers = {"Authorization": f"Bearer {server.token.get_secret_value()}"} if server.token else {}
    url = f"http://{'127.0.0.1' if host in {'0.0.0.0', ''} else host}:{port}/readyz"  # noqa: S104 - not a binding
    try:
        with httpx.Client(timeout=3, trust_env=False) as client:
            found = client.get(url, headers=headers).json()
            return [str(sentence) for sentence in (*found["complaints"], *found["notes"])]
    except (httpx.HTTPError, ValueError, KeyError):
        return None


def print_channels(listing: dict[str, Any], out: Console) -> None:
    """Two tables."""
    table = Table("kind", "what it is", "required settings", title="Kinds", title_justify="left")
    for kind, told in listing["kinds"].items():
        table.add_row(kind, told["summary"], ", ".join(told["required"]))
    out.print(table)
    configured = Table("name", "kind", "state", title="Configured", title_justify="left")
    for name, told in listing["configured"].items():
        configured.add_row(name, told["kind"], escape(told["state"]))
    out.print(configured)
