"""The commands on the store; gateway/cli.py has the others."""

from __future__ import annotations

import json
from dataclasses import asdict
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
    from gateway.node import open_node_store  # noqa: PLC0415

    loaded, _ = load(config)

    async def job() -> int:
        store = await open_node_store(loaded, migrate=True)
        await store.close()
        out.print("[green]✓[/green] the store is up to date")
        return 0

    run(job())


def reconcile(
    config: ConfigOption = DEFAULT_CONFIG, since: SinceOption = None, json_output: JsonOption = False
) -> None:
    """Prove that the books balance: every envelope unpacked or pending, every message with one outcome, every event
    delivered, waiting or parked. Exit 1 with the offending rows if not.
    """
    from gateway.commands.reconcile import print_books  # noqa: PLC0415
    from gateway.node import open_node_store  # noqa: PLC0415

    loaded, _ = load(config)

    async def job() -> int:
        store = await open_node_store(loaded, owner=False)
        try:
            books = await store.reconcile(aware(since))
        finally:
            await store.close()
        if json_output:
            typer.echo(json.dumps(asdict(books) | {"balanced": books.balanced}, ensure_ascii=False))
        else:
            print_books(books, out)
        return 0 if books.balanced else 1

    run(job())


def replay(
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = None,
    outcome: Annotated[
        str, typer.Option(help="Envelopes that ended so; only malformed and failed are filed anew.")
    ] = "malformed,failed",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come out.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; name the fields that would change.")] = False,
) -> None:
    """Run kept raw envelopes through the present code and rules: after a fix, what was malformed or failed is filed."""
    from gateway.commands.replay import preview_on, replay_on  # noqa: PLC0415
    from gateway.replay import Selection  # noqa: PLC0415
    from normalizer.model import Outcome  # noqa: PLC0415

    try:
        outcomes = tuple(Outcome(name.strip()) for name in outcome.split(","))
    except ValueError as error:
        fail(f"--outcome: {error}; choose from {', '.join(Outcome)}", code=2)
    loaded, built = load(config)
    selection = Selection(outcomes, aware(since))
    if dry_run or diff:
        run(preview_on(loaded, built, selection, out, fields=diff))
    else:
        run(replay_on(loaded, built, selection, out, err))


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
    from gateway.commands.handoff import retry_parked  # noqa: PLC0415

    if bool(events) == every:
        fail("name the events, or say --all", code=2)
    loaded, _ = load(config)
    run(retry_parked(loaded, events or [], out))


def _only_on_sqlite(config: Any, instead: str) -> None:
    if not config.store.url.startswith("sqlite"):
        fail(f"this is for SQLite; on PostgreSQL use {instead}: docs/OPERATING.md, Backup on PostgreSQL", code=2)


#: In the order in which `gateway --help` lists them.
COMMANDS = (migrate, reconcile, replay, backup, restore)
