"""`gateway links`: what belongs together, and deciding otherwise; gateway/cli.py has the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import typer

from gateway.cli_shared import DEFAULT_CONFIG, ConfigOption, JsonOption, err, fail, load, out, run

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

links = typer.Typer(
    no_args_is_help=True,
    help="Which matters and messages belong together, why, and an operator's word on it: it is kept with name and reason, "
    "and stands when a message is read again.",
)

MatterArgument = Annotated[str, typer.Argument(help="A tracking code, or a matter's id.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides: your name or staff number.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence: it is kept and told to the core.")]


@links.command()
def show(matter: MatterArgument, config: ConfigOption = DEFAULT_CONFIG, json_output: JsonOption = False) -> None:
    """Show what a matter is linked to: each link with its score, what counted for it, and who decided."""
    from gateway.commands.links import show as show_links  # noqa: PLC0415

    loaded, _ = load(config)
    run(show_links(loaded, matter, out, err, as_json=json_output))


@links.command()
def split(
    matter: MatterArgument,
    messages: Annotated[list[UUID], typer.Argument(help="Messages that do not belong to it; `show` lists them.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give messages that were joined by mistake a matter of their own; the core is told of both."""
    _decide(config, "split", matter, None, by, reason, tuple(messages))


@links.command()
def join(
    matter: MatterArgument,
    other: Annotated[str, typer.Argument(help="The earlier matter; with --incident: a matter or an incident.")],
    by: ByOption,
    reason: ReasonOption,
    incident: Annotated[bool, typer.Option("--incident", help="One cause, another citizen.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say that a matter is about the same as an earlier one, or has the same cause; both matters stay."""
    _decide(config, "join_incident" if incident else "join", matter, other, by, reason)


@links.command()
def unlink(
    matter: MatterArgument,
    other: Annotated[str, typer.Argument(help="What it is linked to: a matter, or its incident's id.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take a link back, or take a matter out of its incident; it is not linked there again."""
    _decide(config, "unlink", matter, other, by, reason)


@links.command()
def export(
    messages: Annotated[Path, typer.Option("--messages", dir_okay=False, help="Write the messages here (CSV).")],
    gold: Annotated[Path, typer.Option("--gold", dir_okay=False, help="Write the decided pairs here (CSV).")],
    by: ByOption,
    reason: Annotated[str, typer.Option("--reason", help="What the citizens' texts are needed for: it is kept.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write what operators have decided as labelled pairs, to measure the rules on: `gateway evaluate same-matter`.

    On SQLite while no node runs.
    """
    from gateway.commands.links_decide import export as export_links  # noqa: PLC0415

    loaded, _ = load(config)
    run(export_links(loaded, messages, gold, by, reason, out))


def _decide(
    config: Path,
    act: Literal["split", "join", "join_incident", "unlink"],
    matter: str,
    other: str | None,
    by: str,
    reason: str,
    messages: tuple[UUID, ...] = (),
) -> None:
    from pydantic import ValidationError  # noqa: PLC0415

    from gateway.commands.links_decide import decide_on  # noqa: PLC0415
    from gateway.linking import Asked  # noqa: PLC0415

    try:
        asked = Asked(act=act, matter=matter, other=other, messages=messages, by=by.strip(), reason=reason.strip())
    except ValidationError:
        fail("give --by (up to 100 characters) and --reason (up to 1000)", code=2)
    loaded, _ = load(config)
    run(decide_on(loaded, asked, out, err))
