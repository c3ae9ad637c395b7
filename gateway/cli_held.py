"""`gateway held`: what waits for a person; gateway/cli.py has the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from gateway.cli_shared import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, load, out, run

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

held = typer.Typer(
    no_args_is_help=True,
    help="Messages that wait for a person because of how they are written or sent. They go on by themselves after "
    "conduct.hold_minutes; only an operator refuses one, and his name and reason are kept.",
)

MessageArgument = Annotated[UUID, typer.Argument(help="A message's id, from `gateway held list`.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides: your name or staff number.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence: it is kept.")]
EveryOption = Annotated[bool, typer.Option("--all", help="All that is held of the same sender.")]


@held.command("list")
def list_messages(config: ConfigOption = DEFAULT_CONFIG, json_output: JsonOption = False) -> None:
    """List what is held and for what, without its words."""
    from gateway.commands.held import list_held  # noqa: PLC0415

    loaded, _ = load(config)
    run(list_held(loaded, out, as_json=json_output))


@held.command()
def show(
    message: MessageArgument,
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    json_output: JsonOption = False,
) -> None:
    """Show the words of a held message; who read them, and why, is kept."""
    from gateway.commands.held_decide import show_held  # noqa: PLC0415

    loaded, by, reason = _asked(config, by, reason)
    run(show_held(loaded, message, by, reason, out, as_json=json_output))


@held.command()
def release(
    message: MessageArgument,
    by: ByOption,
    reason: ReasonOption,
    every: EveryOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a message go on, with its flags, for the core to see."""
    from gateway.commands.held_decide import release_held  # noqa: PLC0415

    loaded, by, reason = _asked(config, by, reason)
    run(release_held(loaded, message, by, reason, out, every=every))


@held.command()
def refuse(
    message: MessageArgument,
    by: ByOption,
    reason: ReasonOption,
    every: EveryOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Refuse a message: it opens no matter. It is kept as it came."""
    from gateway.commands.held_decide import refuse_held  # noqa: PLC0415

    loaded, by, reason = _asked(config, by, reason)
    run(refuse_held(loaded, message, by, reason, out, every=every))


def _asked(config: Path, by: str, reason: str) -> tuple[Any, str, str]:
    by, reason = by.strip(), reason.strip()
    if not 0 < len(by) <= 100 or not 0 < len(reason) <= 1000:
        fail("give --by (up to 100 characters) and --reason (up to 1000)", code=2)
    return load(config)[0], by, reason
