"""`gateway held`: what waits for a person; gateway/cli.py has the other commands."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from gateway.cli_shared import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, ReasonOption, load, out, run, signed

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

held = typer.Typer(
    no_args_is_help=True,
    help="Messages that wait for a person because of how they are written or sent. They go on by themselves after "
    "conduct.hold_minutes; only an operator refuses one, and his name and reason are kept.",
)

MessageArgument = Annotated[UUID, typer.Argument(help="A message's id, from `gateway held list`.")]
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

    by, reason = signed(by, reason)
    loaded, _ = load(config)
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

    by, reason = signed(by, reason)
    loaded, _ = load(config)
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

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(refuse_held(loaded, message, by, reason, out, every=every))
