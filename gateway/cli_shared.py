"""What every command shares: options, output, and how an error becomes one sentence."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

# Imported by `gateway --help`, which must not wait for the web framework: what is heavy is imported inside.

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        help="Only what arrived from this time on (UTC unless it has an offset).",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
    ),
]
ByOption = Annotated[str, typer.Option("--by", help="Who decides: your name or staff number; it is kept.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence: it is kept.")]
DEFAULT_CONFIG = Path("config.yaml")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(sentence: str, code: int = 1) -> NoReturn:
    """End with one sentence on stderr."""
    err.print(f"[red]✗[/red] {escape(sentence)}")
    raise typer.Exit(code)


def load(path: Path) -> tuple[Any, Any]:
    """The configuration and its channels, or one sentence per fault and exit 1."""
    from gateway.loading import ConfigFaults, load_config  # noqa: PLC0415

    try:
        return load_config(path)
    except ConfigFaults as faults:
        for fault in faults.faults:
            err.print(f"[red]✗[/red] {escape(str(fault))}")
        raise typer.Exit(1) from None


def signed(by: str, reason: str) -> tuple[str, str]:
    """Name and reason without spaces around, or one sentence and exit 2."""
    by, reason = by.strip(), reason.strip()
    if not 0 < len(by) <= 100 or not 0 < len(reason) <= 1000:
        fail(
            "say who you are with --by (up to 100 characters) and why with --reason (up to 1000): both are kept", code=2
        )
    return by, reason


def run(job: Coroutine[Any, Any, int], *known: type[Exception]) -> None:
    """Run a command's coroutine and end with its exit code; Ctrl-C is an ordinary end. ``known``: see :func:`telling`."""
    import uvloop  # noqa: PLC0415

    with telling(*known):
        try:
            code = uvloop.run(job)
        except KeyboardInterrupt:
            code = 0
    raise typer.Exit(code)


@contextmanager
def telling(*known: type[Exception]) -> Iterator[None]:
    """Within it errors that are known, those of this command among them, become one sentence."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from store.errors import StoreError  # noqa: PLC0415

    told: tuple[type[Exception], ...] = (StoreError, OSError, TimeoutError, *known)
    try:
        yield
    except BaseExceptionGroup as group:
        found = [error for error in _leaves(group) if isinstance(error, told)]
        if not found:
            raise
        fail(str(found[0]))
    except told as error:
        fail((isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__)
    except DBAPIError as error:
        cause = error.orig and (error.orig.__cause__ or error.orig)
        fail(f"the database refuses ({type(cause).__name__}): see store.url")


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def aware(since: datetime | None) -> datetime | None:
    """A time in UTC unless it says where it is."""
    return since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
