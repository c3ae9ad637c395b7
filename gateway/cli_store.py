"""The commands on the store; gateway/cli.py has the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from gateway.cli_shared import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    SinceOption,
    aware,
    err,
    fail,
    load,
    out,
    run,
    telling,
)

# Commands import what they need inside: `gateway --help` must not wait for the web framework.


def migrate(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the store's schema up to date. Stop all nodes first."""
    from gateway.opening import open_books  # noqa: PLC0415

    loaded, _ = load(config)

    async def job() -> int:
        store = await open_books(loaded, migrate=True)
        await store.close()
        out.print("[green]✓[/green] the store is up to date")
        return 0

    run(job())


def reconcile(
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = None,
    providers: Annotated[
        bool,
        typer.Option(
            "--providers",
            help="Also ask each channel's provider what it delivered (the last day unless --since says more) and name "
            "what we lack.",
        ),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Prove that the books balance: every envelope unpacked or pending, every message with one outcome, every event
    delivered, waiting or parked. Exit 1 with the offending rows if not.
    """
    from gateway.commands.reconcile import reconcile_on  # noqa: PLC0415

    loaded, channels = load(config)
    run(reconcile_on(loaded, channels, aware(since), out, providers=providers, as_json=json_output))


def replay(
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            help="Envelopes that ended so; only malformed and failed are filed anew. "
            "Default: malformed,failed; with --diff all.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come out.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; name the fields and matters that would change.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Run kept raw envelopes through the present code and rules: after a fix, what was malformed or failed is filed."""
    from gateway.replay import Selection  # noqa: PLC0415
    from normalizer.model import Outcome  # noqa: PLC0415

    if outcome is None:
        outcome = ",".join(Outcome if diff else Selection().outcomes)
    try:
        outcomes = tuple(Outcome(name.strip()) for name in outcome.split(","))
    except ValueError as error:
        fail(f"--outcome: {error}; choose from {', '.join(Outcome)}", code=2)
    loaded, built = load(config)
    selection = Selection(outcomes, aware(since))
    if dry_run or diff:
        from gateway.commands.replay import preview_on  # noqa: PLC0415

        run(preview_on(loaded, built, selection, out, err, fields=diff, as_json=json_output))
    else:
        from gateway.commands.replay_queue import replay_on  # noqa: PLC0415

        run(replay_on(loaded, built, selection, out, err, as_json=json_output))


def backup(
    file: Annotated[Path, typer.Argument(help="The file to make; it must not exist.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Save the store and its attachments in one file, also while a node runs. Save the key file apart.

    On PostgreSQL use the database's own programs: see docs/OPERATING.md.
    """
    from gateway.commands.backup import back_up  # noqa: PLC0415

    loaded, _ = load(config)
    _only_on_sqlite(loaded, "pg_basebackup and WAL archiving")
    with telling():
        code = back_up(loaded, file, out, err)
    raise typer.Exit(code)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `gateway backup` made.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a backup in place where no store is, after checking it. The key file must be there already.

    On PostgreSQL use the database's own programs: see docs/OPERATING.md.
    """
    from gateway.commands.backup import restore_from  # noqa: PLC0415

    loaded, _ = load(config)
    _only_on_sqlite(loaded, "the base backup and the archived WAL")
    with telling():
        code = restore_from(loaded, file, out, err)
    raise typer.Exit(code)


handoff = typer.Typer(no_args_is_help=True, help="Events that the core, or another sink, refused.")


@handoff.command("list")
def list_parked_events(config: ConfigOption = DEFAULT_CONFIG, json_output: JsonOption = False) -> None:
    """List the parked events: refused with 400, 413 or 422, they wait for a person, and hold back their matter's next.

    Exit 1 when there are any.
    """
    from gateway.commands.handoff import list_parked  # noqa: PLC0415

    loaded, _ = load(config)
    run(list_parked(loaded, out, as_json=json_output))


@handoff.command("retry")
def retry_parked_events(
    events: Annotated[
        list[UUID] | None, typer.Argument(help="Ids of parked events, from `gateway handoff list`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let parked events go again under their own ids, after what was wrong has been mended."""
    from gateway.commands.handoff_retry import retry_parked  # noqa: PLC0415

    if bool(events) == every:
        fail("name the events, or say --all", code=2)
    loaded, _ = load(config)
    run(retry_parked(loaded, events or [], out))


def _only_on_sqlite(config: Any, instead: str) -> None:
    if not config.store.url.startswith("sqlite"):
        fail(f"this is for SQLite; on PostgreSQL use {instead}: docs/OPERATING.md, Backup on PostgreSQL", code=2)


#: In the order in which `gateway --help` lists them.
COMMANDS = (migrate, reconcile, replay, backup, restore)
