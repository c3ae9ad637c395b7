"""`gateway conduct`: signs of conduct and what is decided about them; gateway/cli.py has the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from gateway.cli_shared import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, ReasonOption, load, out, run, signed

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

conduct = typer.Typer(
    no_args_is_help=True,
    help="What was noticed of how callers write. A flag counts for conduct.flag_days; it can be disputed and cleared, and "
    "whoever reads flags or takes evidence away is kept with name and reason.",
)

MatterArgument = Annotated[str, typer.Argument(help="A tracking code, or a matter's id.")]


@conduct.command()
def show(
    caller: Annotated[UUID, typer.Argument(help="A caller's id, as in a matter.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    json_output: JsonOption = False,
) -> None:
    """Show the flags of a caller that count now; who read them, and why, is kept."""
    from gateway.commands.conduct import show_conduct  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(show_conduct(loaded, caller, by, reason, out, as_json=json_output))


@conduct.command()
def appeal(matter: MatterArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Write down that the citizen disputes the flags of a matter; a person should look."""
    from gateway.commands.conduct import appeal_conduct  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(appeal_conduct(loaded, matter, by, reason, out))


@conduct.command()
def clear(matter: MatterArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say that the flags of a matter do not count; the core is told."""
    from gateway.commands.conduct import clear_conduct  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(clear_conduct(loaded, matter, by, reason, out))


@conduct.command()
def export(
    matter: MatterArgument,
    to: Annotated[Path, typer.Option("--to", dir_okay=False, help="The file to write; there must be none yet.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the evidence of a matter for the police: words, times, counts, and a digest of each part."""
    from gateway.commands.conduct import export_conduct  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(export_conduct(loaded, matter, to, by, reason, out))
