"""The commands that open a sealed identity; gateway/cli.py has the others."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from gateway.cli_shared import (
    DEFAULT_CONFIG,
    ByOption,
    ConfigOption,
    JsonOption,
    ReasonOption,
    fail,
    load,
    out,
    run,
    signed,
)

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

identity = typer.Typer(
    no_args_is_help=True, help="See who the citizen of a sealed matter is: one person asks, another one agrees."
)


@identity.command("request")
def request_one(
    matter: Annotated[str, typer.Argument(help="The matter's tracking code or id.")],
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
    json_output: JsonOption = False,
) -> None:
    """Ask to see a citizen who stays unnamed. Another person has 24 hours to approve it."""
    from gateway.commands.identity_open import request_identity  # noqa: PLC0415

    by, reason = signed(by, reason)
    loaded, _ = load(config)
    run(request_identity(loaded, matter, by, reason, out, as_json=json_output))


@identity.command("approve")
def approve_one(
    request: Annotated[UUID, typer.Argument(help="The request, from `gateway identity request`.")],
    by: ByOption,
    config: ConfigOption = DEFAULT_CONFIG,
    json_output: JsonOption = False,
) -> None:
    """Agree to another person's request. The identity is printed, once."""
    from gateway.commands.identity_open import approve_identity  # noqa: PLC0415

    if not by.strip():
        fail("say who you are with --by: it is kept", code=2)
    loaded, _ = load(config)
    run(approve_identity(loaded, str(request), by, out, as_json=json_output))
