"""`gateway held show`, `release` and `refuse`: what is kept with a name and a reason."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.markup import escape

from gateway.commands.deciding import Do, done
from gateway.config import Config
from gateway.held import READ, REFUSE, RELEASE, do
from store.store import Store


async def show_held(config: Config, message: UUID, by: str, reason: str, out: Console, *, as_json: bool) -> int:
    """Show the words of a held message; who read them, and why, is kept."""
    told = await done(config, {"do": READ, "message": str(message), "by": by, "reason": reason}, _doing(config))
    if as_json:
        print(json.dumps(told, ensure_ascii=False))  # noqa: T201 - for programs
        return 0
    out.print(f"{escape(told['channel'])}, {told['received_at']}")
    for words in (told["title"], told["text"], ", ".join(told["attachments"])):
        if words:
            out.print(escape(words))
    return 0


async def release_held(config: Config, message: UUID, by: str, reason: str, out: Console, *, every: bool) -> int:
    """Let it go on, with its flags."""
    asked = {"do": RELEASE, "message": str(message), "by": by, "reason": reason, "every": every}
    told = await done(config, asked, _doing(config))
    out.print(f"[green]✓[/green] {told['released']} go on, each after what is held before it of the same sender")
    return 0


async def refuse_held(config: Config, message: UUID, by: str, reason: str, out: Console, *, every: bool) -> int:
    """End it as refused: the operator's word, and never a rule's."""
    asked = {"do": REFUSE, "message": str(message), "by": by, "reason": reason, "every": every}
    told = await done(config, asked, _doing(config))
    out.print(f"[green]✓[/green] {told['refused']} refused; they are kept, with your name and reason")
    return 0


def _doing(config: Config) -> Do:
    async def doing(store: Store, asked: dict[str, Any], at: datetime) -> dict[str, Any]:
        return await do(store, asked, at, config.conduct)

    return doing
