"""`gateway identity request` and `approve`: two persons open a sealed identity, and both are kept."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from gateway.commands.deciding import done
from gateway.config import Config
from gateway.identity import APPROVE, REQUEST, do
from store.errors import IdentitySealed


async def request_identity(config: Config, matter: str, by: str, reason: str, out: Console, *, as_json: bool) -> int:
    """Ask, and say what the other person is to do."""
    told = await done(config, {"do": REQUEST, "matter": matter, "by": by, "reason": reason}, do, IdentitySealed)
    if as_json:
        print(json.dumps(told))  # noqa: T201 - for programs
    else:
        out.print(
            f"[green]✓[/green] another person, within 24 hours: gateway identity approve {told['request']} --by …"
        )
    return 0


async def approve_identity(config: Config, request: str, by: str, out: Console, *, as_json: bool) -> int:
    """Agree, and show who it is."""
    told = await done(config, {"do": APPROVE, "request": request, "by": by}, do, IdentitySealed)
    if as_json:
        print(json.dumps(told["identity"], ensure_ascii=False))  # noqa: T201 - for programs
    else:
        _show(told["identity"], out)
    return 0


def _show(identity: dict[str, Any], out: Console) -> None:
    party = identity["party"]
    agreed = f"asked by {identity['requested_by']}, approved by {identity['approved_by']}"
    out.print(f"{identity['tracking_code']}  {escape(agreed)}: {escape(identity['reason'])}")
    for name in ("type", "name", "unit", "contact_phone"):
        if party[name]:
            out.print(f"  {name:<14} {escape(party[name])}")
    for contact in party["contacts"]:
        out.print(f"  {contact['type']:<14} {escape(contact['value'])} ({contact['assurance']})")
