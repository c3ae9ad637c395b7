"""The commands on who is whom; gateway/cli.py has the others."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from gateway.cli_shared import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, ReasonOption, load, out, run, signed

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

Named = Annotated[str, typer.Argument(help="A caller's id, or the id or tracking code of a matter of his.")]

callers = typer.Typer(no_args_is_help=True, help="Who is whom: callers that are one person, and on what evidence.")


@callers.command("join")
def join_two(
    one: Named, other: Named, reason: ReasonOption, by: ByOption, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Say that two callers are one person: each sees the other's matters, and no rule parts them."""
    from gateway.commands.callers_decide import join_callers  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(join_callers(loaded, one, other, by, reason, out))


@callers.command("undo")
def undo_one(
    join: Annotated[UUID, typer.Argument(help="The join, from `gateway callers show`; a rule's or an operator's.")],
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Undo a join: everything is as if it had not been, and no rule makes it again. Exit 1 when it was undone before."""
    from gateway.commands.callers_decide import undo_join  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(undo_join(loaded, str(join), by, reason, out))


@callers.command("show")
def show_one(
    named: Named,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Contacts in full; say who you are and why: it is kept.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="With --reveal: your name.")] = None,
    reason: Annotated[str | None, typer.Option(help="With --reveal: why.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json_output: JsonOption = False,
) -> None:
    """Show a person: his contacts, what he has shown to be his, the joins and the hints. Contacts are masked."""
    if reveal:
        from gateway.commands.callers_decide import reveal_caller  # noqa: PLC0415

        by, reason = signed(by or "", reason or "")
        loaded, _ = load(config)
        run(reveal_caller(loaded, named, by, reason, out, as_json=json_output))
    from gateway.commands.callers import show_caller  # noqa: PLC0415

    loaded, _ = load(config)
    run(show_caller(loaded, named, out, as_json=json_output))
