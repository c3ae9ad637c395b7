"""The commands that measure how well we do; gateway/cli.py has the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli_shared import JsonOption, err, fail, out, run, telling

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.commands.evaluate_pairs import Asked

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

MessagesOption = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="The messages: id,sender,time,title,text; CSV in UTF-8.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", dir_okay=False, help="Write a row per pair, with the verdict and its reason.")
]
DaysOption = Annotated[float | None, typer.Option(min=0, help="Only pairs at most so many days apart.")]
DrawOption = Annotated[
    int | None, typer.Option(min=1, help="Write only so many pairs to --out, of every score: for people to label.")
]

evaluate = typer.Typer(no_args_is_help=True, help="How well we do on texts and mails of one's own.")


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
    a mail took more than 10 seconds of a processor or 512 MB.
    """
    from gateway.commands.evaluate import evaluate_mail  # noqa: PLC0415

    run(evaluate_mail(folder, out, err, as_json=json_output, to=out_file))


@evaluate.command("same-matter")
def same_matter(
    messages: MessagesOption,
    gold: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="What people say of pairs: id_a,id_b,label (1 or 0)."),
    ] = None,
    out_file: OutOption = None,
    json_output: JsonOption = False,
    days: DaysOption = None,
    draw: DrawOption = None,
) -> None:
    """Measure how well messages about the same matter are found, on labelled pairs; without labels, show what is found."""
    from gateway.commands.evaluate_pairs import Asked, evaluate_same_matter  # noqa: PLC0415

    _evaluate(evaluate_same_matter, Asked(messages, gold, out_file, days, draw, json_output))


@evaluate.command()
def incident(
    messages: MessagesOption,
    gold: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="What people say: id_a,id_b,label (1 or 0), or id,label naming the incident.",
        ),
    ] = None,
    out_file: OutOption = None,
    json_output: JsonOption = False,
    days: DaysOption = None,
    draw: DrawOption = None,
) -> None:
    """Measure how well different citizens with one cause are brought together; without labels, show what is found."""
    from gateway.commands.evaluate_incidents import evaluate_incident  # noqa: PLC0415
    from gateway.commands.evaluate_pairs import Asked  # noqa: PLC0415

    _evaluate(evaluate_incident, Asked(messages, gold, out_file, days, draw, json_output))


LabelsOption = Annotated[
    Path | None,
    typer.Option("--gold", exists=True, dir_okay=False, help="What people say of messages: id,label; 1, 0 or a name."),
]
RowsOption = Annotated[
    Path | None, typer.Option("--out", dir_okay=False, help="Write a row per message, with the verdict and its rule.")
]


@evaluate.command()
def conduct(
    messages: MessagesOption, gold: LabelsOption = None, out_file: RowsOption = None, json_output: JsonOption = False
) -> None:
    """Measure how well insults, threats to staff and spam are told from harsh words about a grievance.

    Labels: insult, threat, harassment, spam, or 1; 0.
    """
    _labels("CONDUCT", messages, gold, out_file, as_json=json_output)


@evaluate.command()
def emergency(
    messages: MessagesOption, gold: LabelsOption = None, out_file: RowsOption = None, json_output: JsonOption = False
) -> None:
    """Measure how well live emergencies and danger to the writer's own life are recognised.

    Labels: 110, 119, 120, 122, crisis, or 1; 0.
    """
    _labels("EMERGENCY", messages, gold, out_file, as_json=json_output)


@evaluate.command()
def kind(
    messages: MessagesOption, gold: LabelsOption = None, out_file: RowsOption = None, json_output: JsonOption = False
) -> None:
    """Measure how well the kind of a matter is read.

    Labels: consultation, help, suggestion, complaint, report, praise, other; or 咨询, 求助, 建议, 投诉, 举报, 表扬, 其他.
    """
    _labels("KIND", messages, gold, out_file, as_json=json_output)


def _labels(name: str, messages: Path, gold: Path | None, to: Path | None, *, as_json: bool) -> NoReturn:
    from gateway import subjects  # noqa: PLC0415
    from gateway.commands.evaluate_labels import Asked, evaluate_labels  # noqa: PLC0415
    from gateway.labelled import Unusable  # noqa: PLC0415

    try:
        with telling():
            code = evaluate_labels(getattr(subjects, name), Asked(messages, gold, to, as_json), out, err)
    except Unusable as error:
        fail(str(error), 2)
    raise typer.Exit(code)


def _evaluate(command: Callable[[Asked, Console, Console], int], asked: Asked) -> NoReturn:
    from gateway.labelled import Unusable  # noqa: PLC0415

    if asked.draw is not None and (asked.to is None or asked.gold is not None):
        fail("--draw needs --out, and draws what nobody has labelled yet: leave out --gold", 2)
    try:
        with telling():
            code = command(asked, out, err)
    except Unusable as error:
        fail(str(error), 2)
    raise typer.Exit(code)
