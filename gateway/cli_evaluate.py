"""The commands that measure how well we do; gateway/cli.py has the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli_shared import JsonOption, err, out, run

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

evaluate = typer.Typer(no_args_is_help=True, help="How well mails of one's own are read.")


@evaluate.callback()
def _only_by_name() -> None:
    """Keep the command's name: typer would leave out that of an only one."""


@evaluate.command()
def mail(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Every file below it is read as one raw mail.")
    ],
    out_file: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Write what was understood, a JSON object a line.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Read every file of a folder as a raw mail: how many were lost, how long it took, how much memory.

    Exit 1 when one is lost or an exception was met, when more than 2 % of the characters of Chinese mail were replaced, when
    a mail took more than 10 seconds or 512 MB.
    """
    from gateway.commands.evaluate import evaluate_mail  # noqa: PLC0415

    run(evaluate_mail(folder, out, err, as_json=json_output, to=out_file))
