"""`gateway links show`: what belongs together, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from gateway.clock import now
from gateway.config import Config
from gateway.opening import open_books
from store.linkbook import Folder


async def show(config: Config, name: str, out: Console, err: Console, *, as_json: bool) -> int:
    """All that is said about what a matter belongs to; 1 when there is none."""
    store = await open_books(config, owner=False)
    try:
        links = store.links()
        folder = await links.folder(await links.find(name), now())
    except LookupError as error:
        err.print(f"[red]✗[/red] {escape(str(error.args[0]))}")
        return 1
    finally:
        await store.close()
    if as_json:
        print(json.dumps(_told(folder), default=str, ensure_ascii=False))  # noqa: T201 - for programs
    else:
        _print(folder, out)
    return 0


def _told(folder: Folder) -> dict[str, Any]:
    matter = folder.matter
    return {
        "matter_id": matter.matter_id,
        "tracking_code": matter.tracking_code,
        "messages": [{"message_id": one.message_id, "channel": one.channel, "act": one.act} for one in matter.messages],
        "said": [asdict(one) for one in folder.said],
        "incident": folder.incident and folder.incident.model_dump(mode="json"),
    }


def _print(folder: Folder, out: Console) -> None:
    matter = folder.matter
    out.print(f"{matter.tracking_code}  {len(matter.messages)} messages")
    for one in matter.messages:
        out.print(f"  {one.message_id}  {one.received_at:%Y-%m-%d %H:%M}  {one.channel}  {one.act}")
    if folder.incident is not None:
        known = folder.incident
        out.print(f"incident {known.id}: {known.citizens} citizens, {known.matters} matters, {known.contacts} contacts")
    for said in folder.said:
        subject, target = (folder.codes.get(end, str(end)) for end in (said.subject, said.object))
        out.print(
            f"{said.kind} {subject} → {target}: {said.level} {said.score:.2f}, decided by {escape(said.decided_by)}"
        )
        out.print(f"  {escape(said.reason)}")
        if counted := _shares(said.shares):
            out.print(f"  [dim]{escape(', '.join(counted))}[/dim]")
    if not folder.said:
        out.print("linked to nothing")


def _shares(shares: tuple[dict[str, Any], ...]) -> list[str]:
    """What counted most, first."""
    weighed = sorted(((one["value"] * one["weight"], one["feature"]) for one in shares), key=lambda one: -abs(one[0]))
    return [f"{feature} {share:+.2f}" for share, feature in weighed if abs(share) >= 0.01]
